"""a server session whose events are answered as a script of marks says, and what came of it"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    LoginReceived,
    MailReceived,
    RecipientReceived,
    ServerEvent,
    SessionEnded,
    TlsWanted,
)
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.server import ServerSession
from tests.fuzz.reference import Reference
from tests.pair.answering import FORGED, HOSTNAME, UNKNOWN, UNWANTED

SMALL = ServerLimits(
    max_message_bytes=120,
    max_recipients=2,
    block_bytes=32,
    max_command_bytes=80,
    max_errors=12,
    auth="clear",
    mail_parameters=frozenset({"RET", "ENVID", "AUTH", "SMTPUTF8", "REQUIRETLS"}),
)
LIMITS = (
    SMALL,
    replace(SMALL, tls="starttls", require_tls=True, auth="tls", require_login=True),
    replace(SMALL, tls="active", require_tls=True, auth="tls", require_login=True),
    replace(SMALL, tls="starttls", require_login=True, max_errors=3, max_idle_commands=9),
    ServerLimits(
        max_message_bytes=4096, max_recipients=100, block_bytes=1024, auth="none", max_errors=10
    ),
    replace(SMALL, block_bytes=4, max_message_bytes=9, max_recipients=1, max_errors=100),
)
"""Small enough that a short input meets every limit; the last ones for what only they show."""

LATER, NEVER, GOODBYE = 4, 5, 6
_LATER = {LoginReceived: replies.LOGIN_UNAVAILABLE}
_NEVER = {
    LoginReceived: replies.LOGIN_REFUSED,
    MailReceived: FORGED,
    RecipientReceived: UNKNOWN,
    ContentReceived: UNWANTED,
}
_FINE = {
    LoginReceived: replies.LOGIN_OK,
    MailReceived: replies.RETURN_PATH_OK,
    RecipientReceived: replies.RECIPIENT_OK,
    ContentReceived: replies.accepted_message("msg_1"),
}
OWING = tuple(_FINE)


class Script:
    """One mark for each answer, the last three bits of an octet: 4 later, 5 never, 6 goodbye.

    All else, and the end of the script, is: fine.
    """

    def __init__(self, marks: Iterable[int] = b"") -> None:
        self._marks = deque(mark & 7 for mark in marks)

    def add(self, mark: int) -> None:
        """For the first event that has no mark yet."""
        self._marks.append(mark)

    def take(self) -> int:
        """The next mark."""
        return self._marks.popleft() if self._marks else 0

    def answer(self, event: ServerEvent) -> Reply | None:
        """The reply to an event that owes one; None for a block of content means: go on."""
        mark = self.take()
        if mark == GOODBYE:
            return replies.SHUTTING_DOWN
        if mark == LATER:
            return _LATER.get(type(event), replies.TRY_LATER)
        if mark == NEVER:
            return _NEVER[type(event)]
        if isinstance(event, ContentReceived) and not event.last:
            return None
        return _FINE[type(event)]

    def secures(self) -> bool:
        """Whether the client does the handshake it asked for; otherwise it talks on in clear."""
        return self.take() < LATER


class Played:
    """A session and everything that happened in it."""

    def __init__(self, limits: ServerLimits, script: Script, *, late: bool = False) -> None:
        """`late`: answers come when the client has said all of a piece, not as it speaks."""
        self.limits = limits
        self.session = ServerSession(limits, HOSTNAME)
        self.events: list[ServerEvent] = []
        self.answers: dict[int, Reply | None] = {}
        """By the place of their event."""
        self.secured_at: list[int] = []
        """How many events had happened when a handshake was done."""
        self.handshakes: list[int] = []
        """After how many octets one was due."""
        self.said = b""
        self._script = script
        self._late = late
        self._heard = 0
        self.session.greet(replies.banner(HOSTNAME))
        self.pump()

    def hear(self, piece: bytes, size: int) -> None:
        """Pass a piece on, `size` octets at a time."""
        for at in range(0, len(piece), size):
            portion = piece[at : at + size]
            self.session.receive(portion)
            self._heard += len(portion)
            if not self._late:
                self.pump()
        self.pump()
        reads = ("command", "envelope", "exchange", "content", "chunks")
        assert self.session.wants_more == (self.session.state in reads)
        assert self.session.buffered <= 12_288, "a session holds back more than the longest line"

    def hang_up(self) -> None:
        self.session.receive_eof()
        self.pump()

    def shut(self, reply: Reply) -> None:
        self.session.shut(reply)
        self.pump()

    def pump(self) -> None:
        """Answer all there is."""
        session = self.session
        while (event := session.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, TlsWanted):
                self.handshakes.append(self._heard)
                if self._script.secures():
                    session.tls_started()
                    self.secured_at.append(len(self.events))
            elif isinstance(event, OWING):
                reply = self._script.answer(event)
                self.answers[len(self.events) - 1] = reply
                if not isinstance(event, ContentReceived) or event.last:
                    assert reply is not None
                    session.reply(reply)
                elif reply is None:
                    session.proceed()
                else:
                    session.refuse_content(reply)
            elif isinstance(event, SessionEnded):
                assert session.buffered == 0
        self.said += session.bytes_to_send()


def refer(limits: ServerLimits, script: Script, pieces: Iterable[bytes]) -> Reference:
    """What the reference makes of the same pieces."""
    reference = Reference(limits, HOSTNAME, script.answer)
    for piece in pieces:
        tell(reference, script, piece)
    return reference


def tell(reference: Reference, script: Script, piece: bytes) -> None:
    """Pass a piece on; the client does its handshake where the script says so."""
    reference.hear(piece)
    if piece and reference.where == "handshake" and script.secures():
        reference.secured()
