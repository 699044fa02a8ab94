"""the queue: what waits, one by one, and what a person may do about it"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import read_shape
from pillarbox.api.calls import Call, Entry, Handler, answer
from pillarbox.api.finding import find_app, visible_apps
from pillarbox.api.paging import limit_of, number_of, page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake
from pillarbox.api.v1.lanes import accepted_at
from pillarbox.api.v1.moving import Mover, Target
from pillarbox.api.v1.selecting import Meant, Wish, check_wish, delivery_id_of, meant, selection_of
from pillarbox.policy.delivery import STATE_WORDS, State, Trigger, may, transition
from pillarbox.policy.directory import App
from pillarbox.policy.errors import WrongState
from pillarbox.storage.interface.queue import Change, Waiting
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import DeliveryId, format_delivery_id, format_message_id, message_of

_MOST: Final = 10_000
"""Deliveries that one request changes; the answer says where the next begins."""
_SHOWN_REFUSALS: Final = 100

Act = Callable[[Call, Sequence[Meant]], Awaitable[Change]]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person may do to waiting deliveries."""

    trigger: Trigger
    act: Act


def _ids(some: Sequence[Meant]) -> list[DeliveryId]:
    return [one.delivery for one in some]


async def _retry(call: Call, some: Sequence[Meant]) -> Change:
    return await call.rooms.storage.queue.retry(_ids(some), call.now_ms, call.caller.name)


async def _hold(call: Call, some: Sequence[Meant]) -> Change:
    return await call.rooms.storage.queue.hold(_ids(some), call.now_ms, call.caller.name)


async def _release(call: Call, some: Sequence[Meant]) -> Change:
    return await call.rooms.storage.queue.release(_ids(some), call.now_ms, call.caller.name)


async def _cancel(call: Call, some: Sequence[Meant]) -> Change:
    return await call.rooms.storage.queue.cancel(_ids(some), call.now_ms, call.caller.name)


ACTIONS: Final = {
    "retry": Action(Trigger.RETRY, _retry),
    "hold": Action(Trigger.HOLD, _hold),
    "release": Action(Trigger.RELEASE, _release),
    "cancel": Action(Trigger.CANCEL, _cancel),
}


class Move(Wish, kw_only=True):
    """Which deliveries are to go another way, and which."""

    to: Target


@dataclass(slots=True)
class _Tally:
    """What has been done so far."""

    matched: int = 0
    changed: int = 0
    refused: int = 0
    refusals: list[dict[str, str]] = field(default_factory=list)
    after: DeliveryId | None = None
    """The last that was looked at, where there are more."""


async def list_deliveries(call: Call) -> Response:
    """Waiting deliveries, oldest first."""
    query = read_query(call.request, "after", "limit", *_WANTED)
    limit = limit_of(query)
    if "app" in query:
        await find_app(call, query["app"])
    after = delivery_id_of(query["after"]) if "after" in query else None
    wanted = await selection_of(call, _wish_of(query))
    apps = {each.id: each for each in await visible_apps(call)}
    queue = call.rooms.storage.queue
    rows = await queue.waiting(wanted, after=after, limit=limit + 1)
    names = await queue.lane_names([row.lane for row in rows])
    shown = rows[:limit]
    items = [
        _delivery_view(row, apps[names[row.lane].app])
        for row in shown
        if row.lane in names and names[row.lane].app in apps
    ]
    following = format_delivery_id(shown[-1].delivery) if len(rows) > limit else None
    return answer(page(items, following))


_WANTED: Final = (
    "app", "state", "lane", "route", "destination", "recipient_domain", "older_than", "category",
    "credential", "sender",
)  # fmt: skip


def _wish_of(query: Mapping[str, str]) -> Wish:
    """What a query wants, as the body of an action would say it. Raises `InvalidRequest`."""
    given: dict[str, Any] = {name: query[name] for name in _WANTED if name in query}
    if "lane" in given:
        given["lane"] = number_of(query, "lane", 0)
    return read_shape(msgspec.json.encode(given), Wish)


def _delivery_view(row: Waiting, app: App) -> dict[str, Any]:
    return {
        "id": format_delivery_id(row.delivery),
        "message": format_message_id(message_of(row.delivery)),
        "app": app.name,
        "lane": row.lane,
        "recipient": row.recipient,
        "state": row.state,
        "word": STATE_WORDS[row.state].word,
        "attempts": row.attempts,
        "due_at": format_instant(row.due_at),
        "accepted_at": accepted_at(row.delivery),
        "uncertain": row.uncertain,
    }


def read_state(text: str) -> State:
    """A state of a query. Raises `InvalidRequest`."""
    try:
        return State(text)
    except ValueError:
        names = ", ".join(state.value for state in State)
        raise InvalidRequest([Mistake("", f"state is one of {names}")]) from None


def _doing(name: str) -> Handler:
    action = ACTIONS[name]

    async def handler(call: Call) -> Response:
        return await _carry_out(call, await call.shape(Wish), action)

    handler.__doc__ = f"{name.capitalize()} the deliveries meant; with ``dry_run`` only count them."
    return handler


async def move_deliveries(call: Call) -> Response:
    """Send the deliveries meant another way; with ``dry_run`` only count them."""
    wish = await call.shape(Move)
    mover = Mover(call, wish.to)
    return await _carry_out(call, wish, Action(Trigger.MOVE, mover.move), mover)


async def _carry_out(
    call: Call, wish: Wish, action: Action, mover: Mover | None = None
) -> Response:
    check_wish(wish)
    tally = _Tally()
    async for some in meant(call, wish):
        await _do(call, action, some, tally, mover, dry_run=wish.dry_run)
        if tally.matched >= _MOST and some:
            tally.after = some[-1].delivery
            break
    return answer(
        {
            "dry_run": wish.dry_run,
            "count": tally.matched,
            "matched": tally.matched,
            "changed": tally.changed,
            "refused": tally.refused,
            "refusals": tally.refusals,
            "more": tally.after is not None,
            "next": None if tally.after is None else format_delivery_id(tally.after),
        }
    )


async def _do(
    call: Call,
    action: Action,
    some: Sequence[Meant],
    tally: _Tally,
    mover: Mover | None,
    *,
    dry_run: bool,
) -> None:
    fit = [one for one in some if may(one.state, action.trigger)]
    why = {
        one.delivery: (one.state, _why_not(one.state, action.trigger))
        for one in some
        if not may(one.state, action.trigger)
    }
    if mover is not None:
        no_way = await mover.unfit(fit)
        why |= {
            one.delivery: (one.state, no_way[one.delivery]) for one in fit if one.delivery in no_way
        }
        fit = [one for one in fit if one.delivery not in no_way]
    tally.matched += len(fit)
    if fit and not dry_run:
        change = await action.act(call, fit)
        tally.changed += len(change.changed)
        why |= {
            one: (state, _why_not(state, action.trigger)) for one, state in change.refused.items()
        }
    tally.refused += len(why)
    for delivery, (state, words) in why.items():
        if len(tally.refusals) == _SHOWN_REFUSALS:
            break
        tally.refusals.append(
            {"id": format_delivery_id(delivery), "state": state.value, "why": words}
        )


def _why_not(state: State, trigger: Trigger) -> str:
    if state is State.ACTIVE:
        return "It is being sent now."
    try:
        transition(state, trigger)
    except WrongState as error:
        return error.sentence
    return "It is about to be sent, or was changed meanwhile."


ENTRIES: Final = (
    Entry("GET", "/queue/deliveries", Verb.READ, list_deliveries),
    Entry("POST", "/queue/move", Verb.MANAGE, move_deliveries),
    *(Entry("POST", f"/queue/{name}", Verb.MANAGE, _doing(name)) for name in ACTIONS),
)
