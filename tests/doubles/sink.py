"""a counting sink that survives its client and names what was in doubt

In a test's own loop::

    async with Sink(SinkSettings(delay_ms=20)) as sink:
        ...                                    # deliver to 127.0.0.1, sink.port
        await sink.until(lambda: len(sink.taken) == 100)

As a process of its own, so that neither side's trouble slows the other::

    python -m tests.doubles.sink --port 0 --log sink.jsonl

which prints ``ready PORT`` and runs until SIGTERM. `SinkProcess` starts it and reads its journal.

What is recorded
    Every fact is in the journal before the reply it belongs to is written. ``taken``: the final
    dot was answered (or is to be answered) 2xx; `id` is the value of X-Exp-Id, or of Subject where
    there is no such field. From that line on the message counts as delivered, whether or not the
    client lives to read the reply. `sha256` is over the body behind the blank line as it was
    before dot-stuffing. `bare` counts CR and LF that are not part of CRLF. `hello` is the name the
    client gave itself.

When a transaction is open
    A relay that records each reply before it goes on sends its next final dot (or QUIT) on the
    same connection only when the previous reply is recorded. Seen from here a transaction whose
    message was taken is therefore *open* from its final dot until the next final dot or QUIT on
    that connection; where its reply was never written, it stays open for ever. When a connection
    ends without QUIT, ``lost`` lists the transactions open on it: these, and no others, may
    lawfully come again. It is an upper bound: the client may have recorded the reply and died
    before it said more.

While it *holds* (SIGUSR1 until SIGUSR2, facts ``holding`` and ``going_on``) the answer to DATA is
kept back on every connection: content that comes afterwards was sent after it went on, and not
before.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import signal
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.doubles.journal import Fact, Journal, JournalTail, encode_fact, wall_ms
from tests.doubles.process import Program
from tests.doubles.sink_session import SinkSession


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """How the sink behaves; the defaults take everything at once."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    """Offer STARTTLS with this."""
    implicit_tls: bool = False
    username: str | None = None
    """Offer AUTH and accept only this login; with None nobody needs to log in."""
    password: str = ""
    delay_ms: float = 0
    """Answer a final dot so much later."""
    jitter_ms: float = 0
    """And up to so much more, drawn from `seed`."""
    seed: int = 1
    defer_share: float = 0.0
    """Share of messages whose first final dot is answered 451; chosen by id and `seed`."""
    lose_share: float = 0.0
    """Share of messages that are taken at first and then the connection is cut, unanswered."""
    defer_times: int = 1
    """How often each recipient ``defer-...`` is answered 451 before it is taken."""
    keep_content: bool = False
    """Keep the whole message in its fact, as `content` (not in the journal)."""
    digests: bool = True
    """Without, `sha256` and `bare` are left out: for load beyond what hashing allows."""


class Sink:
    """An SMTP server that takes all mail and remembers it."""

    def __init__(
        self, settings: SinkSettings | None = None, journal: Journal | None = None
    ) -> None:
        """Without a journal the facts are only in `facts`; with one, only in the journal."""
        self.settings = settings or SinkSettings()
        self.journal = journal
        self.port = self.settings.port
        self.facts: list[Fact] = []
        self.taken_count = 0
        self.sessions: set[SinkSession] = set()
        self.session_count = 0
        self.deferred_ids: set[str] = set()
        self.lost_ids: set[str] = set()
        self.deferrals: dict[str, int] = {}
        self.draw = random.Random(self.settings.seed)
        self.holding = False
        self._server: asyncio.Server | None = None
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Listen; `port` is known afterwards."""
        settings = self.settings
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SinkSession(self),
            settings.host,
            settings.port,
            ssl=settings.tls if settings.implicit_tls else None,
            backlog=512,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.record(encode_fact(self.fact("started", port=self.port)))

    async def stop(self) -> None:
        """Stop listening, record what is open on the connections still there, and cut them."""
        if self._server is not None:
            self._server.close()
            self._server = None
        opened = [entry for session in self.sessions for entry in session.open]
        self.record(encode_fact(self.fact("stopped", sessions=len(self.sessions), open=opened)))
        for session in list(self.sessions):
            session.abandon()
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def hold(self) -> None:
        """From now on DATA is not answered; content that was asked for before is taken."""
        self.holding = True
        self.record(encode_fact(self.fact("holding")))

    def go_on(self) -> None:
        """Answer it, everywhere."""
        self.holding = False
        self.record(encode_fact(self.fact("going_on")))
        for session in list(self.sessions):
            session.go_on()

    @property
    def taken(self) -> list[Fact]:
        """The messages taken, oldest first. Empty where a journal takes the facts."""
        return [fact for fact in self.facts if fact["event"] == "taken"]

    async def until(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
        """Wait until `condition()` holds; looked at after each fact. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def fact(self, event: str, **more: Any) -> Fact:
        """A fact of now; kept in memory where there is no journal."""
        fact: Fact = {"event": event, "at": wall_ms(), **more}
        if self.journal is None:
            self.facts.append(fact)
        return fact

    def record(self, lines: bytes) -> None:
        """Append encoded facts to the journal; with the kernel when this returns."""
        if self.journal is not None:
            self.journal.write_lines(lines)
        self._news.set()

    def share_hit(self, share: float, salt: str, identity: str) -> bool:
        """Whether this message belongs to a share; the same for every attempt of it."""
        if share <= 0:
            return False
        digest = hashlib.blake2b(
            f"{self.settings.seed}/{salt}/{identity}".encode(), digest_size=4
        ).digest()
        return int.from_bytes(digest) < share * 2**32


class SinkProcess(Program):
    """The sink as a process of its own, its journal in a file."""

    def __init__(self, journal: Path, *options: str) -> None:
        """`options` as on the command line; the port is chosen by the system unless given."""
        journal = journal.resolve()
        command = [sys.executable, "-m", "tests.doubles.sink", "--log", str(journal), *options]
        super().__init__(
            command,
            output=journal.with_suffix(".out"),
            ready=self._announced,
            cwd=Path(__file__).parents[2],
        )
        self.journal = journal
        self.port = 0
        self._tail = JournalTail(journal)
        self._facts: list[Fact] = []

    def _announced(self) -> bool:
        for line in self.text().splitlines():
            word, _, port = line.partition(" ")
            if word == "ready":
                self.port = int(port)
        return self.port > 0

    def facts(self) -> list[Fact]:
        """All facts recorded so far."""
        self._facts += self._tail.new_facts()
        return self._facts

    def hold(self) -> None:
        """See `Sink.hold`; it does so in a moment."""
        self.signal(signal.SIGUSR1)

    def go_on(self) -> None:
        """See `Sink.go_on`; it does so in a moment."""
        self.signal(signal.SIGUSR2)

    def taken(self) -> list[Fact]:
        """The messages taken so far."""
        return [fact for fact in self.facts() if fact["event"] == "taken"]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a counting SMTP sink", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: chosen by the system")
    parser.add_argument("--log", type=Path, required=True, metavar="FILE")
    parser.add_argument("--certificate", type=Path, metavar="PEM")
    parser.add_argument("--key", type=Path, metavar="PEM")
    parser.add_argument("--implicit-tls", action="store_true")
    parser.add_argument("--username")
    parser.add_argument("--password", default="")
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--jitter-ms", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defer-share", type=float, default=0)
    parser.add_argument("--lose-share", type=float, default=0)
    parser.add_argument("--defer-times", type=int, default=1)
    parser.add_argument("--no-digests", action="store_true")
    parser.add_argument("--loop", choices=("auto", "asyncio"), default="auto")
    parser.add_argument("--max-seconds", type=float, default=7200, help="then it ends by itself")
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> SinkSettings:
    tls = None
    if options.certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate, options.key)
    return SinkSettings(
        host=options.host,
        port=options.port,
        tls=tls,
        implicit_tls=options.implicit_tls,
        username=options.username,
        password=options.password,
        delay_ms=options.delay_ms,
        jitter_ms=options.jitter_ms,
        seed=options.seed,
        defer_share=options.defer_share,
        lose_share=options.lose_share,
        defer_times=options.defer_times,
        digests=not options.no_digests,
    )


async def _serve(options: argparse.Namespace) -> None:
    journal = Journal(options.log)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with Sink(_settings(options), journal) as sink:
        loop.add_signal_handler(signal.SIGUSR1, sink.hold)
        loop.add_signal_handler(signal.SIGUSR2, sink.go_on)
        sys.stdout.write(f"ready {sink.port}\n")
        sys.stdout.flush()
        try:
            await asyncio.wait_for(ended.wait(), options.max_seconds)
        except TimeoutError:
            sys.stdout.write("time is over\n")
    journal.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a sink until SIGTERM or until its time is over."""
    options = _parse(arguments)
    if options.loop == "auto":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            uvloop.run(_serve(options))
            return
    asyncio.run(_serve(options))


if __name__ == "__main__":
    main()
