from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.errors import TooComplex
from pillarbox.message.parts import MAX_DEPTH, MAX_PARTS, Part, read_parts


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def leaves(part: Part) -> list[Part]:
    return [leaf for inner in part.parts for leaf in leaves(inner)] or [part]


def bodies(content: bytes) -> list[bytes]:
    return [content[leaf.body : leaf.end] for leaf in leaves(read_parts(content))]


MIXED = crlf(
    """Content-Type: multipart/mixed;
 boundary="outer"
Content-Transfer-Encoding: 8bit

preamble
--outer
Content-Type: multipart/alternative; boundary=outer-inner

--outer-inner

text
--outer-inner \t
Content-Type: text/html
Content-Transfer-Encoding: Quoted-Printable

<p>
--outer-inner--
inner epilogue
--outer
Content-Type: image/png
content-transfer-encoding: base64

AAAA

--outer--
epilogue
--outer
not a part
"""
)


def test_parts_are_found_where_they_lie():
    whole = read_parts(MIXED)
    assert whole.media_type == "multipart/mixed"
    assert whole.encoding == "8bit"
    assert [part.media_type for part in whole.parts] == ["multipart/alternative", "image/png"]
    text, html, image = leaves(whole)
    assert (text.media_type, text.encoding, text.encoding_at) == ("text/plain", "", None)
    assert (html.media_type, html.encoding) == ("text/html", "quoted-printable")
    assert MIXED[slice(*(image.encoding_at or (0, 0)))] == b" base64"
    assert bodies(MIXED) == [b"text", b"<p>", b"AAAA\r\n"]


def test_the_line_end_before_a_boundary_belongs_to_it():
    content = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\na\n\n--b\n\n--b--\n")
    assert bodies(content) == [b"a\r\n", b""]


def test_a_part_that_is_only_a_header_has_an_empty_body():
    content = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n--b--\n"
    )
    (part,) = read_parts(content).parts
    assert part.media_type == "text/html"
    assert content[part.body : part.end] == b""


def test_a_boundary_in_the_very_first_line_counts():
    assert bodies(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--") == [
        b"x"
    ]


def test_a_missing_last_boundary_ends_with_the_message():
    assert bodies(crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n")) == [b"x\r\n"]
    assert bodies(crlf("Content-Type: multipart/mixed; boundary=b\n\n--b")) == [b""]


def test_text_that_only_begins_like_a_boundary_is_text():
    content = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bb\n--b x\n --b\n--b--\n")
    assert bodies(content) == [b"--bb\r\n--b x\r\n --b"]


def test_a_boundary_is_compared_to_the_letter():
    content = crlf("Content-Type: multipart/mixed; boundary=B\n\n--B\n\n--b\n--B--\n")
    assert bodies(content) == [b"--b"]


def test_an_enclosed_message_is_gone_into():
    content = crlf("Content-Type: message/rfc822\n\nSubject: x\nContent-Type: text/html\n\nbody\n")
    (inner,) = read_parts(content).parts
    assert inner.media_type == "text/html"
    assert content[inner.body : inner.end] == b"body\r\n"


def test_an_enclosed_message_that_is_encoded_is_a_leaf():
    content = crlf("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA\n")
    assert read_parts(content).parts == ()


def test_in_a_digest_a_part_is_a_message_unless_it_says_otherwise():
    content = crlf(
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nbody\n"
        "--b\nContent-Type: text/plain\n\ntext\n--b--\n"
    )
    first, second = read_parts(content).parts
    assert first.media_type == "message/rfc822"
    assert bodies(content) == [b"body", b"text"]
    assert second.media_type == "text/plain"


@pytest.mark.parametrize("boundary", ["", '""', "x" * 300])
def test_a_multipart_without_a_usable_boundary_is_a_leaf(boundary: str):
    content = crlf(f"Content-Type: multipart/mixed; boundary={boundary}\n\n--x\n\na\n")
    assert read_parts(content).parts == ()


def test_a_message_without_header_or_without_blank_line_is_one_part():
    assert bodies(b"\r\nbody") == [b"body"]
    assert bodies(b"Subject: x") == [b""]
    assert bodies(b"") == [b""]


def test_of_an_encoding_named_twice_the_first_counts():
    content = crlf("Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: base64\n\nx")
    assert read_parts(content).encoding == "8bit"


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(content: bytes):
    read_parts(content)


@given(
    st.lists(
        st.sampled_from(
            [b"--b", b"--b--", b"--c", b"", b"x", b"Content-Type: multipart/mixed; boundary=c"]
        ),
        max_size=20,
    )
)
def test_parts_lie_inside_one_another_and_in_order(lines: list[bytes]):
    content = b"\r\n".join([b"Content-Type: multipart/mixed; boundary=b", b"", *lines])

    def check(part: Part) -> None:
        assert part.start <= part.body <= part.end
        at = part.body
        for inner in part.parts:
            assert at <= inner.start
            assert inner.end <= part.end
            at = inner.end
            check(inner)

    check(read_parts(content))


def nested(depth: int) -> bytes:
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(depth)
    )
    return opening + b"\r\nx\r\n"


def test_what_is_nested_too_deeply_is_refused():
    assert len(leaves(read_parts(nested(MAX_DEPTH - 1)))) == 1
    with pytest.raises(TooComplex):
        read_parts(nested(MAX_DEPTH))
    with pytest.raises(TooComplex):
        read_parts(b"Content-Type: message/rfc822\r\n\r\n" * MAX_DEPTH)


def test_too_many_parts_are_refused():
    opening = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert len(read_parts(opening + b"--b\r\n\r\n\r\n" * (MAX_PARTS - 1)).parts) == MAX_PARTS - 1
    with pytest.raises(TooComplex):
        read_parts(opening + b"--b\r\n\r\n\r\n" * MAX_PARTS)


@pytest.mark.parametrize(
    "content",
    [
        nested(10_000),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 200_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bb\r\n" * 200_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b" + b" " * 1_000_000 + b"x",
        b"Content-Type: message/rfc822\r\n\r\n" * 10_000,
        b"a: b\r\n" * 200_000,
        b"content-type:\r\n" * 60_000,
        b"content-type: a/b" + b";a=b" * 200_000,
    ],
)
def test_hostile_structures_cost_little(content: bytes, cpu_seconds):
    with cpu_seconds(1):
        try:
            read_parts(content)
        except TooComplex:
            pass
