"""reverse-path, forward-path and their ESMTP parameters (RFC 5321 4.1.2, RFC 3461)"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import Final

from pillarbox.protocol.errors import (
    BadParameter,
    BadRecipient,
    BadReturnPath,
    InputError,
    UnannouncedUtf8,
    UnknownParameter,
)
from pillarbox.protocol.reply import Reply
from pillarbox.terms.address import InvalidAddress, parse_address
from pillarbox.terms.hostname import is_domain

MAX_ENVID_CHARACTERS: Final = 100  # RFC 3461 §4.4
MAX_ORCPT_CHARACTERS: Final = 500  # RFC 3461 §4.2
MAX_SIZE_DIGITS: Final = 20  # RFC 1870 §3

_PLUS: Final = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_NOT_IN_UTF8: Final = re.compile(r"[\x00- +=\\\x7f]")
_UTF8_TYPE: Final = "utf-8"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*")
_VALUE: Final = re.compile(r"[!-<>-~]+")
_NOTIFY: Final = ("NEVER", "SUCCESS", "FAILURE", "DELAY")


def parse_mail(argument: str, offered: Container[str]) -> tuple[str, dict[str, str]]:
    """The return path, empty for ``<>``, and the parameters of what followed MAIL.

    Parameters are by upper-case name, checked and decoded: ``ENVID`` and ``AUTH`` out of xtext,
    the rest as it is. Raises `InputError` of the kind that says what is wrong.
    """
    path, rest = _split(argument, "FROM:", BadReturnPath)
    if rest and not rest.isascii():
        raise BadParameter
    parameters = _parameters(rest, offered) if rest else {}
    if not path:
        return "", parameters
    if not path.isascii() and "SMTPUTF8" not in parameters:
        raise UnannouncedUtf8
    return _mailbox(path, BadReturnPath), parameters


def parse_rcpt(argument: str, offered: Container[str], *, utf8: bool) -> tuple[str, dict[str, str]]:
    """The recipient and the parameters of what followed RCPT; ``ORCPT`` comes decoded.

    `utf8` says whether MAIL announced SMTPUTF8. ``postmaster`` may stand without a domain
    (RFC 5321 §4.1.1.3). Raises `InputError` of the kind that says what is wrong.
    """
    path, rest = _split(argument, "TO:", BadRecipient)
    if not utf8 and not path.isascii():
        raise UnannouncedUtf8
    if rest and not utf8 and not rest.isascii():
        raise BadParameter
    parameters = _parameters(rest, offered) if rest else {}
    if path.lower() == "postmaster":
        return path, parameters
    return _mailbox(path, BadRecipient), parameters


def encode_xtext(text: str) -> str:
    """Printable ASCII but for ``+``, ``=`` and space as it is, all else as ``+HH`` of its octets."""
    return "".join(
        chr(octet) if 33 <= octet <= 126 and octet not in b"+=" else f"+{octet:02X}"
        for octet in text.encode()
    )


def decode_xtext(text: str) -> str:
    """What `encode_xtext` was given (RFC 3461 §4). Raises `BadParameter`.

    Nothing that does not print is let through: the text may end up in a header field.
    """
    if not text or "+" in _PLUS.sub("", text) or not _VALUE.fullmatch(text):
        raise BadParameter
    octets = _PLUS.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1")
    try:
        decoded = octets.decode()
    except UnicodeDecodeError:
        raise BadParameter from None
    if not decoded.isprintable():
        raise BadParameter
    return decoded


def encode_unicode(address: str) -> str:
    """An address in the seven bits of RFC 6533 §3: what xtext would encode, and all beyond ASCII,
    as ``\\x{HEX}``.
    """
    return "".join(
        c if "!" <= c <= "~" and c not in "+=\\" else f"\\x{{{ord(c):02X}}}" for c in address
    )


def format_original(original: str) -> str:
    """A recipient's original address, as ``parse_rcpt`` gives it, as the value of ``ORCPT``.

    Its type stays as it was written: nothing of it may change on the way (RFC 3461 §5.2.1).
    """
    kind, _, address = original.partition(";")
    if kind.lower() == _UTF8_TYPE:
        return f"{kind};{encode_unicode(address)}"
    return f"{kind};{encode_xtext(address)}"


def _split(argument: str, keyword: str, wrong: type[InputError]) -> tuple[str, str]:
    size = len(keyword)
    if argument[:size].upper() != keyword:
        raise wrong
    # A space behind the colon is against the grammar and all over the world.
    rest = argument[size:].lstrip(" ")
    end = _closing(rest) if '"' in rest else rest.find(">")
    if rest[:1] != "<" or end < 0 or rest[end + 1 : end + 2] not in ("", " "):
        raise wrong
    return rest[1:end], rest[end + 2 :]


def _closing(text: str) -> int:
    """Where the path's bracket closes, brackets inside quotes not counted."""
    quoted = False
    skip = False
    for at, character in enumerate(text):
        if skip:
            skip = False
        elif character == "\\" and quoted:
            skip = True
        elif character == '"':
            quoted = not quoted
        elif character == ">" and not quoted:
            return at
    return -1


def _mailbox(path: str, wrong: type[InputError]) -> str:
    if path[:1] == "@":  # a source route is read over (RFC 5321 §4.1.1.3, appendix C)
        route, _, path = path.partition(":")
        if not all(hop[:1] == "@" and is_domain(hop[1:]) for hop in route.split(",")):
            raise wrong
    try:
        return parse_address(path).text
    except InvalidAddress as why:
        answer = wrong.deserves
        raise wrong(
            Reply.of(answer.code, answer.status, f"Not an address: {why.sentence}"),
            detail=why.sentence,
        ) from why


def _parameters(text: str, offered: Container[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for word in text.split(" "):
        if not word:
            continue
        name, equals, value = word.partition("=")
        name = name.upper()
        if name not in offered:
            raise UnknownParameter
        if name in parameters or bool(equals) != bool(value):
            raise BadParameter
        if not word.isascii() and name != "ORCPT":
            raise BadParameter
        parameters[name] = _READERS.get(name, _any)(value)
    return parameters


def _size(value: str) -> str:
    if not (value.isascii() and value.isdigit()) or len(value) > MAX_SIZE_DIGITS:
        raise BadParameter
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        folded = value.upper()
        if folded not in words:
            raise BadParameter
        return folded

    return read


def _nothing(value: str) -> str:
    if value:
        raise BadParameter
    return value


def _envid(value: str) -> str:
    return _ascii(value, MAX_ENVID_CHARACTERS)


def _ascii(value: str, most: int) -> str:
    # What is decoded goes into fields of reports that are ASCII (RFC 3461 §4.2, §4.4).
    decoded = decode_xtext(value)
    if len(value) > most or not decoded.isascii():
        raise BadParameter
    return decoded


def _notify(value: str) -> str:
    wishes = value.upper().split(",")
    if len(set(wishes)) != len(wishes) or not set(wishes) <= set(_NOTIFY):
        raise BadParameter
    if "NEVER" in wishes and len(wishes) > 1:
        raise BadParameter
    return ",".join(wishes)


def _orcpt(value: str) -> str:
    kind, semicolon, address = value.partition(";")
    if len(value) > MAX_ORCPT_CHARACTERS or not semicolon or not _NAME.fullmatch(kind):
        raise BadParameter
    if kind.lower() == _UTF8_TYPE:
        return f"{kind};{_unicode(address)}"
    # RFC 3461 §4.2 wants ASCII here; Postfix gives the octets of UTF-8 under the type rfc822.
    return f"{kind};{decode_xtext(address)}"


def _unicode(value: str) -> str:
    """An address of the type ``utf-8``, in any of its forms (RFC 6533 §3)."""
    if not value or _NOT_IN_UTF8.search(_EMBEDDED.sub("", value)):
        raise BadParameter
    try:
        decoded = _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), value)
        decoded.encode()
    except (ValueError, OverflowError):
        raise BadParameter from None
    if not decoded.isprintable():
        raise BadParameter
    return decoded


def _auth(value: str) -> str:
    return value if value == "<>" else decode_xtext(value)


def _any(value: str) -> str:
    if value and not _VALUE.fullmatch(value):
        raise BadParameter
    return value


_READERS: Final[dict[str, Callable[[str], str]]] = {
    "SIZE": _size,
    "BODY": _one_of("7BIT", "8BITMIME"),
    "SMTPUTF8": _nothing,
    "REQUIRETLS": _nothing,
    "RET": _one_of("FULL", "HDRS"),
    "ENVID": _envid,
    "AUTH": _auth,
    "NOTIFY": _notify,
    "ORCPT": _orcpt,
}
