"""nodes from source over one store, driven together: smtp-source before each, one sink behind all

Not the compiled form: what is compared is one store with another, and one node with two.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from tests.bench.cells import AUTHOR, RECIPIENT, Mail
from tests.bench.meter import rest, tree_cpu_seconds
from tests.bench.peers import APP, ROOT
from tests.bench.turn import BenchError, Counting, command, follow
from tests.doubles.journal import JournalTail
from tests.doubles.ports import free_port
from tests.doubles.postgres import PostgresServer
from tests.doubles.process import Product, clean_environment, smtp_ready
from tests.doubles.sink import SinkProcess

PILLARBOX = (sys.executable, "-m", "pillarbox")
_LOG_TAIL_CHARACTERS = 3000
_SECRET_KEY_BYTES = 32


class ForgetfulSink(Counting, Protocol):
    """One that many messages are sent to."""

    port: int

    def forget(self) -> None:
        """Make what it wrote short again, where that is long."""


class SlowSink:
    """A sink that answers every final dot so many milliseconds later, as a context manager."""

    def __init__(self, place: Path, delay_ms: int) -> None:
        self._sink = SinkProcess(
            place / "slow-sink.jsonl", "--delay-ms", str(delay_ms), "--no-digests"
        )
        self._tail = JournalTail(self._sink.journal)
        self._count = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        await self._sink.start()
        self.port = self._sink.port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sink.__aexit__()

    def count(self) -> int:
        """Messages taken so far."""
        self._count += self._tail.count_new("taken")
        return self._count

    def forget(self) -> None:
        """Only what is new is read each time."""


class Node:
    """One process that takes mail in clear on `port`, and from logins on `starttls_port`."""

    def __init__(
        self, place: Path, name: str, database: str, secret_key: str, *settings: str
    ) -> None:
        """Without `database`, mail rests in its data directory. `settings` are KEY=VALUE."""
        self.name = name
        self.secret_key = secret_key
        self.data = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
        self.port, self.starttls_port = free_port(), free_port()
        self.env = {"PYTHONPATH": str(ROOT / "src"), "PILLARBOX_SECRET_KEY": secret_key}
        if database:
            self.env["PILLARBOX_DATABASE_URL"] = database
        self._product = Product(
            [
                *PILLARBOX, "serve", "--data-dir", str(self.data), "--node", name,
                "--set", f"smtp.local_ports={self.port}",
                "--set", f"smtp.local_credential={APP}",
                "--smtp-port", str(self.starttls_port),
                "--smtps-port", str(free_port()),
                "--bounce-port", str(free_port()),
                "--set", "smtp.listen=127.0.0.1",
                "--http-port", str(free_port()),
                *(f"--set={setting}" for setting in settings),
            ],
            output=place / f"{self.data.name}.log",
            ready=smtp_ready(self.port),
            env=self.env,
            cwd=place,
            ready_seconds=60.0,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        await self._product.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._product.stop)

    @property
    def pid(self) -> int:
        """The main process."""
        return self._product.pid

    def tell(self, *arguments: str) -> str:
        """Run a verb of the command line against it; what it printed."""
        done = subprocess.run(
            [*PILLARBOX, "--data-dir", str(self.data), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environment(self.env),
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise BenchError(f"pillarbox {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    @property
    def running(self) -> bool:
        """Whether the main process is."""
        return self._product.running

    def log(self) -> str:
        """All that it has logged."""
        return self._product.text()

    def log_tail(self) -> str:
        """The end of its log."""
        return self._product.text()[-_LOG_TAIL_CHARACTERS:]


def new_secret_key() -> str:
    """For all nodes of one store."""
    return os.urandom(_SECRET_KEY_BYTES).hex()


class Fleet:
    """Some nodes over one store that send to one sink, as a context manager."""

    def __init__(
        self,
        name: str,
        place: Path,
        sink: ForgetfulSink,
        *,
        nodes: int = 1,
        server: PostgresServer | None = None,
    ) -> None:
        """Over a new database of `server`; without one, over a file, and then it is one node."""
        self.name = name
        self.sink = sink
        self._server = server
        database = server.database(f"of_{name}") if server is not None else ""
        key = new_secret_key()
        self.nodes = [Node(place, f"{name}-{n}", database, key) for n in range(1, nodes + 1)]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for node in self.nodes:
                await self._stack.enter_async_context(node)
            await asyncio.to_thread(self._connect_sink)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _connect_sink(self) -> None:
        first = self.nodes[0]
        first.tell("app", "set", APP, "--mode", "live", "--yes")
        first.tell(
            "server", "add", "sink", "--app", APP, "--host", "127.0.0.1",
            "--port", str(self.sink.port), "--encryption", "none",
        )  # fmt: skip

    def node_cpu_seconds(self) -> float:
        """Of all nodes together."""
        return sum(tree_cpu_seconds(node.pid) for node in self.nodes)

    def server_cpu_seconds(self) -> float:
        """Of all processes of the server, those that ended included; 0 where there is none."""
        return 0.0 if self._server is None else tree_cpu_seconds(postmaster(self._server))

    def rest(self) -> None:
        """Wait until everything that the last messages caused is done."""
        for node in self.nodes:
            rest(node.pid)
        if self._server is not None:
            rest(postmaster(self._server))

    def waiting(self) -> int:
        """Deliveries not settled, as `pillarbox status` counts them."""
        queue: dict[str, Any] = json.loads(self.nodes[0].tell("status", "--json"))["queue"]
        return int(queue["waiting"] + queue["active"])

    def log_tail(self) -> str:
        """The ends of all logs."""
        return "\n".join(node.log_tail() for node in self.nodes)


def postmaster(server: PostgresServer) -> int:
    """The process below which all of the server's are."""
    return int((server.folder / "data" / "postmaster.pid").read_text().split(None, 1)[0])


@dataclass(frozen=True, slots=True)
class Trip:
    """What came of some messages that were handed to all nodes at once."""

    count: int
    seconds: float
    """Until the sink had the last one."""
    accepted_seconds: float
    """Until every smtp-source had read its last reply."""
    node_cpu_seconds: float
    """Of the nodes, until they came to rest."""
    server_cpu_seconds: float
    """Of the server, likewise."""

    @property
    def per_second(self) -> float:
        """Messages a second, end to end."""
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU for one message, in microseconds."""
        return (self.node_cpu_seconds + self.server_cpu_seconds) / self.count * 1e6

    @property
    def server_cpu_us(self) -> float:
        """The server's part of it."""
        return self.server_cpu_seconds / self.count * 1e6


def take_trip(fleet: Fleet, mail: Mail, count: int, sessions: int) -> Trip:
    """Hand `count` messages over in equal shares, and wait until the sink has them all.

    Raises `BenchError` when anything stops, or the sink counts more or less than that.
    """
    # What earlier trips left to be written would be paid for by this one.
    os.sync()
    fleet.sink.forget()
    counted = fleet.sink.count()
    nodes, server = fleet.node_cpu_seconds(), fleet.server_cpu_seconds()
    began = time.perf_counter()
    accepted, ended = _drive(fleet, mail, counted, count, sessions, began)
    fleet.rest()
    took = fleet.sink.count() - counted
    if took != count:
        raise BenchError(f"{fleet.name}: {count} handed over, the sink has {took}")
    return Trip(
        count,
        ended,
        accepted,
        fleet.node_cpu_seconds() - nodes,
        fleet.server_cpu_seconds() - server,
    )


def shares(count: int, parts: int) -> list[int]:
    """Equal but for one."""
    return [count // parts + (number < count % parts) for number in range(parts)]


def _drive(
    fleet: Fleet, mail: Mail, counted: int, count: int, sessions: int, began: float
) -> tuple[float, float]:
    """Seconds until all was accepted, and until all had arrived."""
    sources = [
        subprocess.Popen(
            [
                command("smtp-source"), "-s", str(min(sessions, share)), "-m", str(share), "-d",
                "-f", AUTHOR, "-t", RECIPIENT, "-F", str(mail.path), f"127.0.0.1:{node.port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for node, share in zip(fleet.nodes, shares(count, len(fleet.nodes)), strict=True)
    ]  # fmt: skip
    return follow(
        sources, fleet.sink, counted, count, began,
        lambda words: BenchError(f"{fleet.name}: {words}\n{fleet.log_tail()}"),
    )  # fmt: skip
