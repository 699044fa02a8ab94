"""what may be different between the bytes a client put on the wire and those that arrived

Everything that may is named here, and nothing else may be: our trace field on top, in exactly this
form; the fields that must leave; Date and Message-ID where there were none. What is left is
compared octet by octet.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final

from tests.e2e.zoo.client import Said

_LEAVING: Final = re.compile(rb"(?:resent-)?bcc|x-pillarbox-.*|x-smtpeter-.*", re.IGNORECASE)
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:[^\n]*\r\n(?:[ \t][^\n]*\r\n)*")
_SHOWN_OCTETS: Final = 60

_OUR_TRACE: Final = re.compile(
    rb"Received: from (?P<hello>\S+) \(\[127\.0\.0\.1\]\)\r\n"
    rb"\t\(using TLSv1\.[23] [A-Z0-9_-]+\)\r\n"
    rb"\tby (?P<by>\S+) with (?P<protocol>\S+) id (?P<id>msg_\w+)"
    rb"(?:\r\n\tfor <(?P<recipient>[^>]+)>)?;\r\n"
    rb"\t(?P<date>[^\r\n]+)\r\n"
)


class Unaccounted(AssertionError):
    """What arrived is not what was handed over; where they part is in the message."""


def fields_of(content: bytes) -> tuple[list[bytes], bytes]:
    """The fields with their line ends, and all from the blank line on."""
    found: list[bytes] = []
    at = 0
    while field := _FIELD.match(content, at):
        found.append(field[0])
        at = field.end()
    return found, content[at:]


def name_of(field: bytes) -> bytes:
    """In lower case."""
    return field.partition(b":")[0].strip().lower()


def left(content: bytes) -> bytes:
    """`content` without the fields that must not travel."""
    fields, rest = fields_of(content)
    return b"".join(each for each in fields if not _LEAVING.fullmatch(name_of(each))) + rest


def without(content: bytes, *names: bytes) -> bytes:
    """`content` without the fields of these names, given in lower case."""
    fields, rest = fields_of(content)
    return b"".join(each for each in fields if name_of(each) not in names) + rest


def below_traces(content: bytes, count: int) -> bytes:
    """`content` without so many Received fields, which must be its first. Raises `Unaccounted`."""
    fields, rest = fields_of(content)
    for field in fields[:count]:
        if name_of(field) != b"received":
            raise Unaccounted(f"expected {count} trace fields on top, found {field[:80]!r}")
    return b"".join(fields[count:]) + rest


def assert_same(found: bytes, wanted: bytes, where: str) -> None:
    """Octet by octet. Raises `Unaccounted`."""
    if found == wanted:
        return
    at = next(
        (n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    around = slice(max(0, at - _SHOWN_OCTETS), at + _SHOWN_OCTETS)
    raise Unaccounted(
        f"{where}: {len(found)} octets for {len(wanted)}, different from octet {at} on\n"
        f"  found  {found[around]!r}\n  wanted {wanted[around]!r}"
    )


def assert_arrived(content: bytes, said: Said, recipients: tuple[str, ...], *, utf8: bool) -> None:
    """`content` is what the client put on the wire, with what we owe it and no more.

    Raises `Unaccounted`.
    """
    trace = _OUR_TRACE.match(content)
    if trace is None:
        raise Unaccounted(f"our trace field is not on top: {content[:400]!r}")
    if trace["protocol"] != (b"UTF8SMTPSA" if utf8 else b"ESMTPSA"):
        raise Unaccounted(f"the trace field says {trace['protocol']!r}")
    parsedate_to_datetime(trace["date"].decode("ascii"))
    named = trace["recipient"]
    if named is not None and (len(recipients) > 1 or named.decode() != recipients[0]):
        raise Unaccounted(f"the trace field tells {recipients} of {named!r}")
    wanted = left(said.content)
    found = below_traces(content[trace.end() :], said.traces)
    present = {name_of(each) for each in fields_of(wanted)[0]}
    owed = [name for name in (b"message-id", b"date") if name not in present]
    if owed:
        fields, _ = fields_of(found)
        added = [name_of(each) for each in fields[: len(owed)]]
        if sorted(added) != sorted(owed):
            raise Unaccounted(f"added are {added}, owed were {owed}")
        found = found[sum(map(len, fields[: len(owed)])) :]
    assert_same(found, wanted, "at the server of the app")
