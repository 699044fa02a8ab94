"""kinds of fields that several shapes have, and what no type can say about them"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Final

from msgspec import UNSET, Meta, Struct

from pillarbox.api.bodies import unknown
from pillarbox.message.options import OPTIONS, find_option, read_value
from pillarbox.policy.authority import parse_pattern
from pillarbox.policy.networks import parse_network
from pillarbox.terms.address import InvalidAddress, parse_address
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.hostname import InvalidHostname, parse_domain, parse_literal

Short = Annotated[str, Meta(max_length=100)]
Text = Annotated[str, Meta(max_length=1000)]
Names = Annotated[str, Meta(max_length=320)]
Senders = tuple[Names, ...]
Port = Annotated[int, Meta(ge=1, le=65535)]

Networks = Annotated[tuple[Names, ...], Meta(max_length=500)]
Count = Annotated[int, Meta(ge=0, le=10**9)]
Octets = Annotated[int, Meta(ge=0, le=2**40)]
Options = dict[str, str | bool | None]

MOST_OPTIONS: Final = 50
_BASE64_PIN: Final = "sha256//"
_PIN_OCTETS: Final = 32
_LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, the last that RFC 3339 can write."""

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class InvalidField(PillarboxError):
    """This value cannot be used."""

    code: ClassVar[str] = "invalid_value"


def one_line(text: str) -> str:
    """Text without line breaks and control characters. Raises `InvalidField`."""
    if _CONTROLS.search(text):
        raise InvalidField("contains a line break or a control character")
    return text.strip()


def address(text: str) -> str:
    """A mailbox address with its domain folded, or nothing. Raises `InvalidField`."""
    if not text:
        return ""
    try:
        return parse_address(text).text
    except InvalidAddress as error:
        raise InvalidField(error.sentence, fix=error.fix, code="address_invalid") from None


def pattern(text: str) -> str:
    """An allowed sender: an address, a domain, or either with a leading star."""
    return parse_pattern(text)


def network(text: str) -> str:
    """Addresses that logins may come from: one, or a network. Raises `InvalidNetwork`."""
    return parse_network(text)


def host(text: str) -> str:
    """A host name or IP address of a server. Raises `InvalidHostname`."""
    bare = text.strip().removesuffix(".")
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    if bare[:1] == "[":
        literal = parse_literal(bare)[1:-1]
        return literal.removeprefix("IPv6:")
    try:
        return parse_domain(bare)
    except InvalidHostname as error:
        raise InvalidField(error.sentence) from None


def hello_name(text: str) -> str:
    """A name to say in EHLO: a domain, an address literal in brackets, or nothing. Raises
    `InvalidField`.
    """
    if not text:
        return ""
    try:
        return parse_literal(text) if text[:1] == "[" else parse_domain(text.removesuffix("."))
    except InvalidHostname as error:
        raise InvalidField(error.sentence) from None


def own_address(text: str) -> str:
    """An IP address of this machine, or nothing. Raises `InvalidField`."""
    try:
        return str(ip_address(text.strip())) if text.strip() else ""
    except ValueError:
        raise InvalidField("is no IP address such as 192.0.2.7 or 2001:db8::7") from None


def pin(text: str) -> str:
    """The SHA-256 of a public key in hex, with or without colons, or as ``sha256//`` and base64; or
    nothing. Raises `InvalidField`.
    """
    said = text.strip()
    if not said:
        return ""
    try:
        if said.startswith(_BASE64_PIN):
            octets = b64decode(said.removeprefix(_BASE64_PIN), validate=True)
        else:
            octets = bytes.fromhex(said.replace(":", ""))
    except ValueError:
        octets = b""
    if len(octets) != _PIN_OCTETS:
        raise InvalidField(
            "is no SHA-256 of a public key: 64 hex digits, or sha256// and base64",
            fix="See the page about servers for the command that prints it.",
        )
    return octets.hex()


def option_name(text: str) -> str:
    """The name of an option. Raises `InvalidField`."""
    known = find_option(text)
    if known is None:
        raise InvalidField(f"{text[:60]!r} {unknown('option', text, OPTIONS)}")
    return known.name


def options(values: Options) -> dict[str, str | None]:
    """Options with their values, or null for what is left to others. Raises `InvalidOption`, or
    `InvalidField` for too many.
    """
    if len(values) > MOST_OPTIONS:
        raise InvalidField(f"has more than {MOST_OPTIONS} options")
    checked: dict[str, str | None] = {}
    for name, value in values.items():
        known = OPTIONS[option_name(name)]
        text = str(value).lower() if isinstance(value, bool) else value
        checked[known.name] = None if text is None else read_value(known, text, name)
    return checked


def with_options(current: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """A table of options after changes: those that are null are taken out, all others stay."""
    following = {**current, **changes}
    return {name: value for name, value in following.items() if value is not None}


def instant(text: str) -> int:
    """An instant in RFC 3339, which says how far it is from UTC, in milliseconds. Raises
    `InvalidField`.
    """
    wrong = InvalidField("is no instant such as 2027-01-31T12:00:00Z or 2027-01-31T12:00:00+02:00")
    try:
        at = datetime.fromisoformat(text)
        at_ms = round(at.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise wrong from None
    if at.tzinfo is None or not 0 <= at_ms <= _LATEST_MS:
        raise wrong
    return at_ms


def given(shape: Struct) -> dict[str, Any]:
    """The fields of a shape that the request named, by their names here."""
    values = ((name, getattr(shape, name)) for name in shape.__struct_fields__)
    return {name: value for name, value in values if value is not UNSET}
