"""chunks are counted and not searched; only bare line ends are no content"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.chunks import MAX_DISCARDED_OCTETS, ChunkReader, parse_chunk
from pillarbox.protocol.errors import BadChunk, BareLineEnd

pieces = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"\r\n.", b"\r\n.\r\n", b"a", b"\0", b"\xff"]),
    max_size=12,
)
sound = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r\n.", b"\r\n.\r\n", b"a", b"\0", b"\xff"]), max_size=12
).map(b"".join)


def cut(content: bytes, data: st.DataObject) -> list[bytes]:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=6)))
    return [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]


def read(chunks: list[bytes], most: int = 1 << 20, portion: int | None = None) -> bytes:
    """Everything in `chunks`, of which the last one is marked so; `portion` bytes at a time."""
    reader = ChunkReader()
    content = b""
    for number, chunk in enumerate(chunks, 1):
        reader.begin(len(chunk), last=number == len(chunks))
        behind = chunk + b"QUIT\r\n"
        at = 0
        while reader.left:
            stop = min(len(behind), at + portion) if portion else len(behind)
            got, at = reader.take(behind[:stop], at, most)
            content += got
        assert at == len(chunk), "what follows a chunk is none of its business"
    assert reader.ended
    assert reader.total == sum(map(len, chunks))
    return content


# --- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("10", (10, False)),
        ("10 LAST", (10, True)),
        ("0 last", (0, True)),
        ("0", (0, False)),
        ("007  LaSt ", (7, True)),
        ("99999999999", (99_999_999_999, False)),
        ("9" * 400, (int("9" * 400), False)),
    ],
)
def test_a_size_and_whether_it_is_the_last_are_read(
    argument: str, wanted: tuple[int, bool]
) -> None:
    assert parse_chunk(argument) == wanted


@pytest.mark.parametrize(
    "argument",
    ["", "x", "-1", "+1", "1.5", "0x10", "1_0", "١", "10 FIRST", "10 LAST x", "LAST", "10LAST"],
)
def test_anything_else_is_no_chunk(argument: str) -> None:
    with pytest.raises(BadChunk) as raised:
        parse_chunk(argument)
    assert (raised.value.answer.code, raised.value.answer.status) == (501, "5.5.4")


# --- the octets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("portion", [None, 1, 3])
def test_octets_come_as_they_are_whatever_they_look_like(portion: int | None) -> None:
    content = b".\r\n..\r\nMAIL FROM:<a@example.com>\r\n\0\xff\r\n.\r\nQUIT\r\n"
    assert read([content], portion=portion) == content


@given(sound, st.integers(1, 20), st.integers(1, 9), st.data())
def test_where_content_is_cut_makes_no_difference(
    content: bytes, most: int, portion: int, data: st.DataObject
) -> None:
    assert read(cut(content, data), most, portion) == content


@given(pieces.map(b"".join), st.data())
def test_a_bare_line_end_is_an_error_wherever_it_stands(
    content: bytes, data: st.DataObject
) -> None:
    left = content.replace(b"\r\n", b"")
    if b"\r" in left or b"\n" in left:
        for portion in (None, 1):
            with pytest.raises(BareLineEnd):
                read(cut(content, data), portion=portion)
    else:
        assert read(cut(content, data)) == content


def test_a_chunk_may_end_between_cr_and_lf_but_the_message_may_not() -> None:
    assert read([b"a\r", b"\nb"]) == b"a\r\nb"
    assert read([b"a\r", b"", b"\nb"]) == b"a\r\nb"
    with pytest.raises(BareLineEnd):
        read([b"a\r"])
    with pytest.raises(BareLineEnd):
        read([b"a\r", b""])
    with pytest.raises(BareLineEnd):
        read([b"a\r", b"b"])


def test_the_last_line_needs_no_end() -> None:
    assert read([b"a"]) == b"a"
    assert read([b""]) == b""


@given(sound, st.data())
def test_lines_that_begin_with_a_dot_are_noticed(content: bytes, data: st.DataObject) -> None:
    reader = ChunkReader()
    for chunk in cut(content, data):
        reader.begin(len(chunk), last=False)
        at = 0
        while reader.left:
            _, at = reader.take(chunk, at, 1 << 20)
    assert reader.dotted == any(line.startswith(b".") for line in content.split(b"\r\n"))


def test_a_refused_chunk_is_passed_over_to_its_end() -> None:
    reader = ChunkReader()
    reader.begin(10, last=False)
    assert reader.skip(b"0123", 1) == 4
    assert reader.left == 7
    assert reader.skip(b"\n\r\n.\r\n\0QUIT", 0) == 7
    assert reader.left == 0
    assert MAX_DISCARDED_OCTETS == 1 << 30
