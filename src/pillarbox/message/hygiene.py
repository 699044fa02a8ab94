"""submission fix-ups (RFC 6409 8): From, Date, Message-ID, Bcc, missing CRLF"""

from __future__ import annotations

import re
from typing import Final

from pillarbox.message.date import format_date
from pillarbox.message.errors import HeaderTooLong, NoAuthor, TooManyHops
from pillarbox.message.mailboxes import addresses_in

MAX_HEADER_BYTES: Final = 64 * 1024
MAX_HOPS: Final = 50

# All three look at line ends only, so a section costs one pass each and no loop over its lines.
_FIELD_END: Final = re.compile(rb"\r\n(?![ \t])")
_NO_FIELD: Final = re.compile(rb"\r\n(?![ \t])(?![!-9;-~]+[ \t]*:)")
_MATTERS: Final = re.compile(
    rb"\r\n(from|subject|date|message-id|received|(?:resent-)?bcc|tls-required"
    rb"|(?:x-smtpeter-|x-pillarbox-)[!-9;-~]*)[ \t]*:"
)


class Tidied:
    """The first block of a message as it is stored, and what was read on the way."""

    __slots__ = (
        "author", "authors", "eight_bit_header", "head", "header_bytes", "message_id", "options",
        "subject", "tls_optional",
    )  # fmt: skip

    def __init__(
        self,
        head: bytes,
        subject: bytes,
        message_id: bytes,
        options: list[tuple[str, str]],
        header_bytes: int,
        eight_bit_header: bool,
        authors: tuple[str, ...],
        tls_optional: bool,
    ) -> None:
        """See the attributes."""
        self.head = head
        self.author = authors[0] if authors else ""
        """The first address of the From field; empty where there is none."""
        self.authors = authors
        """Every address of every From field: whoever asks who may speak must ask for all."""
        self.subject = subject
        """Unfolded, still encoded."""
        self.message_id = message_id
        """With its angle brackets; empty only for a relayed message that has none."""
        self.options = options
        """The option headers that were removed, names in lower case, in order."""
        self.header_bytes = header_bytes
        """Length of the header section of `head`, blank line included."""
        self.eight_bit_header = eight_bit_header
        self.tls_optional = tls_optional
        """Whether it rather goes in clear than late: ``TLS-Required: No`` (RFC 8689 §3)."""


def tidy(
    head: bytes,
    *,
    message_id: str,
    now_ms: int,
    hostname: str,
    received: bytes,
    relays: bool,
    return_path: str = "",
    max_header_bytes: int = MAX_HEADER_BYTES,
    max_hops: int = MAX_HOPS,
) -> Tidied:
    """Make the first block of a submitted message fit to travel; every other byte stays.

    `head` has CRLF line ends only and holds the whole header section. `received` goes on top, option
    headers leave. A header section that ends without a blank line, or in a line that is no field,
    gets its blank line there.

    For a submitter that relays nothing more is done: what others wrote must not be completed by an
    intermediate server (RFC 5321 §6.4), and a Bcc field that came so far was meant to
    (RFC 5322 §3.6.3). For everybody else:

    - Bcc fields leave.
    - Where Date or Message-ID is missing it is added, the latter from `message_id` and `hostname`.
    - Where From is missing it is added from `return_path`. RFC 6409 §8 lets us mend what has one
      clear solution, and this has: without the field most servers refuse the message, the return
      path is the one address that the submitter gave for itself, and its right to use that is asked
      for as with any author. Scripts that leave the field out are many, and used to get it from the
      MTA they talked to.
    - Where From is there and names nobody, or nobody with a domain, or where it is missing and the
      return path is null, the message is refused: any domain put there would be a guess.

    Raises `HeaderTooLong`, `TooManyHops` and `NoAuthor`.
    """
    start = _behind_mailbox_line(head)
    section, end = _section(head, start, max_header_bytes)
    subject = found_id = b""
    dated, signed, tls_optional, hops = False, False, False, 0
    authors: list[str] = []
    options: list[tuple[str, str]] = []
    pieces, at = [received], start
    for match in _MATTERS.finditer(section):
        name = match[1]
        last = _FIELD_END.search(section, match.end())
        stop = start + last.start() if last else end
        if name == b"received":
            hops += 1
            continue
        value = head[start + match.end() - 2 : stop].replace(b"\r\n", b"").strip()
        if name == b"from":
            signed = True
            authors.extend(addresses_in(value))
        elif name == b"subject":
            subject = subject or value
        elif name == b"message-id":
            found_id = found_id or value
        elif name == b"date":
            dated = True
        elif name == b"tls-required":
            tls_optional = tls_optional or value.lower() == b"no"
        else:
            if name not in (b"bcc", b"resent-bcc"):
                options.append((name.decode("ascii"), value.decode("utf-8", "replace")))
            elif relays:
                continue
            pieces.append(head[at : start + match.start()])
            at = stop
    if hops > max_hops:
        raise TooManyHops(
            f"the message has passed {hops} servers already, and the limit is {max_hops}",
            fix="Look at its Received fields: two servers send it to each other.",
        )
    pieces.append(head[at:end])
    if not relays:
        if not signed:
            authors.append(_author_of_last_resort(return_path))
            pieces.insert(1, b"From: %b\r\n" % return_path.encode())
        elif "@" not in " ".join(authors):
            raise NoAuthor(
                "the From field of the message names no address with a domain",
                fix="Write From: Ann <ann@example.com>, with an address of your own.",
            )
        if not dated:
            pieces.insert(1, b"Date: %b\r\n" % format_date(now_ms).encode("ascii"))
        if not found_id:
            found_id = format_message_id(message_id, hostname)
            pieces.insert(1, b"Message-ID: %b\r\n" % found_id)
    fields = b"".join(pieces)
    blank = b"" if head.startswith(b"\r\n", end) else b"\r\n"
    if blank and not fields.endswith(b"\r\n"):
        fields += b"\r\n"
    return Tidied(
        b"".join((fields, blank, memoryview(head)[end:])),
        subject,
        found_id,
        options,
        len(fields) + 2,
        not fields.isascii(),
        tuple(authors),
        tls_optional,
    )


def _author_of_last_resort(return_path: str) -> str:
    if not return_path:
        raise NoAuthor(
            "the message has no From field, and its return path is empty",
            fix="Add a From field with an address of your own.",
        )
    return return_path


def _behind_mailbox_line(head: bytes) -> int:
    """Where the message begins: a mailbox file's ``From ann@example.com Fri Nov 20`` is no part."""
    if not head.startswith((b"From ", b">From ")) or head[5:].lstrip(b" \t").startswith(b":"):
        return 0
    return head.find(b"\r\n") + 2 if b"\r\n" in head else 0


def _section(head: bytes, start: int, limit: int) -> tuple[bytes, int]:
    """The fields in lower case with their first line end moved to the front, and where they end.

    They end before the blank line, before a line that is no field, or with the message.
    """
    if head.startswith(b"\r\n", start):
        return b"", start
    end = head.find(b"\r\n\r\n", start, start + limit + 2)
    endless = end < 0 and len(head) - start > limit
    end = len(head) if end < 0 else end + 2
    section = b"\r\n" + head[start:end].lower().removesuffix(b"\r\n")
    if section[2:3] in (b" ", b"\t"):
        return b"", start
    stray = _NO_FIELD.search(section)
    if endless and (stray is None or stray.start() > limit):
        raise HeaderTooLong(
            f"the header section of the message is longer than {limit} bytes",
            fix="Name recipients in the envelope rather than in To and Cc.",
        )
    return (section[: stray.start()], start + stray.start()) if stray else (section, end)


def format_message_id(local: str, hostname: str) -> bytes:
    """A Message-ID in its brackets; `local` may be whole already, brackets or not."""
    bare = local.strip("<>")
    return (f"<{bare}>" if "@" in bare else f"<{bare}@{hostname}>").encode("ascii")
