"""/private/emails/send: a mail as clients of the server API hand it over, with files as parts of a form

Recipients that are no addresses are named in the answer, and the others get the mail; only where none
is left is it refused. What these calls offer beyond sending is not here yet, and is refused where it
is asked for: nobody shall believe that a mail waits for its date, or that its links are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.api.auth import OWNER
from pillarbox.api.bodies import media_type, read_body
from pillarbox.api.compat.parameters import (
    BadParameter,
    Parameters,
    once,
    read_parameters,
)
from pillarbox.api.compat.plain import Specific, answer, app_not_found, saved_time
from pillarbox.api.compat.signed_in import Visitor
from pillarbox.api.draft import IN_A_THREAD_BYTES, MOST_ATTACHMENTS, Draft, pack
from pillarbox.api.fields import one_line
from pillarbox.api.parcel import hand_over, noting_refusals
from pillarbox.api.rooms import Rooms
from pillarbox.message.compose import Attachment, Mailbox
from pillarbox.message.media_types import parse_media_type
from pillarbox.policy.directory import App, Mode
from pillarbox.policy.routing import active_servers
from pillarbox.policy.submitter import Submitter
from pillarbox.terms.address import InvalidAddress, parse_address
from pillarbox.terms.ids import ObjectId

_MULTIPART: Final = "multipart/form-data"
_MOST_FIELDS: Final = 200
_LONGEST_LIST: Final = 200_000
_LONGEST_SUBJECT: Final = 2000
_PLAIN, _HTML = "text/plain", "text/html"
_NOT_YET: Final = {
    "senddate": "Mail cannot be sent later here yet: leave senddate out.",
    "urlattachments": "Files are not fetched from elsewhere here: send them as attachments.",
}


@dataclass(frozen=True, slots=True)
class _Given:
    """What a request holds."""

    parameters: Parameters
    files: tuple[Attachment, ...] = ()


class EmailCalls:
    """Sending; the only call about mail so far."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def send(self, visitor: Visitor, request: Request) -> Response:
        """The mail is taken charge of; its status is ``Q`` then. 406 with a sentence where not."""
        visitor.require_edit()
        rooms = self._rooms
        given = await _read(request, rooms)
        said = given.parameters
        app = await self._app(visitor, said.id("idapp"))
        draft, invalid = _draft(said, app, given.files)
        submitter = await self._submitter(visitor, app)
        if submitter.mode is not Mode.SANDBOX:
            servers = await rooms.storage.directory.servers(app.id)
            if not active_servers(servers):
                raise Specific("No active SMTP for App")
        with noting_refusals(rooms, OWNER):
            receipt = await hand_over(rooms, request, submitter, await pack(rooms, draft))
        return answer(
            {
                "id": f"{receipt.message:024x}",
                "status": "Q",
                "inittime": saved_time(rooms.clock.now_ms()),
                "logsdeleledby": None,
                "attachments": [each.name for each in draft.attachments],
                "blacklisted": [],
                "autoblacklisted": [],
                "notvalidrecipients": invalid,
            }
        )

    async def _app(self, visitor: Visitor, wanted: ObjectId | None) -> App:
        for app in await self._rooms.storage.directory.apps():
            if app.id == wanted and visitor.sees(app):
                return app
        raise app_not_found()

    async def _submitter(self, visitor: Visitor, app: App) -> Submitter:
        submitter = await self._rooms.authenticator.owner_for(app)
        if visitor.user is None:
            return submitter
        return replace(submitter, id=visitor.user.id, name=visitor.user.email)


def _draft(said: Parameters, app: App, files: tuple[Attachment, ...]) -> tuple[Draft, list[str]]:
    """The mail, and the recipients that are no addresses. Raises `BadParameter`, `Specific`."""
    tos = said.required("tos", most=_LONGEST_LIST)
    subject = said.checked(one_line, "", "subject", most=_LONGEST_SUBJECT)
    if not subject:
        raise BadParameter("subject is missing.")
    body = said.required("body", most=10 * 1024 * 1024)
    kind = (said.text("mimetype") or _PLAIN).strip().lower()
    if kind not in (_PLAIN, _HTML):
        raise BadParameter(f"mimetype is {_PLAIN} or {_HTML}.")
    for name, sentence in _NOT_YET.items():
        if said.text(name, most=_LONGEST_LIST) is not None:
            raise Specific(sentence)
    copied = said.text("ccs", most=_LONGEST_LIST), said.text("bccs", most=_LONGEST_LIST)
    if said.switch("includetracking") or said.switch("includeunregisterlink"):
        if any(copied):
            raise Specific(
                "includetracking and includeunregisterlink are not possible with CC or BCC"
            )
        raise Specific("Neither tracking nor links for unregistering can be included here yet.")
    invalid: list[str] = []
    to = _mailboxes(tos, said.text("tonames", most=_LONGEST_LIST) or "", invalid)
    if not to:
        raise Specific("All TO are not valid")
    cc, bcc = (_mailboxes(text or "", "", invalid) for text in copied)
    author = _one(said, app.from_address, "from")
    if author is None:
        raise Specific("FROM is not a valid email")
    name = said.checked(one_line, "", "fromname", most=100) or app.from_name
    text, html = (body, None) if kind == _PLAIN else (None, body)
    draft = Draft(
        Mailbox(name, author), tuple(to), tuple(cc), tuple(bcc), _reply_to(said, app), subject,
        text, html, files,
    )  # fmt: skip
    return draft, invalid


def _reply_to(said: Parameters, app: App) -> Mailbox | None:
    if said.text("replyto") is None:
        return Mailbox(app.reply_to_name, app.reply_to_address) if app.reply_to_address else None
    address = _one(said, "", "replyto")
    if address is None:
        raise Specific("REPLYTO is not a valid email")
    return Mailbox("", address)


def _one(said: Parameters, usual: str, name: str) -> str | None:
    """The address of a parameter; None where it is none."""
    text = (said.text(name) or usual).strip()
    try:
        return parse_address(text).text
    except InvalidAddress:
        return None


def _mailboxes(text: str, names: str, invalid: list[str]) -> list[Mailbox]:
    """Those of a list with commas, each with the name at the same place of another list."""
    named = [one_line(name) for name in names.split(",")]
    found: list[Mailbox] = []
    for place, each in enumerate(filter(None, map(str.strip, text.split(",")))):
        try:
            address = parse_address(each).text
        except InvalidAddress:
            invalid.append(each[:320])
            continue
        found.append(Mailbox(named[place] if place < len(named) else "", address))
    return found


async def _read(request: Request, rooms: Rooms) -> _Given:
    config = rooms.config
    body = await read_body(
        request, limit=config.max_body_mb * 1024 * 1024, seconds=config.body_seconds
    )
    declared = media_type(request)
    if declared != _MULTIPART:
        return _Given(read_parameters(body, declared))

    # The parser takes a form that breaks off for a whole one, and a file would be missing.
    edge = parse_media_type(request.headers.get("content-type", "").encode("latin-1"))[1]
    closing = b"--" + edge.get("boundary", "").encode("latin-1") + b"--"
    if not body.rstrip().endswith(closing):
        raise BadParameter("The form breaks off before its end.")

    async def whole() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(body), IN_A_THREAD_BYTES):
            yield body[at : at + IN_A_THREAD_BYTES]
            await asyncio.sleep(0)

    parser = MultiPartParser(
        request.headers, whole(), max_files=MOST_ATTACHMENTS, max_fields=_MOST_FIELDS,
        max_part_size=len(body),
    )  # fmt: skip
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadParameter(f"The form cannot be read: {error.message}") from None
    except (KeyError, UnicodeDecodeError):
        raise BadParameter("The form cannot be read.") from None
    pairs: list[tuple[str, str]] = []
    files: list[Attachment] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            data = await value.read()
            files.append(Attachment(_file_name(value), data, value.content_type or ""))
        else:
            pairs.append((name, value))
    await form.close()
    return _Given(Parameters(once(pairs)), tuple(files))


def _file_name(upload: UploadFile) -> str:
    return one_line(upload.filename or "") or "attachment"
