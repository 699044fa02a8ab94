"""header text: encoded words (RFC 2047) read for people, and written for what is ours"""

from __future__ import annotations

import binascii
import re
from typing import Final

from pillarbox.message.errors import InvalidHeaderValue

WISHED_COLUMNS: Final = 78
_WORD_COLUMNS: Final = 75
_LONGEST_UNENCODED: Final = 900
MAX_VALUE_CHARACTERS: Final = 8000

_ENCODED: Final = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?]*)\?=")
_REFUSED: Final = re.compile("[\r\n\0]")
_CONTROLS: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " ")
_HALVES: Final = re.compile("[\ud800-\udfff]")
_FRAME_COLUMNS: Final = 12  # =?utf-8?q??=
_SHORT_IN_Q: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/ "
_Q_OCTETS: Final = [
    b"_" if octet == 0x20 else bytes((octet,)) if octet in _SHORT_IN_Q else b"=%02X" % octet
    for octet in range(256)
]

# Only these reach Python's codec registry: it imports and remembers whatever it is asked for, and
# some of what it knows (idna, punycode) takes quadratic time.
_NAMED_CHARSETS: Final = """
    utf-8 utf8 utf-16 utf-16le utf-16be utf-7 us-ascii ascii latin1 latin-1 macintosh mac-roman
    koi8-r koi8-u gb2312 gbk gb18030 big5 big5-hkscs shift_jis sjis shift-jis euc-jp iso-2022-jp
    euc-kr ks_c_5601-1987 iso-2022-kr tis-620 cp437 cp850 cp852 cp866 cp932 cp936 cp949 cp950
"""
_CHARSETS: Final = frozenset(
    _NAMED_CHARSETS.split()
    + [f"iso-8859-{part}" for part in range(1, 17) if part != 12]  # the twelfth was never written
    + [f"{family}{page}" for family in ("windows-", "cp") for page in (874, *range(1250, 1259))]
)


def decode_words(value: bytes) -> str:
    """A header value for people to read; never raises.

    Control characters and line separators, also those hidden in encoded words, are shown as
    blanks: the result is one line whatever the value held. Half of a character, which some charsets
    can spell, becomes U+FFFD, so that the result can be written in UTF-8. It is for display, not for
    a header.
    """
    text = _plain_text(value.replace(b"\r\n", b""))
    if "=?" in text:
        text = _HALVES.sub("\N{REPLACEMENT CHARACTER}", _decoded(text))
    return text.translate(_CONTROLS).strip()


def encode_header(text: str, *, used: int = 0, field: str = "the value") -> bytes:
    """`text` as the value of an unstructured field of ours, folded at blanks.

    `used` counts the columns that the field's name takes on the first line. Lines are at most 78
    octets where a blank allows it, and never longer than 998. Encoded words that a program wrote
    itself are passed on as they are, provided that they hide no control characters.

    Raises `InvalidHeaderValue`, naming `field`, for a line break, NUL, or more than 8000
    characters. Other control characters become blanks.
    """
    clean = checked(text, field)
    if is_plain(clean):
        return fold(clean.encode("ascii"), used)
    return encode_words(clean, used)


def checked(text: str, field: str) -> str:
    """`text` as one line without control characters. Raises `InvalidHeaderValue`."""
    if _REFUSED.search(text):
        raise InvalidHeaderValue(
            field, "contains a line break or NUL", fix="Write it as one line of text."
        )
    if len(text) > MAX_VALUE_CHARACTERS:
        raise InvalidHeaderValue(field, f"is longer than {MAX_VALUE_CHARACTERS} characters")
    return text.translate(_CONTROLS).strip()


def is_plain(text: str) -> bool:
    """Whether a cleaned text may stand in a header as it is, folded at its blanks."""
    if not text.isascii():
        return False
    if "=?" in text and _decoded(text).translate(_CONTROLS) != _decoded(text):
        return False
    return max(map(len, text.split(" "))) <= _LONGEST_UNENCODED


def fold(value: bytes, used: int = 0, columns: int = WISHED_COLUMNS) -> bytes:
    """`value` with line ends put before blanks, so that lines keep within `columns`.

    A blank stays where it is, so unfolding gives back exactly the value.
    """
    if used + len(value) <= columns:
        return value
    first, *words = value.split(b" ")
    lines, line, width = [], [first], used + len(first)
    for word in words:
        # An empty word is one of several blanks in a row: a line must not consist of them alone.
        if word and width + 1 + len(word) > columns and any(line):
            lines.append(b" ".join(line))
            line, width = [b"", word], 1 + len(word)
        else:
            line.append(word)
            width += 1 + len(word)
    lines.append(b" ".join(line))
    return b"\r\n".join(lines)


def encode_words(text: str, used: int = 0) -> bytes:
    """`text` as encoded words of at most 75 octets, folded; each holds whole characters."""
    data = text.encode("utf-8", "replace")
    quoted = _q_columns(data) <= 2 * len(data)  # legible where mostly ASCII, short otherwise
    cost = _q_columns if quoted else len
    room = _room(min(_WORD_COLUMNS, max(WISHED_COLUMNS - used, 24)), quoted)
    words, held, columns = [], b"", 0
    for character in text:
        more = character.encode("utf-8", "replace")
        if columns + cost(more) > room:
            words.append(_word(held, quoted))
            room, held, columns = _room(_WORD_COLUMNS, quoted), b"", 0
        held += more
        columns += cost(more)
    words.append(_word(held, quoted))
    return b"\r\n ".join(words)


def _room(columns: int, quoted: bool) -> int:
    """How much one encoded word takes: in Q encoding columns, in B encoding octets to encode."""
    return columns - _FRAME_COLUMNS if quoted else (columns - _FRAME_COLUMNS) // 4 * 3


def _q_columns(data: bytes) -> int:
    return 3 * len(data) - 2 * (len(data) - len(data.translate(None, _SHORT_IN_Q)))


def _word(data: bytes, quoted: bool) -> bytes:
    if not quoted:
        return b"=?utf-8?b?" + binascii.b2a_base64(data, newline=False) + b"?="
    return b"=?utf-8?q?" + b"".join(_Q_OCTETS[octet] for octet in data) + b"?="


def _plain_text(value: bytes) -> str:
    """What a header's raw bytes most likely say: UTF-8, or one octet a character."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _decoded(text: str) -> str:
    """`text` with its encoded words read; blanks between two of them vanish (RFC 2047 §6.2)."""
    shown: list[str] = []
    charset, held, at = "", b"", 0
    for match in _ENCODED.finditer(text):
        raw = _raw(match[2], match[3])
        if raw is None:
            continue
        gap = text[at : match.start()]
        named = match[1].partition("*")[0].lower()
        # Neighbours are joined before they are read: some programs split inside a character.
        if not held or gap.strip() or named != charset:
            shown.append(_in_charset(held, charset))
            if not held or gap.strip():
                shown.append(gap)
            held = b""
        held += raw
        charset, at = named, match.end()
    shown.append(_in_charset(held, charset))
    return "".join(shown) + text[at:]


def _raw(encoding: str, payload: str) -> bytes | None:
    data = payload.encode("utf-8")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data + b"===")
    except binascii.Error:
        return None


def _in_charset(data: bytes, charset: str) -> str:
    if charset in _CHARSETS:
        try:
            return data.decode(charset.replace("windows-", "cp"), "replace")
        except LookupError:  # some builds of Python leave the Asian ones out
            return _plain_text(data)
    return _plain_text(data)
