"""the disk: what was synced survives a cut, what was not does not"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.doubles.powercut import PowerCutDisk

pytestmark = pytest.mark.needs("root", "mounts", "mkfs.ext4", "losetup")


def write(path: Path, data: bytes, *, synced: bool) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        if synced:
            os.fsync(file.fileno())
    if synced:
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def test_only_what_was_synced_survives_and_the_disk_lives_again() -> None:
    with PowerCutDisk(size_mb=32, commit_seconds=300) as disk:
        for round_number in range(2):
            write(disk.path / f"kept-{round_number}", b"x" * 10_000, synced=True)
            write(disk.path / f"gone-{round_number}", b"x" * 10_000, synced=False)
            disk.cut()
            with pytest.raises(OSError) as caught:
                write(disk.path / "after", b"x", synced=True)
            assert caught.value.errno == errno.EIO
            disk.recover()
            names = {path.name for path in disk.path.iterdir()} - {"lost+found"}
            assert names == {f"kept-{n}" for n in range(round_number + 1)}
            assert (disk.path / f"kept-{round_number}").read_bytes() == b"x" * 10_000
        assert disk.cuts == 2
        folder = disk.path.parent
    assert not folder.exists()


def test_recovery_says_when_a_file_is_still_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.doubles.powercut._UMOUNT_SECONDS", 0.05)
    with PowerCutDisk(size_mb=32) as disk:
        with (disk.path / "open").open("wb"):
            disk.cut()
            with pytest.raises(OSError, match="busy"):
                disk.recover()
        folder = disk.path.parent
    assert not folder.exists()
