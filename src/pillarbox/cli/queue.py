"""queue: what waits in which lane, and making it go, stay or end"""

from __future__ import annotations

from typing import Any, Final

import click

from pillarbox.cli.acting import VERBS, filtering
from pillarbox.cli.call import Call
from pillarbox.cli.group import Noun, WholeNumber, examples
from pillarbox.cli.moments import ago, at
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean
from pillarbox.policy.delivery import STATE_WORDS

STATE_COLOURS: Final = {
    "Sending": "blue",
    "Retrying": "amber",
    "Held": "violet",
    "Handed over": "green",
    "Delivered": "green",
    "Failed": "red",
    "Bounced": "red",
    "Expired": "red",
    "Suppressed": "violet",
    "Kept": "blue",
}
LANE_COLOURS: Final = {
    "Flowing": "green",
    "Backing off": "amber",
    "Blocked": "red",
    "Paused": "violet",
    "Held": "violet",
}
_EXPLAINED: Final = 10
"""Lanes whose state is explained below the table."""


@click.group(
    cls=Noun,
    invoke_without_command=True,
    examples=[
        ("queue", "every lane in which something waits, how it does and why"),
        ("queue retry --app shop", "now instead of later"),
        ("queue move --lane 7 --to mailgun", "another way than the one that does not work"),
        ("queue pause 7", "stop everything that takes this way, what comes new as well"),
    ],
)
@talks
def queue(call: Call) -> None:
    """What waits, by lane: an app's mail that takes the same way."""
    if click.get_current_context().invoked_subcommand is None:
        _show_lanes(call)


@examples(
    ("queue list", "every lane in which something waits"),
    ("queue list --deliveries --state deferred", "the single deliveries, with their next attempt"),
    ("queue list --app shop --json", "for a program"),
)
@queue.command("list")
@click.option("--deliveries", is_flag=True, help="Every recipient instead of the lanes.")
@filtering
@click.option(
    "--limit", type=WholeNumber(1), metavar="N", default=100, help="At most so many. Default: 100."
)
@talks
def list_(call: Call, *, deliveries: bool, limit: int, **wanted: Any) -> None:
    """What waits."""
    if not deliveries and not any(wanted.values()):
        _show_lanes(call)
        return
    with call.client() as client:
        items = client.items("/queue/deliveries", limit=limit, cursor="after", **wanted)
    call.result({"items": items, "next": None}, "id", lambda: _print_deliveries(call, items))


def _show_lanes(call: Call) -> None:
    with call.client() as client:
        document = client.get("/queue")
    call.result(document, "lane", lambda: _print_lanes(call, document))


def _print_lanes(call: Call, document: dict[str, Any]) -> None:
    items = document["items"]
    if not items:
        call.screen.say("Nothing waits.")
        return
    held, active = (any(each[name] for each in items) for name in ("held", "active"))
    columns = [
        Column("lane", right=True, fixed=True),
        Column("app"),
        Column("to"),
        Column("state", fixed=True),
        Column("waiting", right=True, fixed=True),
        *([Column("held", right=True, fixed=True)] if held else []),
        *([Column("sending", right=True, fixed=True)] if active else []),
        Column("oldest", right=True, fixed=True),
        Column("a minute", right=True, fixed=True),
        Column("next attempt", fixed=True),
        Column("last trouble"),
    ]
    rows = [
        [
            each["lane"],
            each["app"],
            each["way"],
            each["word"],
            each["waiting"],
            *([each["held"] or ""] if held else []),
            *([each["active"] or ""] if active else []),
            ago(each["oldest_at"]),
            each["here"]["a_minute"] or "",
            "" if each["paused_at"] else at(each["first_due_at"]),
            each["last"]["words"],
        ]
        for each in items
    ]
    call.screen.table(columns, rows, LANE_COLOURS)
    for each in items[:_EXPLAINED]:
        if each["why"]:
            call.talk(f"lane {each['lane']}: {clean(each['why'])}")
    if document["next"]:
        call.talk("There are more lanes: pillarbox queue list --json has all of them.")


def _print_deliveries(call: Call, items: list[dict[str, Any]]) -> None:
    if not items:
        call.screen.say("Nothing waits that fits.")
        return
    columns = [
        Column("delivery", middle=True),
        Column("recipient"),
        Column("state", fixed=True),
        Column("tries", right=True, fixed=True),
        Column("age", right=True, fixed=True),
        Column("next attempt", fixed=True),
    ]
    rows = [
        [
            each["id"],
            each["recipient"],
            each["word"] + (" ?" if each["uncertain"] else ""),
            each["attempts"],
            ago(each["accepted_at"]),
            at(each["due_at"]),
        ]
        for each in items
    ]
    call.screen.table(columns, rows, STATE_COLOURS)
    if any(each["uncertain"] for each in items):
        call.screen.say("? may have been delivered: the line was lost behind the final dot")


def word_of(state: str) -> str:
    """The word people read for a state; the state itself where it is not known here."""
    words = {known.value: word.word for known, word in STATE_WORDS.items()}
    return words.get(state, state)


for _verb in VERBS:
    queue.add_command(_verb)
