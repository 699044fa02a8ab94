"""a session with PostgreSQL as every part of Pillarbox uses it

``synchronous_commit=on``, whatever the server's default, and one process that writes.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from pillarbox.storage.interface.errors import DataDirLocked

COMMAND_SECONDS: Final = 30.0
"""No statement takes longer."""

_CONNECT_SECONDS: Final = 5.0
_STATEMENTS: Final = 400
_READERS: Final = 4
_CLOSE_SECONDS: Final = 5.0
_OWNER: Final = 0x70_69_6C_6C_6F_77  # the advisory lock of whoever writes
_OWN_SECONDS: Final = 3.0
_OWN_PAUSE_SECONDS: Final = 0.1

_SESSION: Final = {
    "synchronous_commit": "on",
    "application_name": "pillarbox",
    # A session whose client is gone without a word ends soon, and with it its locks.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


async def connected(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """A new connection. Raises what connecting raises."""
    return await asyncpg.connect(
        url, timeout=_CONNECT_SECONDS, command_timeout=COMMAND_SECONDS,
        statement_cache_size=_STATEMENTS, server_settings=_SESSION,
    )  # fmt: skip


async def pooled(url: str) -> asyncpg.Pool[asyncpg.Record]:
    """Connections to read with."""
    return await asyncpg.create_pool(
        url, min_size=1, max_size=_READERS, command_timeout=COMMAND_SECONDS,
        timeout=_CONNECT_SECONDS, server_settings=_SESSION,
    )  # fmt: skip


async def own(writer: asyncpg.Connection[asyncpg.Record]) -> None:
    """One process writes. The lock is the session's: one whose client is gone holds it until its
    last commit is over, so what is read after it is all there is.

    Raises `DataDirLocked`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _OWN_SECONDS
    while not await writer.fetchval("SELECT pg_try_advisory_lock($1)", _OWNER):
        if loop.time() > deadline:
            raise DataDirLocked(
                "This database is used by another Pillarbox.",
                fix="Stop that one, or give this one a database of its own.",
            )
        await asyncio.sleep(_OWN_PAUSE_SECONDS)


async def ended(
    connection: asyncpg.Pool[asyncpg.Record] | asyncpg.Connection[asyncpg.Record] | None,
) -> None:
    """Close it in order; a server that does not answer is not waited for."""
    if connection is None:
        return
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await connection.close()
    except Exception:
        connection.terminate()
