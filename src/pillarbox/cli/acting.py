"""acting: making what waits go, stay, end, or take another way"""

from __future__ import annotations

from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client
from pillarbox.cli.errors import Exit, WrongUsage
from pillarbox.cli.group import Verb, WholeNumber, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import clean
from pillarbox.policy.delivery import WAITING, State

WAITING_STATES: Final = click.Choice([state.value for state in State if state in WAITING])
_IN_STATE: Final = f"In this state: {', '.join(WAITING_STATES.choices)}."
_SHOWN_REFUSALS: Final = 10


def filtering(function: Any) -> Any:
    """What the deliveries that are meant have in common: all that is given must fit."""
    for option in reversed(
        (
            click.option("--app", metavar="NAME", help="Of this app."),
            click.option("--state", type=WAITING_STATES, metavar="STATE", help=_IN_STATE),
            click.option(
                "--lane", type=WholeNumber(1), metavar="N", help="Of this lane; see queue list."
            ),
            click.option(
                "--domain", "recipient_domain", metavar="DOMAIN",
                help="To this domain; with a dot before it, to all below.",
            ),
            click.option("--older-than", metavar="SPAN", help="Accepted so long ago: 30m, 24h, 7d."),
            click.option(
                "--category", metavar="WORD",
                help="Whose last attempt ended so, as in greylisted or rate_limited.",
            ),
            click.option(
                "--credential", metavar="NAME", help="Handed over by this login or key."
            ),
            click.option("--sender", metavar="ADDRESS", help="From this address or domain."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def selecting(function: Any) -> Any:
    """How the deliveries of an action are named."""
    function = click.option("--dry-run", is_flag=True, help="Only count what it would change.")(
        function
    )
    return click.argument("ids", nargs=-1, metavar="[ID]...")(filtering(function))


@examples(
    ("queue retry dlv_0A1B2C3D4E5F6G", "one delivery; a message id means all its recipients"),
    ("queue retry --app shop --state deferred", "after a server came back"),
)
@click.command("retry", cls=Verb)
@selecting
@talks
def retry(call: Call, **wish: Any) -> int:
    """Try now instead of at the next due time."""
    return _act(call, "retry", "due now", wish)


@examples(
    ("queue hold --lane 7", "stop everything that takes this way"),
    ("queue hold msg_0A1B2C3D4E5F", "one message"),
)
@click.command("hold", cls=Verb)
@selecting
@talks
def hold(call: Call, **wish: Any) -> int:
    """Stop deliveries until somebody releases them."""
    return _act(call, "hold", "held", wish)


@examples(
    ("queue release --app shop", "let everything go that is held"),
    ("queue release --app shop --dry-run", "how much that would be"),
)
@click.command("release", cls=Verb)
@selecting
@talks
def release(call: Call, **wish: Any) -> int:
    """Let held deliveries go."""
    return _act(call, "release", "released", wish)


@examples(
    ("queue cancel msg_0A1B2C3D4E5F", "end one message for good"),
    ("queue cancel --lane 7", "counts first, then asks"),
    ("queue cancel --lane 7 --yes", "in a script"),
)
@click.command("cancel", cls=Verb)
@selecting
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def cancel(call: Call, *, yes: bool, **wish: Any) -> int:
    """End deliveries for good; what is being sent now is refused."""
    return _act(call, "cancel", "cancelled", wish, ask="Cancel {count} for good?" * (not yes))


@examples(
    ("queue move --lane 7 --to mailgun", "counts first, then asks"),
    ("queue move --domain example.org --to direct --dry-run", "how much that would be"),
    ("queue move dlv_0A1B2C3D4E5F6G --to order", "back to what the app does otherwise"),
)
@click.command("move", cls=Verb)
@selecting
@click.option(
    "--to",
    required=True,
    metavar="WAY",
    help="A server by name; direct, the recipients' own hosts; or order, that of the app.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def move(call: Call, *, to: str, yes: bool, **wish: Any) -> int:
    """Send what waits another way; what is being sent now is refused.

    Mail moved to a server takes that one only, until it is moved again.
    """
    return _act(call, "move", "moved", wish, ask="Move {count}?" * (not yes), to=to)


@examples(
    ("queue pause 7", "the number of a lane is what queue shows"),
    ("queue resume 7", "let it go on"),
)
@click.command("pause", cls=Verb)
@click.argument("lane", type=WholeNumber(1), metavar="LANE")
@talks
def pause(call: Call, *, lane: int) -> None:
    """Stop a lane: nothing leaves from it, and what comes new waits there."""
    _switch(call, lane, "pause")


@examples(("queue resume 7", "let it go on"))
@click.command("resume", cls=Verb)
@click.argument("lane", type=WholeNumber(1), metavar="LANE")
@talks
def resume(call: Call, *, lane: int) -> None:
    """Let a lane that was paused go on."""
    _switch(call, lane, "resume")


def _switch(call: Call, lane: int, verb: str) -> None:
    with call.client() as client:
        found = client.post(f"/queue/lanes/{lane}/{verb}", {})
    stands = "is paused" if found["paused"] else "goes on"
    what = f"Mail of {clean(found['app'])} to {clean(found['way'])}"
    before = "" if found["changed"] else ", as before"
    call.result(found, "lane", lambda: call.screen.say(f"{what} {stands}{before}."))


VERBS: Final = (retry, hold, release, cancel, move, pause, resume)


def _act(
    call: Call, verb: str, done: str, wish: dict[str, Any], *, ask: str = "", **more: str
) -> int:
    dry_run = wish.pop("dry_run")
    selections = [{**selection, **more} for selection in _selections(wish)]
    with call.client() as client:
        if ask and not dry_run and "message" not in selections[0]:
            counted = _post(client, verb, selections, dry_run=True)
            # What a filter meets nobody has seen yet, be it a single delivery.
            count = counted["matched"]
            if count > 1 or (count and "deliveries" not in selections[0]):
                call.ask_yes(ask.format(count=f"{count} {_plural(count)}"), answered=False)
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
            "say which deliveries: ids, or what they have in common, as in --app or --lane"
            if not ids
            else "give either ids, or what the deliveries have in common",
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
    total: dict[str, Any] = {
        "dry_run": dry_run,
        "count": 0,
        "matched": 0,
        "changed": 0,
        "refused": 0,
    }
    total["refusals"] = []
    for selection in selections:
        following: str | None = None
        while True:
            behind = {"after": following} if following else {}
            answer = client.post(f"/queue/{verb}", {**selection, **behind, "dry_run": dry_run})
            for name in ("count", "matched", "changed", "refused"):
                total[name] += answer[name]
            total["refusals"].extend(answer["refusals"])
            if not answer["next"] or answer["next"] == following:
                break
            following = answer["next"]
    return total


def _print_change(call: Call, total: dict[str, Any], done: str) -> None:
    if total["dry_run"]:
        count = total["matched"]
        call.screen.say(f"{count} {_plural(count)} would be {done}; nothing was changed.")
    else:
        call.screen.say(f"{total['changed']} {_plural(total['changed'])} {done}.")
    for refusal in total["refusals"][:_SHOWN_REFUSALS]:
        call.screen.say(f"  not {clean(refusal['id'])}: {clean(refusal['why'])}")
    hidden = total["refused"] - len(total["refusals"][:_SHOWN_REFUSALS])
    if hidden > 0:
        call.screen.say(f"  and {hidden} more were refused")


def _plural(count: int) -> str:
    return "delivery" if count == 1 else "deliveries"
