"""preview: messages as they would leave, from the store or from files"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client, segment
from pillarbox.cli.errors import Exit, WrongUsage, print_error, problem_document
from pillarbox.cli.group import Option, examples
from pillarbox.cli.options import Function, talks
from pillarbox.cli.output import clean
from pillarbox.cli.preview_files import FileWishes, Rehearsals
from pillarbox.cli.preview_output import STREAM, place_of
from pillarbox.cli.preview_words import print_preview
from pillarbox.terms.errors import InvalidId, PillarboxError
from pillarbox.terms.ids import parse_message_id

MOST_MESSAGES: Final = 10_000
_FEATURES: Final = "What is done to it"
_FILES: Final = "For files only"
_SWITCHES: Final = {
    "inline_css": "inlinecss",
    "track_clicks": "trackclicks",
    "track_opens": "trackopens",
    "prevent_scam": "preventscam",
    "unsubscribe": "unsubscribe",
}


def _switch(flag: str, about: str) -> Callable[[Function], Function]:
    return click.option(
        f"--{flag}/--no-{flag}", cls=Option, section=_FEATURES, default=None, help=about
    )


@examples(
    ("message preview msg_0A1B2C3D4E5F", "what leaves of a message that was taken"),
    ("message preview letter.eml --track-clicks", "a file; no Pillarbox has to run"),
    ("message preview *.eml --inline-css --output changed", "many, and what becomes of them"),
)
@click.command("preview")
@click.argument("what", metavar="ID|FILE...", nargs=-1, required=True)
@_switch("inline-css", "Style sheets become style attributes.")
@_switch("track-clicks", "Links lead through the tracking host.")
@_switch("track-opens", "Images are fetched through the tracking host.")
@_switch("prevent-scam", "Links whose text is their own address stay.")
@_switch("hosted-images", "Embedded images no longer travel with the message.")
@_switch("unsubscribe", "Readers may unsubscribe with one click, where no field says how yet.")
@click.option(
    "--seven-bit",
    cls=Option,
    section=_FEATURES,
    is_flag=True,
    help="For a next server that takes neither 8BITMIME nor SMTPUTF8.",
)
@click.option(
    "--sign",
    cls=Option,
    section=_FILES,
    metavar="DOMAIN:SELECTOR:KEYFILE",
    multiple=True,
    help="Sign with this DKIM key, a private key in PEM. Repeatable.",
)
@click.option(
    "--tracking-host",
    cls=Option,
    section=_FILES,
    metavar="HOST",
    help="Where tracked links lead. Default: track.invalid, which is nowhere.",
)
@click.option(
    "--exception",
    "exceptions",
    cls=Option,
    section=_FILES,
    metavar="DOMAIN|PATTERN",
    multiple=True,
    help="Links that are never tracked, as in .example.com. Repeatable.",
)
@click.option("--recipient", metavar="ADDRESS", help="For whom, of several recipients of an ID.")
@click.option(
    "--output",
    metavar="FILE|FOLDER",
    help="Write what would leave; of several messages into a folder. - is standard output.",
)
@click.option("--all", "everything", is_flag=True, help="Every passage, link and image in words.")
@talks
def preview(
    call: Call,
    *,
    what: tuple[str, ...],
    sign: tuple[str, ...],
    tracking_host: str | None,
    exceptions: tuple[str, ...],
    seven_bit: bool,
    recipient: str | None,
    output: str | None,
    everything: bool,
    **features: bool | None,
) -> int:
    """Show what would be done to a message, and why, without sending it.

    Before and after of each part, what becomes of each link and why, fields of the header, size,
    signatures, and where each option came from. A file needs no Pillarbox, no network, no data.
    """
    if len(what) > MOST_MESSAGES:
        raise WrongUsage(f"{len(what)} messages are too many for one call", fix="name fewer")
    ids = frozenset(each for each in what if _is_id(each))
    said_for_files = bool(sign or tracking_host or exceptions)
    if ids and said_for_files:
        raise WrongUsage(
            "--sign, --tracking-host and --exception are for files",
            detail="for a message that was taken its Pillarbox knows them",
        )
    if recipient is not None and len(ids) < len(set(what)):
        raise WrongUsage("--recipient is for messages that were taken, not for files")
    place = place_of(output, what, as_json=call.as_json)
    options = _options(features)
    items: list[dict[str, Any]] = []
    failed = 0
    with ExitStack() as stack:
        stored = _Stored(call, stack, options, recipient, seven_bit, wanted=place is not None)
        wishes = FileWishes(options, sign, tracking_host, exceptions, seven_bit)
        files = Rehearsals(wishes) if len(ids) < len(set(what)) else None
        if files is not None:
            stack.callback(files.close)
        for each in what:
            try:
                found = stored.one(each) if files is None or each in ids else files.one(each)
                if place is not None:
                    place.put(each, found[1])
                items.append(found[0])
            except PillarboxError as error:
                if len(what) == 1:
                    raise
                failed += 1
                items.append({"name": each, "problem": problem_document(error)})
                if not call.as_json:
                    call.screen.note(clean(each))
                    print_error(error)
                continue
            if call.quiet and not call.as_json:
                call.screen.say(clean(each))
            elif not call.as_json and output != STREAM:
                if len(items) > 1:
                    call.screen.say()
                print_preview(call.screen, items[-1], everything=everything)
    if call.as_json:
        call.screen.document({"items": items, "next": None})
    elif place is not None and not call.quiet and output != STREAM:
        call.screen.say()
        call.screen.say(f"Written to {clean(place)}.")
    return Exit.PARTLY if failed else Exit.DONE


@dataclass(slots=True)
class _Stored:
    """Messages that a Pillarbox took, asked for one by one."""

    call: Call
    stack: ExitStack
    options: dict[str, str]
    recipient: str | None
    seven_bit: bool
    wanted: bool
    """Whether the content that would leave is wanted as well."""
    _client: Client | None = None

    def one(self, id_: str) -> tuple[dict[str, Any], bytes]:
        """Raises `ApiProblem`."""
        if self._client is None:
            self._client = self.stack.enter_context(self.call.client())
        client = self._client
        if not (self.options or self.seven_bit or self.wanted):
            path = f"/messages/{segment(id_)}/preview"
            return client.get(path, recipient=self.recipient), b""
        document: dict[str, Any] = {
            "message": id_,
            "options": self.options,
            "seven_bit": self.seven_bit,
            "content": self.wanted,
        }
        if self.recipient is not None:
            document["recipient"] = self.recipient
        found = client.post("/preview", document)
        return found, base64.b64decode(found.pop("content_base64", ""))


def _options(features: dict[str, bool | None]) -> dict[str, str]:
    hosted = features.pop("hosted_images")
    said = {
        _SWITCHES[name]: str(value).lower() for name, value in features.items() if value is not None
    }
    if hosted is not None:
        said["images"] = "hosted" if hosted else "default"
    return said


def _is_id(text: str) -> bool:
    """Whether it names a message rather than a file; a file that is there is meant."""
    if Path(text).exists():
        return False
    try:
        parse_message_id(text)
    except InvalidId:
        # One that was mistyped is not looked for among files.
        return text.startswith("msg_") and "." not in text
    return True
