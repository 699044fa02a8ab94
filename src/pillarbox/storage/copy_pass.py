"""rows on their way from one side to the other: piece by piece, and at the end compared"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from pillarbox.storage.copy_tables import (
    HISTORY,
    LIFE,
    Bounds,
    Checksum,
    Doubt,
    Progress,
    Range,
    Side,
    Table,
    Target,
    checksum_of,
)
from pillarbox.storage.engine import Row
from pillarbox.storage.interface.copying import CopyStep, TableSum, Told
from pillarbox.storage.interface.errors import CopyDiffers

NO_LIFE: Final = -1
"""Of a source that goes on living: what was copied from it is to be compared, whoever comes next."""


class Pass:
    """One run over the tables."""

    def __init__(self, source: Side, target: Target, told: Told, bounds: Bounds) -> None:
        """`told` hears of every piece."""
        self._source = source
        self._target = target
        self._told = told
        self._bounds = bounds
        self._reading = asyncio.Lock()

    async def begin(self, life: int) -> bool:
        """Look at what earlier runs have copied; gives whether they have copied anything.

        It is trusted where the source has had no other life since then. Otherwise all of it is
        looked at again.
        """
        known = await self._target.progress()
        if LIFE in known and known[LIFE].key == (life,) and life != NO_LIFE:
            return True
        for name in known.keys() - {LIFE}:
            doubt = max(Doubt.KEYS, known[name].doubt)
            await self._target.note(Progress(name, doubt=doubt))
        await self._target.note(Progress(LIFE, (life,)))
        return bool(known)

    async def copy(self, tables: Sequence[Table]) -> None:
        """What is not there yet, table by table, each transaction with the place it has reached."""
        known = await self._target.progress()
        for table in tables:
            progress = known.get(table.name, Progress(table.name))
            if progress.done:
                continue
            if progress.doubt and table.name in HISTORY:
                await self._compare(table, progress)
            else:
                # What changes is little beside history: where a row may be old, all are copied anew.
                await self._copy(table, replace(progress, doubt=Doubt.NONE))

    async def verify(self, tables: Sequence[Table]) -> list[TableSum]:
        """Read both sides to the end. Raises `CopyDiffers`; the next run then compares what differs."""
        sums, differing = [], []
        for table in tables:
            ours, theirs = await _both(
                self._checksum(self._source, table),
                checksum_of(self._target, table, Range(), self._bounds),
            )
            same = (ours.rows, ours.hexdigest()) == (theirs.rows, theirs.hexdigest())
            if not same:
                differing.append(f"{table.name}: {ours.rows} rows, {theirs.rows} in the copy")
                await self._target.note(Progress(table.name, doubt=Doubt.ROWS))
            sums.append(TableSum(table.name, ours.rows, ours.hexdigest()))
            self._told(CopyStep("verifying", table.name, ours.rows, 1.0, done=True))
        if differing:
            raise CopyDiffers(detail="; ".join(differing))
        return sums

    async def _copy(self, table: Table, progress: Progress) -> None:
        guess = await self._guess(table)
        cleared = Range() if progress.key is None else None
        async with aclosing(self._pieces(table, progress.key)) as pieces:
            async for rows in pieces:
                progress = _behind(progress, table, rows)
                await self._target.put(table, rows, progress, cleared)
                cleared = None
                self._tell("copying", progress, guess)
        await self._target.put(table, (), replace(progress, done=True), cleared)
        self._tell("copying", replace(progress, done=True), guess)

    async def _compare(self, table: Table, progress: Progress) -> None:
        """A piece at a time: what lies between the same keys on the other side is the same, or is
        written anew.
        """
        guess = await self._guess(table)
        looked_at = table.keys if progress.doubt is Doubt.KEYS else table
        async with aclosing(self._pieces(looked_at, progress.key)) as pieces:
            async for rows in pieces:
                within = Range(progress.key, looked_at.key_of(rows[-1]))
                ours = Checksum()
                ours.add(rows)
                theirs = await checksum_of(self._target, looked_at, within, self._bounds)
                if ours.hexdigest() == theirs.hexdigest():
                    progress = _behind(progress, looked_at, rows)
                    await self._target.note(progress)
                else:
                    progress = await self._replace(table, progress, within)
                self._tell("comparing", progress, guess)
        done = replace(progress, done=True, doubt=Doubt.NONE)
        await self._target.put(table, (), done, Range(progress.key))
        self._tell("comparing", done, guess)

    async def _replace(self, table: Table, progress: Progress, within: Range) -> Progress:
        """The source's rows of a range in place of those that are there."""
        cleared: Range | None = within
        while rows := await self._read(table, within):
            progress = _behind(progress, table, rows)
            await self._target.put(table, rows, progress, cleared)
            within, cleared = Range(progress.key, within.upto), None
        progress = replace(progress, key=within.upto)
        await self._target.put(table, (), progress, cleared)
        return progress

    async def _pieces(self, table: Table, after: Row | None) -> AsyncGenerator[list[Row], None]:
        """The source's rows; the next ones are read while the last ones are written."""
        coming = self._soon(table, after)
        try:
            while rows := await coming:
                coming = self._soon(table, table.key_of(rows[-1]))
                yield rows
        finally:
            # A thread that reads cannot be stopped, and the file must not be closed under it.
            await asyncio.wait([coming])
            if not coming.cancelled():
                coming.exception()

    def _soon(self, table: Table, after: Row | None) -> asyncio.Task[list[Row]]:
        return asyncio.create_task(self._read(table, Range(after)))

    async def _read(self, table: Table, within: Range) -> list[Row]:
        """The source has one connection, and pieces are asked for ahead."""
        async with self._reading:
            return await self._source.rows(table, within, self._bounds)

    async def _checksum(self, side: Side, table: Table) -> Checksum:
        found, guess = Checksum(), await self._guess(table)
        async with aclosing(self._pieces(table, None)) as pieces:
            async for rows in pieces:
                found.add(rows)
                progress = Progress(table.name, table.key_of(rows[-1]), found.rows)
                self._tell("verifying", progress, guess)
        return found

    async def _guess(self, table: Table) -> tuple[int, int] | None:
        """The first and the last key, where they are numbers: how far one is between them."""
        last = await self._source.last_key(table)
        first = await self._source.rows(table, Range(), Bounds(1, 1))
        if last is None or not first:
            return None
        low, high = table.key_of(first[0])[0], last[0]
        return (low, high) if isinstance(low, int) and isinstance(high, int) else None

    def _tell(self, doing: str, progress: Progress, guess: tuple[int, int] | None) -> None:
        at = progress.key[0] if progress.key else None
        share = 1.0 if progress.done else 0.0
        if guess and isinstance(at, int) and not progress.done:
            low, high = guess
            share = min(1.0, (at - low + 1) / (high - low + 1))
        self._told(CopyStep(doing, progress.name, progress.rows, share, done=progress.done))


def _behind(progress: Progress, table: Table, rows: Sequence[Row]) -> Progress:
    return replace(progress, key=table.key_of(rows[-1]), rows=progress.rows + len(rows))


async def _both(
    ours: Coroutine[Any, Any, Checksum], theirs: Coroutine[Any, Any, Checksum]
) -> tuple[Checksum, Checksum]:
    """At the same time; neither is left running where the other one fails."""
    tasks = asyncio.create_task(ours), asyncio.create_task(theirs)
    await asyncio.wait(tasks)
    return tasks[0].result(), tasks[1].result()
