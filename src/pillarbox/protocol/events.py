"""what a session tells its driver: frozen structs

Structs of msgspec are made several times as fast as dataclasses, and every command makes some.
"""

from __future__ import annotations

from msgspec import Struct

from pillarbox.protocol.reply import Reply
from pillarbox.terms.secret import Secret

# --- the server session's events ------------------------------------------------------------
# An event with `owes_reply` waits for ServerSession.reply(); until then the session buffers.


class HelloReceived(Struct, frozen=True, gc=False):
    """EHLO or HELO. Informative: the session has already answered it."""

    name: str
    extended: bool


class TlsWanted(Struct, frozen=True, gc=False):
    """STARTTLS was answered 220: flush, do the handshake, then call `tls_started()`."""


class LoginReceived(Struct, frozen=True, gc=False):
    """A finished AUTH exchange; owes a reply (235, 535, 454)."""

    mechanism: str
    username: str
    password: Secret
    authorization: str
    """The identity asked for by PLAIN's first field; empty where it is the user's own."""


class MailReceived(Struct, frozen=True, gc=False):
    """MAIL FROM; owes a reply."""

    return_path: str
    """Empty for the null return path; otherwise a mailbox, the domain folded."""
    size: int | None = None
    body: str = "7BIT"
    smtputf8: bool = False
    parameters: dict[str, str] = {}
    """The others the session was configured to take (RET, ENVID, AUTH, ...), by upper-case name.

    Checked, RET in upper case, ENVID and AUTH decoded from xtext.
    """


class RecipientReceived(Struct, frozen=True, gc=False):
    """RCPT TO; owes a reply."""

    address: str
    """A mailbox, the domain folded; ``postmaster`` may come without a domain."""
    parameters: dict[str, str] = {}
    """NOTIFY, in upper case, and ORCPT, its address decoded from xtext; checked."""


class ContentReceived(Struct, frozen=True, gc=False):
    """Message content, dots unstuffed where it came behind DATA, bare CR and LF excluded.

    Blocks of `ServerLimits.block_bytes` come while content arrives, each owing `proceed()`;
    the last one, of any length, owes the reply to the final dot or the last chunk. Content that
    came in chunks need not end with a line end.
    """

    data: bytes
    last: bool
    plain: bool = False
    """Said with the last block: no line of all the content began with a dot."""


class TransactionReset(Struct, frozen=True, gc=False):
    """The transaction that was open is gone: RSET, EHLO, or content that was thrown away."""


class Misbehaved(Struct, frozen=True, gc=False):
    """The session refused something worth a line in the log; it has already answered."""

    what: str
    reply: Reply


class SessionEnded(Struct, frozen=True, gc=False):
    """Nothing more will come. Send what is left, then close the connection."""

    reason: str


ServerEvent = (
    HelloReceived
    | TlsWanted
    | LoginReceived
    | MailReceived
    | RecipientReceived
    | ContentReceived
    | TransactionReset
    | Misbehaved
    | SessionEnded
)

# --- the client session's events ------------------------------------------------------------


class Greeted(Struct, frozen=True, gc=False):
    """The banner came."""

    reply: Reply


class HelloAnswered(Struct, frozen=True, gc=False):
    """The answer to EHLO, or to the HELO tried after a 500, 502 or 504."""

    reply: Reply


class TlsAnswered(Struct, frozen=True, gc=False):
    """The answer to STARTTLS; after a 220 do the handshake and call `tls_started()`."""

    reply: Reply


class LoginAnswered(Struct, frozen=True, gc=False):
    """How the AUTH exchange ended; `reason` is what a server said of a token that it refused."""

    reply: Reply
    reason: str = ""


class EnvelopeAnswered(Struct, frozen=True, gc=False):
    """Every reply of one pipelined (or stepwise) MAIL, RCPT..., DATA is in.

    `recipients` has one reply per RCPT sent, in order; it is shorter only where MAIL was
    refused without pipelining. `data` is None where DATA was never sent. The content may be
    sent exactly when `ready` is true; otherwise the session has cleaned up (RSET or a lone dot).
    """

    mail: Reply
    recipients: tuple[Reply, ...]
    data: Reply | None
    ready: bool


class VerdictReceived(Struct, frozen=True, gc=False):
    """The reply to the final dot: any 2xx, 4xx or 5xx is lawful."""

    reply: Reply


class Unsolicited(Struct, frozen=True, gc=False):
    """The server spoke unasked (421 mostly); the connection is of no more use."""

    reply: Reply


ClientEvent = (
    Greeted
    | HelloAnswered
    | TlsAnswered
    | LoginAnswered
    | EnvelopeAnswered
    | VerdictReceived
    | Unsolicited
)
