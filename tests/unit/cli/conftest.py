"""a Pillarbox to talk to without a running server, and a person at the terminal"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pillarbox.cli import call
from pillarbox.cli.client import Client, Where
from pillarbox.cli.main import run
from pillarbox.cli.offline import OfflineTransport, offline_client
from pillarbox.cli.output import Screen
from pillarbox.net.http_client import Answer
from pillarbox.observe.news import News
from pillarbox.settings import Settings, load
from pillarbox.wiring.first_run import begin
from pillarbox.wiring.house import build

Do = Callable[..., "Done"]


class Done:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, so that nobody's settings are read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def house(directory: Path) -> Iterator[OfflineTransport]:
    """A data directory as after its first start, opened: an app in the sandbox, a login, a key."""
    settings = load(Where(data_dir=str(directory / "pillarbox-data")).sources())
    begun(settings)
    with offline_client(settings) as transport:
        yield transport


def begun(settings: Settings) -> None:
    """A first start, as far as the data is concerned."""

    async def start() -> None:
        built = await build(settings, on_broken=lambda broken: None, news=News())
        await begin(built.storage.directory, built.clock.now_ms())
        await built.storage.close()

    asyncio.run(start())


class Canned:
    """A Pillarbox that gives one answer, whatever it is asked, and remembers what it was asked."""

    def __init__(self, document: object) -> None:
        self.document = document
        self.asked: list[tuple[str, str, object]] = []

    def request(self, method: str, path: str, document: object = None, **_: object) -> Answer:
        self.asked.append((method, path, document))
        return Answer(200, {}, json.dumps(self.document).encode())


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, do: Do) -> Callable[[object], Canned]:
    """Speak to one that gives this answer instead of the house."""

    def begin(document: object) -> Canned:
        canned = Canned(document)

        @contextmanager
        def connected(where: Where) -> Iterator[Client]:
            yield Client(canned)

        monkeypatch.setattr(call, "connected", connected)
        return canned

    return begin


@pytest.fixture
def do(
    house: OfflineTransport,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Do:
    """Run a command against the house: ``do("app", "list")``."""

    @contextmanager
    def connected(where: Where) -> Iterator[Client]:
        yield Client(house)

    monkeypatch.setattr(call, "connected", connected)

    def doing(*arguments: str, said: str | None = None) -> Done:
        if said is not None:
            monkeypatch.setattr(Screen, "may_ask", True)
            monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        code = run(arguments)
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return doing
