"""which links and images are left alone, and why"""

from __future__ import annotations

import pytest

from pillarbox.message.links import Spot, find_spots
from pillarbox.message.untouched import (
    MAX_URL_CHARACTERS,
    WHY_WORDS,
    Rules,
    Why,
    host_of,
    judge_image,
    judge_link,
)

RULES = Rules("clicks.test")


def link(url: str, label: str = "go", attributes: str = "") -> Spot:
    document = f'<a {attributes} href="{url}">{label}</a>'.encode()
    (spot,), _, _ = find_spots(document, "utf-8")
    return spot


def image(url: str, attributes: str = "") -> Spot:
    _, (spot,), _ = find_spots(f'<img {attributes} src="{url}">'.encode(), "utf-8")
    return spot


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://example.com/", Why.TRACKED),
        ("mailto:ann@example.com", Why.NOT_WEB),
        ("tel:+31201234567", Why.NOT_WEB),
        ("#top", Why.NOT_WEB),
        ("cid:logo", Why.NOT_WEB),
        ("ftp://example.com/", Why.NOT_WEB),
        ("javascript:alert(1)", Why.NOT_WEB),
        ("https:///path", Why.NOT_WEB),
        ("/relative", Why.NOT_WEB),
        ("", Why.NOT_WEB),
        ("https://example.com/{{ name }}", Why.TEMPLATE),
        ("{$link}", Why.TEMPLATE),
        ("https://example.com/*|UNSUB|*", Why.TEMPLATE),
        ("https://clicks.test/x", Why.OURS),
        ("https://CLICKS.test:8443/x", Why.OURS),
        ("https://example.com/unsubscribe?u=1", Why.UNSUBSCRIBE),
        ("https://example.com/opt%2Dout", Why.UNSUBSCRIBE),
        ("https://example.com/afmelden", Why.UNSUBSCRIBE),
        ("https://example.com/reset?token=abcdef123456", Why.ONE_TIME),
        ("https://example.com/verify/A1b2C3d4E5f6G7h8I9j0K1", Why.ONE_TIME),
        ("https://example.com/reset", Why.TRACKED),
        ("https://example.com/?token=abcdef123456", Why.TRACKED),
        ("https://example.com/" + "a" * MAX_URL_CHARACTERS, Why.TOO_LONG),
    ],
)
def test_what_becomes_of_a_link(url: str, why: Why) -> None:
    assert judge_link(link(url), RULES) is why


def test_a_mark_leaves_alone_what_would_be_tracked_and_tracks_what_would_be_left() -> None:
    once = "https://example.com/reset?token=abcdef123456"
    for off in ("off", "OFF", "no", "false", "0"):
        found = link("https://example.com/", attributes=f'data-pillarbox="{off}"')
        assert judge_link(found, RULES) is Why.MARKED
    assert judge_link(link(once, attributes="data-pillarbox=on"), RULES) is Why.TRACKED
    shown = image("https://example.com/i.png", attributes="data-pillarbox=off")
    assert judge_image(shown, RULES) is Why.MARKED


def test_prevent_scam_leaves_a_link_that_shows_itself() -> None:
    found = link("http://www.example.com", "www.example.com")
    assert judge_link(found, RULES) is Why.TRACKED
    assert judge_link(found, Rules("clicks.test", prevent_scam=True)) is Why.LABEL_IS_LINK


def test_addresses_that_the_message_names_for_unsubscribing_are_left() -> None:
    rules = Rules("clicks.test", unsubscribe={"https://example.com/bye"})
    assert judge_link(link("https://example.com/bye"), rules) is Why.UNSUBSCRIBE
    assert judge_link(link("https://example.com/bye2"), rules) is Why.TRACKED


@pytest.mark.parametrize(
    ("exception", "url", "excepted"),
    [
        ("example.com", "https://example.com/a", True),
        ("Example.COM", "https://EXAMPLE.com/a", True),
        ("example.com", "https://www.example.com/a", False),
        (".example.com", "https://www.example.com/a", True),
        (".example.com", "https://example.com/a", False),
        (".example.com", "https://notexample.com/a", False),
        ("https://example.com/pay/*", "https://example.com/pay/7", True),
        ("https://example.com/pay/*", "https://example.com/shop", False),
        ("*/pay/*/done", "https://example.com/pay/7/done", True),
        ("*/pay/*/done", "https://example.com/pay/done", False),
        ("https://example.com/a", "https://example.com/ab", True),
        ("*", "https://example.com/", True),
    ],
)
def test_exceptions_of_the_operator(exception: str, url: str, excepted: bool) -> None:
    rules = Rules("clicks.test", exceptions=(exception,))
    wanted = Why.EXCEPTION if excepted else Why.TRACKED
    assert judge_link(link(url), rules) is wanted
    assert judge_image(image(url), rules) is wanted


def test_an_exception_with_many_stars_is_not_slow() -> None:
    rules = Rules("clicks.test", exceptions=("*a" * 200 + "b",))
    url = "https://example.com/" + "a" * (MAX_URL_CHARACTERS - 30)
    assert judge_link(link(url), rules) is Why.TRACKED


def test_every_reason_has_words() -> None:
    assert set(WHY_WORDS) == set(Why)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://user:x@Example.com.:8443/a", "example.com"),
        ("http://[::1]/", "[::1]"),
        ("mailto:a@b", ""),
        ("https://example.com\\@evil.test/", "example.com"),
    ],
)
def test_the_host_of_an_address(url: str, host: str) -> None:
    assert host_of(url) == host
