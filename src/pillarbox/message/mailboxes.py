"""mailboxes in address fields: read forgivingly, written strictly (RFC 5322 §3.4)"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.words import WISHED_COLUMNS, checked, encode_words, is_plain
from pillarbox.terms.address import parse_address
from pillarbox.terms.errors import PillarboxError


class Mailbox(NamedTuple):
    """A person's name, perhaps empty, and the address."""

    name: str
    address: str


_LONGEST_QUOTED: Final = 200

# One mailbox as nearly all programs write it. No two neighbouring quantifiers share a character,
# so a value that does not match is given up in linear time.
_USUAL: Final = re.compile(
    rb'(?:("[^"\\]*"[ \t]*<|[^"(),:;<>@\\\[\]]*<))?'
    rb'([^\s"(),:;<>@\\\[\]]+@[^\s"(),:;<>@\\\[\]]+)(>?)'
)
_RUN: Final = re.compile(r'[^"(<>,;:\[]+')
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_LITERAL: Final = re.compile(r"\[[^\]\[<>,\s]*\]?")
_COMMENT_EDGE: Final = re.compile(r"[()\\]")
_BLANKS: Final = re.compile(r"\s+")
_WORD_IN_PHRASE: Final = re.compile(r"=\?[A-Za-z0-9-]{1,40}\?[bBqQ]\?[A-Za-z0-9!*+/=_-]+\?=")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def addresses_in(value: bytes) -> list[str]:
    """The addresses in the value of a From, To, ... field, in order.

    Reads what is there rather than what is allowed: names, comments, groups and routes are
    skipped, a quoted local part keeps its quotes, an address without a domain is given as it is,
    and nothing is ever decoded. Never raises; takes linear time.
    """
    unfolded = value.replace(b"\r\n", b"").strip()
    usual = _USUAL.fullmatch(unfolded)
    if usual and (usual[1] is not None) == bool(usual[3]):
        return [usual[2].decode("utf-8", "replace")]
    return _Reader(unfolded.decode("utf-8", "replace")).addresses()


class _Reader:
    """One pass over an address field; what is between two commas becomes no, one or more addresses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._outside: list[str] = []
        self._angles: list[str] = []
        self._found: list[str] = []

    def addresses(self) -> list[str]:
        text = self._text
        while self._at < len(text):
            sign = text[self._at]
            if sign == "(":
                self._skip_comment()
            elif sign == "<":
                self._angles.append(self._angle())
            elif sign in ",;":
                self._finish()
                self._at += 1
            elif sign == ":":
                self._outside.clear()  # what stood before it was the name of a group
                self._at += 1
            elif sign == ">":
                self._at += 1
            else:
                self._outside.append(self._piece())
        self._finish()
        return self._found

    def _piece(self) -> str:
        """A run of ordinary characters, a quoted string or an address literal."""
        sign = self._text[self._at]
        pattern = _QUOTED if sign == '"' else _LITERAL if sign == "[" else _RUN
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return match[0]

    def _angle(self) -> str:
        """What stands between angle brackets, without a source route."""
        self._at += 1
        pieces: list[str] = []
        while self._at < len(self._text) and self._text[self._at] not in "<>":
            sign = self._text[self._at]
            if sign == "(":
                self._skip_comment()
            elif sign in ",;:":
                pieces.append(sign)
                self._at += 1
            else:
                pieces.append(self._piece())
        address = "".join(map(_squeezed, pieces)).strip()
        if '"' not in address:
            address = _squeezed(address)  # a comment may have stood between
        return address.partition(":")[2] if address.startswith("@") else address

    def _skip_comment(self) -> None:
        depth = 0
        while self._at < len(self._text):
            edge = _COMMENT_EDGE.search(self._text, self._at)
            if edge is None:
                self._at = len(self._text)
                return
            self._at = edge.end() + (edge[0] == "\\")
            depth += {"(": 1, ")": -1}.get(edge[0], 0)
            if depth == 0:
                return

    def _finish(self) -> None:
        """The end of one entry: brackets decide, otherwise whatever looks like an address."""
        if self._angles:
            self._found.extend(address for address in self._angles if address)
        else:
            words, named = _words(self._outside)
            alone = len(words) == 1 and not words[0].startswith('"')
            self._found.extend(words if alone and not named else named)
        self._outside.clear()
        self._angles.clear()


def _squeezed(piece: str) -> str:
    """A piece with its blanks made one, and none around an @; what is quoted stays as it is."""
    if piece.startswith('"'):
        return piece
    return _BLANKS.sub(" ", piece).replace(" @", "@").replace("@ ", "@")


def _words(pieces: Sequence[str]) -> tuple[list[str], list[str]]:
    """All words of the pieces, and those with an @ outside quotes."""
    words, signs = [""], [False]
    for piece in map(_squeezed, pieces):
        if piece.startswith('"'):
            words[-1] += piece
            continue
        for number, word in enumerate(piece.split(" ")):
            if number:
                words.append("")
                signs.append(False)
            words[-1] += word
            signs[-1] = signs[-1] or "@" in word
    named = [word for word, sign in zip(words, signs, strict=True) if sign]
    return [word for word in words if word], named


def format_mailboxes(field: str, mailboxes: Sequence[Mailbox], *, used: int) -> bytes:
    """Mailboxes as the value of an address field, folded behind commas.

    An address with a local part outside ASCII stays as it is (RFC 6532): such a field needs
    SMTPUTF8. Raises `InvalidHeaderValue` that names ``field`` (``to[1].address``).
    """
    lines, width = [b""], used
    for number, (name, address) in enumerate(mailboxes):
        place = f"{field}[{number}]" if len(mailboxes) > 1 else field
        entry = _mailbox(place, name, address, 1 if number else used)
        folded = b"\n" in entry
        if number and (folded or width + 2 + len(entry) > WISHED_COLUMNS):
            lines[-1] += b","
            lines.append(b" " + entry)
            width = 1
        else:
            lines[-1] += (b", " if number else b"") + entry
            width += 2 if number else 0
        width = len(entry) - entry.rfind(b"\n") - 1 if folded else width + len(entry)
    return b"\r\n".join(lines)


def _mailbox(place: str, name: str, address: str, used: int) -> bytes:
    bare = _address(f"{place}.address", address)
    phrase = _phrase(checked(name, f"{place}.name"), used)
    if not phrase:
        return bare
    last_line = len(phrase) - phrase.rfind(b"\n") - 1 + (0 if b"\n" in phrase else used)
    gap = b" " if last_line + len(bare) + 3 <= WISHED_COLUMNS else b"\r\n "
    return phrase + gap + b"<" + bare + b">"


def _address(place: str, address: str) -> bytes:
    try:
        return parse_address(address).text.encode("utf-8")
    except PillarboxError as error:
        raise InvalidHeaderValue(place, f"cannot be used: {error.sentence}") from error


def _phrase(name: str, used: int) -> bytes:
    if not name or (_ATOMS.fullmatch(name) and "=?" not in name and len(name) <= _LONGEST_QUOTED):
        return name.encode("ascii")
    if "=?" in name:
        # In quotes it would not be an encoded word, yet many programs would read it as one.
        encoded = not _WORD_IN_PHRASE.sub("", name).strip()
        return name.encode("ascii") if encoded and is_plain(name) else encode_words(name, used)
    if name.isascii() and len(name) <= _LONGEST_QUOTED:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return b'"' + escaped.encode("ascii") + b'"'
    return encode_words(name, used)
