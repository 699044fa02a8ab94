"""a link whose text is its own address is recognised, and no other is"""

from __future__ import annotations

import pytest

from pillarbox.message.preventscam import label_is_link


@pytest.mark.parametrize(
    ("label", "url"),
    [
        ("www.example.com", "http://www.example.com"),
        ("http://www.example.com", "http://www.example.com"),
        ("https://www.example.com", "http://www.example.com"),
        ("www.example.com/", "http://www.example.com"),
        ("www.example.com", "http://www.example.com/"),
        ("WWW.Example.COM", "http://www.example.com/"),
        (" www.example.com \n", "http://www.example.com"),
        ("www.exam\u00adple.com", "http://www.example.com"),
        ("www.example.com/Some/Path?q=1#x", "https://www.example.com/Some/Path?q=1#x"),
        ("www.example.com", "https://www.example.com/some/path?q=1"),
        ("example.com:8080", "http://example.com:8080/x"),
    ],
)
def test_a_label_that_says_where_the_link_leads(label: str, url: str) -> None:
    assert label_is_link(label, url)


@pytest.mark.parametrize(
    ("label", "url"),
    [
        ("our site", "http://www.example.com"),
        ("", "http://www.example.com"),
        ("www.example.com", "http://www.example.org"),
        ("www.example.com", "http://www.example.com.evil.example"),
        ("www.example.com/A", "http://www.example.com/a"),
        ("www.example.com/a", "http://www.example.com/a/b"),
        ("example.com", "http://www.example.com"),
        ("www.example.com:80", "http://www.example.com/"),
        ("visit www.example.com", "http://www.example.com"),
    ],
)
def test_other_labels_are_words(label: str, url: str) -> None:
    assert not label_is_link(label, url)
