"""tracking: the keys that tracked links are signed with"""

from __future__ import annotations

from typing import Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import segment
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.moments import since
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column
from pillarbox.terms.errors import PillarboxError

_COLOURS: Final = {"current": "green", "old": "grey", "revoked": "red"}


class UnknownKey(PillarboxError):
    """There is no such key of tracked links."""

    code = "not_found"


@click.group(
    cls=Noun,
    examples=[
        ("tracking keys list", "which there are, and which signs what is accepted now"),
        ("tracking keys rotate", "a new one; links in mail that has left go on working"),
        ("tracking keys revoke 3", "it got into wrong hands: its links lead nowhere any more"),
    ],
)
def tracking() -> None:
    """Tracked links and images, and the keys they are signed with."""


@click.group(
    cls=Noun,
    examples=[
        ("tracking keys list", "which there are"),
        ("tracking keys rotate", "a new one, from now on"),
    ],
)
def keys() -> None:
    """Keys that tracked links are signed with. The first is made when it is needed."""


tracking.add_command(keys)


@examples(("tracking keys list", "all there were"), ("tracking keys list --json", "for a program"))
@keys.command("list")
@talks
def list_(call: Call) -> None:
    """All keys by number: the current one, old ones whose links still work, and revoked ones."""
    with call.client() as client:
        items = client.items("/tracking/keys")

    def words() -> None:
        if not items:
            call.screen.say("No key yet; one is made when a link is tracked for the first time.")
            return
        columns = [
            Column("number", right=True, fixed=True),
            Column("state", fixed=True),
            Column("made"),
            Column("revoked"),
        ]
        rows = [
            [
                each["number"],
                each["state"],
                since(each["made_at"]),
                since(each["revoked_at"]) if each["revoked_at"] else "",
            ]
            for each in items
        ]
        call.screen.table(columns, rows, _COLOURS)

    call.result({"items": items, "next": None}, "number", words)


@examples(("tracking keys rotate", "once in a while, or when somebody leaves"))
@keys.command("rotate")
@talks
def rotate(call: Call) -> None:
    """Make a new key for what is accepted from now on.

    Links and images in mail that was accepted before go on working: old keys are kept.
    """
    with call.client() as client:
        found = client.post("/tracking/keys")
    call.result(found, "number", lambda: call.talk(f"Key {found['number']} signs from now on."))


@examples(
    ("tracking keys revoke 3", "asks"),
    ("tracking keys revoke 3 --yes", "does not"),
)
@keys.command("revoke")
@click.argument("number", type=click.IntRange(1, 65535))
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def revoke(call: Call, number: int, *, yes: bool) -> None:
    """Follow no link any more that was signed with a key, for one that got into wrong hands.

    Whoever has the key could have us send readers anywhere. Its links, also those in mail that has
    left, show a page with the address they would have led to; its images are not shown.
    """
    with call.client() as client:
        if number not in [each["number"] for each in client.items("/tracking/keys")]:
            raise UnknownKey(
                f"There is no key of tracked links with the number {number}.",
                fix="List them: pillarbox tracking keys list",
            )
        call.ask_yes(
            f"Revoke key {number}? Links in mail that was signed with it stop working, for good.",
            answered=yes,
        )
        found = client.post(f"/tracking/keys/{segment(str(number))}/revoke")
    call.result(found, "number", lambda: call.talk(f"Key {found['number']} is revoked."))
