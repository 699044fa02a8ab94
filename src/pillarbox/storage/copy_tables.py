"""which tables of a store are copied, in what order of rows, and how a row is encoded for a checksum

Columns and keys are not written down here: each side reads them from its own schema, and both must
agree. What one engine generates from other columns is not copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

import msgspec

from pillarbox.storage.engine import Row, Value
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.marks import MOVED, UNFINISHED

PROGRESS: Final = "copying"
"""The table in the target that says how far the copy is; gone when it is complete."""

STAYS: Final = frozenset(
    {"migration", "node", "incarnation", "lease", "circuit", "bucket", PROGRESS}
)
"""What belongs to the place, or to the moment: who shares the store and what they found out about
servers in the last minutes. Everything else is copied, whatever there will be.
"""

HISTORY: Final = frozenset({"message", "content", "delivery", "event", "session"})
"""What is written once, never changed, and at some time removed: a first pass may copy it while the
source is running, and of what was copied earlier it need only be asked which keys there are.
"""

EMPTY_AT_REST: Final = ("started", "upload")
"""What only a process that lives, or was not recovered, leaves."""

MARKS: Final = "mark"
COPIED_ROWS: Final = {MARKS: f"name NOT IN ('{MOVED}', '{UNFINISHED}')"}
"""Which rows of a table are copied, as a condition: marks that speak of the store they are in stay."""

LIFE: Final = "*life"
"""Not a table: which life of the source was its last when the copy began."""

SEEDED: Final = frozenset({"directory", MARKS})
"""Tables that have a row in an empty store too."""

_encoder: Final = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Table:
    """A table to copy, as both sides have it."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    places: tuple[int, ...] = field(init=False)
    """Where the columns of the key stand in a row."""

    def __post_init__(self) -> None:
        places = tuple(self.columns.index(column) for column in self.key)
        object.__setattr__(self, "places", places)

    def key_of(self, row: Row) -> Row:
        """The key of a row."""
        return tuple(row[place] for place in self.places)

    @property
    def keys(self) -> Table:
        """The same, of which only the keys are read."""
        return Table(self.name, self.key, self.key)


@dataclass(frozen=True, slots=True)
class Range:
    """Keys behind `after`, up to and with `upto`; None is without an end."""

    after: Row | None = None
    upto: Row | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read, and written in one transaction; at least one row."""

    rows: int = 2000
    bytes: int = 8 * 1024 * 1024


class Doubt(IntEnum):
    """What may be wrong with the rows of a table that lie in the target already."""

    NONE = 0
    KEYS = 1
    """Some may be missing, others not the source's any more: it was used since."""
    ROWS = 2
    """Anything: they were found to differ."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table is copied, or looked through."""

    name: str
    key: Row | None = None
    """The key of the last row."""
    rows: int = 0
    done: bool = False
    doubt: Doubt = Doubt.NONE


class Side(Protocol):
    """One of the two stores. Every method raises what its driver raises."""

    async def alive(self) -> str:
        """The name of a node that lives here; empty where none does."""
        ...

    async def lock_out(self) -> None:
        """From here on nobody begins to use it, until this is closed. Raises `StoreInUse`."""
        ...

    async def is_current(self) -> bool:
        """Whether its schema is this program's."""
        ...

    async def migrate(self) -> None:
        """Bring the schema up to date; nobody may be using it."""
        ...

    async def dead_nodes(self) -> list[tuple[str, str]]:
        """Name and place of each node that has left something to be put right."""
        ...

    async def tables(self) -> dict[str, Table]:
        """What there is to copy, by name."""
        ...

    async def rows(self, table: Table, within: Range, bounds: Bounds) -> list[Row]:
        """The first rows of a range by key; none where there are no more."""
        ...

    async def last_key(self, table: Table) -> Row | None:
        """The largest key; None in an empty table."""
        ...

    async def any_row(self, table: str, where: str = "") -> bool:
        """Whether there is a row, or one of which something holds."""
        ...

    async def last_life(self) -> int:
        """The number of the process that opened this store last."""
        ...

    async def mark(self, name: str) -> str | None:
        """What is marked, or None."""
        ...

    async def set_mark(self, name: str, value: str) -> None:
        """Committed when this returns."""
        ...

    async def drop_mark(self, name: str) -> None:
        """Committed when this returns."""
        ...

    async def close(self) -> None:
        """And let go of whatever lock was taken."""
        ...


class Target(Side, Protocol):
    """The store that is written."""

    async def claim(self) -> None:
        """Nobody else copies into it until this is closed. Raises `StoreInUse`."""
        ...

    async def begin(self, source: str, since_ms: int, now_ms: int) -> None:
        """Make room for what came since `since_ms`, and note that a copy was begun."""
        ...

    async def progress(self) -> dict[str, Progress]:
        """How far an earlier run got, by table."""
        ...

    async def note(self, progress: Progress) -> None:
        """How far a table is."""
        ...

    async def put(
        self, table: Table, rows: Sequence[Row], progress: Progress, cleared: Range | None
    ) -> None:
        """In one transaction: remove what is in a range, write rows, note how far it is."""
        ...

    async def count_on(self, lives: int) -> None:
        """New rows that get a number get one above all that were copied, and above `lives`."""
        ...

    async def settle(self) -> None:
        """Let the engine get to know what was written, before it is read in order."""
        ...

    async def finish(self) -> None:
        """In one transaction: it is a store like any other now."""
        ...


class Checksum:
    """SHA-256 over rows in the order of their keys."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        """The next rows."""
        self._digest.update(b"".join(map(_encoder.encode, rows)))
        self.rows += len(rows)

    def hexdigest(self) -> str:
        """Of all so far."""
        return self._digest.hexdigest()


async def checksum_of(side: Side, table: Table, within: Range, bounds: Bounds) -> Checksum:
    """Of a range, read piece by piece."""
    found = Checksum()
    while rows := await side.rows(table, within, bounds):
        found.add(rows)
        within = Range(table.key_of(rows[-1]), within.upto)
    return found


def keys_in(
    table: Table, within: Range, place: str, key: Sequence[str] | None = None
) -> tuple[str, Row]:
    """The condition for a range, and its parameters. `place` begins a parameter's name; `key` are
    the columns of the key as the engine has to write them.
    """
    conditions = [COPIED_ROWS[table.name]] if table.name in COPIED_ROWS else []
    columns = ", ".join(key or table.key)
    parameters: list[Value] = []
    for sign, bound in ((">", within.after), ("<=", within.upto)):
        if bound is not None:
            first = len(parameters) + 1
            places = ", ".join(f"{place}{first + n}" for n in range(len(bound)))
            conditions.append(f"({columns}) {sign} ({places})")
            parameters += bound
    return " AND ".join(conditions) or "TRUE", tuple(parameters)


def pack_key(key: Row | None) -> bytes:
    """A key as one value."""
    return b"" if key is None else _encoder.encode(key)


def unpack_key(packed: bytes) -> Row | None:
    """What `pack_key` was given."""
    return tuple(msgspec.msgpack.decode(packed)) if packed else None


def size_of(row: Row) -> int:
    """About how many bytes a row takes."""
    return sum(len(value) if isinstance(value, bytes | str) else 8 for value in row)


DEAD_NODES: Final = """
SELECT name, place FROM node
WHERE EXISTS (SELECT 1 FROM incarnation i WHERE i.number = node.number AND i.recovered = 0)
ORDER BY number
"""
"""Who has left a life behind that nobody has followed up."""


def tables_of(
    columns: Mapping[str, Sequence[str]], keys: Mapping[str, Sequence[str]]
) -> dict[str, Table]:
    """The tables to copy, out of all tables' columns and keys, in one order on every engine."""
    found = {}
    for name in sorted(columns.keys() - STAYS):
        own = tuple(sorted(columns[name]))
        found[name] = Table(name, own, tuple(each for each in keys.get(name, ()) if each in own))
    return found


def common_tables(source: Mapping[str, Table], target: Mapping[str, Table]) -> list[Table]:
    """The tables of both. Raises `StorageTrouble` where the two are not of one schema."""
    if source != target:
        named = source.keys() | target.keys()
        differing = sorted(name for name in named if source.get(name) != target.get(name))
        raise StorageTrouble(
            "The two stores do not have the same schema.",
            detail=f"different: {', '.join(differing)}",
            fix="Bring both up to date with this Pillarbox: pillarbox migrate",
        )
    keyless = [table.name for table in source.values() if not table.key]
    if keyless:
        raise StorageTrouble(f"The table {keyless[0]} has no key by which it could be copied.")
    return list(source.values())
