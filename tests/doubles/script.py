"""what a misbehaving server is to do, stage by stage

A script is a list of rules. At each stage the first rule that fits and is not used up decides;
where none does, the server behaves well::

    gate = Gate()
    script = (
        Script()
        .on(Stage.RCPT, say(550, "5.1.1 nobody here"), recipient="bad@example.test")
        .on(Stage.RCPT, say(452, "4.5.3 enough"), nth=3)
        .on(Stage.DOT, drop(), times=1)                 # lost once, then right
        .on(Stage.MAIL, stall(gate), usual(), session=2)
        .on(Stage.QUIT, say(221, "bye"), drop(reset=True))
    )

Steps are done in their order. A stage whose steps write nothing (and do not drop) leaves the client
without an answer. What the bytes written begin with decides the state: ``250`` to MAIL opens a
transaction however wrong the rest of the reply is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """A moment at which the server decides what to do."""

    CONNECT = "connect"
    """The connection exists; nothing was said, no TLS yet. Default: go on."""
    BANNER = "banner"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    HANDSHAKE = "handshake"
    """Instead of the server's part of a TLS handshake. Default: shake hands."""
    PROMPT = "prompt"
    """A 334 of an AUTH exchange is due."""
    AUTH = "auth"
    """The credentials are complete; the verdict is due."""
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"
    """At least `at_bytes` of content came in. Default: read on."""
    DOT = "dot"
    RSET = "rset"
    NOOP = "noop"
    QUIT = "quit"
    OTHER = "other"


class Gate:
    """Where stalled connections wait until the test lets them go."""

    def __init__(self, *, max_seconds: float = 60.0) -> None:
        self.max_seconds = max_seconds
        self.waiting = 0
        """How many connections stand here now."""
        self.timed_out = False
        """Whether a connection left because nobody released it in time."""
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    async def reached(self, *, seconds: float = 10.0) -> None:
        """Wait until a connection has come to the gate. Raises TimeoutError."""
        await asyncio.wait_for(self._reached.wait(), seconds)

    def release(self) -> None:
        """Let everybody through, now and later."""
        self._released.set()

    async def pass_through(self) -> None:
        """Wait here: called by the server."""
        self.waiting += 1
        self._reached.set()
        try:
            await asyncio.wait_for(self._released.wait(), self.max_seconds)
        except TimeoutError:
            self.timed_out = True
        finally:
            self.waiting -= 1


@dataclass(frozen=True, slots=True)
class Write:
    """Send bytes as they are."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send bytes one by one, with a pause after each."""

    data: bytes
    pause_seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Wait at a gate; with `deaf` nothing more is read meanwhile, so the peer's writes block."""

    gate: Gate
    deaf: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """End the connection after what was written; with `reset` by RST, without by FIN.

    Under TLS neither sends a closing alert.
    """

    reset: bool = False


@dataclass(frozen=True, slots=True)
class Usual:
    """What the server would have done without a rule."""


Step = Write | Trickle | Stall | Drop | Usual


def format_reply(code: int, *lines: str) -> bytes:
    """A reply, multi-line where there is more than one line of text."""
    texts = lines or ("",)
    parts = [f"{code}-{text}\r\n" for text in texts[:-1]]
    parts.append(f"{code} {texts[-1]}\r\n")
    return "".join(parts).encode("utf-8", "surrogateescape")


def say(code: int, *lines: str) -> Write:
    """Answer with this reply."""
    return Write(format_reply(code, *lines))


def raw(data: bytes) -> Write:
    """Send exactly these bytes."""
    return Write(data)


def stall(gate: Gate, *, deaf: bool = False) -> Stall:
    """Wait until the test releases the gate."""
    return Stall(gate, deaf)


def drop(*, reset: bool = False) -> Drop:
    """End the connection here."""
    return Drop(reset)


def usual() -> Usual:
    """Then behave well."""
    return Usual()


def trickle(code: int, text: str, *, pause_seconds: float = 0.01) -> Trickle:
    """A right reply, byte by byte."""
    return Trickle(format_reply(code, text), pause_seconds)


def garbage(size: int = 300, *, seed: int = 1) -> Write:
    """Random bytes that are no reply, ended by CRLF so that a line reader sees them."""
    noise = random.Random(seed).randbytes(size).replace(b"\n", b"\0").replace(b"\r", b"\0")
    return Write(b"\xff" + noise + b"\r\n")


def long_line(code: int, size: int = 300_000) -> Write:
    """One reply whose only line has `size` bytes of text."""
    return Write(format_reply(code, "x" * size))


def many_lines(code: int, count: int = 10_000, *, ended: bool = True) -> Write:
    """A reply of `count` lines; not `ended`, the last one promises more that never comes."""
    reply = format_reply(code, *["and so on"] * count)
    return Write(reply if ended else reply + f"{code}-more\r\n".encode())


@dataclass(frozen=True, slots=True)
class Moment:
    """What a rule may look at."""

    stage: Stage
    session: int
    """The connection's number, from 1."""
    transaction: int = 0
    """The transaction's number on its connection, from 1."""
    nth: int = 0
    """At RCPT: the recipient's number in its transaction, from 1."""
    argument: str = ""
    """The command line without its end."""
    recipient: str = ""


@dataclass(slots=True)
class Rule:
    """When to do what; counts how often it did."""

    stage: Stage
    steps: tuple[Step, ...]
    times: int | None = None
    skip: int = 0
    session: int | None = None
    nth: int | None = None
    recipient: str | None = None
    when: Callable[[Moment], bool] | None = None
    at_bytes: int = 1
    met: int = 0
    """How often the rule fitted."""
    done: int = 0
    """How often it decided."""

    def takes(self, moment: Moment) -> bool:
        """Whether this rule decides; counts the passage if it fits."""
        if (
            self.stage is not moment.stage
            or (self.session is not None and self.session != moment.session)
            or (self.nth is not None and self.nth != moment.nth)
            or (self.recipient is not None and self.recipient != moment.recipient)
            or (self.times is not None and self.done >= self.times)
            or (self.when is not None and not self.when(moment))
        ):
            return False
        self.met += 1
        if self.met <= self.skip:
            return False
        self.done += 1
        return True


@dataclass(slots=True)
class Script:
    """An ordered list of rules, shared by all connections of a server."""

    rules: list[Rule] = field(default_factory=list)

    def on(
        self,
        stage: Stage,
        *steps: Step,
        times: int | None = None,
        skip: int = 0,
        session: int | None = None,
        nth: int | None = None,
        recipient: str | None = None,
        when: Callable[[Moment], bool] | None = None,
        at_bytes: int = 1,
    ) -> Script:
        """Add a rule and return the script.

        `times`: decides at most so often, then is used up. `skip`: lets so many fitting moments
        pass first. `session`, `nth`, `recipient`, `when`: only there. `at_bytes` is for CONTENT.
        """
        self.rules.append(Rule(stage, steps, times, skip, session, nth, recipient, when, at_bytes))
        return self

    def choose(self, moment: Moment) -> Rule | None:
        """The rule that decides at this moment, if any."""
        return next((rule for rule in self.rules if rule.takes(moment)), None)
