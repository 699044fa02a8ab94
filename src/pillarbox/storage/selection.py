"""selections, over an engine: the queue walked by id, page by page

No index serves a selection, so that mail never pays for one; whoever selects reads the queue from
end to end, in pages short enough that nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pillarbox.policy.authority import is_allowed
from pillarbox.policy.events import AttemptFacts
from pillarbox.storage.claims import to_waiting
from pillarbox.storage.codec import decode
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Row
from pillarbox.storage.interface.queue import Waiting
from pillarbox.storage.interface.selection import Selection
from pillarbox.storage.lanes import LaneBook
from pillarbox.terms.ids import (
    ORDINAL_BITS,
    DeliveryId,
    MessageId,
    first_message_at,
    message_of,
)

_PAGE: Final = 1000
_ATTEMPTS: Final = frozenset({"delivery.deferred", "delivery.uncertain"})
_LONGEST_HISTORY: Final = 20
"""So many events back the last attempt is looked for; people who held and released it are some."""


async def selected(
    engine: Engine,
    book: LaneBook,
    wanted: Selection,
    after: DeliveryId | None,
    limit: int,
    shown: Callable[[Waiting], Waiting],
) -> list[Waiting]:
    """At most `limit` of those wanted, by id, behind `after`; `shown` gives a row as it stands."""
    lanes = await _lanes_of(book, wanted)
    if lanes is not None and not lanes:
        return []
    before = _first_not_before(wanted.accepted_before)
    found: list[Waiting] = []
    cursor = int(after or 0)
    while cursor < before:
        rows = (
            await engine.read("queue.page_of_lane", cursor, _PAGE, *lanes)
            if lanes is not None and len(lanes) == 1
            else await engine.read("queue.page", cursor, _PAGE)
        )
        for row in _fitting(rows, wanted, lanes, before, shown):
            if wanted.looks_further and not await _fits_within(engine, wanted, row):
                continue
            found.append(row)
            if len(found) == limit:
                return found
        if len(rows) < _PAGE:
            break
        cursor = as_int(rows[-1][0])
    return found


def _first_not_before(at_ms: int) -> int:
    """The first id a delivery of that instant may have; none is so high where nothing was said."""
    return first_message_at(at_ms) << ORDINAL_BITS if at_ms else (1 << 63) - 1


async def _lanes_of(book: LaneBook, wanted: Selection) -> set[int] | None:
    """The lanes in which they wait; None for any."""
    if wanted.apps is None and not wanted.route and not wanted.destination:
        return None if wanted.lane is None else {wanted.lane}
    return {
        number
        for number, name in (await book.all()).items()
        if wanted.lane in (None, number)
        and (wanted.apps is None or name.app in wanted.apps)
        and wanted.route in ("", name.route)
        and wanted.destination in ("", name.destination)
    }


def _fitting(
    rows: Sequence[Row],
    wanted: Selection,
    lanes: set[int] | None,
    before: int,
    shown: Callable[[Waiting], Waiting],
) -> list[Waiting]:
    found = []
    for row in map(to_waiting, rows):
        if row.delivery >= before or (lanes is not None and row.lane not in lanes):
            continue
        if wanted.recipient_domain and not _in_domain(row.recipient, wanted.recipient_domain):
            continue
        as_shown = shown(row)
        if wanted.state is None or as_shown.state is wanted.state:
            found.append(as_shown)
    return found


def _in_domain(recipient: str, domain: str) -> bool:
    host = recipient.rpartition("@")[2].lower()
    return host.endswith(domain) if domain.startswith(".") else host == domain


async def _fits_within(engine: Engine, wanted: Selection, row: Waiting) -> bool:
    if wanted.submitter is not None or wanted.sender:
        if not await _message_fits(engine, wanted, message_of(row.delivery)):
            return False
    return not wanted.category or await _category(engine, row) == wanted.category


async def _message_fits(engine: Engine, wanted: Selection, message: MessageId) -> bool:
    for found in await engine.read("message.one", message):
        if wanted.submitter is not None and as_bytes(found[2]) != wanted.submitter:
            return False
        if not wanted.sender:
            return True
        return any(is_allowed((wanted.sender,), as_text(found[place])) for place in (5, 6))
    return False


async def _category(engine: Engine, row: Waiting) -> str:
    """Of its last attempt, which what people did to it meanwhile does not hide."""
    seq = row.last_event
    for _ in range(_LONGEST_HISTORY):
        events = await engine.read("event.one", seq)
        if not events:
            break
        kind, previous, data = as_text(events[0][3]), as_int(events[0][5]), events[0][6]
        if kind in _ATTEMPTS:
            return decode(as_bytes(data), AttemptFacts).category
        seq = previous
    return ""
