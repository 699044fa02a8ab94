"""what the bad server saw: commands, logins, messages, sessions"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.doubles.channel import Channel
from tests.doubles.script import Stage


@dataclass(slots=True)
class CommandRecord:
    """One command line as it came."""

    line: bytes
    """Raw, with its line end."""
    stage: Stage
    tls: bool
    at: int
    """Milliseconds since the Unix epoch when the line was read."""
    code: int = 0
    """What was answered (to AUTH: last); 0: nothing."""


@dataclass(frozen=True, slots=True)
class RecipientRecord:
    """One RCPT of a transaction."""

    address: str
    parameters: tuple[str, ...]
    code: int


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """One completed AUTH exchange."""

    mechanism: str
    username: str
    password: str
    code: int


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One message that arrived up to its final dot, whatever was then answered."""

    session: int
    transaction: int
    return_path: str
    parameters: tuple[str, ...]
    recipients: tuple[RecipientRecord, ...]
    content: bytes
    """Unstuffed, without the terminator; otherwise exactly as received."""
    raw: bytes
    """As it was on the line, with the terminator."""
    code: int
    """What was answered to the final dot; 0: nothing."""
    tls: bool
    username: str | None
    received_at: int
    answered_at: int
    """Milliseconds since the Unix epoch; 0 without an answer."""

    @property
    def accepted_recipients(self) -> tuple[str, ...]:
        """The addresses that were answered 2xx."""
        return tuple(r.address for r in self.recipients if 200 <= r.code < 300)

    @property
    def body(self) -> bytes:
        """What follows the blank line."""
        return self.content.partition(b"\r\n\r\n")[2]

    def header(self, name: str) -> list[bytes]:
        """The values of all fields of this name, as they are (folding included)."""
        values: list[bytes] = []
        found = False
        for line in self.content.partition(b"\r\n\r\n")[0].split(b"\r\n"):
            if line[:1] in (b" ", b"\t"):
                if found:
                    values[-1] += b"\r\n" + line
                continue
            key, _, value = line.partition(b":")
            found = key.strip().lower() == name.lower().encode()
            if found:
                values.append(value.strip())
        return values


@dataclass(slots=True)
class SessionRecord:
    """One connection."""

    number: int
    channel: Channel
    opened_at: int
    commands: list[CommandRecord] = field(default_factory=list)
    logins: list[LoginRecord] = field(default_factory=list)
    transactions: int = 0
    injected: bytes = b""
    """What the client sent behind STARTTLS before the handshake."""
    ended: str = ""
    """"quit", "dropped" (by the script), "gone" (by the client, or time over); empty: still on."""
    reason: str = ""

    @property
    def verbs(self) -> list[str]:
        """The commands' first words, in order."""
        lines = (record.line.split(None, 1) for record in self.commands)
        return [words[0].decode("latin-1").upper() for words in lines if words]

    @property
    def received(self) -> bytes:
        """Every byte received, TLS taken off."""
        return bytes(self.channel.received)

    @property
    def received_clear(self) -> bytes:
        """Every byte received before TLS, or all where there was none."""
        received = self.received
        return received[: self.channel.received_clear] if self.channel.tls else received
