"""write a delivery status notification (RFC 3464)"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pillarbox.message.date import format_date
from pillarbox.message.dsn_words import Action, RecipientReport, explain_report, subject_prefix
from pillarbox.message.entity import Entity, multipart, text_entity
from pillarbox.message.header import (
    HeaderBlock,
    decode_words,
    encode_header,
    field_line,
    fold,
    split_content,
)
from pillarbox.message.mailboxes import Mailbox, format_mailboxes
from pillarbox.protocol.path import encode_unicode
from pillarbox.terms.status import EnhancedStatus, InvalidStatus

__all__ = ["Action", "Notice", "RecipientReport", "write_dsn"]

MAX_RETURNED_BYTES: Final = 64 * 1024
"""Longer content is not sent back whole, whatever RET asks for."""

_MAX_SUBJECT: Final = 100
_MAX_DIAGNOSTIC: Final = 2000
_ALL_DIAGNOSTICS: Final = 48 * 1024
_MAX_WORD: Final = 500
_IDENTIFIER: Final = re.compile(r"<[!-;=?-~]{1,250}>")
_USUAL_STATUS: Final = {
    Action.FAILED: "5.0.0",
    Action.DELAYED: "4.0.0",
    Action.DELIVERED: "2.0.0",
    Action.RELAYED: "2.0.0",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notification reports. Its envelope is the null return path to `to`.

    `message_id` is its own, whole; instants are in milliseconds. `content` is the message reported
    on, or as much of it as holds the header section; empty where it is gone.
    """

    message_id: str
    at: int
    hostname: str
    to: str
    """The return path of the message reported on."""
    recipients: tuple[RecipientReport, ...]
    content: bytes
    arrived_at: int
    report: str | None = None
    """RET: ``FULL`` or ``HDRS``; nothing said means headers (RFC 3461 §4.3)."""
    envelope_id: str | None = None
    """ENVID, decoded."""
    name: str = ""
    """Our id of the message, as people read it."""
    author: Mailbox | None = None
    """Left out, ``MAILER-DAEMON`` at `hostname`."""


def write_dsn(notice: Notice) -> bytes:
    """The report as a message: text for people, status for programs, what came back.

    The same notice gives the same bytes. Whatever outsiders wrote (replies, subject, addresses) is
    reduced to what cannot break out of its field. The whole message is returned only for a failure,
    when RET asks for it and it has at most `MAX_RETURNED_BYTES`; otherwise its header section is.

    Raises `InvalidHeaderValue` where `to` is no address.
    """
    header, _ = split_content(notice.content)
    fields = HeaderBlock.parse(header)
    subject = decode_words(fields.get("subject") or b"")[:_MAX_SUBJECT]
    original_id = (fields.get("message-id") or b"").decode("latin-1")
    original_id = original_id if _IDENTIFIER.fullmatch(original_id) else ""
    returned, about_returned = _returned(notice, header)
    text = explain_report(
        notice.recipients,
        hostname=notice.hostname,
        subject=subject,
        message_id=original_id,
        name=notice.name,
        arrived_at=notice.arrived_at,
        now_ms=notice.at,
        returned=about_returned,
    )
    status = Entity(b"Content-Type: message/delivery-status\r\n", _status(notice))
    parts = [text_entity("plain", text), status, *returned]
    body = multipart("report", notice.message_id, parts, "report-type=delivery-status;")
    eight_bit = b"" if body.body.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"".join(
        [_header(notice, subject, original_id), body.fields, eight_bit, b"\r\n", body.body]
    )


def _header(notice: Notice, subject: str, original_id: str) -> bytes:
    author = notice.author or Mailbox("Mail delivery", f"MAILER-DAEMON@{notice.hostname}")
    title = subject_prefix(notice.recipients) + (f": {subject}" if subject else "")
    lines = [
        field_line("Date", format_date(notice.at).encode("ascii")),
        field_line("From", format_mailboxes("author", (author,), used=6)),
        field_line("To", format_mailboxes("to", (Mailbox("", notice.to),), used=4)),
        field_line("Subject", encode_header(title, used=9)),
        field_line("Message-ID", f"<{notice.message_id.strip('<>')}>".encode("ascii")),
        field_line("Auto-Submitted", b"auto-replied"),
    ]
    if original_id:
        lines.append(field_line("In-Reply-To", original_id.encode("ascii")))
        lines.append(field_line("References", original_id.encode("ascii")))
    lines.append(field_line("MIME-Version", b"1.0"))
    return b"".join(lines)


def _returned(notice: Notice, header: bytes) -> tuple[list[Entity], str]:
    """The third part, if there is one, and a sentence about it."""
    if not notice.content:
        return [], "The message itself is no longer stored, so nothing of it is enclosed."
    failed = any(report.action is Action.FAILED for report in notice.recipients)
    wanted = notice.report == "FULL" and failed
    if wanted and len(notice.content) <= MAX_RETURNED_BYTES:
        return [_enclosed(b"message/rfc822", notice.content)], "The message is enclosed."
    entity = _enclosed(b"text/rfc822-headers", header)
    if wanted:
        limit = MAX_RETURNED_BYTES // 1024
        return [entity], f"Since the message is larger than {limit} kB, its header is enclosed."
    return [entity], "The header of the message is enclosed."


def _enclosed(kind: bytes, data: bytes) -> Entity:
    eight_bit = b"" if data.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return Entity(b"Content-Type: %b\r\n" % kind + eight_bit, data)


def _status(notice: Notice) -> bytes:
    """The groups of fields for programs (RFC 3464 §2.2, §2.3), a blank line between them."""
    lines = []
    if notice.envelope_id:
        lines.append(_line("Original-Envelope-Id", notice.envelope_id))
    lines.append(_line("Reporting-MTA", f"dns; {notice.hostname}"))
    lines.append(_line("Arrival-Date", format_date(notice.arrived_at)))
    room = max(80, min(_MAX_DIAGNOSTIC, _ALL_DIAGNOSTICS // len(notice.recipients)))
    groups = [b"".join(lines)]
    groups.extend(_recipient(report, room) for report in notice.recipients)
    return b"\r\n".join(groups)


def _recipient(report: RecipientReport, room: int) -> bytes:
    lines = []
    if report.original:
        kind, _, address = report.original.partition(";")
        lines.append(_line("Original-Recipient", _typed(kind.strip(), address.strip())))
    lines.append(_line("Final-Recipient", _typed("rfc822", report.address)))
    lines.append(_line("Action", report.action.value))
    lines.append(_line("Status", _status_code(report)))
    if report.remote_mta:
        lines.append(_line("Remote-MTA", f"dns; {report.remote_mta}"))
    if report.reply:
        lines.append(_line("Diagnostic-Code", f"smtp; {report.reply[:room]}"))
    if report.attempted_at is not None:
        lines.append(_line("Last-Attempt-Date", format_date(report.attempted_at)))
    if report.retry_until is not None and report.action is Action.DELAYED:
        lines.append(_line("Will-Retry-Until", format_date(report.retry_until)))
    return b"".join(lines)


def _status_code(report: RecipientReport) -> str:
    try:
        return EnhancedStatus.parse(report.status).format()
    except InvalidStatus:
        return _USUAL_STATUS[report.action]


def _typed(kind: str, address: str) -> str:
    """An address behind its type; outside ASCII by RFC 6533 §3 in the form for seven bits."""
    if address.isascii() and kind.lower() != "utf-8":
        return f"{kind};{address}"
    return f"utf-8;{encode_unicode(address)}"


def _line(name: str, text: str) -> bytes:
    """A field of printable ASCII, folded; words are cut where no line could hold them."""
    shown = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in text)
    words = [
        word[at : at + _MAX_WORD] for word in shown.split() for at in range(0, len(word), _MAX_WORD)
    ]
    return field_line(name, fold(" ".join(words).encode("ascii"), len(name) + 2))
