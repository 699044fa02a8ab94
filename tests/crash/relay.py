"""Pillarbox as its operator has it: one data directory, a process, and its own command line

::

    async with Relay(tmp_path / "data", tmp_path / "relay.log", IN_CLEAR) as relay:
        await relay.go_live(sink.port)
        ...                                     # hand mail over to 127.0.0.1, relay.port("plain")
        relay.kill()
        await relay.start(crash_at("settle-before-commit"))

What runs is always the source tree this file lies in, also where it is a copy of the repository.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.crash.ledger import look
from tests.doubles.process import Product, ProgramError, read_json

ROOT: Final = Path(__file__).parents[2]
PILLARBOX: Final = (sys.executable, "-m", "pillarbox")
APP: Final = "first-app"
SERVER: Final = "upstream"

QUICK: Final[Mapping[str, str]] = {
    "delivery.poll_seconds": "0.05",
    "retry.first_seconds": "0.3",
    "retry.ceiling_seconds": "1",
    "breaker.pause_seconds": "0.2",
    "breaker.ceiling_seconds": "0.5",
    "retention.disk_floor_mb": "1",
}
"""What takes minutes in life takes a moment here."""

ON_LOOPBACK: Final[Mapping[str, str]] = {"smtp.listen": "127.0.0.1", "smtp.bounce_ports": ""}
"""Unlike a service, which listens on all addresses and on port 25."""

IN_CLEAR: Final[Mapping[str, str]] = {
    **QUICK,
    "smtp.starttls_ports": "",
    "smtp.tls_ports": "",
    "smtp.local_ports": "0",
    "smtp.local_credential": APP,
    "http.port": "0",
}
"""A plain port of the system's choice, without login."""

_LOWEST_PORT: Final = 20_000
_PORTS: Final = 12_000


class Relay(Product):
    """Pillarbox over one data directory. `start` returns when it says that it is ready."""

    def __init__(
        self,
        data_dir: Path,
        output: Path,
        settings: Mapping[str, str],
        *,
        at_first: Mapping[str, str] | None = None,
        wrap: Callable[[Sequence[str]], list[str]] | None = None,
    ) -> None:
        """`at_first` is the environment of its first start only, as `crash_at` gives it.

        `wrap` makes another command of the command, to look at its system calls.
        """
        self.data_dir = data_dir
        self._at_first = at_first
        self.said: dict[str, Any] = {}
        """What it said when it was ready."""
        command = [*PILLARBOX, "serve", "--json", "--data-dir", str(data_dir)]
        for name, value in {**ON_LOOPBACK, **settings}.items():
            command += ["--set", f"{name}={value}"]
        super().__init__(
            wrap(command) if wrap is not None else command,
            output=output,
            ready=self._announced,
            env=_ENVIRONMENT,
            ready_seconds=30.0,
        )

    def launch(self, env: Mapping[str, str] | None = None) -> None:
        """Start it and do not wait."""
        super().launch(env if self.starts else env or self._at_first)

    def _announced(self) -> bool:
        for line in self.text().splitlines():
            if line.startswith('{"word": "started"'):
                self.said = json.loads(line)
                return True
        return False

    def port(self, security: str) -> int:
        """Where it takes mail: ``STARTTLS``, ``TLS`` or ``plain``."""
        found: int = next(p["port"] for p in self.said["smtp"] if p["security"] == security)
        return found

    @property
    def http_url(self) -> str:
        """Scheme, host and port."""
        url: str = self.said["http_url"]
        return url

    @property
    def ca_file(self) -> Path:
        """Of the certificate it made for itself."""
        return self.data_dir / "ca.pem"

    @property
    def secrets(self) -> dict[str, str]:
        """What its first start left in first-run.txt, by the first word of each line."""
        lines = (self.data_dir / "first-run.txt").read_text().splitlines()
        pairs = (line.split(None, 1) for line in lines if line.strip())
        return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}

    async def ask(self, *words: str) -> Any:
        """What its command line answers, from JSON."""
        command = [*PILLARBOX, "--data-dir", str(self.data_dir), *words]
        return await asyncio.to_thread(read_json, command, env=_ENVIRONMENT)

    async def rest(self, *, seconds: float = 20.0) -> None:
        """Until nothing waits, nothing is owed and nothing may be leaving."""
        waiting: dict[str, int] = {}

        def rests() -> bool:
            nonlocal waiting
            with look(self.data_dir, alive=True) as ledger:
                waiting = ledger.waiting()
            return not waiting

        try:
            await self.until(rests, seconds=seconds)
        except ProgramError as error:
            raise ProgramError(f"{error}\nrows still there: {waiting}") from None

    async def go_live(self, port: int) -> None:
        """Real delivery, to the server on this loopback port."""
        await self.ask("app", "set", APP, "--mode", "live", "--yes")
        await self.ask(
            "server", "add", SERVER,
            "--host", "127.0.0.1", "--port", str(port), "--encryption", "none",
        )  # fmt: skip


_ENVIRONMENT: Final = {"PYTHONPATH": str(ROOT / "src")}


def copy_data(source: Path, target: Path) -> Path:
    """A data directory of its own; nobody may be running over the source."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock"))
    return target


def steady_ports(count: int) -> list[int]:
    """Loopback ports for a program that is to come back on the same ones.

    Below the range from which the kernel takes ports for outgoing connections: while the program
    is away, nobody's connection may sit on its port.
    """
    found: list[int] = []
    for offset in range(_PORTS):
        port = _LOWEST_PORT + (offset * 7919 + _seat()) % _PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free port")


def _seat() -> int:
    """Another place to begin for each process of the same machine."""
    import os

    return os.getpid()
