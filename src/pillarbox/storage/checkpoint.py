"""the write-ahead log copied into the database file, beside the writer rather than in its way

Left to SQLite, whichever commit makes the log too long copies all of it before it is done: tens of
megabytes, and a sync, while everybody waits. Here a thread of its own copies while the writer goes
on, and again what came meanwhile, until little is left. That little is copied by the writer between
two commits, because only what nobody adds to can be finished; then the log begins anew.

A copy whose sync failed ends the process as a failed commit does: SQLite would try again, and the
kernel has forgotten by then what it could not write.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from pillarbox.storage.connection import connect
from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.sqlite_errors import mapped

_LONG_PAGES: Final = 4000
"""A log of so many pages is copied."""

_LITTLE_PAGES: Final = 400
"""So many are left to the writer."""

_MOST_ROUNDS: Final = 5
"""Copies in a row, should the writer add as fast as it is copied."""

_log = logging.getLogger(__name__)


class Checkpoints:
    """Keeps the log short. One thread writes and calls; another copies."""

    def __init__(
        self, path: Path, writer: apsw.Connection, on_broken: Callable[[StorageBroken], None]
    ) -> None:
        """`writer` is the only connection that writes. `on_broken` is called in either thread."""
        self._path = path
        self._writer = writer
        self._on_broken = on_broken
        self._pages = 0
        self._finished_at = 0
        self._copying = False
        self._finish = False
        self._closing = False
        self._wanted = threading.Event()
        self._copier = threading.Thread(target=self._run, name="pillarbox-checkpoint", daemon=True)
        self._copier.start()

    def committed(self) -> None:
        """To be called by the writer between two commits."""
        self._pages = self._written()
        if self._finish:
            self._finish = False
            self._copy(self._writer)
            self._finished_at = self._pages
            self._copying = False
        elif not self._copying and self._pages - self._finished_at >= _LONG_PAGES:
            self._copying = True
            self._wanted.set()

    def close(self) -> None:
        """End the thread; a copy that is under way is waited for."""
        self._closing = True
        self._wanted.set()
        self._copier.join()

    def _written(self) -> int:
        """Pages written to the log since the writer opened it."""
        return self._writer.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0]

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                break
            if connection is None:
                connection = connect(self._path)
            for _ in range(_MOST_ROUNDS):
                before = self._pages
                if not self._copy(connection) or self._pages - before < _LITTLE_PAGES:
                    break
            self._finish = True
        if connection is not None:
            connection.close()

    def _copy(self, connection: apsw.Connection) -> bool:
        """Copy what can be copied without making anybody wait; False where it failed."""
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            trouble = mapped(error)
            if isinstance(trouble, StorageBroken):
                self._on_broken(trouble)
            else:
                # A full disk: the log stays as it is and is copied when there is room.
                _log.warning("the log could not be copied: %s", error)
            return False
        return True
