"""the queue: what waits in which lane, and what a person may do about it"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, Handler, answer
from pillarbox.api.finding import find_app, find_message, nothing_like, visible_apps
from pillarbox.api.paging import limit_of, number_of, page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake, NothingThere
from pillarbox.policy.delivery import STATE_WORDS, WAITING, State, Trigger, may, transition
from pillarbox.policy.directory import App
from pillarbox.policy.errors import WrongState
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.queue import Change, LaneDepth, QueueStore, Waiting
from pillarbox.terms.clock import format_instant
from pillarbox.terms.errors import InvalidId
from pillarbox.terms.ids import (
    DeliveryId,
    ObjectId,
    format_delivery_id,
    format_message_id,
    message_of,
    message_time_ms,
    parse_delivery_id,
)

_LARGEST: Final = (1 << 63) - 1
_AT_ONCE: Final = 500
_MOST: Final = 50_000
_SHOWN_REFUSALS: Final = 100

Act = Callable[[QueueStore, Sequence[DeliveryId], int, str], Awaitable[Change]]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person may do to waiting deliveries."""

    trigger: Trigger
    act: Act


ACTIONS: Final = {
    "retry": Action(Trigger.RETRY, lambda queue, *what: queue.retry(*what)),
    "hold": Action(Trigger.HOLD, lambda queue, *what: queue.hold(*what)),
    "release": Action(Trigger.RELEASE, lambda queue, *what: queue.release(*what)),
    "cancel": Action(Trigger.CANCEL, lambda queue, *what: queue.cancel(*what)),
}


class Wish(Struct):
    """Which deliveries are meant: named, of one message, or all that fit lane, app and state."""

    deliveries: Annotated[tuple[str, ...], Meta(max_length=1000)] | UnsetType = UNSET
    message: str | UnsetType = UNSET
    lane: Annotated[int, Meta(ge=0, le=_LARGEST)] | UnsetType = UNSET
    app: str | UnsetType = UNSET
    state: State | UnsetType = UNSET
    dry_run: bool = False


@dataclass(slots=True)
class _Tally:
    """What has been done so far."""

    matched: int = 0
    changed: int = 0
    refused: int = 0
    refusals: list[dict[str, str]] = field(default_factory=list)


async def show_lanes(call: Call) -> Response:
    """Every lane in which something waits, and the totals."""
    read_query(call.request, "limit")
    apps = {app.id: app for app in await visible_apps(call)}
    depths = [d for d in await call.rooms.storage.queue.depths() if d.name.app in apps]
    lanes = [_lane_view(depth, apps[depth.name.app]) for depth in depths]
    return answer({**page(lanes), "totals": totals_of(depths)})


def totals_of(depths: Sequence[LaneDepth]) -> dict[str, Any]:
    """All lanes together."""
    oldest = min((depth.oldest for depth in depths if depth.oldest is not None), default=None)
    return {
        "waiting": sum(depth.waiting for depth in depths),
        "held": sum(depth.held for depth in depths),
        "active": sum(depth.active for depth in depths),
        "oldest": None if oldest is None else format_delivery_id(oldest),
        "oldest_at": None if oldest is None else _accepted_at(oldest),
    }


def _lane_view(depth: LaneDepth, app: App) -> dict[str, Any]:
    due_at = depth.first_due_at
    return {
        "lane": depth.lane,
        "app": app.name,
        "route": depth.name.route,
        "destination": depth.name.destination,
        "waiting": depth.waiting,
        "held": depth.held,
        "active": depth.active,
        "oldest": None if depth.oldest is None else format_delivery_id(depth.oldest),
        "oldest_at": None if depth.oldest is None else _accepted_at(depth.oldest),
        "first_due_at": None if due_at is None else format_instant(due_at),
    }


async def list_deliveries(call: Call) -> Response:
    """Waiting deliveries, oldest first."""
    query = read_query(call.request, "app", "state", "lane", "after", "limit")
    limit = limit_of(query)
    app = await find_app(call, query["app"]) if "app" in query else None
    after = _parse(query["after"]) if "after" in query else None
    lane = number_of(query, "lane", 0) or None
    apps = {each.id: each for each in await visible_apps(call)}
    rows = await call.rooms.storage.queue.waiting(
        app=app.id if app else call.caller.app,
        lane=lane,
        state=read_state(query["state"]) if "state" in query else None,
        after=after,
        limit=limit + 1,
    )
    names = await call.rooms.storage.queue.lane_names([row.lane for row in rows])
    shown = rows[:limit]
    items = [
        _delivery_view(row, apps[names[row.lane].app])
        for row in shown
        if row.lane in names and names[row.lane].app in apps
    ]
    following = format_delivery_id(shown[-1].delivery) if len(rows) > limit else None
    return answer(page(items, following))


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
        "accepted_at": _accepted_at(row.delivery),
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
        wish = await call.shape(Wish)
        _check_selection(wish)
        tally = _Tally()
        async for rows in _selected(call, wish):
            await _do(call, action, rows, tally, dry_run=wish.dry_run)
            if tally.matched >= _MOST:
                break
        return answer(
            {
                "dry_run": wish.dry_run,
                "matched": tally.matched,
                "changed": tally.changed,
                "refused": tally.refused,
                "refusals": tally.refusals,
                "more": tally.matched >= _MOST,
            }
        )

    handler.__doc__ = f"{name.capitalize()} the deliveries meant; with ``dry_run`` only count them."
    return handler


def _check_selection(wish: Wish) -> None:
    filtered = any(each is not UNSET for each in (wish.lane, wish.app, wish.state))
    kinds = (wish.deliveries is not UNSET) + (wish.message is not UNSET) + filtered
    if kinds != 1:
        raise InvalidRequest(
            [Mistake("", "name either deliveries, or a message, or any of lane, app and state", "")]
        )


Row = tuple[DeliveryId, State]


async def _selected(call: Call, wish: Wish) -> AsyncIterator[list[Row]]:
    """The rows meant, page by page; those named one by one also where they are final."""
    if wish.deliveries is not UNSET:
        yield [await _row_of(call, text) for text in dict.fromkeys(wish.deliveries)]
    elif wish.message is not UNSET:
        _, message = await find_message(call, wish.message)
        rows = await call.rooms.storage.messages.deliveries(message.id)
        yield [(row.delivery, row.state) for row in rows]
    else:
        async for page_of_rows in _filtered(call, wish):
            yield page_of_rows


async def _row_of(call: Call, text: str) -> Row:
    delivery = _parse(text)
    try:
        row = await call.rooms.storage.messages.delivery(delivery)
    except NotFound:
        raise nothing_like("delivery", text) from None
    await find_message(call, format_message_id(message_of(delivery)))
    return row.delivery, row.state


async def _filtered(call: Call, wish: Wish) -> AsyncIterator[list[Row]]:
    queue = call.rooms.storage.queue
    app: ObjectId | None = call.caller.app
    if wish.app is not UNSET:
        app = (await find_app(call, wish.app)).id
    lane = None if wish.lane is UNSET else wish.lane
    state = None if wish.state is UNSET else wish.state
    if state is not None and state not in WAITING:
        raise InvalidRequest([Mistake("/state", f"nothing waits in the state {state.value}")])
    after: DeliveryId | None = None
    while True:
        rows = await queue.waiting(app=app, lane=lane, state=state, after=after, limit=_AT_ONCE)
        yield [(row.delivery, row.state) for row in rows]
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].delivery


async def _do(
    call: Call, action: Action, rows: Sequence[Row], tally: _Tally, *, dry_run: bool
) -> None:
    fit = [delivery for delivery, state in rows if may(state, action.trigger)]
    unfit = {delivery: state for delivery, state in rows if not may(state, action.trigger)}
    tally.matched += len(fit)
    if fit and not dry_run:
        change = await action.act(call.rooms.storage.queue, fit, call.now_ms, call.caller.name)
        tally.changed += len(change.changed)
        unfit |= change.refused
    tally.refused += len(unfit)
    for delivery, state in unfit.items():
        if len(tally.refusals) == _SHOWN_REFUSALS:
            break
        tally.refusals.append(
            {
                "id": format_delivery_id(delivery),
                "state": state.value,
                "why": _why_not(state, action.trigger),
            }
        )


def _why_not(state: State, trigger: Trigger) -> str:
    try:
        transition(state, trigger)
    except WrongState as error:
        return error.sentence
    return "It changed its state meanwhile."


def _parse(text: str) -> DeliveryId:
    try:
        delivery = parse_delivery_id(text)
    except InvalidId as error:
        raise NothingThere(f"There is no delivery {text[:60]!r}: {error.sentence}.") from None
    if delivery > _LARGEST:  # more than its digits can mean
        raise nothing_like("delivery", text)
    return delivery


def _accepted_at(delivery: DeliveryId) -> str:
    return format_instant(message_time_ms(message_of(delivery)))


ENTRIES: Final = (
    Entry("GET", "/queue", Verb.READ, show_lanes),
    Entry("GET", "/queue/deliveries", Verb.READ, list_deliveries),
    *(Entry("POST", f"/queue/{name}", Verb.MANAGE, _doing(name)) for name in ACTIONS),
)
