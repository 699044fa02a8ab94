"""permission: what a server may do that brings back mail, without TLS and without a login

It may say MAIL as it likes; what decides is to whom. Our own return paths and the addresses set up
for reports are taken, and for everybody else's the answer is that of a door for submission. So
nothing is ever passed on for a stranger, and where TLS and a login are missing no mail of ours can
be lost by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.net.interface import Answer, Peer
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.errors import Refusal
from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    HelloReceived,
    MailReceived,
    Misbehaved,
    RecipientReceived,
    ServerEvent,
    TransactionReset,
)
from pillarbox.protocol.reply import Reply
from pillarbox.storage.interface.errors import StorageFull
from pillarbox.terms.errors import Trouble

_MOST_REFUSED: Final = 20
"""Recipients refused to one client; then it is sent away."""

_log = logger("bounces")


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """One message that came back, whole."""

    return_path: str
    """Empty, as a rule."""
    recipients: tuple[str, ...]
    """Each of them ours."""
    content: bytes
    peer: Peer
    hello: str


class Intake(Protocol):
    """Whoever knows which addresses are ours, and takes charge of what comes to them.

    Trouble asks the client to come back; a refusal is said to it as it is.
    """

    async def knows(self, address: str) -> bool:
        """Whether `address` is a return path of ours, or was set up for reports."""
        ...

    async def take(self, brought: BroughtBack) -> Reply:
        """Take charge; a 250 means that it is committed."""
        ...


@dataclass(frozen=True, slots=True)
class BounceDesk:
    """What all sessions share."""

    intake: Intake
    metrics: Metrics
    hostname: str
    max_bytes: int


class _Transaction:
    """One MAIL and what followed."""

    __slots__ = ("blocks", "recipients", "return_path", "size")

    def __init__(self, return_path: str) -> None:
        self.return_path = return_path
        self.recipients: list[str] = []
        self.blocks: list[bytes] = []
        self.size = 0


class BounceSession:
    """One connection of a server. Implements `net.interface.SessionHandler`."""

    def __init__(self, desk: BounceDesk, *, stranger: Reply = replies.BOUNCES_ONLY) -> None:
        """`stranger` is the answer for an address that is none of ours."""
        self._desk = desk
        self._stranger = stranger
        self._peer = Peer("", 0, "")
        self._hello = ""
        self._refused = 0
        self._transaction: _Transaction | None = None

    def opened(self, peer: Peer) -> Reply:
        """The banner: anybody may bring something."""
        self._peer = peer
        self._desk.metrics.smtp_sessions_opened[peer.listener] += 1
        return replies.banner(self._desk.hostname)

    def secured(self, peer: Peer) -> None:
        """TLS was started; everything said before is forgotten."""
        self._peer = peer
        self._hello = ""
        self._transaction = None

    def handle(self, event: ServerEvent) -> Answer:
        """Answer one event; a login belongs to another handler and is refused here."""
        # No table of bound methods: a session that refers to itself lives until it is searched for.
        match event:
            case MailReceived():
                return self._mail(event)
            case RecipientReceived():
                return self._recipient(event)
            case ContentReceived():
                return self._content(event)
            case HelloReceived():
                self._greeted(event)
            case TransactionReset():
                self._reset(event)
            case Misbehaved():
                self._misbehaved(event)
        return None

    def closed(self, reason: str) -> None:
        """Nothing is held beyond the connection."""
        self._transaction = None

    def _greeted(self, event: HelloReceived) -> None:
        self._hello = event.name
        self._transaction = None

    def _mail(self, event: MailReceived) -> Reply:
        if event.size is not None and event.size > self._desk.max_bytes:
            return replies.TOO_LARGE
        self._transaction = _Transaction(event.return_path)
        return replies.RETURN_PATH_OK

    async def _recipient(self, event: RecipientReceived) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return replies.RETURN_PATH_FIRST
        try:
            ours = await self._desk.intake.knows(event.address)
        except Trouble as trouble:
            _log.warning("recipient.unknown", reason=str(trouble), peer=self._peer.address)
            return replies.TRY_LATER
        if ours:
            transaction.recipients.append(event.address)
            return replies.RECIPIENT_OK
        self._refused += 1
        _log.info("recipient.refused", peer=self._peer.address, recipient=event.address)
        return self._stranger if self._refused < _MOST_REFUSED else replies.TOO_MANY_ERRORS

    def _content(self, event: ContentReceived) -> Answer:
        transaction = self._transaction
        if transaction is None:
            return replies.RETURN_PATH_FIRST
        transaction.size += len(event.data)
        if transaction.size > self._desk.max_bytes:
            self._transaction = None
            return replies.TOO_LARGE
        transaction.blocks.append(event.data)
        if not event.last:
            return None
        self._transaction = None
        return self._take(transaction)

    async def _take(self, transaction: _Transaction) -> Reply:
        brought = BroughtBack(
            transaction.return_path, tuple(transaction.recipients), b"".join(transaction.blocks),
            self._peer, self._hello,
        )  # fmt: skip
        try:
            return await self._desk.intake.take(brought)
        except Refusal as refusal:
            return refusal.reply
        except StorageFull:
            return replies.STORAGE_FULL
        except Trouble as trouble:
            _log.warning("bounce.not_taken", reason=str(trouble), peer=self._peer.address)
            return replies.TRY_LATER

    def _reset(self, event: TransactionReset) -> None:
        self._transaction = None

    def _misbehaved(self, event: Misbehaved) -> None:
        _log.info(
            "session.misbehaved", peer=self._peer.address, what=event.what, reply=str(event.reply)
        )
