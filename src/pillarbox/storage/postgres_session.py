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
from pillarbox.storage.membership import NODE_LOCK

COMMAND_SECONDS: Final = 20.0
"""No statement takes longer, but for migrations."""

READ_SECONDS: Final = 10.0
"""A client may be waiting for what is read."""

_CONNECT_SECONDS: Final = 5.0
_STATEMENTS: Final = 400
_READERS: Final = 4
_CLOSE_SECONDS: Final = 5.0
DUTY_LOCK: Final = 0x70_69_64  # class of the advisory locks of duties, by their names
_OWN_SECONDS: Final = 5.0
_OWN_PAUSE_SECONDS: Final = 0.1
_END_EARLIER: Final = """
SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN incarnation i ON i.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid = $1::int AND l.objid = $2::int AND l.objsubid = 2
  AND l.granted AND l.pid <> pg_backend_pid() AND i.number = $2
  AND ($3::bigint = 0 OR i.id = $3)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_SESSION: Final = {
    "synchronous_commit": "on",
    "application_name": "pillarbox",
    # A statement is planned once and for all while the queue may be empty; what scans a small table
    # then would scan a large one later. Where an index can be used, it is.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "jit": "off",
    # A session whose client is gone without a word ends soon, and with it its locks.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "client_connection_check_interval": "2000",
    # A node that stands still in the middle of a transaction must not stop the others with it.
    "idle_in_transaction_session_timeout": "8000",
    "lock_timeout": "5000",
}

_PATIENT: Final = {"lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}


async def connected(
    url: str, *, command_seconds: float | None = COMMAND_SECONDS
) -> asyncpg.Connection[asyncpg.Record]:
    """A new connection. Without `command_seconds` it is for work of its own that takes its time,
    and waits for locks as long as it must. Raises what connecting raises.
    """
    settings = _SESSION if command_seconds is not None else {**_SESSION, **_PATIENT}
    return await asyncpg.connect(
        url, timeout=_CONNECT_SECONDS, command_timeout=command_seconds,
        statement_cache_size=_STATEMENTS, server_settings=settings,
    )  # fmt: skip


class _Reader(asyncpg.Connection):
    """Reads one statement at a time, and leaves nothing behind that would have to be reset."""

    def get_reset_query(self) -> str:
        """None: it would be a round trip after every read."""
        return ""


async def pooled(url: str) -> asyncpg.Pool[asyncpg.Record]:
    """Connections to read with."""
    return await asyncpg.create_pool(
        url, min_size=1, max_size=_READERS, command_timeout=READ_SECONDS,
        connection_class=_Reader,
        timeout=_CONNECT_SECONDS, server_settings=_SESSION,
    )  # fmt: skip


async def own(
    writer: asyncpg.Connection[asyncpg.Record],
    number: int,
    *,
    insist: bool = False,
    life: int = 0,
) -> None:
    """One session writes for a node. The lock is the session's: one whose client is gone holds it
    until its last commit is over, so what is read after it is all there is.

    An earlier session of this same `life` is ended where it still has the lock; with `insist` those
    of all lives, which are known to be over. Raises `NodeRunning`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _OWN_SECONDS
    while not await writer.fetchval("SELECT pg_try_advisory_lock($1, $2)", NODE_LOCK, number):
        if insist or life:
            await writer.fetch(_END_EARLIER, NODE_LOCK, number, 0 if insist else life)
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
