"""the owner lock: a data directory belongs to one process"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pillarbox.storage.interface.errors import DataDirLocked


class OwnerLock:
    """An flock on a file that names its holder; the kernel lets go of it when the holder dies."""

    def __init__(self, handle: int) -> None:
        """Use `take`."""
        self._handle = handle

    @classmethod
    def take(cls, folder: Path) -> OwnerLock:
        """Raises `DataDirLocked` naming the process that holds it."""
        handle = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            raise DataDirLocked(
                f"{folder} is used by another Pillarbox"
                + (f" (process {holder})." if holder else "."),
                fix="Stop that one, or give this one a data directory of its own: --data-dir",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return cls(handle)

    def release(self) -> None:
        """Somebody else may take it."""
        os.close(self._handle)
