"""HTML bodies: found where they may be changed, decoded, and put back with few octets changed

Nothing inside what is signed, encrypted, enclosed or attached is a body. Of a body in
quoted-printable only the lines are written anew that an edit touches; what was written as it is
stays so where that is still permitted.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pillarbox.message.charsets import codec_for
from pillarbox.message.markup import spliced
from pillarbox.message.parts import Part, read_parts
from pillarbox.message.transfer import base64_lines, fits_lines, quoted_printable

Edit = tuple[int, int, bytes]
"""From, to, and what stands there instead."""

SEALED: Final = frozenset(
    {
        "multipart/signed",
        "multipart/encrypted",
        "multipart/report",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
    }
)
"""What is inside is somebody's word for word, or says what became of a mail."""
_SOFT: Final = b"=\r\n"
_AS_IT_IS: Final = frozenset({"", "7bit", "8bit", "binary"})
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*")
MAX_OCTETS: Final = 4 * 1024 * 1024
_WRITTEN: Final = tuple(
    bytes((octet,)) if 33 <= octet <= 126 and octet != ord("=") else b"=%02X" % octet
    for octet in range(256)
)
"""Each octet in quoted-printable, where it is no part of a line end."""
_SHORT_CONTENT: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """An HTML part that may be changed."""

    part: Part
    document: bytes
    """Decoded from its transfer encoding."""
    charset: str
    """A codec that has ASCII in it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An HTML part that is left as it is, and why, as the end of a sentence."""

    part: Part
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A message taken apart."""

    whole: Part
    bodies: tuple[Body | Unreadable, ...]
    """As `find_bodies` gives them."""


def read_bodies(content: bytes) -> Reading:
    """Raises `TooComplex`. The same content, as an object, is not read twice in a row: whoever asked
    for its styles asks for its links next.
    """
    last = _last.get(id(content))
    if last is not None and last[0] is content:
        return last[1]
    whole = read_parts(content)
    reading = Reading(whole, tuple(find_bodies(content, whole)))
    _last.clear()
    if len(content) <= _SHORT_CONTENT:
        _last[id(content)] = content, reading
    return reading


_last: Final[dict[int, tuple[bytes, Reading]]] = {}


def find_bodies(content: bytes, whole: Part) -> Iterator[Body | Unreadable]:
    """Every HTML part that a reader is shown, in order; where nothing is, nothing can be put."""
    if whole.media_type in SEALED or whole.media_type.startswith("message/"):
        return
    for part in whole.parts:
        yield from find_bodies(content, part)
    shown = whole.disposition != "attachment" and whole.end > whole.body
    if whole.media_type == "text/html" and shown:
        yield _body(content, whole)


def put_back(content: bytes, body: Body, edits: Iterable[Edit]) -> list[Edit]:
    """What has to be changed in the message so that its document is edited so."""
    wanted = sorted(edits)
    if not wanted:
        return []
    part = body.part
    raw = content[part.body : part.end]
    if part.encoding in _AS_IT_IS:
        made = spliced(body.document, wanted)
        if fits_lines(made) or part.encoding == "binary":
            return [(part.body + start, part.body + end, value) for start, end, value in wanted]
        return [(part.body, part.end, _quoted(made)), _renamed(content, part)]
    if part.encoding == "base64":
        end = b"\r\n" if raw.endswith(b"\r\n") else b""
        made = base64_lines(spliced(body.document, wanted))
        return [(part.body, part.end, made + end)]
    return _lines(part, raw, body.document, wanted)


def _body(content: bytes, part: Part) -> Body | Unreadable:
    raw = content[part.body : part.end]
    if len(raw) > MAX_OCTETS:
        return Unreadable(part, f"it has more than {MAX_OCTETS} octets")
    if part.encoding in _AS_IT_IS:
        document = raw
    elif part.encoding == "quoted-printable":
        document = binascii.a2b_qp(raw)
    elif part.encoding == "base64":
        if not _BASE64.fullmatch(raw.rstrip()):
            return Unreadable(part, "it says that it is base64, and is not")
        try:
            document = binascii.a2b_base64(raw)
        except binascii.Error:
            return Unreadable(part, "it says that it is base64, and breaks off")
    else:
        return Unreadable(part, f"nobody knows its encoding {part.encoding[:40]!r}")
    charset = codec_for(part.parameters.get("charset", ""), document)
    if charset is None:
        named = part.parameters.get("charset", "")[:40] or "UTF-8"
        return Unreadable(part, f"it cannot be read as {named}")
    return Body(part, document, charset)


def _lines(part: Part, raw: bytes, document: bytes, wanted: list[Edit]) -> list[Edit]:
    """In quoted-printable the lines between hard line ends stand for the lines of the document, as
    long as none of these is written as ``=0D=0A``.
    """
    # Of what is written only lengths matter: without soft line ends only hard ones are left.
    written = raw.replace(_SOFT, b"===").split(b"\r\n")
    meant = document.split(b"\r\n")
    if len(written) != len(meant) or any(line.endswith((b" ", b"\t")) for line in written[:-1]):
        return [(part.body, part.end, _quoted(spliced(document, wanted)))]
    found: list[Edit] = []
    at = place = line = index = 0
    while index < len(wanted):
        while wanted[index][0] > at + len(meant[line]) + 1:  # between CR and LF is this line
            at += len(meant[line]) + 2
            place += len(written[line]) + 2
            line += 1
        start, begin, first = at, place, index
        at += len(meant[line])
        place += len(written[line])
        while index < len(wanted) and wanted[index][0] <= at + 1:
            while wanted[index][1] > at:
                line += 1
                at += len(meant[line]) + 2
                place += len(written[line]) + 2
            index += 1
        row, body = raw[begin:place], part.body
        if row.find(_SOFT) >= 0:
            found += _segments(body + begin, row, document, (start, at), wanted[first:index])
        else:
            made = _replaced(document, start, at, wanted[first:index])
            found.append((body + begin, body + place, _quoted(made)))
        at += 2
        place += 2
        line += 1
    return found


def _segments(
    place: int, written: bytes, document: bytes, meant: tuple[int, int], wanted: list[Edit]
) -> list[Edit]:
    """Of a long line only what stands between the soft line ends around an edit is written anew."""
    found: list[Edit] = []
    begin = index = 0
    start, behind = meant
    while index < len(wanted):
        stop, end = _segment(written, begin, document, start, behind)
        first = index
        while end >= 0 and index < len(wanted) and wanted[index][0] <= end:
            if wanted[index][1] <= end:
                index += 1
            else:
                stop, end = _segment(written, stop + len(_SOFT), document, end, behind)
        last = stop == len(written)
        if end < 0 or (last and index < len(wanted)):
            made = _replaced(document, *meant, wanted)
            return [(place, place + len(written), _quoted(made))]
        if index > first:
            made = _replaced(document, start, end, wanted[first:index])
            found.append((place + begin, place + stop, _quoted(made) if last else _unended(made)))
        begin, start = stop + len(_SOFT), end
    return found


def _segment(
    written: bytes, begin: int, document: bytes, start: int, behind: int
) -> tuple[int, int]:
    """Where what begins here ends, as it is written and as it is meant; below 0 where it is not that."""
    stop = written.find(_SOFT, begin)
    if stop < 0:
        stop = len(written)
    if begin > stop:
        return stop, -1
    text = written[begin:stop]
    if text.find(b"=") >= 0:
        text = binascii.a2b_qp(text)
    end = start + len(text)
    return stop, end if end <= behind and document.startswith(text, start) else -1


def _replaced(document: bytes, start: int, end: int, wanted: list[Edit]) -> bytes:
    """A stretch of the document with its edits."""
    if len(wanted) == 1:
        [(begin, behind, value)] = wanted
        return document[start:begin] + value + document[behind:end]
    pieces: list[bytes] = []
    for begin, behind, value in wanted:
        pieces.append(document[start:begin])
        pieces.append(value)
        start = behind
    pieces.append(document[start:end])
    return b"".join(pieces)


def _unended(text: bytes) -> bytes:
    """Quoted-printable to be followed by a soft line end, for which the last line keeps room."""
    return _quoted(text + b"x")[:-1].removesuffix(_SOFT)


def _quoted(text: bytes) -> bytes:
    # Not with `in`, which takes the octets for a number first, and an exception to see that.
    if text.find(b"\r") < 0 and text.find(b"\n") < 0:
        return quoted_printable(text)
    if text.count(b"\r") == text.count(b"\n") == text.count(b"\r\n"):
        return quoted_printable(text)
    # Bare ones are written as octets, which no line end is.
    return b"\r\n".join(
        quoted_printable(line)
        if b"\r" not in line and b"\n" not in line
        else b"=\r\n".join(_octets(line))
        for line in text.split(b"\r\n")
    )


def _octets(line: bytes) -> list[bytes]:
    written = b"".join(map(_WRITTEN.__getitem__, line))
    pieces: list[bytes] = []
    at = 0
    while len(written) - at > 75:
        escape = written.find(b"=", at + 73, at + 75)
        end = escape if escape >= 0 else at + 75
        pieces.append(written[at:end])
        at = end
    return [*pieces, written[at:]]


def _renamed(content: bytes, part: Part) -> Edit:
    if part.encoding_at is not None:
        return (*part.encoding_at, b" quoted-printable")
    end = part.body - 2
    return (end, end, b"Content-Transfer-Encoding: quoted-printable\r\n")
