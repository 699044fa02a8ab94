"""lanes by name and by number: made at first use, then answered from memory"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Row, Step
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.queue import LaneDepth, LaneName
from pillarbox.terms.ids import DeliveryId, ObjectId


class LaneBook:
    """The numbers of lanes. A lane never changes its name, so nothing is ever forgotten."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers: dict[LaneName, int] = {}
        self._names: dict[int, LaneName] = {}

    async def numbers(self, names: Sequence[LaneName]) -> dict[LaneName, int]:
        """The numbers of lanes; two who ask for a new one at once get the same."""
        # In one order for all nodes, so that no two wait for each other.
        keys = sorted(
            {(one.app, one.route, one.destination) for one in names if one not in self._numbers}
        )
        if keys:
            steps = [Step(name, key) for key in keys for name in ("lane.add", "lane.find")]
            rows = await self._engine.change(*steps)
            for key, found in zip(keys, rows[1::2], strict=True):
                name, number = LaneName(*key), as_int(found[0][0])
                self._numbers[name] = number
                self._names[number] = name
        return {name: self._numbers[name] for name in names}

    def known(self, number: int) -> LaneName | None:
        """The name of a lane, if it was ever asked for here."""
        return self._names.get(number)

    async def name(self, number: int) -> LaneName:
        """The name of a lane. Raises `NotFound`."""
        if number not in self._names:
            self._names.update(await self.all())
        if number not in self._names:
            raise NotFound("There is no such lane.")
        return self._names[number]

    async def all(self) -> dict[int, LaneName]:
        """Every lane there is."""
        return {as_int(row[0]): lane_name(row) for row in await self._engine.read("lane.all")}

    async def of_app(self, app: ObjectId, route: str) -> dict[int, LaneName]:
        """Those of an app on one route."""
        rows = await self._engine.read("lane.of_app", app, route)
        return {as_int(row[0]): lane_name(row) for row in rows}


def lane_name(row: Row) -> LaneName:
    """The name in a row that begins with number, app, route and destination."""
    return LaneName(ObjectId(as_bytes(row[1])), as_text(row[2]), as_text(row[3]))


def depths_of(rows: Sequence[Row], names: Mapping[int, LaneName]) -> list[LaneDepth]:
    """The lanes of the queue as people see them."""
    return [
        LaneDepth(
            lane=as_int(row[0]), name=names[as_int(row[0])], waiting=as_int(row[1]),
            oldest=DeliveryId(as_int(row[2])),
            first_due_at=None if row[3] is None else as_int(row[3]),
            held=as_int(row[4]), active=as_int(row[5]),
        )
        for row in rows
        if as_int(row[0]) in names
    ]  # fmt: skip
