from __future__ import annotations

import struct
from ipaddress import ip_address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.errors import MalformedProxyHeader
from pillarbox.protocol.proxy_header import (
    MAX_BINARY_OCTETS,
    MAX_TEXT_OCTETS,
    ProxyHeader,
    Source,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FOLLOWS = b"EHLO client.example.com\r\n"


def binary(
    source: str = "192.0.2.7", port: int = 1234, *, command: int = 0x21, extras: bytes = b""
) -> bytes:
    """A header in version 2 as a balancer writes it."""
    address = ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed * 2 + struct.pack("!HH", port, 25) + extras
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


def raw(command: int, family: int, body: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", size) + body


def read(data: bytes) -> tuple[Source | None, bytes]:
    """What the header says, and what is left behind it."""
    header = ProxyHeader()
    used = header.feed(data)
    assert header.complete, "more was wanted"
    return header.source, data[used:]


def read_in(portions: list[bytes]) -> str:
    """The outcome of a header that comes in portions."""
    header = ProxyHeader()
    used = 0
    try:
        for portion in portions:
            used += header.feed(portion)
            if header.complete:
                return f"{header.source} after {used}"
    except MalformedProxyHeader:
        return "malformed"
    return "incomplete"


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n", Source("192.0.2.7", 56324)),
        (b"PROXY TCP6 2001:DB8::7 2001:db8::1 1 65535\r\n", Source("2001:db8::7", 1)),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", Source("192.0.2.7", 1)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
        (binary(), Source("192.0.2.7", 1234)),
        (binary("2001:db8::7", 65535), Source("2001:db8::7", 65535)),
        (binary("::ffff:192.0.2.7"), Source("192.0.2.7", 1234)),
        (binary(extras=b"\x04\x00\x05hello" * 100), Source("192.0.2.7", 1234)),
        (raw(0x20, 0x00), None),
        (raw(0x20, 0x11, b"\x00" * 12), None),
        (raw(0x21, 0x00, b"what is this"), None),
        (raw(0x21, 0x12, b"\x00" * 12), None),
        (raw(0x21, 0x31, b"/run/socket".ljust(216, b"\0")), None),
        (raw(0x21, 0x11, b"\x01" * (MAX_BINARY_OCTETS - 16)), Source("1.1.1.1", 257)),
    ],
)
def test_a_header_says_who_is_behind_the_balancer(header: bytes, source: Source | None) -> None:
    assert read(header + FOLLOWS) == (source, FOLLOWS)


def test_the_longest_header_in_text_is_read() -> None:
    wide = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    header = f"PROXY UNKNOWN {wide} {wide} 65535 65535\r\n".encode()
    assert len(header) == MAX_TEXT_OCTETS
    assert read(header) == (None, b"")
    with pytest.raises(MalformedProxyHeader):
        read(header[:-2] + b"0\r\n")


@pytest.mark.parametrize(
    "wrong",
    [
        b"EHLO client.example.com\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\r\nEHLO",
        b"proxy TCP4 192.0.2.7 198.51.100.1 56324 25\r\n",
        b"PROXY  TCP4 192.0.2.7 198.51.100.1 56324 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25 \r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 056324 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 -2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 ١ 25\r\n".encode(),
        b"PROXY TCP4 192.0.2.07 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 2001:db8::7 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 192.0.2.7\r198.51.100.1 1 25\r\n",
        b"PROXY TCP6 192.0.2.7 2001:db8::1 1 25\r\n",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::1 1 25\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n",
        b"PROXY \xff\r\n",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY " + b"A" * 200,
        SIGNATURE[:-1] + b"\r",
        raw(0x11, 0x11, b"\x00" * 12),
        raw(0x22, 0x11, b"\x00" * 12),
        raw(0x21, 0x41, b"\x00" * 12),
        raw(0x21, 0x13, b"\x00" * 12),
        raw(0x21, 0x11, b"\x00" * 11),
        raw(0x21, 0x21, b"\x00" * 35),
        raw(0x21, 0x11, b"", MAX_BINARY_OCTETS - 15),
        raw(0x20, 0x00, b"", 65535),
    ],
)
def test_whatever_is_no_header_is_refused(wrong: bytes) -> None:
    with pytest.raises(MalformedProxyHeader):
        ProxyHeader().feed(wrong)


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n", binary()])
def test_a_header_that_is_cut_off_is_waited_for(header: bytes) -> None:
    for length in range(len(header)):
        reader = ProxyHeader()
        assert reader.feed(header[:length]) == length
        assert not reader.complete
        assert reader.feed(header[length:] + FOLLOWS) == len(header) - length
        assert reader.complete
        assert reader.feed(FOLLOWS) == 0, "a complete header takes nothing more"


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=80).map(lambda tail: b"PROXY " + tail),
        st.binary(max_size=80).map(lambda tail: SIGNATURE + tail),
        st.sampled_from(["192.0.2.7", "2001:db8::7"]).map(lambda a: binary(a) + FOLLOWS),
        st.just(b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n" + FOLLOWS),
    ),
    st.lists(st.integers(0, 300), max_size=8),
)
def test_the_portions_in_which_it_comes_make_no_difference(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    portions = [data[a:b] for a, b in pairwise(edges)]
    assert read_in(portions) == read_in([data])


@given(st.binary(max_size=4096))
def test_no_input_makes_it_keep_more_than_a_header(data: bytes) -> None:
    header = ProxyHeader()
    try:
        header.feed(data)
    except MalformedProxyHeader:
        return
    assert len(header._seen) <= MAX_BINARY_OCTETS
