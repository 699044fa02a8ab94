"""the REST face without a running server: for a command that gets the owner's lock"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from starlette.types import ASGIApp

from pillarbox.observe.news import News
from pillarbox.settings import Settings
from pillarbox.storage.interface.errors import AlreadyRecovered, StorageBroken, StorageTrouble
from pillarbox.terms.errors import PillarboxError
from pillarbox.wiring.house import build


class NeverStarted(PillarboxError):
    """This data directory has never been started."""

    code = "server_not_running"


@asynccontextmanager
async def open_offline(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The owner's variant of the API over the data directory, nothing else running.

    Mail accepted through it waits for the next start. Raises `DataDirLocked` where somebody runs,
    `NeverStarted` where there is nothing to open: a first start shows secrets, so it must be seen.
    """
    # A node among others, for as long as one command lasts, and it does no work for them.
    settings = replace(settings, roles=())
    house = await build(settings, on_broken=_told_by_the_caller, news=News())
    try:
        if not await house.storage.directory.accounts():
            raise NeverStarted(fix="Start it: pillarbox up")
        yield house.app(owner=True)
    finally:
        with suppress(StorageTrouble, AlreadyRecovered):
            await house.storage.nodes.leave(house.clock.now_ms())
        await house.workers.close()
        await house.rehearser.close()
        await house.storage.close()


def _told_by_the_caller(broken: StorageBroken) -> None:
    """Every call raises it as well, and a command ends with its first error."""
