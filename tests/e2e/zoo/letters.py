"""what every client hands over: six letters, each with what may go wrong with its kind

A client that takes a whole message is given `Letter.content` and has to put just that on the wire.
One that composes is given the parts. Both kinds carry what must not arrive: a recipient whom only
the envelope and a Bcc field name, and option headers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

AUTHOR: Final = "shop@example.com"
UTF8_AUTHOR: Final = "grüße@example.com"
DATE: Final = "Fri, 20 Mar 2026 09:30:00 +0100"
OPTION: Final = ("X-Pillarbox-Tags", "zoo")
"""A field that is obeyed and must leave."""

ATTACHMENT_NAME: Final = "Übersicht.bin"
ATTACHMENT_BYTES: Final = 10 * 1024 * 1024
MANY: Final = 50


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one client; nobody else's has its recipients."""

    kind: str
    return_path: str
    recipients: tuple[str, ...]
    """Of the envelope; the last one is in no field but Bcc."""
    subject: str
    text: str
    attachment: bytes = b""
    body: bytes = b""
    """Where it is more than `text`: what a client that takes whole messages is given instead."""
    dated: bool = True
    """Whether Date and Message-ID are there already."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The recipients that the To field names."""
        return self.recipients[:-1]

    @property
    def hidden(self) -> str:
        """The one that nobody may read of."""
        return self.recipients[-1]

    @property
    def utf8(self) -> bool:
        """Whether an address needs SMTPUTF8."""
        return not "".join((self.return_path, *self.recipients)).isascii()

    @property
    def content(self) -> bytes:
        """The whole message, CRLF line ends, with all that must leave."""
        to = ",\r\n ".join(f"<{each}>" for each in self.shown)
        fields = [
            f"From: Shop <{self.return_path}>",
            f"To: {to}",
            f"Bcc: Hidden\r\n <{self.hidden}>",
            f"Subject: {self.subject}",
            f"{OPTION[0]}: {OPTION[1]}",
            "MIME-Version: 1.0",
        ]
        if self.dated:
            name = hashlib.sha256(self.hidden.encode()).hexdigest()[:24]
            fields += [f"Date: {DATE}", f"Message-ID: <{name}@client.example.com>"]
        head = "\r\n".join(fields).encode() + b"\r\n"
        if self.attachment:
            return head + _with_attachment(self.text.encode(), self.attachment)
        body = self.body or self.text.encode()
        encoding = b"7bit" if body.isascii() else b"8bit"
        return (
            head + b"Content-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
        )


@cache
def ten_megabytes() -> bytes:
    """The same in every run, and nothing that could be compressed."""
    return b"".join(
        hashlib.sha512(number.to_bytes(4)).digest() for number in range(ATTACHMENT_BYTES // 64)
    )


@cache
def _attached(content: bytes) -> bytes:
    lines = base64.encodebytes(content).replace(b"\n", b"\r\n")
    name = b"utf-8''%C3%9Cbersicht.bin"
    return (
        b"--parting--line\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Disposition: attachment; filename*=" + name + b"\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + lines + b"--parting--line--\r\n"
    )


def _with_attachment(text: bytes, content: bytes) -> bytes:
    return (
        b'Content-Type: multipart/mixed; boundary="parting--line"\r\n\r\n'
        b"--parting--line\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + text
        + b"\r\n"
        + _attached(content)
    )


# --- texts ----------------------------------------------------------------------------------------

PLAIN: Final = (
    "Dear customer,\r\n\r\nMAIL FROM:<smuggler@example.com>\r\nFrom here it goes on  \r\n"
    "\tand here\t\r\n--boundary\r\n=3D =20 =\r\n250 2.0.0 Ok\r\nQUIT\r\n\r\n\r\n"
)

EIGHT_BIT: Final = "Größe: 5 €, 日本, ﷽\r\nÄÖÜ\u00a0ß\r\n" + "é" * 499 + "\r\n\r\nEnde\r\n"

EVERY_OCTET: Final = EIGHT_BIT.encode() + b"".join(
    bytes(range(start, start + 16)) + b"\r\n" for start in range(0x80, 0x100, 16)
)
"""No UTF-8 any more: what a recipient's program makes of it is not our affair."""


LONG_LINES: Final = "." * 998 + "\r\n" + "x" * 998 + "\r\n" + "." + "x" * 997 + "\r\n"
ROUND: Final = "".join(
    line + "\r\n" for line in (".", "..", "...", ". ", ".\t", " .", "x.", ".x", "", ".", "....", "")
)
"""Lines of dots, of an odd length on the wire, where a dot more begins each that begins with one.

So from one end of a buffer to the next, if its size is a power of two, every place in a round has
its turn: 4 KiB need `ROUNDS` of them for that.
"""
BUFFER_BYTES: Final = 4096


def stuffed(text: str) -> str:
    """As it is on the wire."""
    return "".join("." * line.startswith(".") + line for line in text.splitlines(keepends=True))


ROUNDS: Final = BUFFER_BYTES + 1
DOTS: Final = ".\r\n" + LONG_LINES + ROUND * ROUNDS + "..\r\n.\r\n"

_KINDS: Final[dict[str, Callable[[Letter], Letter]]] = {
    "plain": lambda letter: replace(letter, text=PLAIN),
    "undated": lambda letter: replace(letter, text=PLAIN, dated=False),
    "eight_bit": lambda letter: replace(letter, text=EIGHT_BIT, body=EVERY_OCTET),
    "utf8": lambda letter: replace(
        letter,
        text=EIGHT_BIT,
        return_path=UTF8_AUTHOR,
        subject=f"{letter.subject} Grüße",
        recipients=("名前." + letter.recipients[0], letter.recipients[1]),
    ),
    "attachment": lambda letter: replace(letter, text=EIGHT_BIT, attachment=ten_megabytes()),
    "many": lambda letter: replace(
        letter,
        text=PLAIN,
        recipients=tuple(f"{number:02}.{letter.recipients[0]}" for number in range(MANY)),
    ),
    "dots": lambda letter: replace(letter, text=DOTS),
}

KINDS: Final = tuple(_KINDS)


def letter(kind: str, tag: str) -> Letter:
    """The letter of that kind; `tag` is a word that makes its addresses unlike any other's."""
    recipients = (f"{tag}@example.org", f"hidden.{tag}@example.org")
    return _KINDS[kind](Letter(kind, AUTHOR, recipients, tag, ""))
