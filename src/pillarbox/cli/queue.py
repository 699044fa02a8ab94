"""queue: what waits in which lane, and making it go, stay or end"""

from __future__ import annotations

from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client
from pillarbox.cli.errors import Exit, WrongUsage
from pillarbox.cli.group import Noun, WholeNumber, examples
from pillarbox.cli.moments import ago, at
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean
from pillarbox.policy.delivery import STATE_WORDS, WAITING, State

WAITING_STATES: Final = click.Choice([state.value for state in State if state in WAITING])
_IN_STATE: Final = f"in this state: {', '.join(WAITING_STATES.choices)}."
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
_SHOWN_REFUSALS: Final = 10


@click.group(
    cls=Noun,
    examples=[
        ("queue list", "what waits, and when it is tried next"),
        ("queue retry --app shop", "now instead of later"),
        ("queue release --app shop", "let go what is held"),
    ],
)
def queue() -> None:
    """What waits, by lane: an app's mail that takes the same way."""


@examples(
    ("queue list", "every lane in which something waits"),
    ("queue list --deliveries --state deferred", "the single deliveries, with their next attempt"),
    ("queue list --app shop --json", "for a program"),
)
@queue.command("list")
@click.option("--deliveries", is_flag=True, help="Every recipient instead of the lanes.")
@click.option("--app", metavar="NAME", help="Deliveries of this app.")
@click.option("--state", type=WAITING_STATES, metavar="STATE", help=f"Deliveries {_IN_STATE}")
@click.option("--lane", type=WholeNumber(1), metavar="N", help="Deliveries of this lane.")
@click.option(
    "--limit", type=WholeNumber(1), metavar="N", default=100, help="At most so many. Default: 100."
)
@talks
def list_(
    call: Call,
    *,
    deliveries: bool,
    app: str | None,
    state: str | None,
    lane: int | None,
    limit: int,
) -> None:
    """What waits."""
    with call.client() as client:
        if deliveries or app or state or lane:
            items = client.items(
                "/queue/deliveries", limit=limit, cursor="after", app=app, state=state, lane=lane
            )
            call.result(
                {"items": items, "next": None}, "id", lambda: _print_deliveries(call, items)
            )
        else:
            document = client.get("/queue")
            call.result(document, "lane", lambda: _print_lanes(call, document))


def _print_lanes(call: Call, document: dict[str, Any]) -> None:
    if not document["items"]:
        call.screen.say("Nothing waits.")
        return
    columns = [
        Column("lane", right=True, fixed=True),
        Column("app"),
        Column("to"),
        Column("waiting", right=True, fixed=True),
        Column("held", right=True, fixed=True),
        Column("sending", right=True, fixed=True),
        Column("oldest", right=True, fixed=True),
        Column("next attempt", fixed=True),
    ]
    rows = [
        [
            each["lane"],
            each["app"],
            "its servers" if each["destination"] == "*" else each["destination"],
            each["waiting"],
            each["held"] or "",
            each["active"] or "",
            ago(each["oldest_at"]),
            at(each["first_due_at"]),
        ]
        for each in document["items"]
    ]
    call.screen.table(columns, rows)


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


def selecting_options(function: Any) -> Any:
    """How the deliveries of an action are named."""
    for option in reversed(
        (
            click.argument("ids", nargs=-1, metavar="[ID]..."),
            click.option("--app", metavar="NAME", help="All of this app."),
            click.option("--state", type=WAITING_STATES, metavar="STATE", help=f"All {_IN_STATE}"),
            click.option(
                "--lane", type=WholeNumber(1), metavar="N", help="All of this lane; see queue list."
            ),
            click.option("--dry-run", is_flag=True, help="Only count what it would change."),
        )
    ):
        function = option(function)
    return function


@examples(
    ("queue retry dlv_0A1B2C3D4E5F6G", "one delivery; a message id means all its recipients"),
    ("queue retry --app shop --state deferred", "after a server came back"),
)
@queue.command("retry")
@selecting_options
@talks
def retry(call: Call, **wish: Any) -> int:
    """Try now instead of at the next due time."""
    return _act(call, "retry", "due now", wish)


@examples(
    ("queue hold --lane 7", "stop everything that takes this way"),
    ("queue hold msg_0A1B2C3D4E5F", "one message"),
)
@queue.command("hold")
@selecting_options
@talks
def hold(call: Call, **wish: Any) -> int:
    """Stop deliveries until somebody releases them."""
    return _act(call, "hold", "held", wish)


@examples(
    ("queue release --app shop", "let everything go that is held"),
    ("queue release --app shop --dry-run", "how much that would be"),
)
@queue.command("release")
@selecting_options
@talks
def release(call: Call, **wish: Any) -> int:
    """Let held deliveries go."""
    return _act(call, "release", "released", wish)


@examples(
    ("queue cancel msg_0A1B2C3D4E5F", "end one message for good"),
    ("queue cancel --lane 7", "counts first, then asks"),
    ("queue cancel --lane 7 --yes", "in a script"),
)
@queue.command("cancel")
@selecting_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def cancel(call: Call, *, yes: bool, **wish: Any) -> int:
    """End deliveries for good; what is being sent now is refused."""
    return _act(call, "cancel", "cancelled", wish, ask=not yes)


def _act(call: Call, verb: str, done: str, wish: dict[str, Any], *, ask: bool = False) -> int:
    dry_run = wish.pop("dry_run")
    selections = _selections(wish)
    with call.client() as client:
        if ask and not dry_run and "message" not in selections[0]:
            counted = _post(client, verb, selections, dry_run=True)
            if counted["matched"] > 1:
                call.ask_yes(
                    f"{verb.capitalize()} {counted['matched']} deliveries for good?", answered=False
                )
        total = _post(client, verb, selections, dry_run=dry_run)
    call.result(total, "id", lambda: _print_change(call, total, done))
    nothing = not (total["matched"] if dry_run else total["changed"])
    return Exit.CONFLICT if total["refused"] and nothing else Exit.DONE


def _selections(wish: dict[str, Any]) -> list[dict[str, Any]]:
    """The bodies of the requests a wish needs: one per message, one for all named deliveries."""
    ids = wish.pop("ids")
    filtered = {name: value for name, value in wish.items() if value is not None}
    if bool(ids) == bool(filtered):
        raise WrongUsage(
            "say which deliveries: ids, or --app, --state or --lane"
            if not ids
            else "give either ids, or --app, --state and --lane",
            fix="pillarbox queue list   shows lanes; --deliveries shows ids",
        )
    if filtered:
        return [filtered]
    messages = [{"message": each} for each in ids if each.startswith("msg_")]
    deliveries = [each for each in ids if not each.startswith("msg_")]
    return [*messages, *([{"deliveries": deliveries}] if deliveries else [])]


def _post(
    client: Client, verb: str, selections: list[dict[str, Any]], *, dry_run: bool
) -> dict[str, Any]:
    """Ask for each selection and add up the answers."""
    total: dict[str, Any] = {"dry_run": dry_run, "matched": 0, "changed": 0, "refused": 0}
    total |= {"refusals": [], "more": False}
    for selection in selections:
        answer = client.post(f"/queue/{verb}", {**selection, "dry_run": dry_run})
        for name in ("matched", "changed", "refused"):
            total[name] += answer[name]
        total["refusals"].extend(answer["refusals"])
        total["more"] = total["more"] or answer["more"]
    return total


def _print_change(call: Call, total: dict[str, Any], done: str) -> None:
    if total["dry_run"]:
        count = total["matched"]
        call.screen.say(f"{count} {_plural(count)} would be {done}; nothing was changed.")
    else:
        call.screen.say(f"{total['changed']} {_plural(total['changed'])} {done}.")
    if total["more"]:
        call.screen.say("There are more; say it again.")
    for refusal in total["refusals"][:_SHOWN_REFUSALS]:
        call.screen.say(f"  not {clean(refusal['id'])}: {clean(refusal['why'])}")
    hidden = total["refused"] - len(total["refusals"][:_SHOWN_REFUSALS])
    if hidden > 0:
        call.screen.say(f"  and {hidden} more were refused")


def _plural(count: int) -> str:
    return "delivery" if count == 1 else "deliveries"


def word_of(state: str) -> str:
    """The word people read for a state; the state itself where it is not known here."""
    words = {known.value: word.word for known, word in STATE_WORDS.items()}
    return words.get(state, state)
