"""domain names: A-label/U-label, address literals, validity"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from pillarbox.terms.errors import PillarboxError

MAX_DOMAIN_OCTETS: Final = 255  # RFC 5321 §4.5.3.1.2
MAX_LABEL_OCTETS: Final = 63  # RFC 1035 §2.3.4

_TAG: Final = "ipv6:"


class InvalidHostname(PillarboxError):
    """This is not a domain name."""

    code = "invalid_value"


def parse_domain(text: str) -> str:
    """The domain in A-labels and lower case, ready to be compared. Raises `InvalidHostname`.

    Underscores pass, since hosts bear them whatever RFC 1123 says. A dot at the end, an IP
    address and anything beyond 255 octets do not.
    """
    if len(text) > MAX_DOMAIN_OCTETS:
        raise InvalidHostname(f"a domain name has at most {MAX_DOMAIN_OCTETS} characters")
    return _parse(text)


def parse_literal(text: str) -> str:
    """An address literal (RFC 5321 §4.1.3) such as ``[127.0.0.1]`` or ``[IPv6:::1]``, canonical.

    Raises `InvalidHostname`.
    """
    inner = text[1:-1]
    if len(text) > MAX_DOMAIN_OCTETS or text[:1] != "[" or text[-1:] != "]" or not inner.isascii():
        raise InvalidHostname("an address literal is written [192.0.2.1] or [IPv6:2001:db8::1]")
    try:
        if inner[: len(_TAG)].lower() != _TAG:
            return f"[{IPv4Address(inner)}]"
        address = inner[len(_TAG) :]
        if "%" in address:
            raise InvalidHostname("an address literal names no network interface")
        return f"[IPv6:{IPv6Address(address)}]"
    except AddressValueError:
        raise InvalidHostname(
            "there is no IP address between the brackets",
            fix="write [192.0.2.1] or [IPv6:2001:db8::1]",
        ) from None


def is_domain(text: str) -> bool:
    """Whether `parse_domain` would take it."""
    try:
        parse_domain(text)
    except InvalidHostname:
        return False
    return True


def display_domain(alabel: str) -> str:
    """The domain as people write it, label by label; a label that cannot be shown stays as it is.

    Never raises. For the eye only: two names that look the same may differ, so compare A-labels.
    """
    if "xn--" not in alabel.lower() or len(alabel) > MAX_DOMAIN_OCTETS:
        return alabel
    return ".".join(_shown(label) for label in alabel.split("."))


def _shown(label: str) -> str:
    import idna  # here, since its tables cost 10 ms and few installations ever need them

    try:
        return idna.ulabel(label)
    except idna.IDNAError:
        return label


@lru_cache(maxsize=4096)
def _parse(text: str) -> str:
    folded = text.lower() if text.isascii() else _a_labels(text)
    if not folded.replace(".", "").replace("-", "").replace("_", "").isalnum():
        raise InvalidHostname(_complaint(folded))
    if (
        ".." in folded
        or ".-" in folded
        or "-." in folded
        or folded[0] in ".-"
        or folded[-1] in ".-"
    ):
        raise InvalidHostname(_complaint(folded))
    if len(folded) > MAX_LABEL_OCTETS and max(map(len, folded.split("."))) > MAX_LABEL_OCTETS:
        raise InvalidHostname(f"a label of a domain has at most {MAX_LABEL_OCTETS} characters")
    if folded[-1].isdigit() and folded.rpartition(".")[2].isdigit():
        raise InvalidHostname(
            "a domain name does not end in a number", fix="write an IP address as [192.0.2.1]"
        )
    if "xn--" in folded:
        _check_punycode(folded)
    return folded


def _complaint(folded: str) -> str:
    if not folded:
        return "the domain is missing"
    if folded.endswith("."):
        return "a domain name is written without the dot at its end"
    if folded.startswith(".") or ".." in folded:
        return "a domain name has something between its dots"
    return "a domain name consists of letters, digits and hyphens, with dots between its labels"


def _a_labels(text: str) -> str:
    import idna

    try:
        encoded = idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise InvalidHostname(
            "the domain is too long or has characters that no domain name may have"
        ) from None
    return encoded.lower()


def _check_punycode(folded: str) -> None:
    # Only that it decodes: mail is exchanged with names that the tables of IDNA 2008 would refuse.
    for label in folded.split("."):
        if label.startswith("xn--"):
            try:
                shown = label[4:].encode("ascii").decode("punycode")
            except UnicodeError:
                shown = ""
            if not shown or shown.isascii():
                raise InvalidHostname("a label that begins with xn-- does not decode")
