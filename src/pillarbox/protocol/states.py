"""the two transition tables, server and client, and nothing else

Whether TLS is in use, whether the client has said EHLO and whether it has logged in are machines
of two states each, beside these. So is the question whether a reply is owed: while one is, the
server session reads nothing. Commands without a line here (NOOP, VRFY, HELP) move nothing. BDAT
moves to content from everywhere, since its octets have to be read even where it is refused
(RFC 3030 §2).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ServerState(StrEnum):
    """Where a conversation stands, as the server sees it."""

    GREETING = "greeting"
    """The banner has not gone out."""
    COMMAND = "command"
    HANDSHAKE = "handshake"
    """STARTTLS was answered 220."""
    EXCHANGE = "exchange"
    """Between AUTH and the verdict on the login."""
    ENVELOPE = "envelope"
    """MAIL was accepted."""
    CONTENT = "content"
    """DATA was answered 354, or the octets of a BDAT are coming, to be kept or thrown away."""
    CHUNKS = "chunks"
    """A chunk was taken, and was not the last."""
    DECIDING = "deciding"
    """Content has ended; the reply to the final dot is owed."""
    CLOSING = "closing"

    # Enum hashes by name, in Python; the value's own hash is the same promise and costs a fifth.
    __hash__ = str.__hash__


class ServerTrigger(StrEnum):
    """What moves the server session."""

    GREETED = "banner sent"
    HELLO = "EHLO or HELO"
    RESET = "RSET"
    STARTTLS = "STARTTLS"
    SECURED = "handshake done"
    AUTH = "AUTH"
    LOGIN_ENDED = "login decided or given up"
    MAIL = "MAIL accepted"
    RCPT = "RCPT"
    DATA = "DATA"
    CHUNK = "BDAT"
    CHUNK_ENDED = "end of a chunk that is not the last"
    CONTENT_ENDED = "end of content"
    DECIDED = "final reply"
    END = "QUIT, fault, end of input or 421"

    __hash__ = str.__hash__


class ClientState(StrEnum):
    """Where a conversation stands, as the client sees it."""

    BANNER = "banner"
    """Waiting for the greeting."""
    HELLO = "hello"
    """EHLO comes next, or its answer."""
    HANDSHAKE = "handshake"
    """STARTTLS was sent."""
    EXCHANGE = "exchange"
    """AUTH was sent."""
    READY = "ready"
    ENVELOPE = "envelope"
    """MAIL, RCPT or DATA was sent."""
    CONTENT = "content"
    """The content may be sent."""
    VERDICT = "verdict"
    """The final dot was sent."""
    CLOSING = "closing"

    __hash__ = str.__hash__


class ClientTrigger(StrEnum):
    """What moves the client session."""

    GREETED = "banner came"
    HELLO = "EHLO or HELO accepted"
    STARTTLS = "STARTTLS sent"
    TLS_REFUSED = "STARTTLS refused"
    SECURED = "handshake done"
    AUTH = "AUTH sent"
    LOGIN_ENDED = "login decided"
    ENVELOPE = "MAIL sent"
    REFUSED = "envelope refused"
    INVITED = "content invited"
    CONTENT_ENDED = "final dot sent"
    DECIDED = "verdict came"
    END = "QUIT sent, fault or 421"

    __hash__ = str.__hash__


SERVER: Final[Mapping[ServerState, Mapping[ServerTrigger, ServerState]]] = {
    ServerState.GREETING: {
        ServerTrigger.GREETED: ServerState.COMMAND,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.COMMAND: {
        ServerTrigger.HELLO: ServerState.COMMAND,
        ServerTrigger.RESET: ServerState.COMMAND,
        ServerTrigger.STARTTLS: ServerState.HANDSHAKE,
        ServerTrigger.AUTH: ServerState.EXCHANGE,
        ServerTrigger.MAIL: ServerState.ENVELOPE,
        ServerTrigger.CHUNK: ServerState.CONTENT,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.HANDSHAKE: {
        ServerTrigger.SECURED: ServerState.COMMAND,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.EXCHANGE: {
        ServerTrigger.LOGIN_ENDED: ServerState.COMMAND,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.ENVELOPE: {
        ServerTrigger.HELLO: ServerState.COMMAND,
        ServerTrigger.RESET: ServerState.COMMAND,
        ServerTrigger.RCPT: ServerState.ENVELOPE,
        ServerTrigger.DATA: ServerState.CONTENT,
        ServerTrigger.CHUNK: ServerState.CONTENT,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.CHUNKS: {
        ServerTrigger.HELLO: ServerState.COMMAND,
        ServerTrigger.RESET: ServerState.COMMAND,
        ServerTrigger.CHUNK: ServerState.CONTENT,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.CONTENT: {
        ServerTrigger.CHUNK_ENDED: ServerState.CHUNKS,
        ServerTrigger.CONTENT_ENDED: ServerState.DECIDING,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.DECIDING: {
        ServerTrigger.DECIDED: ServerState.COMMAND,
        ServerTrigger.END: ServerState.CLOSING,
    },
    ServerState.CLOSING: {},
}
"""Whatever is not listed is refused: 503 for a command, nothing at all once closing."""

CLIENT: Final[Mapping[ClientState, Mapping[ClientTrigger, ClientState]]] = {
    ClientState.BANNER: {
        ClientTrigger.GREETED: ClientState.HELLO,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.HELLO: {
        ClientTrigger.HELLO: ClientState.READY,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.HANDSHAKE: {
        ClientTrigger.TLS_REFUSED: ClientState.READY,
        ClientTrigger.SECURED: ClientState.HELLO,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.EXCHANGE: {
        ClientTrigger.LOGIN_ENDED: ClientState.READY,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.READY: {
        ClientTrigger.STARTTLS: ClientState.HANDSHAKE,
        ClientTrigger.AUTH: ClientState.EXCHANGE,
        ClientTrigger.ENVELOPE: ClientState.ENVELOPE,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.ENVELOPE: {
        ClientTrigger.REFUSED: ClientState.READY,
        ClientTrigger.INVITED: ClientState.CONTENT,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.CONTENT: {
        ClientTrigger.CONTENT_ENDED: ClientState.VERDICT,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.VERDICT: {
        ClientTrigger.DECIDED: ClientState.READY,
        ClientTrigger.END: ClientState.CLOSING,
    },
    ClientState.CLOSING: {},
}
"""Whatever is not listed is refused with `LocalProtocolError`, or was the peer's fault."""
