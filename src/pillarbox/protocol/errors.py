"""LocalProtocolError, RemoteProtocolError; each carries the reply it deserves"""

from __future__ import annotations

from typing import ClassVar

from pillarbox.protocol.reply import Reply
from pillarbox.terms.errors import PillarboxError


class ProtocolError(PillarboxError):
    """Somebody broke the rules of SMTP."""

    def __init__(
        self,
        sentence: str | None = None,
        *,
        reply: Reply | None = None,
        detail: str | None = None,
        fix: str | None = None,
    ) -> None:
        """`reply` is what the other side should hear, None where nothing is to be said to it."""
        super().__init__(sentence, detail=detail, fix=fix)
        self.reply = reply


class LocalProtocolError(ProtocolError):
    """Pillarbox used an SMTP session in a way the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The other side does not keep to SMTP."""

    code: ClassVar[str] = "upstream_unreachable"


class MalformedProxyHeader(RemoteProtocolError):
    """What should be a PROXY header is none."""


# --- what a client may get wrong, each with its answer ------------------------------------------


class InputError(RemoteProtocolError):
    """What a client sent is not what SMTP expects there."""

    deserves: ClassVar[Reply]

    def __init__(self, reply: Reply | None = None, *, detail: str | None = None) -> None:
        """Left out, `reply` is the one that this kind of error always deserves."""
        super().__init__(detail=detail)
        self.answer = self.reply = reply or type(self).deserves


class BareLineEnd(InputError):
    """A carriage return or line feed came alone; the other side may be smuggling mail."""

    deserves = Reply.of(550, "5.5.2", "Lines end with CR and LF together, and neither comes alone")


class LineTooLong(InputError):
    """A command line is longer than any that could be meant."""

    deserves = Reply.of(500, "5.5.6", "Line too long")


class UnreadableCommand(InputError):
    """A command holds a NUL or is not UTF-8."""

    deserves = Reply.of(501, "5.5.2", "The command has bytes in it that no command has")


class BadReturnPath(InputError):
    """The address in MAIL is not one."""

    deserves = Reply.of(501, "5.1.7", "Not an address; write MAIL FROM:<user@example.com>")


class BadRecipient(InputError):
    """The address in RCPT is not one."""

    deserves = Reply.of(501, "5.1.3", "Not an address; write RCPT TO:<user@example.com>")


class UnannouncedUtf8(InputError):
    """An address beyond ASCII in a transaction without SMTPUTF8 (RFC 6531 §3.5)."""

    deserves = Reply.of(553, "5.6.7", "An address beyond ASCII needs the parameter SMTPUTF8")


class BadParameter(InputError):
    """A parameter of MAIL or RCPT has a value it cannot have, or comes twice."""

    deserves = Reply.of(501, "5.5.4", "A parameter is malformed or given twice")


class UnknownParameter(InputError):
    """A parameter that was not offered (RFC 5321 §4.1.1.11)."""

    deserves = Reply.of(555, "5.5.4", "A parameter that this server does not offer")


class BadChunk(InputError):
    """BDAT without a number of octets: where the next command begins cannot be known."""

    deserves = Reply.of(
        501, "5.5.4", "Write BDAT and how many octets follow, and LAST with the last; closing"
    )


class BadExchange(InputError):
    """An AUTH response is not what its mechanism asks for (RFC 4954 §4)."""

    deserves = Reply.of(501, "5.5.2", "Not a valid response of this mechanism in base64")


class ExchangeCancelled(InputError):
    """The client gave up in the middle of AUTH."""

    deserves = Reply.of(501, "5.7.0", "Login cancelled")


class MechanismMissing(InputError):
    """AUTH without a mechanism."""

    deserves = Reply.of(501, "5.5.4", "Name a mechanism: AUTH PLAIN or AUTH LOGIN")


class UnknownMechanism(InputError):
    """An AUTH mechanism that was not offered."""

    deserves = Reply.of(504, "5.5.4", "Mechanism not offered; PLAIN and LOGIN are")
