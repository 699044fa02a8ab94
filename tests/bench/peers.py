"""the relays that are measured: Pillarbox as shipped, and Debian's Postfix at its best"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol, Self

from tests.bench.place import size_of
from tests.doubles.ports import free_port
from tests.doubles.postfix import Postfix
from tests.doubles.process import Product, clean_environment, smtp_ready
from tests.doubles.trace import traced
from tools.compile import is_current

ROOT = Path(__file__).parents[2]
APP = "first-app"
"""The app, and the credential, that a new data directory begins with."""
COMMAND = str(Path(sys.prefix) / "bin" / "pillarbox")
"""As `./do` installs it: it runs what was compiled unless a source is newer."""
_LOG_TAIL_CHARACTERS = 3000


class Peer(Protocol):
    """One relay that runs, takes mail in clear on `port` and passes it to a sink."""

    name: str
    port: int

    async def __aenter__(self) -> Self:
        """Start it; it takes mail when this returns."""

    async def __aexit__(self, *_: object) -> None:
        """Stop it and remove what it kept."""

    def root(self) -> int:
        """The process from which its tree is found."""

    def waiting(self) -> int:
        """Messages it has not got rid of."""

    def stored_bytes(self) -> int:
        """What it keeps on disk now."""

    def log_tail(self) -> str:
        """The end of what it wrote."""

    def about(self) -> dict[str, object]:
        """What was on, and what was set, for the record."""


def _compiled() -> bool:
    """Whether `COMMAND` runs compiled modules."""
    return is_current(Path(sys.prefix) / "compiled")


class PillarboxPeer:
    """The product as its operator would start it, in a data directory of its own."""

    name = "pillarbox"

    def __init__(self, place: Path, sink_port: int, *, trace: Path | None = None) -> None:
        """With `trace`, it runs under strace, which writes there."""
        self.sink_port = sink_port
        self.data = Path(tempfile.mkdtemp(prefix="pillarbox-", dir=place))
        self.port = free_port()
        self.starttls_port, self.implicit_port = free_port(), free_port()
        self.command = [COMMAND, "serve", *self._options()]
        self._product = Product(
            traced(self.command, trace) if trace else self.command,
            output=place / f"{self.data.name}.log",
            ready=smtp_ready(self.starttls_port),
            cwd=place,
            ready_seconds=60.0,
        )

    def _options(self) -> list[str]:
        """Where mail comes in; the other ports only have to be free."""
        return [
            "--data-dir", str(self.data),
            *self._entrance(),
            "--smtp-port", str(self.starttls_port),
            "--smtps-port", str(self.implicit_port),
            "--bounce-port", str(free_port()),
            "--set", "smtp.listen=127.0.0.1",
            "--http-port", str(free_port()),
        ]  # fmt: skip

    def _entrance(self) -> list[str]:
        """A port in clear for smtp-source."""
        return [
            "--set", f"smtp.local_ports={self.port}",
            "--set", f"smtp.local_credential={APP}",
        ]  # fmt: skip

    async def __aenter__(self) -> Self:
        await self._product.start()
        try:
            await asyncio.to_thread(self._connect_sink)
        except BaseException:
            await asyncio.to_thread(self._product.kill)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._product.stop)

    def _connect_sink(self) -> None:
        self.tell("app", "set", APP, "--mode", "live", "--yes")
        self.tell(
            "server", "add", "sink", "--app", APP, "--host", "127.0.0.1",
            "--port", str(self.sink_port), "--encryption", "none",
        )  # fmt: skip

    def tell(self, *arguments: str, stdin: str = "") -> str:
        """Run a verb of the command line against it; what it printed."""
        done = subprocess.run(
            [COMMAND, "--data-dir", str(self.data), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"pillarbox {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def root(self) -> int:
        """The main process."""
        return self._product.pid

    def waiting(self) -> int:
        """Deliveries not settled, as `pillarbox status` counts them."""
        queue: dict[str, Any] = json.loads(self.tell("status", "--json"))["queue"]
        return int(queue["waiting"] + queue["active"])

    def stored_bytes(self) -> int:
        """The data directory."""
        return size_of(self.data)

    def log_tail(self) -> str:
        """The end of its log."""
        return self._product.text()[-_LOG_TAIL_CHARACTERS:]

    def about(self) -> dict[str, object]:
        """As shipped but for ports, the credential of the plain port, and the server."""
        return {
            "on": [
                "ledger: each recipient's fate, each attempt and each reply is kept",
                "events, metrics and the log",
                "durable: synced before each 250, bodies kept for their usual days",
                "the HTTP API and ports with TLS, idle",
                *(["compiled: what every message passes (./do compile)"] if _compiled() else []),
            ],
            "set": [
                "smtp.local_ports and smtp.local_credential: a port in clear for smtp-source",
                "the app's mode: live; one server, without TLS",
            ],
        }


_AT_ITS_BEST = {
    # Never pause because mail comes in faster than it leaves.
    "in_flow_delay": "0",
    # Keep a daemon instead of starting another after a hundred messages.
    "max_use": "10000",
    # Begin with as many connections as it may have, instead of five.
    "initial_destination_concurrency": "20",
}
"""Settings of main.cf that make Postfix relay faster than it comes, and lose nothing."""


class PostfixPeer:
    """A private Postfix with its default durable queue."""

    name = "postfix"

    def __init__(self, place: Path, sink_port: int, **settings: str) -> None:
        self.settings = {**_AT_ITS_BEST, **settings}
        self.port = 0
        self._place = place
        self._postfix = self._made(sink_port)

    def _made(self, sink_port: int) -> Postfix:
        """The instance; it does not run yet."""
        return Postfix.plain_relay(sink_port, **self.settings)

    async def __aenter__(self) -> Self:
        # The double makes its directory where temporary files go; the queue must share our disk.
        usual, tempfile.tempdir = tempfile.tempdir, str(self._place)
        try:
            await self._postfix.__aenter__()
        finally:
            tempfile.tempdir = usual
        self.port = self._postfix.port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._postfix.__aexit__()

    def root(self) -> int:
        """The master."""
        return int((self._postfix.home / "queue/pid/master.pid").read_text())

    def waiting(self) -> int:
        """Files in its queue."""
        return self._postfix.queued()

    def stored_bytes(self) -> int:
        """Its queue and its log."""
        return size_of(self._postfix.home)

    def log_tail(self) -> str:
        """The end of its log."""
        return self._postfix.log()

    def about(self) -> dict[str, object]:
        """As Debian ships it but for what is set."""
        return {
            "on": [
                "the durable queue, on the same disk",
                "connection cache on demand, pipelining",
                "its log, through postlogd: the only account it keeps",
            ],
            "set": [f"{name} = {value}" for name, value in sorted(self.settings.items())],
        }


def make(name: str, place: Path, sink_port: int) -> Peer:
    """The peer of this name."""
    return PillarboxPeer(place, sink_port) if name == "pillarbox" else PostfixPeer(place, sink_port)


PEERS = ("pillarbox", "postfix")
