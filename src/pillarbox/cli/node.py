"""node: the nodes that share a database, and draining one of them"""

from __future__ import annotations

import time
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client, segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.moments import since
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as
from pillarbox.settings.process import ROLES
from pillarbox.terms.clock import format_duration, parse_duration
from pillarbox.terms.errors import PillarboxError

_COLOURS: Final = {
    "working": "green",
    "draining": "amber",
    "drained": "blue",
    "silent": "red",
    "stopped": "grey",
}
_LOOK_SECONDS: Final = 0.5
_USUAL_WAIT: Final = "5m"


class StillDraining(PillarboxError):
    """It was not drained in the time that was given."""

    code = "busy_try_later"


@click.group(
    cls=Noun,
    examples=[
        ("node list", "who works, who is silent, who was stopped"),
        ("node drain two --wait", "before it is stopped or updated"),
        ("node drain two --resume", "let it work again"),
    ],
)
def node() -> None:
    """The nodes that share a database. Without PostgreSQL there is one, which is here."""


@examples(
    ("node list", "every node, with the last sign of life it gave"),
    ("node list --json", "for a program; also what each has accepted and settled"),
)
@node.command("list")
@talks
def list_(call: Call) -> None:
    """All nodes, by name, each with its state in a word.

    A node is working; or draining, which means that it accepts nothing more and finishes what it
    has; or drained, when it has nothing in memory and can be stopped. It is silent when it gave no
    sign of life in time, half a minute, and the others take over; and stopped when it is not running.
    """
    with call.client() as client:
        items = client.items("/nodes")

    def words() -> None:
        columns = [
            Column("name"),
            Column("state", fixed=True),
            Column("version", fixed=True),
            Column("roles"),
            Column("in memory", right=True, fixed=True),
            Column("last sign of life", fixed=True),
        ]
        rows = [
            [
                each["name"],
                each["state"],
                each["version"],
                roles_of(each),
                each["load"]["messages"] if each["alive"] else "",
                since(each["last_sign_of_life"]) if each["last_sign_of_life"] else "",
            ]
            for each in items
        ]
        call.screen.table(columns, rows, _COLOURS)

    call.result({"items": items, "next": None}, "name", words)


@examples(
    ("node drain two", "it accepts nothing more; its own mail goes on, the rest is left to others"),
    ("node drain two --wait --timeout 20m", "and wait until it has nothing in memory"),
    ("node drain two --resume", "let it work again"),
)
@node.command("drain")
@click.argument("name")
@click.option("--resume", is_flag=True, help="Let it work again.")
@click.option("--wait", is_flag=True, help="Wait until it has nothing in memory.")
@click.option(
    "--timeout",
    metavar="SPAN",
    default=_USUAL_WAIT,
    help=f"Wait at most so long, as in 90s or 20m. Default: {_USUAL_WAIT}.",
)
@talks
def drain(call: Call, name: str, *, resume: bool, wait: bool, timeout: str) -> None:
    """Let a node accept nothing more and finish what it has.

    Submitters are answered 451 4.3.2 or 503 there, and come back or go to another node. What it has
    in memory is delivered; what waits for its time is left to the other nodes. It stays drained until
    --resume, also when it is started again.
    """
    if resume and wait:
        raise WrongUsage("--wait is for a node that is being drained", fix="leave out --wait")
    most_seconds = parse_duration(timeout)
    with call.client() as client:
        found = client.post(f"/nodes/{segment(name)}/{'resume' if resume else 'drain'}")
        if wait:
            found = _wait_until_drained(call, client, found, most_seconds)
    call.result(found, "name", lambda: _print(call, found))


@examples(("node remove two", "asks"), ("node remove two --yes", "does not"))
@node.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def remove(call: Call, name: str, *, yes: bool) -> None:
    """Strike a node that is gone for good. Refused while it lives, or what it had is not free."""
    call.ask_yes(f"Remove the node {name}? It is known again when it is started.", answered=yes)
    with call.client() as client:
        client.delete(f"/nodes/{segment(name)}")
    call.talk(f"Removed the node {clean(name)}.")


def roles_of(found: dict[str, Any]) -> str:
    """The roles of a node, in words."""
    return "all" if set(found["roles"]) == set(ROLES) else ", ".join(found["roles"])


def _wait_until_drained(
    call: Call, client: Client, found: dict[str, Any], most_seconds: float
) -> dict[str, Any]:
    """Tell how far it is until nothing is left. Raises `StillDraining`."""
    ends_at = time.monotonic() + most_seconds
    told = ""
    while found["state"] not in ("drained", "stopped"):
        if (now := _standing(found)) != told:
            told = now
            call.talk(f"{clean(found['name'])}: {told}")
        if time.monotonic() >= ends_at:
            raise StillDraining(
                f"{clean(found['name'])} is not drained after {format_duration(most_seconds)}: {told}",
                fix="What it has goes on being delivered. To wait longer:\n"
                f"pillarbox node drain {clean(found['name'])} --wait --timeout 1h",
            )
        time.sleep(_LOOK_SECONDS)
        found = next(
            (each for each in client.items("/nodes") if each["name"] == found["name"]),
            {**found, "state": "stopped", "alive": False},  # removed in the meantime
        )
    return found


def _standing(found: dict[str, Any]) -> str:
    count = found["load"]["messages"]
    return f"{found['state']}, {count} {'message' if count == 1 else 'messages'} in memory"


def _print(call: Call, found: dict[str, Any]) -> None:
    name, state = clean(found["name"]), found["state"]
    if not found["draining"]:
        later = "" if found["alive"] else " when it runs again"
        call.screen.say(f"{name} accepts mail{later}.")
        return
    words = {
        "drained": "is drained: it has nothing in memory and can be stopped",
        "silent": "is silent; when it comes back it will accept nothing",
        "stopped": "is stopped; when it is started it will accept nothing",
    }
    finishing = f"accepts nothing more and finishes what it has ({_standing(found)})"
    call.screen.say(f"{name} {words.get(state, finishing)}.")
    call.screen.say(f"Back: {run_as()} node drain {name} --resume")
