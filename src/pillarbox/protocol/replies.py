"""every reply our server can utter, by name"""

from __future__ import annotations

from typing import Final

from pillarbox.protocol.errors import (
    BadChunk,
    BadExchange,
    BadParameter,
    BadRecipient,
    BadReturnPath,
    BareLineEnd,
    ExchangeCancelled,
    LineTooLong,
    MechanismMissing,
    UnannouncedUtf8,
    UnknownMechanism,
    UnknownParameter,
    UnreadableCommand,
)
from pillarbox.protocol.reply import Reply

# --- done -------------------------------------------------------------------------------------

OK: Final = Reply.of(250, "2.0.0", "Ok")
OK_RESET: Final = OK
RETURN_PATH_OK: Final = Reply.of(250, "2.1.0", "Ok")
RECIPIENT_OK: Final = Reply.of(250, "2.1.5", "Ok")
GOODBYE: Final = Reply.of(221, "2.0.0", "Goodbye")
CANNOT_VERIFY: Final = Reply.of(252, "2.0.0", "Not telling; mail for the address will be tried")
HELP: Final = Reply.of(
    214,
    "2.0.0",
    "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
    "What a refusal means and how to end it is in the message list of Pillarbox",
)
READY_FOR_TLS: Final = Reply.of(220, "2.0.0", "Start TLS now")
LOGIN_OK: Final = Reply.of(235, "2.7.0", "Logged in")
START_CONTENT: Final = Reply.of(354, None, "Start mail input; end with <CRLF>.<CRLF>")

# --- later ------------------------------------------------------------------------------------

SHUTTING_DOWN: Final = Reply.of(421, "4.3.2", "Shutting down; come back in a minute")
IDLE: Final = Reply.of(421, "4.4.2", "Nothing was said for too long; goodbye")
TOO_MANY_CONNECTIONS: Final = Reply.of(421, "4.7.0", "Too many connections; close some first")
TOO_MANY_ARRIVALS: Final = Reply.of(
    421, "4.7.0", "Too many new connections in a short time; come back in a minute"
)
TOO_MANY_COMMANDS: Final = Reply.of(
    421, "4.7.0", "Too many commands that lead to no message; goodbye"
)
TOO_MANY_ERRORS: Final = Reply.of(421, "4.7.0", "Too many errors; goodbye")
LOGINS_FAILED: Final = Reply.of(
    421, "4.7.0", "Too many failed logins from your address; wait a few minutes"
)
TRY_LATER: Final = Reply.of(451, "4.3.0", "Not possible right now; try again later")
STORAGE_FULL: Final = Reply.of(452, "4.3.1", "No room to store mail at the moment; try again later")
TOO_MUCH_AT_ONCE: Final = Reply.of(
    452, "4.3.1", "Too much mail is arriving at once; try again in a moment"
)
TOO_MANY_RECIPIENTS: Final = Reply.of(
    452, "4.5.3", "Too many recipients; put the rest into another message"
)
TOO_MANY_OF_LOGIN: Final = Reply.of(
    454, "4.7.0", "This login has too many connections; close some first"
)
LOGIN_UNAVAILABLE: Final = Reply.of(454, "4.7.0", "Logins cannot be checked now; try again later")

# --- never: how commands are written and in which order they come -------------------------------

LINE_TOO_LONG: Final = LineTooLong.deserves
BARE_LINE_END: Final = BareLineEnd.deserves
UNREADABLE_COMMAND: Final = UnreadableCommand.deserves
UNKNOWN_COMMAND: Final = Reply.of(500, "5.5.1", "Command not known; HELP lists those that are")
NO_ARGUMENT_WANTED: Final = Reply.of(501, "5.5.4", "This command takes no argument")
HELLO_NAME_WANTED: Final = Reply.of(501, "5.5.4", "Say who you are: EHLO host.example.com")
MECHANISM_WANTED: Final = MechanismMissing.deserves
BAD_RETURN_PATH: Final = BadReturnPath.deserves
BAD_RECIPIENT: Final = BadRecipient.deserves
BAD_PARAMETER: Final = BadParameter.deserves
BAD_CHUNK: Final = BadChunk.deserves
BAD_EXCHANGE: Final = BadExchange.deserves
EXCHANGE_CANCELLED: Final = ExchangeCancelled.deserves
NOT_EXPANDED: Final = Reply.of(502, "5.5.1", "Lists are not expanded here")
TLS_NOT_OFFERED: Final = Reply.of(502, "5.5.1", "STARTTLS is not offered here")
LOGIN_NOT_OFFERED: Final = Reply.of(502, "5.5.1", "AUTH is not offered here")
HELLO_FIRST: Final = Reply.of(503, "5.5.1", "Say EHLO first")
TLS_ALREADY: Final = Reply.of(503, "5.5.1", "TLS is already in use")
TLS_IN_TRANSACTION: Final = Reply.of(503, "5.5.1", "STARTTLS does not come inside a transaction")
SPOKE_BEFORE_TLS: Final = Reply.of(
    503, "5.5.1", "Nothing may follow STARTTLS before the handshake; closing"
)
LOGIN_ALREADY: Final = Reply.of(503, "5.5.1", "You are logged in already")
LOGIN_IN_TRANSACTION: Final = Reply.of(503, "5.5.1", "AUTH does not come inside a transaction")
TRANSACTION_OPEN: Final = Reply.of(503, "5.5.1", "A transaction is open; end it or say RSET")
CHUNKS_BEGUN: Final = Reply.of(
    503, "5.5.1", "Chunks of a message have come; go on with BDAT, or say RSET"
)
RETURN_PATH_FIRST: Final = Reply.of(503, "5.5.1", "Say MAIL FROM first")
UNKNOWN_MECHANISM: Final = UnknownMechanism.deserves
NO_RECIPIENTS: Final = Reply.of(554, "5.5.1", "No recipient was accepted")
UNKNOWN_PARAMETER: Final = UnknownParameter.deserves
UNANNOUNCED_UTF8: Final = UnannouncedUtf8.deserves

# --- never: permission and policy ----------------------------------------------------------------

STARTTLS_FIRST: Final = Reply.of(530, "5.7.0", "Must issue STARTTLS first")
LOGIN_FIRST: Final = Reply.of(530, "5.7.0", "Log in first: AUTH PLAIN or AUTH LOGIN")
BOUNCES_ONLY: Final = Reply.of(
    530, "5.7.0", "Only what comes back from our own mail is taken here; to send, use another port"
)
LOGIN_REFUSED: Final = Reply.of(535, "5.7.8", "Username or password not accepted")
LOGIN_NEEDS_TLS: Final = Reply.of(538, "5.7.11", "Logins are only taken under TLS; say STARTTLS")
TOO_LARGE: Final = Reply.of(552, "5.3.4", "Message too large; EHLO says how large it may be")


def banner(hostname: str) -> Reply:
    """The greeting (RFC 5321 §3.1)."""
    return Reply.of(220, None, f"{hostname} ESMTP Pillarbox")


def accepted_message(id_text: str) -> Reply:
    """The message is ours now; `id_text` finds it again."""
    return Reply.of(250, "2.0.0", f"Ok: queued as {id_text}")


def chunk_received(octets: int) -> Reply:
    """A chunk that is not the last has come, and is kept (RFC 3030 §2)."""
    return Reply.of(250, "2.0.0", f"{octets} octets received")


def hello(hostname: str, *keywords: str) -> Reply:
    """The answer to EHLO with a keyword a line, or to HELO without any (RFC 5321 §4.1.1.1)."""
    return Reply.of(250, None, hostname, *keywords)


def challenge(text: str) -> Reply:
    """A step of an AUTH exchange; `text` is in base64 (RFC 4954 §4)."""
    return Reply.of(334, None, text)


def referring(reply: Reply, reference: str) -> Reply:
    """The same reply, with what its reader can ask about."""
    *before, last = reply.lines
    return Reply(reply.code, reply.status, (*before, f"{last} (ref {reference})"))


def tls_expected(starttls_port: int) -> Reply:
    """To a client that speaks in clear, or waits for us to, where TLS comes first.

    `starttls_port` is where it would be right; 0 where there is none.
    """
    words = f"; use port {starttls_port} for STARTTLS" if starttls_port else ""
    return Reply.of(421, "4.7.0", f"This port speaks TLS from the start{words}")


def clear_expected(tls_port: int) -> Reply:
    """To a client that begins with TLS where SMTP begins in clear.

    `tls_port` is where it would be right; 0 where there is none.
    """
    words = f"; use port {tls_port} for TLS from the start" if tls_port else ""
    return Reply.of(421, "4.7.0", f"This port begins in clear{words}")
