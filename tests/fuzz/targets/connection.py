"""any bytes on a connection to the program as it is wired: driver, submission, door and a store

Only the socket is missing. Behind the port stand the rooms that `pillarbox up` would start, over a
SQLite of their own; a script of marks makes the store fail. What the handler answered is told to the
reference session, which then knows every octet that had to be said; and what was answered 250 is read
back from the store.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from pillarbox.net import smtp_server
from pillarbox.net.budget import ContentBudget
from pillarbox.net.interface import Answer, Peer, SessionHandler
from pillarbox.net.port_terms import PortTerms
from pillarbox.net.sessions import Sessions
from pillarbox.net.smtp_ports import PlannedPort, PortKind, Purpose, SmtpConfig
from pillarbox.observe.log import LogConfig, configure
from pillarbox.observe.news import News
from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import Mode
from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    MailReceived,
    Misbehaved,
    RecipientReceived,
    ServerEvent,
    SessionEnded,
    TlsWanted,
)
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import Reply
from pillarbox.services.submission.authenticate import hash_secret
from pillarbox.storage.interface.errors import StorageFull, StorageTrouble
from pillarbox.terms.ids import MessageId, new_object_id
from pillarbox.terms.secret import Secret
from pillarbox.wiring.first_run import begin
from pillarbox.wiring.house import House, build
from tests.fix_house import settings_at
from tests.fuzz import promises
from tests.fuzz.reference import Reference
from tests.fuzz.scripted import LATER, NEVER, OWING, Script
from tests.fuzz.still import Line, StillLoop, any_context
from tests.fuzz.targets import Target
from tests.fuzz.targets.session import cut
from tests.fuzz.words import COMMANDS, LINE_ENDS, PARAMETERS, VERBS, conversations
from tests.pair.answering import PASSWORD, USERNAME

_MAIL, _BOUNCES = Purpose.SUBMISSION, Purpose.BOUNCES
PORTS = tuple(
    PlannedPort(kind, frozenset(purposes), "127.0.0.1", 0)
    for kind, *purposes in (
        (PortKind.STARTTLS, _MAIL),
        (PortKind.LOCAL, _MAIL),
        (PortKind.TLS, _MAIL),
        (PortKind.STARTTLS, _BOUNCES),
        (PortKind.TLS, _MAIL, _BOUNCES),
    )
)
ENDINGS = ("hangs up", "breaks", "falls asleep", "is asked to leave", "is cut off", "stays")
INPUTS_OF_A_STORE = 2000
"""Then it begins anew, so that hours of fuzzing do not fill a disk."""
SIZES = {"_BITE_BYTES": 48, "_MAX_BUFFERED": 128}
"""Of the driver, so that a short input is more than one bite, and more than may be sent ahead."""
_TURNS = 400
_READY = replies.READY_FOR_TLS.encode()
_SPOKEN = replies.SPOKE_BEFORE_TLS.encode()
_SPOKE = Misbehaved("", replies.SPOKE_BEFORE_TLS)
_ID = re.compile(rb"(queued as|\(ref) [\w-]+")


def run(data: bytes) -> None:
    """First line: port and ending, then marks; the rest is what the client says."""
    head, _, stream = data.partition(b"\n")
    choice, marks = ((head[0] - 48) % 256, head[1:]) if head else (0, b"")
    rooms = _rooms()
    rooms.loop.run_until_complete(_check(rooms, choice, marks, stream))


async def _check(rooms: Rooms, choice: int, marks: bytes, stream: bytes) -> None:
    port = PORTS[choice % len(PORTS)]
    ending = ENDINGS[choice // len(PORTS) % len(ENDINGS)]
    slow, starved = choice & 64, choice & 128
    if starved:
        visit = Visit(rooms, port, marks, room=40 if slow else 0, starved=True)
        await visit.play([stream], len(stream), ending)
        visit.took_nothing()
        return
    octets = await Visit(rooms, port, marks).play([stream], 1, ending)
    pieces = cut(stream, octets.handshakes)
    whole = await Visit(rooms, port, marks, room=40 if slow else 0).play(
        pieces, len(stream), ending
    )
    # By this octet a handshake is known where it begins a portion: octet by octet it always does, so
    # that stay may have ended early, and does not say where the other one has to wait for TLS.
    unlike = b"\x16" in stream
    if not unlike:
        assert _readable(octets.line.out) == _readable(whole.line.out)
    octets.agrees()
    whole.agrees(hasty=unlike)
    await whole.is_kept()
    if len(pieces) > 1:
        hasty = await Visit(rooms, port, marks).play([stream], len(stream), ending)
        hasty.agrees(hasty=True)


def _readable(said: bytearray) -> bytes:
    return _ID.sub(rb"\1 ...", bytes(said))


# --- the rooms ----------------------------------------------------------------------------------


@dataclass
class Rooms:
    """A house without sockets, and what went wrong in it."""

    loop: StillLoop
    folder: tempfile.TemporaryDirectory[str]
    house: House
    log: TextIO
    before: dict[str, int]
    """Sizes of the driver, as they are outside of here."""
    handlers: tuple[list[logging.Handler], int]
    failures: list[str] = field(default_factory=list)
    script: Script = field(default_factory=Script)
    uploads: dict[MessageId, bytes] = field(default_factory=dict)
    accepted: list[MessageId] = field(default_factory=list)
    visits: int = 0
    inputs: int = 0

    def terms(self, port: PlannedPort) -> PortTerms:
        """What holds on a port, as it is wired, but for sizes that a short input can reach."""
        terms = self.house.listener._terms(port, 2525)
        small = replace(
            terms.limits, max_message_bytes=300, max_recipients=3, block_bytes=64,
            max_command_bytes=100, max_errors=6,
        )  # fmt: skip
        return replace(terms, limits=small, sessions=Sessions(10, 10), tls=any_context)


class _Heard(logging.Handler):
    """The driver survives a handler that raises, and says so in the log: that is a failure here."""

    def __init__(self, failures: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        self._failures.append(self.format(record))


_opened: list[Rooms] = []


def _rooms() -> Rooms:
    """Those that are open; new ones where these have had their share."""
    if _opened and _opened[0].inputs >= INPUTS_OF_A_STORE:
        close()
    if not _opened:
        loop = StillLoop()
        asyncio.set_event_loop(loop)
        _opened.append(loop.run_until_complete(_open(loop)))
    _opened[0].inputs += 1
    return _opened[0]


def close() -> None:
    """Let go of what is open, and leave everything as it was."""
    while _opened:
        rooms = _opened.pop()
        rooms.loop.run_until_complete(rooms.house.storage.close())
        rooms.loop.run_until_complete(rooms.loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        rooms.loop.close()
        rooms.folder.cleanup()
        rooms.log.close()
        for name, value in rooms.before.items():
            setattr(smtp_server, name, value)
        root = logging.getLogger()
        root.handlers, level = rooms.handlers
        root.setLevel(level)


async def _open(loop: StillLoop) -> Rooms:
    root = logging.getLogger()
    handlers = list(root.handlers), root.level
    log = open(os.devnull, "w", encoding="utf-8")
    configure(log, LogConfig(form="json"))
    before = {name: getattr(smtp_server, name) for name in SIZES}
    for name, value in SIZES.items():
        setattr(smtp_server, name, value)
    folder = tempfile.TemporaryDirectory(prefix="pillarbox-fuzz-")
    smtp = SmtpConfig(max_sessions_per_login=0, max_arrivals_per_minute=0)
    settings = settings_at(Path(folder.name) / "data", smtp=smtp)
    house = await build(settings, on_broken=_broken, news=News())
    directory, queue = house.storage.directory, house.storage.queue
    await begin(directory, house.clock.now_ms())
    (app,) = await directory.apps()
    await directory.save_app(replace(app, mode=Mode.LIVE))
    await directory.save_credential(
        Credential(new_object_id(), app.id, "fuzzed", USERNAME, hash_secret(Secret(PASSWORD)))
    )
    house.gate.look(await house.storage.health())
    rooms = Rooms(loop, folder, house, log, before, handlers)
    logging.getLogger().addHandler(_Heard(rooms.failures))
    loop.set_exception_handler(lambda _, context: rooms.failures.append(str(context)))
    _make_it_fail(rooms, queue, directory)
    return rooms


def _broken(error: Exception) -> None:
    raise AssertionError(f"the store broke: {error}")


def _make_it_fail(rooms: Rooms, queue: Any, directory: Any) -> None:
    """Where the script says so; where it does not, everything is as it is."""
    accept_soon, store_block = queue.accept_soon, queue.store_block
    drop_blocks, find = queue.drop_blocks, directory.credential_with_username

    def trouble() -> StorageTrouble | None:
        kind = {LATER: StorageTrouble, NEVER: StorageFull}.get(rooms.script.take())
        return kind() if kind is not None else None

    def accept(acceptance: Any, told: Callable[[int, BaseException | None], None]) -> None:
        error = trouble()

        def heard(event: int, why: BaseException | None) -> None:
            if why is None:
                rooms.accepted.append(acceptance.message.id)
                rooms.uploads.pop(acceptance.message.id, None)
            told(event, why)

        if error is None:
            accept_soon(acceptance, heard)
        else:
            rooms.loop.call_soon(told, 0, error)

    async def store(message: MessageId, number: int, body: bytes) -> None:
        error = trouble()
        if error is not None:
            raise error
        rooms.uploads[message] = rooms.uploads.get(message, b"") + body
        await store_block(message, number, body)

    async def drop(message: MessageId) -> None:
        rooms.uploads.pop(message, None)
        await drop_blocks(message)

    async def credential(username: str) -> Any:
        error = trouble()
        if error is not None:
            raise error
        return await find(username)

    queue.accept_soon, queue.store_block, queue.drop_blocks = accept, store, drop
    directory.credential_with_username = credential


# --- one client -----------------------------------------------------------------------------------


class Recorder:
    """The real handler, and what it was asked and answered."""

    def __init__(self, inner: SessionHandler) -> None:
        self.told: list[ServerEvent] = []
        self.answers: dict[int, Reply | None] = {}
        self.closings: list[str] = []
        self._inner = inner

    def opened(self, peer: Peer) -> Reply:
        return self._inner.opened(peer)

    def secured(self, peer: Peer) -> None:
        assert peer.tls
        self._inner.secured(peer)

    def handle(self, event: ServerEvent) -> Answer:
        assert not self.closings
        at = len(self.told)
        self.told.append(event)
        answer = self._inner.handle(event)
        if isinstance(answer, Awaitable):
            return self._recorded(at, answer)
        if isinstance(event, OWING):
            self.answers[at] = answer
        return answer

    async def _recorded(self, at: int, answer: Awaitable[Reply | None]) -> Reply | None:
        reply = self.answers[at] = await answer
        return reply

    def closed(self, reason: str) -> None:
        self.closings.append(reason)
        self._inner.closed(reason)


class Visit:
    """A client's stay, from the first octet to the end of the connection."""

    def __init__(
        self, rooms: Rooms, port: PlannedPort, marks: bytes, *, room: int = 0, starved: bool = False
    ) -> None:
        """`room` is how much a slow client lets wait; one that is `starved` finds no memory left."""
        self.rooms = rooms
        self.handshakes: list[int] = []
        terms = rooms.terms(port)
        if starved:
            terms = replace(terms, budget=ContentBudget(0))
        rooms.script = self._script = Script(marks)
        rooms.visits += 1
        number = rooms.visits
        self.recorder = Recorder(terms.make_handler())
        self._terms = replace(terms, make_handler=lambda: self.recorder)
        self.protocol = smtp_server.SmtpServerProtocol(self._terms)
        # An address of its own, so that failed logins of the one do not slow down the next.
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.line = Line(
            rooms.loop, self.protocol, address, tls=port.kind is PortKind.TLS,
            shakes_hands=self._shakes_hands, room=room,
        )  # fmt: skip
        self._heard = 0
        self.spoken: list[tuple[str, bytes]] = []
        """What was done to the session, for the reference."""

    def _shakes_hands(self) -> bool:
        self.handshakes.append(self._heard)
        return self._script.secures()

    async def play(self, pieces: list[bytes], size: int, ending: str) -> Visit:
        """All of it."""
        protocol, line = self.protocol, self.line
        began = len(self.rooms.accepted)
        protocol.connection_made(line)
        for piece in pieces:
            for at in range(0, len(piece), max(size, 1)):
                await self._until_it_listens()
                if line.is_closing():
                    break
                portion = piece[at : at + size]
                self._heard += len(portion)
                self.spoken.append(("says", portion))
                protocol.data_received(portion)
            await self._until_it_listens()
        await self._end(ending)
        self.accepted = self.rooms.accepted[began:]
        return self

    async def _until_it_listens(self) -> None:
        """As a socket would: nothing is delivered while reading is paused."""
        for _ in range(_TURNS):
            owed = self.protocol._owed
            if owed is not None:
                await asyncio.wait([owed[0]])
                await asyncio.sleep(0)
            elif self.line.catch_up() or not self.line.reading or self.protocol._handshake:
                await asyncio.sleep(0)
            else:
                break
            if self.line.lost:
                break
        else:
            raise AssertionError(f"it never reads again; {self.rooms.failures}")

    async def _end(self, ending: str) -> None:
        protocol, line, loop = self.protocol, self.line, self.rooms.loop
        await self._turns(2)
        await self._until_it_listens()
        if not line.is_closing():
            self.spoken.append((ending, b""))
            if ending == "hangs up":
                stays_open = protocol.eof_received()
                if not stays_open:
                    line.close()
            elif ending == "breaks":
                line.lose(ConnectionResetError("reset"))
            elif ending == "falls asleep":
                loop.now += 4000
            elif ending == "is asked to leave":
                protocol.ask_to_leave()
            elif ending == "is cut off":
                protocol.abort()
        await self._turns(6)
        await self._until_it_listens()
        await self._turns(3)
        if not line.lost:
            self.spoken.append(("leaves", b""))
            line.lose(None)
        for _ in range(_TURNS):
            if self.recorder.closings and not len(self._terms.sessions):
                break
            await self._until_it_listens()
            await asyncio.sleep(0)
        await self._turns(3)

    async def _turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    # --- what must hold -----------------------------------------------------------------------

    def agrees(self, *, hasty: bool = False) -> None:
        """What was said is what the reference says, given what the handler answered.

        Where the client is `hasty`, and did not wait for TLS, there are two lawful refusals: where
        STARTTLS stood at the end of a bite, the session takes what follows for the handshake.
        """
        recorder = self.recorder
        self._is_over()
        said = promises.codes(bytes(self.line.out))
        assert said[0] == "220"
        owing = [at for at, event in enumerate(recorder.told) if isinstance(event, OWING)]
        left = deque(at for at in owing if at in recorder.answers)

        def answer(event: ServerEvent) -> Reply | None:
            if not left:
                raise _Silence
            at = left.popleft()
            assert recorder.told[at] == event
            return recorder.answers[at]

        reference = Reference(self._limits, self._terms.hostname, answer)
        self._replay(reference)
        expected = b"".join([reply.encode() for reply in reference.said])
        out = bytes(self.line.out)
        told = reference.events
        if hasty and out.endswith(_READY) and expected.endswith(_SPOKEN):
            expected = expected.removesuffix(_SPOKEN) + _READY
            told = [event for event in told if event != _SPOKE]
        assert out == expected or (self._cut_short and expected.startswith(out)), (
            f"{out[-300:]!r}, and not {expected[-300:]!r}"
        )
        told = [event for event in told if not isinstance(event, TlsWanted | SessionEnded)]
        assert promises.compared(recorder.told) == promises.compared(told[: len(recorder.told)])
        assert len(recorder.told) == len(told) or self._cut_short

    def took_nothing(self) -> None:
        """Where there is no memory for content, it is refused, and nothing of it is left.

        A message without an octet (``BDAT 0 LAST``) takes no memory, and is taken.
        """
        self._is_over()
        promises.codes(bytes(self.line.out))
        got = [event for event in self.recorder.told if isinstance(event, ContentReceived)]
        assert not any(event.data for event in got)
        assert len(self.accepted) <= len(got)
        assert not self.rooms.uploads

    def _is_over(self) -> None:
        """All that was held is let go of, and nobody failed."""
        assert not self.rooms.failures, self.rooms.failures.pop()
        assert len(self.recorder.closings) == 1, "the handler hears of the end exactly once"
        assert not len(self._terms.sessions), "a connection that is gone is not counted"
        assert not self._terms.budget.reserved_bytes, "memory that nobody uses is kept"

    @property
    def _limits(self) -> ServerLimits:
        return self._terms.limits

    @property
    def _cut_short(self) -> bool:
        """Whether the connection broke before all was said."""
        return self.spoken[-1][0] in ("breaks", "is cut off")

    def _replay(self, reference: Reference) -> None:
        shaken = iter(self.handshakes)
        secured = len(self.handshakes) - (not self.line.tls and bool(self.handshakes))
        for what, portion in self.spoken:
            try:
                if what == "says" and self._begins_tls(reference, portion):
                    reference.shut(self._terms.mistaken)
                elif what == "says":
                    reference.hear(portion)
                elif what == "hangs up":
                    reference.hang_up()
                elif what == "falls asleep":
                    reference.shut(replies.IDLE)
                elif what == "is asked to leave" and not reference.transaction:
                    reference.shut(replies.SHUTTING_DOWN)
            except _Silence:
                return
            if reference.where == "handshake" and next(shaken, None) is not None and secured:
                reference.secured()

    @staticmethod
    def _begins_tls(reference: Reference, portion: bytes) -> bool:
        between = reference.where == "command" and reference.chunks is None and not reference.line
        return between and not reference.tls and portion[:2] in (b"\x16", b"\x16\x03")

    async def is_kept(self) -> None:
        """Every 250 to content is a message in the store, with the right people and bytes."""
        told, answers = self.recorder.told, self.recorder.answers
        storage = self.rooms.house.storage
        kept = iter(self.accepted)
        mail, recipients, content = MailReceived(""), list[str](), b""
        for at, event in enumerate(told):
            reply = answers.get(at)
            match event:
                case MailReceived():
                    mail, recipients, content = event, [], b""
                case RecipientReceived() if reply is not None and reply.severity == 2:
                    recipients.append(event.address)
                case ContentReceived():
                    content += event.data
                    if not event.last or reply is None or reply.severity != 2:
                        continue
                    message = next(kept)
                    stored = await storage.messages.get(message)
                    rows = await storage.messages.deliveries(message)
                    body = b"".join([block async for block in storage.messages.blocks(message)])
                    assert stored.return_path == mail.return_path
                    assert [row.recipient for row in rows] == recipients
                    assert stored.size == len(body)
                    assert body.endswith(content.partition(b"\r\n\r\n")[2])
                    assert reply.text.split()[-1].encode() in bytes(self.line.out)
                case _:
                    pass
        assert not list(kept) or self._cut_short, "taken, and nobody was told"
        assert not self.rooms.uploads, "blocks lie in the store that belong to nobody"


class _Silence(Exception):
    """The handler's answer never came, because the connection was gone."""


def seeds() -> Iterator[bytes]:
    """Every dialogue, on the port it is about."""
    for port, said in conversations(1200):
        yield (b"0" if port == "starttls" else b"1") + b"\n" + said
    hello, login, quits = COMMANDS[0], COMMANDS[3], COMMANDS[13]
    envelope = COMMANDS[7] + COMMANDS[9] + COMMANDS[10]
    short = b"Subject: x\r\n\r\nhello\r\n.\r\n"
    long = b"From: a@example.com\r\n\r\n" + b"0123456789\r\n" * 16 + b"\r\n.\r\n"
    for ending in range(len(ENDINGS)):
        head = bytes([48 + ending * len(PORTS)])
        yield head + b"\n" + hello + COMMANDS[2] + hello + login + envelope + short + quits
        head = bytes([49 + ending * len(PORTS)])
        yield head + b"\n" + hello + login + envelope + short + envelope + long + envelope
        chunks = b"BDAT 70\r\n" + b"x" * 68 + b"\r\n" + b"BDAT 60 LAST\r\n" + b"y" * 60
        yield head + b"\n" + hello + login + COMMANDS[7] + COMMANDS[9] + chunks + quits
        yield head + b"000405\n" + hello + login + (envelope + long) * 2
        head = bytes([50 + ending * len(PORTS)])
        yield head + b"\n" + hello + login + envelope + long + envelope + short
        head = bytes([51 + ending * len(PORTS)])
        yield head + b"\n" + hello + envelope + COMMANDS[2] + hello + envelope + login + quits
        yield (
            bytes([128 + 49 + ending * len(PORTS)]) + b"\n" + hello + login + (envelope + long) * 2
        )
        head = bytes([52 + ending * len(PORTS)])
        yield head + b"\n" + hello + envelope + b"RSET\r\n" + login + envelope + long + quits
        yield head + b"\n" + hello + COMMANDS[4] + b"*\r\n" + COMMANDS[5] + envelope


TARGET = Target(run, seeds, (*COMMANDS, *VERBS, *LINE_ENDS, *PARAMETERS), 2000)
