"""a report on TLS as a message to whoever asked for it (RFC 8460 §5.3)"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.message.date import format_date
from pillarbox.message.entity import Entity, multipart, text_entity
from pillarbox.message.header import encode_header, field_line
from pillarbox.message.mailboxes import Mailbox, format_mailboxes
from pillarbox.message.transfer import base64_lines


@dataclass(frozen=True, slots=True)
class ReportMail:
    """What is written, and to whom. All of it but `to` is our own."""

    identity: str
    """``local@domain``: tells this report from every other."""
    at: int
    """The Date, in milliseconds."""
    author: str
    to: str
    domain: str
    """On which it reports."""
    submitter: str
    """Who reports."""
    day: str
    """As people write it."""
    file_name: str
    packed: bytes
    """The report, compressed."""


def write_report_mail(mail: ReportMail) -> bytes:
    """The message. The same report gives the same bytes.

    Raises `InvalidHeaderValue` where an address is none.
    """
    text = (
        f"This is a report on TLS connections from {mail.submitter} to the mail servers of "
        f"{mail.domain} on {mail.day}, as RFC 8460 describes it. It is enclosed for programs.\n"
    )
    report = Entity(
        b"Content-Type: application/tlsrpt+gzip\r\n"
        b'Content-Disposition: attachment;\r\n filename="%b"\r\n'
        b"Content-Transfer-Encoding: base64\r\n" % mail.file_name.encode("ascii"),
        base64_lines(mail.packed),
    )
    subject = (
        f"Report Domain: {mail.domain} Submitter: {mail.submitter} Report-ID: <{mail.identity}>"
    )
    body = multipart(
        "report", mail.identity, [text_entity("plain", text), report], 'report-type="tlsrpt";'
    )
    lines = [
        field_line("Date", format_date(mail.at).encode("ascii")),
        field_line("From", format_mailboxes("author", (Mailbox("", mail.author),), used=6)),
        field_line("To", format_mailboxes("to", (Mailbox("", mail.to),), used=4)),
        field_line("Subject", encode_header(subject, used=9)),
        field_line("Message-ID", f"<{mail.identity}>".encode("ascii")),
        field_line("TLS-Report-Domain", mail.domain.encode("ascii")),
        field_line("TLS-Report-Submitter", mail.submitter.encode("ascii")),
        # A report on broken TLS must not be kept back by it.
        field_line("TLS-Required", b"No"),
        field_line("Auto-Submitted", b"auto-generated"),
        field_line("MIME-Version", b"1.0"),
    ]
    return b"".join([*lines, body.fields, b"\r\n", body.body])
