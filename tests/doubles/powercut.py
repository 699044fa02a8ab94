"""a disk that loses power: ext4 on a loop file, shut down without writing its journal

::

    with PowerCutDisk() as disk:
        ...                          # run the product with its data in disk.path
        disk.cut()                   # from here on every write fails, nothing more reaches the disk
        ...                          # kill the product: it holds files open
        disk.recover()               # mounted again; ext4 replays its journal, as after a power cut
        ...                          # start the product again

EXT4_IOC_SHUTDOWN without log flush throws away what was not synced, which kill -9 never does. The
layers below the file system stay honest: this shows a missing fsync, not a lying disk. Needs root
and leave to mount.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_UMOUNT_SECONDS = 10.0


class PowerCutDisk:
    """A small file system that can lose power; a context manager, and may be cut many times."""

    def __init__(self, *, size_mb: int = 128, commit_seconds: int = 0) -> None:
        """`commit_seconds`: ext4's commit interval; 0: its default of 5 s."""
        self.size_mb = size_mb
        self.options = "loop,data=ordered" + (f",commit={commit_seconds}" if commit_seconds else "")
        self.cuts = 0
        self._folder: Path | None = None

    @property
    def path(self) -> Path:
        """Where it is mounted."""
        if self._folder is None:
            raise RuntimeError("the disk exists only inside its with block")
        return self._folder / "disk"

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="powercut-"))
        # The product may run as somebody else.
        self._folder.chmod(0o755)
        try:
            with self._image.open("wb") as image:
                image.truncate(self.size_mb * 1024 * 1024)
            _run("mkfs.ext4", "-q", "-F", str(self._image))
            self.path.mkdir()
            self._mount()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._folder is not None
        try:
            if self.path.is_mount():
                self._unmount()
        finally:
            if not self.path.is_mount():
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def cut(self) -> None:
        """Lose power. Everything not synced is gone; writes fail with EIO until `recover`."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)
        self.cuts += 1

    def recover(self) -> None:
        """Power is back. Raises OSError where somebody still holds a file open."""
        self._unmount()
        self._mount()

    @property
    def _image(self) -> Path:
        assert self._folder is not None
        return self._folder / "image"

    def _mount(self) -> None:
        _run("mount", "-t", "ext4", "-o", self.options, str(self._image), str(self.path))

    def _unmount(self) -> None:
        """A file closed a moment ago may still count as open for an instant."""
        deadline = time.monotonic() + _UMOUNT_SECONDS
        while True:
            try:
                _run("umount", str(self.path))
                return
            except OSError:
                if time.monotonic() > deadline:
                    # Never leave a mount behind: lazily, then report.
                    with contextlib.suppress(OSError):
                        _run("umount", "--lazy", str(self.path))
                    raise
                time.sleep(0.02)


def _run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PATH": path, "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
