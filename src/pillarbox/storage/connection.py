"""a connection to SQLite as every part of Pillarbox uses it

WAL and ``synchronous=FULL``: what was committed was synced. The standard library's driver is not
used anywhere: Debian 12 links a SQLite with a WAL corruption bug.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.sqlite_errors import mapped

OLDEST_SAFE: Final = (3, 51, 3)
_PAGE_BYTES: Final = 8192
_CACHE_KIB: Final = 32 * 1024
_READERS_CACHE_KIB: Final = 4 * 1024
"""What one reads is rarely read again, and who counts a long queue fills what there is."""

_STATEMENTS: Final = 400
"""More than there are, so that none is compiled twice."""


def connect(path: Path, *, reading: bool = False) -> apsw.Connection:
    """Open the file, making it where it is missing. Raises `StorageTrouble`."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SAFE:
        raise StorageTrouble(
            f"SQLite {apsw.sqlite_lib_version()} may corrupt its write-ahead log.",
            fix="Install apsw 3.51.3 or newer; its wheels bring their own SQLite.",
        )
    flags = (
        apsw.SQLITE_OPEN_READONLY
        if reading
        else (apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    )
    try:
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=_STATEMENTS)
        connection.set_busy_timeout(5000)
        if not reading:
            connection.pragma("page_size", _PAGE_BYTES)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "FULL")
            # See `storage.checkpoint`.
            connection.pragma("wal_autocheckpoint", 0)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("cache_size", -(_READERS_CACHE_KIB if reading else _CACHE_KIB))
    except apsw.Error as error:
        raise mapped(error) from error
    return connection
