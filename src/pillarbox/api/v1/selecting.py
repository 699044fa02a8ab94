"""selecting: which deliveries a request means, named one by one or by what they have in common"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call
from pillarbox.api.fields import InvalidField, Names, Short, pattern
from pillarbox.api.finding import (
    find_app,
    find_credential,
    find_key,
    find_message,
    nothing_like,
    sees_everything,
    visible_apps,
)
from pillarbox.api.problems import InvalidRequest, Mistake, NothingThere, RequestError
from pillarbox.policy.delivery import WAITING, State
from pillarbox.policy.meaning import Category
from pillarbox.policy.routing import Route
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.selection import Selection
from pillarbox.terms.clock import parse_duration
from pillarbox.terms.errors import InvalidDuration, InvalidId
from pillarbox.terms.hostname import InvalidHostname, parse_domain
from pillarbox.terms.ids import (
    DeliveryId,
    ObjectId,
    format_message_id,
    message_of,
    parse_delivery_id,
)

LARGEST: Final = (1 << 63) - 1
AT_ONCE: Final = 200
"""Deliveries that are changed in one go: mail that comes meanwhile waits for no more."""


def domain_pattern(text: str) -> str:
    """A domain, folded; with a dot before it all that lies below. Raises `InvalidField`."""
    try:
        return "." + parse_domain(text[1:]) if text.startswith(".") else parse_domain(text)
    except InvalidHostname as error:
        raise InvalidField(error.sentence) from None


def _age(text: str) -> str:
    try:
        parse_duration(text)
    except (InvalidDuration, OverflowError):
        raise InvalidField("is a span such as 30m, 24h or 7d") from None
    return text


def _category(text: str) -> str:
    if text not in set(Category):
        raise InvalidField(f"is one of {', '.join(sorted(Category))}")
    return text


class Wish(Struct):
    """Which deliveries are meant: named, of one message, or all that fit everything else given."""

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "recipient_domain": domain_pattern,
        "older_than": _age,
        "category": _category,
        "sender": pattern,
    }

    deliveries: Annotated[tuple[str, ...], Meta(max_length=1000)] | UnsetType = UNSET
    message: str | UnsetType = UNSET
    lane: Annotated[int, Meta(ge=0, le=LARGEST)] | UnsetType = UNSET
    app: str | UnsetType = UNSET
    state: State | UnsetType = UNSET
    route: Route | UnsetType = UNSET
    destination: Names | UnsetType = UNSET
    recipient_domain: Names | UnsetType = UNSET
    older_than: Short | UnsetType = UNSET
    category: Short | UnsetType = UNSET
    credential: Names | UnsetType = UNSET
    sender: Names | UnsetType = UNSET
    after: str | UnsetType = UNSET
    dry_run: bool = False


_FILTERS: Final = (
    "lane", "app", "state", "route", "destination", "recipient_domain", "older_than", "category",
    "credential", "sender",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Meant:
    """One delivery that a request means."""

    delivery: DeliveryId
    state: State
    recipient: str
    app: ObjectId


def check_wish(wish: Wish) -> None:
    """That it means one kind of thing, and something. Raises `InvalidRequest`."""
    filtered = any(getattr(wish, name) is not UNSET for name in _FILTERS)
    kinds = (wish.deliveries is not UNSET) + (wish.message is not UNSET) + filtered
    if kinds != 1:
        raise InvalidRequest(
            [
                Mistake(
                    "", f"name either deliveries, or a message, or any of {', '.join(_FILTERS)}", ""
                )
            ]
        )


async def meant(call: Call, wish: Wish) -> AsyncIterator[list[Meant]]:
    """The deliveries meant, page by page; those named one by one also where they are final."""
    if wish.deliveries is not UNSET:
        yield [await _named(call, text) for text in dict.fromkeys(wish.deliveries)]
    elif wish.message is not UNSET:
        app, message = await find_message(call, wish.message)
        rows = await call.rooms.storage.messages.deliveries(message.id)
        yield [Meant(row.delivery, row.state, row.recipient, app.id) for row in rows]
    else:
        async for some in _fitting(call, wish):
            yield some


async def _named(call: Call, text: str) -> Meant:
    delivery = delivery_id_of(text)
    try:
        row = await call.rooms.storage.messages.delivery(delivery)
    except NotFound:
        raise nothing_like("delivery", text) from None
    app, _ = await find_message(call, format_message_id(message_of(delivery)))
    return Meant(row.delivery, row.state, row.recipient, app.id)


async def _fitting(call: Call, wish: Wish) -> AsyncIterator[list[Meant]]:
    queue = call.rooms.storage.queue
    wanted = await selection_of(call, wish)
    after = delivery_id_of(wish.after) if wish.after is not UNSET else None
    while True:
        rows = await queue.waiting(wanted, after=after, limit=AT_ONCE)
        names = await queue.lane_names([row.lane for row in rows])
        yield [
            Meant(row.delivery, row.state, row.recipient, names[row.lane].app)
            for row in rows
            if row.lane in names
        ]
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].delivery


async def selection_of(call: Call, wish: Wish) -> Selection:
    """What storage is asked for. Raises `InvalidRequest`, `NothingThere`."""
    apps = None
    if wish.app is not UNSET:
        apps = frozenset({(await find_app(call, wish.app)).id})
    elif not await sees_everything(call):
        apps = frozenset(app.id for app in await visible_apps(call))
    state = None if wish.state is UNSET else wish.state
    if state is not None and state not in WAITING:
        raise InvalidRequest([Mistake("/state", f"nothing waits in the state {state.value}")])
    before = 0
    if wish.older_than is not UNSET:
        before = max(1, call.now_ms - round(parse_duration(wish.older_than) * 1000))
    return Selection(
        apps=apps,
        lane=None if wish.lane is UNSET else wish.lane,
        route="" if wish.route is UNSET else wish.route,
        destination="" if wish.destination is UNSET else wish.destination,
        state=state,
        accepted_before=before,
        recipient_domain="" if wish.recipient_domain is UNSET else wish.recipient_domain,
        category="" if wish.category is UNSET else wish.category,
        submitter=None if wish.credential is UNSET else await _submitter(call, wish.credential),
        sender="" if wish.sender is UNSET else wish.sender,
    )


async def _submitter(call: Call, text: str) -> ObjectId:
    """A login, or a key of that name: either hands over mail."""
    try:
        return (await find_credential(call, text))[1].id
    except NothingThere as none:
        try:
            return (await find_key(call, text)).id
        except RequestError:
            raise none from None


def delivery_id_of(text: str) -> DeliveryId:
    """Raises `NothingThere`."""
    try:
        delivery = parse_delivery_id(text)
    except InvalidId as error:
        raise NothingThere(f"There is no delivery {text[:60]!r}: {error.sentence}.") from None
    if delivery > LARGEST:  # more than its digits can mean
        raise nothing_like("delivery", text)
    return delivery
