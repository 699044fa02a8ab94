"""a document is read by a codec in which ASCII means ASCII, or not at all"""

from __future__ import annotations

import pytest

from pillarbox.message.charsets import codec_for


@pytest.mark.parametrize(
    ("charset", "document", "codec"),
    [
        ("", b"plain", "utf-8"),
        ("", "caf\u00e9".encode(), "utf-8"),
        ("UTF-8", "caf\u00e9".encode(), "utf-8"),
        ("nobody-knows-it", b"plain", "utf-8"),
        ("nobody-knows-it", b"caf\xe9", None),
        ("utf-8\0", b"plain", "utf-8"),
        ("us-ascii", b"plain", "ascii"),
        ("us-ascii", b"caf\xe9", "cp1252"),
        ("iso-8859-1", b"caf\xe9", "iso8859-1"),
        ("latin1", b"\x80 5", "iso8859-1"),
        ("Shift_JIS", "\u65e5\u672c".encode("shift_jis"), "shift_jis"),
        ("gb2312", "\u4e2d".encode("gb2312"), "gb2312"),
        ("gb2312", "\u3400".encode("gb18030"), "gb18030"),
        ("x" * 5000, b"plain", "utf-8"),
    ],
)  # fmt: skip
def test_the_codec_of_a_document(charset: str, document: bytes, codec: str | None) -> None:
    assert codec_for(charset, document) == codec


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "iso-2022-jp", "hz", "utf-32", "cp037"])
def test_where_an_octet_alone_says_nothing_there_is_none(charset: str) -> None:
    assert codec_for(charset, b"plain") is None


def test_a_document_that_is_not_what_it_says_has_none() -> None:
    assert codec_for("utf-8", b"caf\xe9") is None
