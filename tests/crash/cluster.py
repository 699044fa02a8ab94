"""several Pillarboxes on one PostgreSQL, as their operator has them

::

    with Cluster(folder, ("one", "two", "three")) as cluster:
        await cluster.start()                   # all at once: one of them begins the database
        await cluster.go_live(sink.port)
        cluster.nodes["two"].kill()
        await cluster.restart_database("immediate")
        await cluster.rest()
        await cluster.stop()

Each node is a process with a data directory of its own. The database runs as it does in life, with
fsync, on a socket that it takes away when it stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from tests.crash.cluster_ledger import ClusterLedger, look_at, say
from tests.crash.relay import APP, QUICK, SERVER, Relay
from tests.doubles.postgres import PostgresServer
from tests.doubles.process import ProgramError

T = TypeVar("T")

SECRET_KEY: Final = "5c" * 32
_DATABASE: Final = "ledger"
_LOOK_SECONDS: Final = 0.2
_STARTED: Final = '{"word": "started"'
_OF_NODES: Final = "application_name = 'pillarbox'"


class Node(Relay):
    """One of them. `start` returns when it says that it is ready."""

    def __init__(
        self,
        name: str,
        folder: Path,
        database: str,
        settings: Mapping[str, str],
        *,
        before: Sequence[str] = (),
    ) -> None:
        """Everything of it lies in `folder`; `before` is put before its command."""
        self.name = name
        self.hostname = f"{name}.test"

        def of_a_cluster(command: Sequence[str]) -> list[str]:
            return [*before, *command, "--database", database, "--node", name]

        folder.mkdir(exist_ok=True)
        super().__init__(
            folder / "data", folder / "node.log", {**settings, "hostname": self.hostname},
            wrap=of_a_cluster,
        )  # fmt: skip
        self.env["PILLARBOX_SECRET_KEY"] = SECRET_KEY

    @property
    def lives(self) -> int:
        """How often it was ready since it was last started: again after it lost its place."""
        return self.text().count(_STARTED)

    @property
    def began_the_database(self) -> bool:
        """Whether the secrets of the first start are with this one."""
        return (self.data_dir / "first-run.txt").exists()


class Cluster:
    """The nodes by name, and their database."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Mapping[str, str]],
        *,
        host: str = "",
        before: Callable[[str], Sequence[str]] | None = None,
        trusted: str = "",
    ) -> None:
        """`settings` for each node by its name, beside those that make it quick.

        With `host`, the database is asked by TCP there, by whoever is in `trusted`; `before` gives
        what is put before the command of a node, and of the database where its name is ``""``. The
        path of `folder` must be short, and others must be able to enter it.
        """
        prefix = before or (lambda name: ())
        self.server = PostgresServer(
            folder / "pg", fsync=True, before=prefix(""), trusted=trusted, listen_addresses=host,
        )  # fmt: skip
        self.url = f"postgresql://postgres@/{_DATABASE}?host={self.server.folder}"
        """For whoever looks from outside."""
        self._server_url = f"postgresql://postgres@/postgres?host={self.server.folder}"
        reached = f"postgresql://postgres@{host}/{_DATABASE}" if host else self.url
        self.nodes = {
            name: Node(name, folder / name, reached, {**QUICK, **more}, before=prefix(name))
            for name, more in settings.items()
        }

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.server.database(_DATABASE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self.nodes.values():
            node.kill()
        # Where something went wrong already, that the database was away is not the news.
        with suppress(*([RuntimeError] if error is not None else [])):
            self.server.__exit__(kind, error, trace)

    # --- the nodes ----------------------------------------------------------------------------

    async def start(self) -> None:
        """All of them at the same moment, on an empty database."""
        await asyncio.gather(*(node.start() for node in self.nodes.values()))

    async def stop(self) -> dict[str, int | None]:
        """SIGTERM to all of them; their exit statuses."""
        done = [asyncio.to_thread(node.stop, seconds=40.0) for node in self.nodes.values()]
        return dict(zip(self.nodes, await asyncio.gather(*done), strict=True))

    @property
    def first(self) -> Node:
        """The one that began the database."""
        return next(node for node in self.nodes.values() if node.began_the_database)

    async def go_live(self, port: int, *, host: str = "127.0.0.1", connections: int = 20) -> None:
        """Real delivery to a server, from every node; returns when all of them know."""
        first = self.first
        await first.ask(
            "server", "add", SERVER, "--host", host, "--port", str(port), "--encryption", "none",
            "--max-connections", str(connections),
        )  # fmt: skip
        await first.ask("app", "set", APP, "--mode", "live", "--yes")
        for node in self.nodes.values():
            deadline = time.monotonic() + node.ready_seconds
            while (await node.ask("app", "show", APP))["mode"] != "live":
                if time.monotonic() > deadline:
                    raise ProgramError(f"{node.name} does not hear what the others were told")

    # --- the database -------------------------------------------------------------------------

    async def ask(self, question: Callable[[ClusterLedger], T]) -> T:
        """Look at the database, in a thread."""

        def answer() -> T:
            with look_at(self.url) as ledger:
                return question(ledger)

        return await asyncio.to_thread(answer)

    async def until(
        self, condition: Callable[[ClusterLedger], bool], what: str, *, seconds: float = 20.0
    ) -> float:
        """Until that holds of the database; the seconds it took."""
        began = time.monotonic()
        while not await self.ask(condition):
            if time.monotonic() - began > seconds:
                told = await self.ask(lambda ledger: ledger.standing())
                raise ProgramError(f"not within {seconds:g} s: {what}\n{told}")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic() - began

    async def rest(self, *, seconds: float = 60.0) -> float:
        """Until nothing waits, nothing is owed and nothing may be leaving."""
        return await self.until(lambda ledger: not ledger.waiting(), "at rest", seconds=seconds)

    async def stop_database(self, mode: str) -> None:
        """``fast`` or ``immediate``."""
        await asyncio.to_thread(self.server.stop, mode)

    async def start_database(self) -> None:
        """On the files it left."""
        await asyncio.to_thread(self.server.start)

    async def cut_sessions(self) -> int:
        """End every session of every node; how many there were."""
        rows = await asyncio.to_thread(
            say, self._server_url,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OF_NODES}",
        )  # fmt: skip
        return len(rows)

    async def read_only(self, *, on: bool) -> None:
        """For sessions that begin from now on; sessions that were there before are ended."""
        change = "SET default_transaction_read_only = on" if on else "RESET ALL"
        await asyncio.to_thread(say, self._server_url, f"ALTER DATABASE {_DATABASE} {change}")
        if on:
            await self.cut_sessions()
