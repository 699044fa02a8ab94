"""header block as raw ordered fields: find, prepend, remove; untouched bytes stay untouched"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.mailboxes import addresses_in
from pillarbox.message.words import decode_words, encode_header, fold

__all__ = [
    "Field",
    "HeaderBlock",
    "addresses_in",
    "decode_words",
    "encode_header",
    "field_line",
    "fold",
    "split_content",
]

_BLANK_LINE = b"\r\n\r\n"
_FIELD_START = re.compile(rb"\r\n(?![ \t])")
_NAME = re.compile(rb"[!-9;-~]+")
# A line end that begins no continuation line, or half a line end, or NUL: what no value may hold.
_BREAKS_OUT = re.compile(rb"\r\n(?![ \t])|(?<!\r)\n|\r(?!\n)|\0")


def split_content(content: bytes) -> tuple[bytes, bytes]:
    """The header section with its blank line, and the body.

    Content without a blank line is all header; one that begins with it has no fields.
    """
    if content.startswith(b"\r\n"):
        return content[:2], content[2:]
    end = content.find(_BLANK_LINE)
    return (content, b"") if end < 0 else (content[: end + 4], content[end + 4 :])


def field_line(name: str | bytes, value: bytes) -> bytes:
    """A whole field with its line end. Raises `InvalidHeaderValue` where it would be more than one.

    The value may be folded already (CRLF and a blank); a lone CR or LF, or NUL, is refused.
    """
    spelled = name.encode("utf-8") if isinstance(name, str) else name
    if not _NAME.fullmatch(spelled):
        raise InvalidHeaderValue(
            repr(spelled[:40].decode("latin-1")), "is not the name of a header field"
        )
    if _BREAKS_OUT.search(value):
        raise InvalidHeaderValue(spelled.decode("ascii"), "contains a line break or NUL")
    return spelled + b": " + value + b"\r\n"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name as it is spelled, and every byte of it, line ends included.

    The name is empty for a line that is no field. Only the last field of a section that breaks
    off may lack its line end.
    """

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """What stands behind the colon, unfolded and trimmed."""
        return self.raw.partition(b":")[2].replace(b"\r\n", b"").strip(b" \t")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The fields of a header section in order, and what ends it (the blank line, if there is one).

    Immutable: every change gives a new block in which all other fields keep their bytes. Names are
    compared without regard to case and may be given as text or bytes.
    """

    fields: list[Field]
    ending: bytes = b"\r\n"

    @classmethod
    def parse(cls, header: bytes) -> Self:
        """Cut a header section into fields. Takes any bytes; `to_bytes` gives them back."""
        if header.startswith(b"\r\n"):
            return cls([], header)
        end = header.find(_BLANK_LINE)
        section, ending = (header, b"") if end < 0 else (header[: end + 2], header[end + 2 :])
        whole = section.endswith(b"\r\n")
        pieces = _FIELD_START.split(section[:-2] if whole else section)
        raws = [piece + b"\r\n" for piece in pieces[:-1]]
        raws.append(pieces[-1] + b"\r\n" if whole else pieces[-1])
        return cls([Field(_name(raw), raw) for raw in raws if raw], ending)

    def get(self, name: str | bytes) -> bytes | None:
        """The unfolded value of the first field of that name."""
        return next(self._values(name), None)

    def get_all(self, name: str | bytes) -> list[bytes]:
        """The unfolded values of all fields of that name, in order."""
        return list(self._values(name))

    def _values(self, name: str | bytes) -> Iterator[bytes]:
        wanted = _folded(name)
        return (field.value for field in self.fields if field.name.lower() == wanted)

    def without(self, *names: str | bytes) -> HeaderBlock:
        """The block without any field of these names."""
        gone = frozenset(map(_folded, names))
        return self._keeping(field for field in self.fields if field.name.lower() not in gone)

    def without_prefix(self, *prefixes: str | bytes) -> HeaderBlock:
        """The block without any field whose name begins with one of these."""
        gone = tuple(map(_folded, prefixes))
        return self._keeping(
            field for field in self.fields if not field.name.lower().startswith(gone)
        )

    def prepended(self, name: str | bytes, value: bytes) -> HeaderBlock:
        """The block with one more field on top. Raises `InvalidHeaderValue`."""
        return self._keeping([_made(name, value), *self.fields])

    def appended(self, name: str | bytes, value: bytes) -> HeaderBlock:
        """The block with one more field at the end. Raises `InvalidHeaderValue`."""
        fields = list(self.fields)
        if fields and not fields[-1].raw.endswith(b"\r\n"):
            fields[-1] = Field(fields[-1].name, fields[-1].raw + b"\r\n")
        return self._keeping([*fields, _made(name, value)])

    def to_bytes(self) -> bytes:
        """The section as it is written."""
        return b"".join([field.raw for field in self.fields]) + self.ending

    def _keeping(self, fields: Iterable[Field]) -> HeaderBlock:
        return HeaderBlock(list(fields), self.ending)


def _made(name: str | bytes, value: bytes) -> Field:
    line = field_line(name, value)
    return Field(_name(line), line)


def _name(raw: bytes) -> bytes:
    colon = raw.find(b":")
    name = raw[: max(colon, 0)].rstrip(b" \t")
    return name if _NAME.fullmatch(name) else b""


def _folded(name: str | bytes) -> bytes:
    return (name.encode("utf-8") if isinstance(name, str) else name).lower()
