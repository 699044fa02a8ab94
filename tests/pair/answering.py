"""a server session with somebody behind it who answers: rules that a reader can keep in mind"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    LoginReceived,
    MailReceived,
    RecipientReceived,
    ServerEvent,
    SessionEnded,
)
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.server import ServerLimits, ServerSession

Told = TypeVar("Told")

HOSTNAME = "mail.example.com"
USERNAME = "shop"
PASSWORD = "pa ss word"
FORGED = Reply.of(550, "5.7.1", "You may not use this return path")
UNKNOWN = Reply.of(550, "5.1.1", "No such recipient here")
UNWANTED = Reply.of(554, "5.6.0", "The message is not well-formed")
LIMITS = ServerLimits(
    max_message_bytes=1_000_000,
    max_recipients=100,
    mail_parameters=frozenset({"RET", "ENVID", "AUTH", "SMTPUTF8"}),
)


@dataclass
class Message:
    """What was taken."""

    return_path: str
    recipients: list[str] = field(default_factory=list)
    content: bytes = b""


class Answers:
    """Everything is fine, but for a few names.

    Recipients: ``unknown@`` is refused, ``later@`` deferred, ``closing@`` answered 421. Return
    path ``forged@`` is refused, and for ``full@`` there is no room. Logins: `USERNAME` with `PASSWORD`; nobody can be checked while
    ``down`` asks. Content with the word ``refuse`` is refused; a block with it ends the reading.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.logins: list[LoginReceived] = []
        self._message = Message("")

    def answer(self, event: ServerEvent) -> Reply | None:
        """The reply to an event that owes one. None for a block means: go on."""
        match event:
            case LoginReceived(username=username, password=password):
                self.logins.append(event)
                if username == "down":
                    return replies.LOGIN_UNAVAILABLE
                right = username == USERNAME and password.reveal() == PASSWORD
                return replies.LOGIN_OK if right else replies.LOGIN_REFUSED
            case MailReceived(return_path=return_path):
                self._message = Message(return_path)
                match return_path.partition("@")[0]:
                    case "forged":
                        return FORGED
                    case "full":
                        return replies.STORAGE_FULL
                return replies.RETURN_PATH_OK
            case RecipientReceived(address=address):
                match address.partition("@")[0]:
                    case "unknown":
                        return UNKNOWN
                    case "later":
                        return replies.TRY_LATER
                    case "closing":
                        return replies.SHUTTING_DOWN
                self._message.recipients.append(address)
                return replies.RECIPIENT_OK
            case ContentReceived(data=data, last=last):
                self._message.content += data
                if b"refuse" in data:
                    return UNWANTED
                if not last:
                    return None
                self.messages.append(self._message)
                return replies.accepted_message(f"msg_{len(self.messages)}")
            case _:
                return None


class Listener:
    """A server session whose events are answered as they come."""

    def __init__(self, limits: ServerLimits = LIMITS, *, greet: bool = True) -> None:
        self.session = ServerSession(limits, HOSTNAME)
        self.answers = Answers()
        self.events: list[ServerEvent] = []
        self.sent = b""
        if greet:
            self.session.greet(replies.banner(HOSTNAME))
            self.pump()

    @property
    def ended(self) -> bool:
        """Whether the session is over."""
        return any(isinstance(event, SessionEnded) for event in self.events)

    @property
    def messages(self) -> list[Message]:
        """Everything that was taken."""
        return self.answers.messages

    def hear(self, data: bytes) -> bytes:
        """Pass `data` on, answer what comes of it, and give back what the session says."""
        self.session.receive(data)
        return self.pump()

    def hear_in(self, pieces: list[bytes]) -> bytes:
        """As `hear`, a piece at a time."""
        return b"".join([self.hear(piece) for piece in pieces])

    def hang_up(self) -> bytes:
        """The client sends no more."""
        self.session.receive_eof()
        return self.pump()

    def pump(self) -> bytes:
        """Answer all events."""
        session = self.session
        while (event := session.next_event()) is not None:
            self.events.append(event)
            reply = self.answers.answer(event)
            if isinstance(event, ContentReceived) and not event.last:
                if reply is None:
                    session.proceed()
                else:
                    session.refuse_content(reply)
            elif reply is not None:
                session.reply(reply)
        said = session.bytes_to_send()
        self.sent += said
        return said

    def told(self, kind: type[Told]) -> list[Told]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def codes(said: bytes) -> list[int]:
    """The codes of the replies in `said`, one per reply."""
    return [int(line[:3]) for line in said.split(b"\r\n") if line[3:4] == b" "]
