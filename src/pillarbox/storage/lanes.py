"""lanes by name and by number: made at first use, then answered from memory"""

from __future__ import annotations

from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Row, Step
from pillarbox.storage.interface.queue import LaneName
from pillarbox.terms.ids import ObjectId


class LaneBook:
    """The numbers of lanes. A lane never changes its name, so nothing is ever forgotten."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers: dict[LaneName, int] = {}

    async def number(self, name: LaneName) -> int:
        """A lane's number; two who ask for a new one at once get the same."""
        known = self._numbers.get(name)
        if known is None:
            key = (name.app, name.route, name.destination)
            rows = await self._engine.change(Step("lane.add", key), Step("lane.find", key))
            known = self._numbers[name] = as_int(rows[1][0][0])
        return known

    async def all(self) -> dict[int, LaneName]:
        """Every lane there is."""
        return {as_int(row[0]): lane_name(row) for row in await self._engine.read("lane.all")}


def lane_name(row: Row) -> LaneName:
    """The name in a row that begins with number, app, route and destination."""
    return LaneName(ObjectId(as_bytes(row[1])), as_text(row[2]), as_text(row[3]))
