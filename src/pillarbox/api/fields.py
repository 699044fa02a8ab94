"""kinds of fields that several shapes have, and what no type can say about them"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Final

from msgspec import UNSET, Meta, Struct

from pillarbox.api.bodies import unknown
from pillarbox.message.options import OPTIONS, find_option, read_value
from pillarbox.policy.authority import parse_pattern
from pillarbox.terms.address import InvalidAddress, parse_address
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.hostname import InvalidHostname, parse_domain, parse_literal

Short = Annotated[str, Meta(max_length=100)]
Text = Annotated[str, Meta(max_length=1000)]
Names = Annotated[str, Meta(max_length=320)]
Senders = tuple[Names, ...]
Port = Annotated[int, Meta(ge=1, le=65535)]

MOST_OPTIONS: Final = 50
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


def options(values: dict[str, str]) -> dict[str, str]:
    """Options with their values. Raises `InvalidOption`, or `InvalidField` for too many."""
    if len(values) > MOST_OPTIONS:
        raise InvalidField(f"has more than {MOST_OPTIONS} options")
    checked: dict[str, str] = {}
    for name, value in values.items():
        known = find_option(name)
        if known is None:
            raise InvalidField(unknown("option", f"{name[:60]!r}", OPTIONS))
        checked[known.name] = read_value(known, value, name)
    return checked


def given(shape: Struct) -> dict[str, Any]:
    """The fields of a shape that the request named, by their names here."""
    values = ((name, getattr(shape, name)) for name in shape.__struct_fields__)
    return {name: value for name, value in values if value is not UNSET}
