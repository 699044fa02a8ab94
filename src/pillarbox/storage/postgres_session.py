"""a session with PostgreSQL as every part of Pillarbox uses it

``synchronous_commit=on``, whatever the server's default; and one session that writes for each node,
which holds the node's lock: what another node takes over cannot be written any more by whoever had
it before.
"""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from pillarbox.storage.interface.errors import NodeRunning

COMMAND_SECONDS: Final = 20.0
"""No statement takes longer, but for migrations."""

_CONNECT_SECONDS: Final = 5.0
_STATEMENTS: Final = 400
_READERS: Final = 4
_CLOSE_SECONDS: Final = 5.0
NODE_LOCK: Final = 0x70_69_6C  # class of the advisory locks of nodes, by their numbers
DUTY_LOCK: Final = 0x70_69_64  # class of the advisory locks of duties, by their names
_OWN_SECONDS: Final = 5.0
_OWN_PAUSE_SECONDS: Final = 0.1
_HOLDERS: Final = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1::int AND objid = $2::int AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND pid <> pg_backend_pid()
"""

_SESSION: Final = {
    "synchronous_commit": "on",
    "application_name": "pillarbox",
    # A statement is planned once and for all while the queue may be empty; what scans a small table
    # then would scan a large one later. Where an index can be used, it is.
    "enable_seqscan": "off",
    "jit": "off",
    # A session whose client is gone without a word ends soon, and with it its locks.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
}


async def connected(
    url: str, *, command_seconds: float | None = COMMAND_SECONDS
) -> asyncpg.Connection[asyncpg.Record]:
    """A new connection. Raises what connecting raises."""
    return await asyncpg.connect(
        url, timeout=_CONNECT_SECONDS, command_timeout=command_seconds,
        statement_cache_size=_STATEMENTS, server_settings=_SESSION,
    )  # fmt: skip


async def pooled(url: str) -> asyncpg.Pool[asyncpg.Record]:
    """Connections to read with."""
    return await asyncpg.create_pool(
        url, min_size=1, max_size=_READERS, command_timeout=COMMAND_SECONDS,
        timeout=_CONNECT_SECONDS, server_settings=_SESSION,
    )  # fmt: skip


async def own(
    writer: asyncpg.Connection[asyncpg.Record], number: int, *, insist: bool = False
) -> None:
    """One session writes for a node. The lock is the session's: one whose client is gone holds it
    until its last commit is over, so what is read after it is all there is.

    With `insist` the one who holds it is known to be gone, and is not waited for. Raises
    `NodeRunning`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _OWN_SECONDS
    while not await writer.fetchval("SELECT pg_try_advisory_lock($1, $2)", NODE_LOCK, number):
        if insist:
            await writer.fetch(_HOLDERS, NODE_LOCK, number)
        if loop.time() > deadline:
            raise NodeRunning("This node is running already, somewhere else.")
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
