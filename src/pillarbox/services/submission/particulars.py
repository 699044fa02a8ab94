"""a transaction's particulars: what a client said of it, in the form that is stored with the message"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from pillarbox.message.facts import Origin
from pillarbox.net.interface import Peer
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.notice import read_notify
from pillarbox.protocol.events import MailReceived, RecipientReceived


def recipient_of(event: RecipientReceived) -> Recipient:
    """RCPT with its wishes (RFC 3461 §4.1, §4.2)."""
    parameters = event.parameters
    if not parameters:
        return Recipient(event.address)
    original = parameters.get("ORCPT")
    said = parameters.get("NOTIFY", "")
    if not said:
        return Recipient(event.address, original=original)
    return Recipient(event.address, read_notify(said), original, said)


def envelope_of(mail: MailReceived, recipients: Sequence[Recipient]) -> Envelope:
    """MAIL with its wishes (RFC 3461 §4.3, §4.4, RFC 8689 §2), and every RCPT that was accepted."""
    parameters = mail.parameters
    if not parameters:
        return Envelope(mail.return_path, tuple(recipients), mail.smtputf8, mail.body)
    report, envelope_id = parameters.get("RET"), parameters.get("ENVID")
    return Envelope(
        mail.return_path, tuple(recipients), mail.smtputf8, mail.body, report, envelope_id,
        "REQUIRETLS" in parameters,
    )  # fmt: skip


def origin_of(peer: Peer, hello: str, *, extended: bool, logged_in: bool) -> Origin:
    """Where mail of a session comes from: the same for every message of a login."""
    protocol = "SMTP"
    if extended:  # RFC 3848
        protocol = "ESMTP" + ("S" if peer.tls else "") + ("A" if logged_in else "")
    return Origin("smtp", peer.address, peer.port, hello, protocol, peer.tls)


def in_unicode(origin: Origin) -> Origin:
    """The same for a message that was declared with SMTPUTF8 (RFC 6531 §4.3)."""
    return replace(origin, protocol="UTF8" + origin.protocol.removeprefix("E"))
