"""blocks of one size, a last one, and never more than is wanted, whichever way content is framed"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.blocks import ContentReader, Framing
from pillarbox.protocol.chunks import ChunkReader
from pillarbox.protocol.dots import DotReader, stuff

contents = st.lists(
    st.sampled_from([b"\r\n", b".", b"..", b"a", b"\0", b"\xff", b" ", b"\r\n.", b"\r\n.\r\n"])
).map(lambda parts: b"".join([*parts, b"\r\n"]))

Framed = Callable[[bytes], tuple[Framing, bytes]]


def behind_data(body: bytes) -> tuple[Framing, bytes]:
    return DotReader(), stuff(body)


def in_one_chunk(body: bytes) -> tuple[Framing, bytes]:
    chunks = ChunkReader()
    chunks.begin(len(body), last=True)
    return chunks, body


both_framings = pytest.mark.parametrize("framed", [behind_data, in_one_chunk])


def cut(wire: bytes, data: st.DataObject) -> list[bytes]:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=8)))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


def blocks(
    framing: Framing, pieces: list[bytes], max_bytes: int, block_bytes: int
) -> tuple[list[bytes], bool]:
    reader = ContentReader(framing, max_bytes, block_bytes)
    given_away = []
    for piece in pieces:
        at = 0
        while at < len(piece) and not reader.ended:
            at = reader.read(piece, at, len(piece))
            if reader.full and not reader.ended:
                given_away.append(reader.give())
    assert reader.ended
    return [*given_away, reader.give()], reader.too_large


@both_framings
@given(contents, st.integers(1, 20), st.data())
def test_content_comes_in_blocks_of_one_size_and_a_last_one(
    framed: Framed, body: bytes, block_bytes: int, data: st.DataObject
) -> None:
    framing, wire = framed(body)
    got, too_large = blocks(framing, cut(wire, data), 1 << 20, block_bytes)
    assert b"".join(got) == body
    assert {len(block) for block in got[:-1]} <= {block_bytes}
    assert not too_large
    again, wire = framed(body)
    assert (got, too_large) == blocks(again, [wire], 1 << 20, block_bytes)


@both_framings
@given(contents, st.integers(0, 40), st.integers(1, 20), st.data())
def test_too_much_content_is_noticed_at_the_first_byte_too_many(
    framed: Framed, body: bytes, max_bytes: int, block_bytes: int, data: st.DataObject
) -> None:
    framing, wire = framed(body)
    got, too_large = blocks(framing, cut(wire, data), max_bytes, block_bytes)
    assert too_large == (len(body) > max_bytes)
    assert sum(map(len, got)) <= max_bytes
    again, wire = framed(body)
    assert (got, too_large) == blocks(again, [wire], max_bytes, block_bytes)


def test_discarded_content_is_not_kept_and_its_end_is_still_found() -> None:
    reader = ContentReader(DotReader(), 1000, 10)
    wire = stuff(b"0123456789abcdef\r\n")
    at = reader.read(wire, 0, len(wire))
    assert reader.full
    reader.discard()
    assert not reader.full
    assert reader.read(wire, at, len(wire)) == len(wire)
    assert (reader.ended, reader.too_large, reader.give()) == (True, False, b"")


@both_framings
@given(contents, st.data())
def test_what_is_called_plain_goes_out_as_it_came(
    framed: Framed, body: bytes, data: st.DataObject
) -> None:
    framing, wire = framed(body)
    reader = ContentReader(framing, 1 << 20, 1 << 20)
    for piece in cut(wire, data):
        reader.read(piece, 0, len(piece))
    assert reader.dotted == any(line.startswith(b".") for line in body.split(b"\r\n"))
    if not reader.dotted:
        assert stuff(body, plain=True) == stuff(body)
