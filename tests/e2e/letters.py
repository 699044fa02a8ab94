"""a message that survives nothing by luck, and the parts of one that came through"""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

AUTHOR = "shop@example.com"

# Dots alone and doubled, blanks and tabs at line ends, words of other protocols, a line of the
# greatest lawful length, bytes beyond ASCII, empty lines at the end.
BODY = (
    ".\r\n..\r\n...\r\n. \r\n.\t\r\n\r\n"
    "From here it goes on  \r\n\tand here\t\r\n"
    "MAIL FROM:<smuggler@example.com>\r\n"
    "--boundary\r\n=3D =20 =\r\n" + "x" * 998 + "\r\n"
    "Größe: 5 €, 日本\r\n\r\n\r\n"
).encode()


def letter(recipient: str, subject: str, body: bytes = BODY) -> bytes:
    """A whole message."""
    head = (
        f"From: Shop <{AUTHOR}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return head.encode() + body


def body_of(content: bytes) -> bytes:
    """Everything behind the first empty line."""
    return content.partition(b"\r\n\r\n")[2]


def read(content: bytes) -> EmailMessage:
    """As the programs of recipients read it."""
    return message_from_bytes(content, policy=policy.default)  # type: ignore[return-value]
