"""the write-ahead log copied into the database file, beside the writer rather than in its way

Left to SQLite, whichever commit makes the log too long copies all of it before it is done: tens of
megabytes, and a sync, while everybody waits. Here a thread of its own copies while the writer goes
on. What came meanwhile is copied by the writer between two commits, because only what nobody adds
to can be finished; then the log begins anew, unless somebody has been reading all the while, and is
looked at again a little later. A writer that outruns the copies is slowed down by its own share.

A copy whose sync failed ends the process as a failed commit does, and nothing is copied after it, not
at the end either: SQLite would try again, and the kernel has forgotten what it could not write. The
log still has everything.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import apsw

from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.sqlite_errors import mapped

_log = logging.getLogger(__name__)


class Checkpoints:
    """Keeps the log short. One thread writes and calls `committed`; another copies."""

    def __init__(
        self,
        writer: apsw.Connection,
        copier: apsw.Connection,
        on_broken: Callable[[StorageBroken], None],
        *,
        long_pages: int = 4000,
        little_pages: int = 400,
    ) -> None:
        """`writer` is the only connection that writes; `copier` is for the thread alone, and closed
        by it. A log of `long_pages` is copied; up to `little_pages` are left to the writer.
        `on_broken` is called in either thread.
        """
        self._writer = writer
        self._copier = copier
        self._on_broken = on_broken
        self._long = long_pages
        self._little = little_pages
        self._copying = False
        self._copied = False
        self._caught_up = False
        self._again_at = 0
        """Nothing is tried before the log has so many pages: somebody reads, or the disk is full."""
        self._broken = False
        self._closing = False
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pillarbox-checkpoint", daemon=True)
        self._thread.start()

    def committed(self) -> None:
        """To be called by the writer between two commits. Never raises."""
        if self._broken or (self._copying and not self._copied):
            return
        if self._copying:
            self._copying = self._copied = False
            if self._caught_up:
                # No more than came during one copy, so this takes no longer than that.
                self._copy(self._writer)
                return
        long, left = self._length(self._writer)
        if long < self._long:
            self._again_at = 0
        elif long < self._again_at:
            pass
        elif left >= self._long:
            self._copying = True
            self._wanted.set()
        elif left >= self._little:
            self._again_at = long + self._little
            self._copy(self._writer)

    def close(self) -> None:
        """End the thread; a copy that is under way is waited for."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                break
            try:
                self._catch_up()
            except Exception:
                # The writer copies in its stead, and the next long log is tried again.
                _log.exception("the log could not be copied")
            self._copied = True
        self._copier.close()

    def _catch_up(self) -> None:
        """Copy again what came meanwhile, as long as that is worth while."""
        self._caught_up = False
        while not self._closing:
            found, before = self._length(self._copier)
            if not self._copy(self._copier):
                self._caught_up = False
                self._again_at = found + self._long
                break
            long, left = self._length(self._copier)
            self._caught_up = long - left >= found
            if not self._caught_up:
                self._again_at = long + self._little
                break
            if left <= self._little or left * 2 >= before:
                break

    def _length(self, connection: apsw.Connection) -> tuple[int, int]:
        """Pages in the log, and how many of them are not copied yet."""
        try:
            long, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        except apsw.Error as error:
            self._note(error)
            return 0, 0
        return long, long - copied

    def _copy(self, connection: apsw.Connection) -> bool:
        """Copy what can be copied without making anybody wait; False where it failed."""
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            self._note(error)
            return False
        return True

    def _note(self, error: apsw.Error) -> None:
        if isinstance(error, apsw.BusyError):
            return  # another program copies
        trouble = mapped(error)
        if not isinstance(trouble, StorageBroken):
            # A full disk: the log stays as it is, and is copied when there is room.
            _log.warning("the log could not be copied: %s", error)
            return
        self._broken = True
        try:
            self._on_broken(trouble)
        except Exception:
            # The loop is gone already, and with it whoever wanted to know.
            _log.exception("nobody heard that the log could not be copied: %s", error)
