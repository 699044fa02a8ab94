"""API fields become an RFC 5322 message"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pillarbox.message.date import format_date
from pillarbox.message.entity import Entity, multipart, text_entity
from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.header import encode_header, field_line, fold
from pillarbox.message.mailboxes import Mailbox, format_mailboxes
from pillarbox.message.media_types import OCTETS, guess_media_type, parse_media_type
from pillarbox.message.transfer import MAX_LINE_OCTETS, base64_lines
from pillarbox.message.words import checked, encode_words

__all__ = ["Attachment", "Composition", "Mailbox", "compose"]

_MAX_FILE_NAME: Final = 200
_SEGMENT: Final = 60

# Everything else that a header may say is ours to say, or would say it to the wrong program.
_FREE_PREFIXES: Final = ("x-", "list-")
_FREE_NAMES: Final = frozenset(
    {
        "auto-submitted",
        "comments",
        "feedback-id",
        "importance",
        "in-reply-to",
        "keywords",
        "organization",
        "precedence",
        "priority",
        "references",
        "sensitivity",
        "thread-index",
        "thread-topic",
    }
)
_PROSE: Final = ("x-", "comments", "keywords", "organization", "thread-topic")
_UNSHOWN: Final = ("Cc", "Cs", "Zl", "Zp")  # controls, half characters, line separators
# Marks that turn the direction of writing, so that a name could seem to end in another type.
_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,76}")
_SIMPLE_VALUE: Final = re.compile(r"[A-Za-z0-9_.:/ +-]{1,100}")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to go along. `type` is a media type; left empty, the name decides."""

    name: str
    data: bytes
    type: str = ""


@dataclass(frozen=True, slots=True)
class Composition:
    """What a program gave us of a message. Whoever is only in the envelope (Bcc) is not in here.

    `message_id` is whole (``local@domain``, brackets or not) and also decides the boundaries; `at`
    is the Date, in milliseconds. At least one of `text` and `html` is expected; with both, readers
    choose. `headers` are further fields from a short list of harmless ones.
    """

    message_id: str
    at: int
    author: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    reply_to: Mailbox | None = None
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def compose(given: Composition) -> bytes:
    """The message, always the same bytes for the same composition.

    Seven bits, CRLF, no line longer than 998 octets; only an address whose local part is not ASCII
    stays as it is (RFC 6532). No value can become more than the one field it was given for.

    Raises `InvalidHeaderValue`, which names the field as `Composition` does.
    """
    lines = [
        field_line("Date", format_date(given.at).encode("ascii")),
        _mailboxes("From", "author", (given.author,)),
    ]
    if given.reply_to is not None:
        lines.append(_mailboxes("Reply-To", "reply_to", (given.reply_to,)))
    if given.to or not given.cc:
        lines.append(_mailboxes("To", "to", given.to))
    if given.cc:
        lines.append(_mailboxes("Cc", "cc", given.cc))
    if given.subject:
        subject = encode_header(given.subject, used=len("Subject: "), field="subject")
        lines.append(field_line("Subject", subject))
    lines.append(field_line("Message-ID", _message_id(given.message_id)))
    lines.extend(_further(name, value) for name, value in given.headers)
    lines.append(b"MIME-Version: 1.0\r\n")
    entity = _content(given)
    ending = b"" if entity.body.endswith(b"\r\n") else b"\r\n"
    return b"".join(lines) + entity.to_bytes() + ending


def _mailboxes(name: str, place: str, mailboxes: tuple[Mailbox, ...]) -> bytes:
    if not mailboxes:
        return field_line(name, b"undisclosed-recipients:;")
    return field_line(name, format_mailboxes(place, mailboxes, used=len(name) + 2))


def _message_id(text: str) -> bytes:
    bare = text.removeprefix("<").removesuffix(">")
    if not (bare.isascii() and bare.isprintable() and "@" in bare) or re.search(r"[\s<>]", bare):
        raise InvalidHeaderValue("message_id", "is not of the form local@domain")
    return f"<{bare}>".encode("ascii")


def _further(name: str, value: str) -> bytes:
    place = f"headers[{name[:40]!r}]"
    lowered = name.lower()
    free = lowered.startswith(_FREE_PREFIXES) or lowered in _FREE_NAMES
    if not free or not _FIELD_NAME.fullmatch(name):
        raise InvalidHeaderValue(
            place,
            "may not be set",
            fix="Use a name that begins with X- or List-, or the field made for it.",
        )
    if lowered.startswith(_PROSE):
        return field_line(name, encode_header(value, used=len(name) + 2, field=place))
    # Such values consist of words that programs compare: encoded or cut they would mean nothing.
    clean = checked(value, place)
    if not clean.isascii():
        raise InvalidHeaderValue(place, "has characters outside ASCII")
    folded = fold(clean.encode("ascii"), len(name) + 2, MAX_LINE_OCTETS)
    if len(name) + 2 + max(map(len, folded.split(b"\r\n"))) > MAX_LINE_OCTETS:
        raise InvalidHeaderValue(place, f"has a word longer than a line of {MAX_LINE_OCTETS}")
    return field_line(name, folded)


def _content(given: Composition) -> Entity:
    bodies = []
    if given.text is not None or given.html is None:
        bodies.append(text_entity("plain", given.text or ""))
    if given.html is not None:
        bodies.append(text_entity("html", given.html))
    body = bodies[0]
    if len(bodies) > 1:
        body = multipart("alternative", given.message_id, bodies)
    if not given.attachments:
        return body
    files = [_file(number, each) for number, each in enumerate(given.attachments)]
    return multipart("mixed", given.message_id, [body, *files])


def _file(number: int, attachment: Attachment) -> Entity:
    place = f"attachments[{number}]"
    name = _file_name(attachment.name)
    kind = _kind(place, attachment.type) if attachment.type.strip() else guess_media_type(name)
    return Entity(
        b"Content-Type: %b;\r\n name=%b\r\n" % (kind.encode("ascii"), _name_parameter(name))
        + b"Content-Disposition: attachment;\r\n %b\r\n" % _file_name_parameter(name)
        + b"Content-Transfer-Encoding: base64\r\n",
        base64_lines(attachment.data),
    )


def _kind(place: str, given: str) -> str:
    """The media type as it is written: with the parameters that cannot do harm."""
    field = f"{place}.type"
    kind, parameters = parse_media_type(checked(given, field).encode("latin-1", "replace"))
    if not kind:
        raise InvalidHeaderValue(field, "is not a media type", fix="Write one like image/png.")
    if kind.startswith(("multipart/", "message/")):
        return OCTETS  # these may not be in base64 (RFC 2046 §5), and a file is a file
    charset = parameters.get("charset", "")
    return f'{kind}; charset="{charset}"' if _SIMPLE_VALUE.fullmatch(charset) else kind


def _file_name(given: str) -> str:
    """The last part of a path, without what could deceive whoever sees or saves it."""
    last = given.replace("\\", "/").rpartition("/")[2]
    shown = [c for c in last if c not in _TURNING and unicodedata.category(c) not in _UNSHOWN]
    name = "".join(shown).strip(" .") or "attachment"
    if len(name) > _MAX_FILE_NAME:
        stem, dot, ending = name.rpartition(".")
        kept = dot + ending if stem and len(ending) < 20 else ""
        name = name[: _MAX_FILE_NAME - len(kept)] + kept
    return name


def _name_parameter(name: str) -> bytes:
    """For programs that know no RFC 2231: not lawful, but what all of them read."""
    if name.isascii():
        return _quoted(name)
    return b'"' + encode_words(name, used=len(' name="')) + b'"'


def _file_name_parameter(name: str) -> bytes:
    """By RFC 2231, in pieces where it is long."""
    if name.isascii() and len(name) <= _SEGMENT:
        return b"filename=" + _quoted(name)
    pieces, held = [], "utf-8''"
    for octets in (quote(character, safe="") for character in name):
        if len(held) + len(octets) > _SEGMENT:
            pieces.append(held)
            held = ""
        held += octets
    if not pieces:
        return b"filename*=" + held.encode("ascii")
    return b";\r\n ".join(
        f"filename*{number}*={piece}".encode("ascii")
        for number, piece in enumerate([*pieces, held])
    )


def _quoted(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
