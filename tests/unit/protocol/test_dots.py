"""dots come and go, content ends where it ends, and bare line ends are never line ends"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.dots import DotReader, DotWriter, stuff
from pillarbox.protocol.errors import BareLineEnd, LocalProtocolError

BODIES = [
    b"",
    b"a\r\n",
    b".\r\n",
    b"..\r\n",
    b"...\r\n",
    b". \r\n",
    b".\t\r\n",
    b".\r\n..\r\n...x\r\n",
    b"a\r\n.\r\nb\r\n",
    b"\r\n",
    b"\r\n\r\n.\r\n\r\n",
    b"x" * 5000 + b"\r\n",
    (b"." * 999 + b"\r\n") * 3,
    bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n",
]

contents = st.lists(
    st.sampled_from([b"\r\n", b".", b"..", b"a", b"\0", b"\xff", b" ", b"\r\n.", b"\r\n.\r\n"])
).map(lambda parts: b"".join([*parts, b"\r\n"]))
# Everything that may matter to a reader of lines, in any order.
noise = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"\0"]), max_size=12
).map(b"".join)


def cut(wire: bytes, data: st.DataObject) -> list[bytes]:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=8)))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


def read(pieces: list[bytes], most: int = 1 << 20) -> tuple[bytes, bool, bytes]:
    """Content, whether it ended, and what follows it."""
    reader = DotReader()
    content = rest = b""
    for piece in pieces:
        at = 0
        while at < len(piece) and not reader.ended:
            got, at = reader.take(piece, at, most)
            content += got
        rest += piece[at:]
    return content, reader.ended, rest


# --- in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES)
def test_a_body_of_dots_arrives_as_it_was(body: bytes) -> None:
    wire = stuff(body) + b"QUIT\r\n"
    assert read([wire]) == (body, True, b"QUIT\r\n")
    assert read([bytes([octet]) for octet in wire]) == (body, True, b"QUIT\r\n")


@given(contents, st.data(), st.integers(1, 40))
def test_stuffing_and_unstuffing_are_opposites(body: bytes, data: st.DataObject, most: int) -> None:
    assert read(cut(stuff(body) + b"NOOP\r\n", data), most) == (body, True, b"NOOP\r\n")


def test_a_dot_that_is_not_alone_does_not_end_content() -> None:
    wire = b"..\r\n.a\r\n. \r\n.\t\r\n.\0\r\n\0.\r\n ..\r\n.\r\n"
    assert read([wire]) == (b".\r\na\r\n \r\n\t\r\n\0\r\n\0.\r\n ..\r\n", True, b"")


@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n", b"\r\n.", b"\r\n.\r"])
def test_what_may_yet_be_the_end_is_held_back(end: bytes) -> None:
    reader = DotReader()
    assert reader.take(b"abc" + end, 0, 1000) == (b"abc", 3 + len(end))
    assert not reader.ended


@pytest.mark.parametrize(
    "wire", [b"a\nb", b"\nb", b"a\rb", b"\r\n.\rb", b"a\r\n\n.", b"a\r\r\n", b".\n"]
)
def test_a_bare_line_end_is_an_error_wherever_it_stands(wire: bytes) -> None:
    with pytest.raises(BareLineEnd):
        read([wire + b"\r\n.\r\n"])
    with pytest.raises(BareLineEnd):
        read([bytes([octet]) for octet in wire + b"\r\n.\r\n"])


@given(noise, st.data(), st.integers(1, 12))
def test_portions_make_no_difference_to_what_is_read(
    wire: bytes, data: st.DataObject, most: int
) -> None:
    def outcome(pieces: list[bytes], most: int) -> object:
        try:
            return read(pieces, most)
        except BareLineEnd:
            return "bare"

    assert outcome(cut(wire, data), most) == outcome([wire], 1 << 20)


@given(noise)
def test_only_one_sequence_of_five_bytes_ends_content(wire: bytes) -> None:
    try:
        content, ended, rest = read([wire])
    except BareLineEnd:
        return
    before, end, after = (b"\r\n" + wire).partition(b"\r\n.\r\n")
    assert ended == bool(end)
    if ended:
        assert rest == after
        assert content == (before + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]


# --- out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".a\r\n.b", b"..a\r\n..b\r\n.\r\n"),
    ],
)
def test_a_message_goes_out_with_its_end(content: bytes, wire: bytes) -> None:
    assert stuff(content) == wire


@given(contents | contents.map(lambda body: body[:-2]), st.data())
def test_a_message_in_pieces_is_the_message_whole(content: bytes, data: st.DataObject) -> None:
    writer = DotWriter()
    wire = b"".join([writer.write(piece) for piece in cut(content, data)]) + writer.end()
    assert wire == stuff(content)


@given(noise, st.data())
def test_a_bare_line_end_never_leaves_the_house(content: bytes, data: st.DataObject) -> None:
    bare = len(content) != len(content.replace(b"\r\n", b"")) + 2 * content.count(b"\r\n") or any(
        octet in content.replace(b"\r\n", b"") for octet in b"\r\n"
    )
    writer = DotWriter()
    try:
        wire = b"".join([writer.write(piece) for piece in cut(content, data)]) + writer.end()
    except LocalProtocolError:
        assert bare
        with pytest.raises(LocalProtocolError, match="bare CR or LF"):
            stuff(content)
    else:
        assert not bare
        assert wire == stuff(content)
