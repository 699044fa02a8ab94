"""Pillarbox as its users start it: a process, found by what it says at its start"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.doubles.process import Product, clean_environment

ROOT = Path(__file__).parents[2]
FREE_PORTS = ("--smtp-port=0", "--smtps-port=0", "--http-port=0")


@dataclass(frozen=True, slots=True)
class FirstSecrets:
    """What a first start writes down once."""

    username: str
    password: str
    key: str


class Pillarbox(Product):
    """``pillarbox up`` over a data directory, on ports of the system's choice."""

    def __init__(
        self,
        home: Path,
        *settings: str,
        command: Sequence[str] = (sys.executable, "-m", "pillarbox"),
        starting: Sequence[str] = FREE_PORTS,
        database: str = "",
    ) -> None:
        """`settings` are KEY=VALUE; `home` holds the data directory and the output, and the mail,
        unless `database` is the URL of a PostgreSQL.
        """
        self.data_dir = home / "data"
        self.program = [*command, "--data-dir", str(self.data_dir)]
        said = [f"--set={setting}" for setting in settings]
        super().__init__(
            [*self.program, "up", "--json", *starting, *said],
            output=home / "pillarbox.log",
            ready=lambda: '"word": "started"' in self.text(),
            env={"PYTHONPATH": str(ROOT / "src"), **in_environment(database)},
            cwd=home,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The line it prints when it is ready."""
        line = next(line for line in self.text().splitlines() if '"word": "started"' in line)
        found: dict[str, Any] = json.loads(line)
        return found

    def port(self, security: str) -> int:
        """Of the listener with ``STARTTLS`` or ``TLS``."""
        return int(next(e["port"] for e in self.facts["smtp"] if e["security"] == security))

    @property
    def url(self) -> str:
        """Of the HTTP side, without a slash at its end."""
        return str(self.facts["http_url"])

    @property
    def ca(self) -> Path:
        """The authority to check its certificate against."""
        return self.data_dir / "ca.pem"

    @property
    def first(self) -> FirstSecrets:
        """Login and key of the first start."""
        return read_first_run(self.data_dir / "first-run.txt")

    def call(self, *arguments: str, stdin: str = "") -> str:
        """Run another verb beside it; what it printed. Raises AssertionError where it failed."""
        done = subprocess.run(
            [*self.program, *arguments],
            input=stdin.encode(),
            capture_output=True,
            env=clean_environment(self.env),
            cwd=self.cwd,
            timeout=30,
            check=False,
        )
        told = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == 0, f"{' '.join(arguments)}: {told}"
        return done.stdout.decode()

    def forget_peak(self) -> int:
        """Begin to look for the highest use of memory from here on; bytes in use now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    def peak(self) -> int:
        """Most bytes of memory it had at once since `forget_peak`."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} of process {self.pid}")


def in_environment(database: str) -> dict[str, str]:
    """How a program is told where mail rests: not on a command line that others can read."""
    return {"PILLARBOX_DATABASE_URL": database} if database else {}


def read_first_run(path: Path) -> FirstSecrets:
    """The secrets in the file that a first start leaves where nobody watches."""
    words = dict(line.split(None, 1) for line in path.read_text().splitlines() if " " in line)
    return FirstSecrets(words["Username"], words["Password"], words["Key"])
