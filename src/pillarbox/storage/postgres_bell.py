"""the bell: what nodes tell each other at once, and the duties that only one of them performs

One connection of its own. Nothing depends on it: what is not heard is found by looking, and a duty
whose lock was lost with the connection is taken up by whoever asks next.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable
from typing import Final

import asyncpg

from pillarbox.storage.postgres_session import DUTY_LOCK, connected, ended

_CHANNEL: Final = "pillarbox"
_PAUSE_SECONDS: Final = 1.0
_ALIVE_SECONDS: Final = 5.0
_TOGETHER_SECONDS: Final = 0.05
"""What is told so shortly after each other is told once: a notification takes a lock that all
commits of the database wait for.
"""

_log = logging.getLogger(__name__)


class Bell:
    """Rings for topics, by name."""

    def __init__(self, url: str, sender: int) -> None:
        """`sender` is the incarnation, which need not hear itself."""
        self._url = url
        self._sender = sender
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._use = asyncio.Lock()
        self._lost = asyncio.Event()
        self._topics: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ringing: set[asyncio.Task[None]] = set()
        self._duties: set[str] = set()
        self._task = asyncio.create_task(self._keep(), name="pillarbox-bell")

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """`heard` is called when another node rings, and after the connection was lost."""
        self._listeners.setdefault(topic, []).append(heard)

    def ring(self, topic: str) -> None:
        """Soon, and together with what else is told in this moment."""
        self._topics.add(topic)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_TOGETHER_SECONDS, self._ring_now)

    async def try_duty(self, name: str) -> bool:
        """Whether the duty is ours; it stays so until the connection is lost."""
        connection = self._connection
        if connection is None or connection.is_closed():
            return False
        key = zlib.crc32(name.encode()) - (1 << 31)
        try:
            async with self._use:
                if name in self._duties:
                    # The server may have given it to another while we heard nothing.
                    await connection.execute("SELECT 1", timeout=_ALIVE_SECONDS)
                    return name in self._duties
                got = await connection.fetchval(
                    "SELECT pg_try_advisory_lock($1, $2)", DUTY_LOCK, key
                )
        except Exception as error:
            _log.info("a duty could not be asked for: %s", error)
            connection.terminate()
            return False
        if got and connection is self._connection:
            self._duties.add(name)
        return bool(got)

    async def close(self) -> None:
        """Let go of the duties."""
        self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for task in (self._task, *self._ringing):
            task.cancel()
        await asyncio.gather(self._task, *self._ringing, return_exceptions=True)
        await ended(self._connection)

    async def _keep(self) -> None:
        """Have a connection, and another one when it is lost."""
        while True:
            try:
                connection = await connected(self._url)
            except Exception as error:
                _log.info("the bell is not connected: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._lost.clear()
            connection.add_termination_listener(self._gone)
            try:
                await connection.add_listener(_CHANNEL, self._heard)
            except Exception as error:
                _log.info("the bell does not listen: %s", error)
                await ended(connection)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
            for topic in list(self._listeners):
                self._call(topic)
            await self._lost.wait()
            self._duties.clear()

    def _gone(self, connection: object) -> None:
        self._lost.set()

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        sender, _, topic = str(payload).partition(" ")
        if sender != str(self._sender):
            self._call(topic)

    def _call(self, topic: str) -> None:
        for heard in self._listeners.get(topic, ()):
            try:
                heard()
            except Exception:
                _log.exception("a listener to the bell failed")

    def _ring_now(self) -> None:
        self._timer = None
        topics, self._topics = self._topics, set()
        task = asyncio.ensure_future(self._notify(topics))
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def _notify(self, topics: set[str]) -> None:
        connection = self._connection
        if connection is None or connection.is_closed():
            return
        try:
            async with self._use:
                for topic in sorted(topics):
                    await connection.execute(
                        "SELECT pg_notify($1, $2)", _CHANNEL, f"{self._sender} {topic}"
                    )
        except Exception as error:
            _log.info("others were not told of %s: %s", topics, error)
