"""a PostgreSQL of our own: a server on a socket in a directory, gone with it

::

    with PostgresServer(tmp_path / "pg") as server:
        url = server.database("ledger")

``PILLARBOX_TEST_POSTGRES`` names a server to use instead, as a URL without a database. initdb refuses
to run as root, so root's server runs as the user ``postgres``. Whatever tests durability wants
``fsync=True``; everything else is faster without.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_USER = "postgres"
_START_SECONDS = 30.0


def bin_directory() -> Path | None:
    """Where the newest installed server's programs lie; None where there is none."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])
    )
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found is not None else None


class PostgresServer:
    """One server, as a context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        fsync: bool = False,
        before: Sequence[str] = (),
        trusted: str = "",
        **settings: str,
    ) -> None:
        """`folder` is made; its path must be short, for it holds the socket.

        `before` is put before each of its commands, such as ``ip netns exec NAME``. Hosts in
        `trusted`, as ``10.0.0.0/24``, may connect as anybody.
        """
        self.folder = folder
        self._before = before
        self._trusted = trusted
        self.settings = {
            "fsync": "on" if fsync else "off",
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "max_connections": "200",
            **settings,
        }
        self._bin = bin_directory()
        self._names = 0

    def __enter__(self) -> Self:
        if self._bin is None:
            raise RuntimeError("PostgreSQL is not installed")
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = str(self.folder / "data")
        self._call(
            "initdb", "-D", data, "-U", _USER, "--auth=trust", "--encoding=UTF8", "--locale=C",
            "--no-sync", "--no-instructions",
        )  # fmt: skip
        if self._trusted:
            with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self._trusted} trust\n")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = " ".join(f"-c {name}='{value}'" for name, value in self.settings.items())
        self._call(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"),
            "-o", options, "-w", "-t", str(int(_START_SECONDS)), "start",
        )  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """``fast`` ends connections in order, ``immediate`` is as good as a crash."""
        self._call("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def version(self) -> str:
        """Such as 15.18."""
        assert self._bin is not None
        said = subprocess.run(
            [str(self._bin / "postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout
        return said.split()[2]

    def database(self, name: str = "") -> str:
        """The URL of a new, empty database."""
        self._names += 1
        name = name or f"test_{os.getpid()}_{self._names}_{time.monotonic_ns() % 1_000_000}"
        # Otherwise its eight megabytes go through the log, page by page.
        self._call(
            "createdb", "-h", str(self.folder), "-U", _USER, "--strategy=file_copy", name
        )  # fmt: skip
        return f"postgresql://{_USER}@/{name}?host={self.folder}"

    def _call(self, program: str, *arguments: str) -> None:
        assert self._bin is not None
        command: Sequence[str] = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", _USER, "--", *command]
        command = [*self._before, *command]
        # Its output is not a pipe: the server would hold the other end for ever.
        with (self.folder / "calls").open("ab") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
            )
        if done.returncode:
            said = (self.folder / "calls").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{program} ended with {done.returncode}\n{said}")
