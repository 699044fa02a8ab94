"""mailbox addresses: parse, fold the domain, never touch the local part"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.hostname import InvalidHostname, parse_domain, parse_literal

MAX_LOCAL_OCTETS: Final = 64  # RFC 5321 §4.5.3.1.1
MAX_ADDRESS_OCTETS: Final = 320
MAX_MAILBOX_CHARACTERS: Final = 2000

_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]+")
_ATOMS_AND_BEYOND: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\x80-\U0010ffff]+")
_JOINERS: Final = str.maketrans("", "", "\u200c\u200d")  # written inside words of several scripts


class InvalidAddress(PillarboxError):
    """This is not a mailbox address."""

    code = "recipient_invalid"


class Address(Struct, frozen=True, gc=False):
    """A mailbox. `local` is what was written, quotes included; `domain` is folded to A-labels."""

    local: str
    domain: str

    @property
    def text(self) -> str:
        """``local@domain``."""
        return f"{self.local}@{self.domain}"

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@lru_cache(maxsize=2048)
def parse_address(text: str) -> Address:
    """Read one bare mailbox (RFC 5321 §4.1.2, RFC 6531 §3.3), without brackets, name or comment.

    Raises `InvalidAddress`, whose sentence names what is wrong and never repeats the text.
    """
    if len(text) > MAX_ADDRESS_OCTETS:
        raise InvalidAddress(f"an address has at most {MAX_ADDRESS_OCTETS} characters")
    local, at, domain = text.rpartition("@")
    if not at:
        raise InvalidAddress("an address has an @ between name and domain")
    if local[:1] == '"':
        _check_quoted(local)
    else:
        _check_atoms(local)
    if len(local) > MAX_LOCAL_OCTETS or not local.isascii():
        _check_octets(local)
    try:
        return Address(local, parse_literal(domain) if domain[:1] == "[" else parse_domain(domain))
    except InvalidHostname as wrong:
        raise InvalidAddress(wrong.sentence, fix=wrong.fix) from wrong


def parse_mailbox(text: str) -> tuple[str, Address]:
    """Display name and address from ``Ann <a@example.com>``; the name is empty where none is.

    For what people type, not for header fields: no comments, no groups, no encoded words.
    Raises `InvalidAddress`.
    """
    if len(text) > MAX_MAILBOX_CHARACTERS:
        raise InvalidAddress("this is too long for a name and an address")
    stripped = text.strip(" ")
    if stripped[-1:] != ">":
        return "", parse_address(stripped)
    name, bracket, address = stripped[:-1].rpartition("<")
    if not bracket:
        raise InvalidAddress("the address ends with > but has no < before it")
    return _display_name(name.strip(" ")), parse_address(address.strip(" "))


def _check_atoms(local: str) -> None:
    if not (_ATOMS if local.isascii() else _ATOMS_AND_BEYOND).fullmatch(local):
        raise InvalidAddress(_complaint(local))
    if ".." in local or local[0] == "." or local[-1] == ".":
        raise InvalidAddress(
            "the part before the @ begins or ends with a dot, or has two in a row",
            fix='put that part into quotes: "a..b"@example.com',
        )


def _complaint(local: str) -> str:
    if not local:
        return "there is nothing before the @"
    if not local.isprintable():
        return "the address has a control character in it"
    if "@" in local:
        return "the address has more than one @"
    if " " in local:
        return "the address has a space in it"
    return "the part before the @ has a character that is only allowed inside quotes"


def _check_quoted(local: str) -> None:
    if len(local) < 2 or local[-1] != '"':
        raise InvalidAddress("the quoted part before the @ does not end with a quote")
    # A backslash takes the next character with it; what is left may hold neither of the two.
    rest = re.sub(r"\\[ -~]", "", local[1:-1])
    if "\\" in rest or '"' in rest:
        raise InvalidAddress("a quote or backslash inside quotes needs a backslash before it")
    if local.isascii() and not local.isprintable():
        raise InvalidAddress("the address has a control character in it")


def _check_octets(local: str) -> None:
    try:
        size_octets = len(local.encode())
    except UnicodeEncodeError:
        raise InvalidAddress("the address has half a character in it") from None
    if size_octets > MAX_LOCAL_OCTETS:
        raise InvalidAddress(f"the part before the @ has more than {MAX_LOCAL_OCTETS} octets")
    if not local.translate(_JOINERS).isprintable():
        raise InvalidAddress("the address has a control character or an odd space in it")


def _display_name(name: str) -> str:
    if name[:1] == '"':
        if len(name) < 2 or name[-1] != '"':
            raise InvalidAddress("the name before the address has an opening quote only")
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if not name.translate(_JOINERS).replace("\u00a0", " ").isprintable():
        raise InvalidAddress("the name before the address has a control character in it")
    if "<" in name or ">" in name:
        raise InvalidAddress("there is more than one address in brackets")
    return name
