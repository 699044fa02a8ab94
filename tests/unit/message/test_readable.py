"""the path of a link stays readable behind its token"""

from __future__ import annotations

import pytest

from pillarbox.message.readable import MOST_CHARACTERS, readable_tail


@pytest.mark.parametrize(
    ("url", "tail"),
    [
        ("https://example.com/shop/shoes.html?id=7#top", "/shop/shoes.html"),
        ("https://example.com", ""),
        ("https://example.com?x=/y", ""),
        ("HTTP://example.com/A", "/A"),
        ("https://example.com/a%20b/~x", "/a%20b/~x"),
        ("https://example.com/a;b=c//d", "/a-b-c//d"),
        ("https://example.com/caf\u00e9", "/caf-"),
        ("mailto:ann@example.com", ""),
        ('https://example.com/"><script>', "/-script-"),
    ],
)
def test_what_stays_readable(url: str, tail: str) -> None:
    assert readable_tail(url) == tail


def test_it_is_bounded_and_ends_between_characters() -> None:
    assert len(readable_tail("https://example.com/" + "a" * 1000)) == MOST_CHARACTERS
    for shift in range(3):
        tail = readable_tail("https://example.com/" + "a" * shift + "%41" * 300)
        assert len(tail) <= MOST_CHARACTERS
        assert all(len(piece) >= 2 for piece in tail.split("%")[1:])
