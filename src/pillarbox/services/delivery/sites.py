"""the sites of recipients as all lanes of this node share them, and those who wait for their turn"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pillarbox.policy.site import Site, SiteConfig, new_site
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.terms.clock import Clock

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_MOST_SITES: Final = 10_000
"""Beyond them, the idle site that was used longest ago is forgotten."""


@dataclass(slots=True)
class _Line:
    site: Site
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


class Sites:
    """Lets messages go to a site when it is their turn, first come, first served.

    Whoever waits holds no connection and no slot.
    """

    def __init__(self, config: SiteConfig, clock: Clock) -> None:
        """No site is known yet."""
        self._config = config
        self._clock = clock
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        self._closed = False

    async def enter(self, name: str, patience_seconds: float | None = None) -> Site | None:
        """Wait for a turn at the site, however long it takes, or as long as patience lasts.

        Gives the site, which must be left again with `leave`; None where patience has run out.
        Raises `StorageTrouble` where this node stops meanwhile: nothing has been tried then.
        """
        line = self._line(name)
        site = line.site
        if self._closed:
            raise _stopping()
        now = self._clock.monotonic()
        if not line.waiting and site.may_begin(now):
            site.begin(now)
            return site
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        self._serve(line)
        try:
            async with asyncio.timeout(patience_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave(site)  # it was our turn in the same moment
            elif turn in line.waiting:
                line.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                return None
            raise
        return site

    def leave(self, site: Site) -> None:
        """The message is there, or was refused, or never came that far."""
        site.end()
        line = self._lines.get(site.name)
        if line is not None:
            self._serve(line)

    def waiting(self, name: str) -> int:
        """How many messages wait for their turn at a site."""
        line = self._lines.get(name)
        return len(line.waiting) if line is not None else 0

    def close(self) -> None:
        """This node stops: nobody gets a turn any more."""
        self._closed = True
        for line in self._lines.values():
            if line.timer is not None:
                line.timer.cancel()
            for turn in line.waiting:
                if not turn.done():
                    turn.set_exception(_stopping())

    def _line(self, name: str) -> _Line:
        line = self._lines.get(name)
        if line is not None:
            self._lines.move_to_end(name)
            return line
        line = self._lines[name] = _Line(new_site(name, self._config))
        if len(self._lines) > _MOST_SITES:
            idle = (n for n, one in self._lines.items() if not one.site.active and not one.waiting)
            oldest = next(idle, name)
            if oldest != name:
                del self._lines[oldest]
        return line

    def _serve(self, line: _Line) -> None:
        """Give turns to as many as may begin; plan the next where only time is missing."""
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        site = line.site
        now = self._clock.monotonic()
        while line.waiting and site.may_begin(now):
            turn = line.waiting.popleft()
            if not turn.done():
                site.begin(now)
                turn.set_result(None)
        if line.waiting and site.active < site.window.limit and not self._closed:
            loop = asyncio.get_running_loop()
            line.timer = loop.call_later(max(site.next_at - now, 0.001), self._serve, line)


@lru_cache(maxsize=4096)
def registrable(host: str) -> str:
    """The domain under which a host was registered, such as ``example.co.uk`` for
    ``mx.example.co.uk``; empty where there is none.
    """
    return _suffixes().privatesuffix(host) or ""


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # here, since only direct delivery asks

    return PublicSuffixList(only_icann=True)


def _stopping() -> StorageTrouble:
    return StorageTrouble("This node stops before it is the turn of this mail.")
