"""certificate: certificates of our host names, from an authority that gives them by ACME"""

from __future__ import annotations

import time
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client, segment
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as
from pillarbox.terms.clock import parse_duration
from pillarbox.terms.errors import PillarboxError

_COLOURS: Final = {
    "asked": "blue",
    "failing": "red",
    "valid": "green",
    "overdue": "amber",
    "expired": "red",
}
_LOOK_SECONDS: Final = 0.5
_USUAL_WAIT: Final = "2m"


class NotIssued(PillarboxError):
    """There is no certificate yet."""

    code = "certificate_not_issued"


@click.group(
    cls=Noun,
    examples=[
        ("certificate request track.example.com", "have one made, and kept for ever"),
        ("certificate list", "which there are, until when, and what went wrong"),
        ("certificate renew track.example.com", "now, and not when a third of its life is left"),
    ],
)
def certificate() -> None:
    """Certificates of our host names, from an authority that gives them by ACME.

    Nothing is asked of an authority before acme.agree_terms is set. Port 80 of the host must lead
    here: docs/certificates.md says how.
    """


_TIMEOUT: Final = click.option(
    "--timeout",
    metavar="SPAN",
    default=_USUAL_WAIT,
    help=f"Wait at most so long, as in 90s; 0s does not wait. Default: {_USUAL_WAIT}.",
)


@examples(
    ("certificate request track.example.com", "and wait until it is there"),
    ("certificate request mail.example.com --timeout 0s", "and do not wait"),
)
@certificate.command("request")
@click.argument("host")
@_TIMEOUT
@talks
def request(call: Call, host: str, timeout: str) -> None:
    """Have a certificate made for a host, shown by our listeners, and renewed for ever after."""
    most_seconds = parse_duration(timeout)
    with call.client() as client:
        found = client.post("/certificates", {"host": host})
        _finish(call, client, found, most_seconds)


@examples(
    ("certificate list", "all, with what went wrong last"),
    ("certificate list --json", "for a program"),
)
@certificate.command("list")
@talks
def list_(call: Call) -> None:
    """The hosts for which a certificate was asked for, with its state in a word.

    It is asked for; or failing, when none could be had yet; valid; overdue, when it holds and could
    not be renewed; or expired.
    """
    with call.client() as client:
        items = client.items("/certificates")

    def words() -> None:
        if not items:
            call.screen.say("None was asked for yet. Have one made:")
            call.screen.say(f"  {run_as()} certificate request HOST")
            return
        columns = [
            Column("host"),
            Column("state", fixed=True),
            Column("valid until", fixed=True),
            Column("next try (UTC)", fixed=True),
            Column("what went wrong"),
        ]
        rows = [
            [
                clean(each["host"]),
                each["state"],
                _day(each["valid_until"]),
                _minute(each["next_try"]),
                clean(each["words"]),
            ]
            for each in items
        ]
        call.screen.table(columns, rows, _COLOURS)

    call.result({"items": items, "next": None}, "host", words)


@examples(("certificate renew track.example.com", "and wait until it is there"))
@certificate.command("renew")
@click.argument("host")
@_TIMEOUT
@talks
def renew(call: Call, host: str, timeout: str) -> None:
    """Have a new certificate made now. Authorities count: a few a week for each name."""
    most_seconds = parse_duration(timeout)
    with call.client() as client:
        found = client.post(f"/certificates/{segment(host)}/renew")
        _finish(call, client, found, most_seconds)


@examples(("certificate remove track.example.com --yes", "its key is forgotten with it"))
@certificate.command("remove")
@click.argument("host")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def remove(call: Call, host: str, *, yes: bool) -> None:
    """Ask for a host's certificate no more, and forget it. It is not revoked, but ends by itself."""
    call.ask_yes(f"Forget the certificate of {host} and its key?", answered=yes)
    with call.client() as client:
        client.delete(f"/certificates/{segment(host)}")
    call.talk(f"{clean(host)} has no certificate of an authority here any more.")


def _finish(call: Call, client: Client, asked: dict[str, Any], most_seconds: float) -> None:
    """Wait until something came of it, and say what."""
    # Where nobody runs, nobody asks.
    ends_at = time.monotonic() + (0 if client.offline else most_seconds)
    found = asked
    while not _is_done(asked, found) and time.monotonic() < ends_at:
        time.sleep(_LOOK_SECONDS)
        items = client.items("/certificates")
        found = next((each for each in items if each["host"] == asked["host"]), asked)
    if found["words"] and _is_done(asked, found):
        raise NotIssued(
            f"{clean(found['words'])}",
            fix=f"Port 80 of {clean(found['host'])} must lead to Pillarbox (acme.ports). "
            "It is tried again by itself.",
        )

    def words() -> None:
        host = clean(found["host"])
        if _is_done(asked, found):
            call.screen.say(f"{host} has a certificate until {_day(found['valid_until'])}.")
        elif client.offline:
            call.screen.say(f"{host} is asked for when Pillarbox runs.")
        else:
            call.screen.say(f"{host} is asked for. See: {run_as()} certificate list")

    call.result(found, "host", words)


def _is_done(asked: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether it was tried since it was asked for."""
    return bool(found["last_try"]) and found["last_try"] != asked["last_try"]


def _minute(moment: str | None) -> str:
    return moment[:16].replace("T", " ") if moment else ""


def _day(moment: str | None) -> str:
    return moment[:10] if moment else ""
