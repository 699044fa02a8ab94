"""an upstream and a Pillarbox that is set up, once for all tests of a module"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.relay import APP, IN_CLEAR, Relay, copy_data
from tests.doubles.journal import Fact
from tests.doubles.sink import SinkProcess


@dataclass(frozen=True, slots=True)
class Site:
    """An upstream that lives on, and the data directory every test begins with."""

    sink: SinkProcess
    begun: Path
    """It delivers to the sink; the login ``careful`` wants doubt to wait for a person."""

    def relay(self, folder: Path, crash: Mapping[str, str], **settings: str) -> Relay:
        """A Pillarbox of its own in `folder`, not started; `crash` is for its first start.

        Dots in names of settings are written as __.
        """
        data_dir = folder / "data"
        if not data_dir.exists():
            copy_data(self.begun, data_dir)
        more = {name.replace("__", "."): value for name, value in settings.items()}
        settings_of_all = {**IN_CLEAR, **more}
        return Relay(data_dir, folder / "relay.log", settings_of_all, at_first=crash)

    def facts(self, *identities: str) -> list[Fact]:
        """What the sink saw of these messages, and the connections on which one was open."""
        wanted = set(identities)
        refused = tuple(f"bad-{identity}@" for identity in identities)
        found = []
        for fact in self.sink.facts():
            if fact["event"] == "lost":
                opened = [entry for entry in fact["open"] if entry["id"] in wanted]
                if opened:
                    found.append({**fact, "open": opened})
            elif fact.get("id") in wanted or fact.get("recipient", "").startswith(refused):
                found.append(fact)
        return found

    @contextmanager
    def sink_stopped(self) -> Iterator[None]:
        """Meanwhile the upstream takes connections and says nothing."""
        self.sink.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.sink.signal(signal.SIGCONT)

    def taken(self, identity: str) -> int:
        """How many copies of a message the sink has taken."""
        return sum(fact["event"] == "taken" for fact in self.facts(identity))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An upstream, and a data directory that delivers to it."""
    folder = tmp_path_factory.mktemp("site")
    sink = SinkProcess(folder / "sink.jsonl")
    begun = folder / "begun"

    async def begin() -> None:
        await sink.start()
        async with Relay(begun, folder / "begun.log", IN_CLEAR) as relay:
            await relay.go_live(sink.port)
            await relay.ask("credential", "add", "careful", "--app", APP, "--uncertain", "hold")

    try:
        asyncio.run(begin())
        yield Site(sink, begun)
    finally:
        sink.stop()
