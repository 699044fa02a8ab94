"""what a balancer says before its client speaks, in either version"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

from pillarbox.protocol.errors import MalformedProxyHeader
from pillarbox.protocol.proxy_header import MAX_BINARY_OCTETS, ProxyHeader, Source
from tests.fuzz.targets import Target

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
MORE, MALFORMED = "more", "malformed"

_TEXT = re.compile(
    rb"PROXY (?:(UNKNOWN)(?: [^\n\x80-\xff]*)?|TCP(4|6) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n"
)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def run(data: bytes) -> None:
    """The same is read of it, whatever the portions, and nothing of what stands behind it."""
    expected = read(data)
    for size in (max(len(data), 1), 1, 11):
        header, at, outcome = ProxyHeader(), 0, MORE
        try:
            while at < len(data) and not header.complete:
                portion = data[at : at + size]
                used = header.feed(portion)
                assert used == len(portion) or header.complete
                at += used
        except MalformedProxyHeader:
            outcome = MALFORMED
        found = (at, header.source) if header.complete else outcome
        assert found == expected, (size, found, expected)
        if header.complete:
            assert header.feed(b"EHLO x\r\n") == 0


def read(data: bytes) -> tuple[int, Source | None] | str:
    """Where the header ends and whom it names; or that more must come, or that it is none."""
    if not data:
        return MORE
    if data[:1] == b"P":
        return _read_text(data)
    if data[:12] != SIGNATURE[: len(data)]:
        return MALFORMED
    if len(data) < 16:
        return MORE
    command, family, length = struct.unpack("!BBH", data[12:16])
    least = {0x11: 12, 0x21: 36}.get(family, 0) if command == 0x21 else 0
    lawful = command in (0x20, 0x21) and family >> 4 in range(4) and family & 15 in range(3)
    if not lawful or length < least or 16 + length > MAX_BINARY_OCTETS:
        return MALFORMED
    if len(data) < 16 + length:
        return MORE
    source = None
    if least:
        size = 4 if least == 12 else 16
        (port,) = struct.unpack("!H", data[16 + 2 * size : 18 + 2 * size])
        source = _source(
            socket.inet_ntop(_FAMILIES[4 if size == 4 else 6], data[16 : 16 + size]), port
        )
    return 16 + length, source


def _read_text(data: bytes) -> tuple[int, Source | None] | str:
    line = data[: data.find(b"\n") + 1]
    if data[:6] != b"PROXY "[: len(data)] or len(line) > 107 or (not line and len(data) >= 107):
        return MALFORMED
    if not line:
        return MORE
    found = _TEXT.fullmatch(line)
    if found is None:
        return MALFORMED
    if found[1]:
        return len(line), None
    try:
        for address in (found[3], found[4]):
            socket.inet_pton(_FAMILIES[int(found[2])], address.decode())
    except (OSError, ValueError):
        return MALFORMED
    if max(int(found[5]), int(found[6])) > 65535:
        return MALFORMED
    return len(line), _source(found[3].decode(), int(found[5]))


def _source(address: str, port: int) -> Source:
    shown = ip_address(address)
    return Source(str(getattr(shown, "ipv4_mapped", None) or shown), port)


def seeds() -> Iterator[bytes]:
    """One of each kind, whole, cut short and with something behind it."""
    four, six = (
        bytes([192, 0, 2, 1, 198, 51, 100, 2, 4, 210, 0, 25]),
        bytes(range(32)) + b"\x04\xd2\0\x19",
    )
    mapped = bytes(10) + b"\xff\xff\xc0\0\2\1" + bytes(16) + b"\x04\xd2\0\x19"
    whole = [
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n",
        b"PROXY TCP6 2001:db8::1 ::1 1234 25\r\n",
        b"PROXY TCP6 ::ffff:192.0.2.1 ::1 65535 0\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff:: ffff:: 1 1\r\n",
        SIGNATURE + b"\x21\x11\0\x0c" + four,
        SIGNATURE + b"\x21\x21\0\x24" + six,
        SIGNATURE + b"\x21\x21\0\x24" + mapped,
        SIGNATURE + b"\x20\0\0\0",
        SIGNATURE + b"\x21\x11\0\x12" + four + b"\x04\0\3abc",
        SIGNATURE + b"\x21\0\0\3abc",
        SIGNATURE + b"\x21\x31\0\xd8" + bytes(216),
        SIGNATURE + b"\x22\x11\0\x0c" + four,
        SIGNATURE + b"\x21\x11\0\x0b" + four,
        SIGNATURE + b"\x21\x11\xff\xff" + four,
    ]
    for header in whole:
        yield header
        yield header + b"EHLO x\r\n"
        yield header[: len(header) * 2 // 3]
    yield b"EHLO x\r\n"
    yield b"PROXY " + b"x" * 110 + b"\r\n"


TARGET = Target(
    run,
    seeds,
    (
        SIGNATURE, b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN", b"\r\n", b"\x20", b"\x21\x11",
        b"\x21\x21", b"\0\x0c", b"\0\x24", b" 65535", b" 65536", b"::ffff:1.2.3.4 ", b"%eth0", b" 1234 25",
    ),
    2200,
)  # fmt: skip
