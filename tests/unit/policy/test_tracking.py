from __future__ import annotations

import time

import pytest

from pillarbox.policy.tracking import (
    BURST_LINKS,
    BURST_MS,
    CLICKED,
    OPENED,
    RULE_WORDS,
    SHOWN_AGENT,
    SOON_MS,
    Rule,
    Verdict,
    Visit,
    bursts_of,
    first_look,
    second_look,
    shown_agent,
    visit_words,
)
from pillarbox.terms.ids import DeliveryId

NOW = 1_800_000_000_000
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"

PEOPLE = [
    FIREFOX,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 12; CUBOT X50) AppleWebKit/537.36 Chrome/126 Mobile Safari/537.36",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.17328)",
    "Lynx/2.9.0dev.10 libwww-FM/2.14",
]
PROXIES = [GMAIL, "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
           "Mozilla/5.0"]  # fmt: skip
SCANNERS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Barracuda Sentinel (EE)",
    "Mimecast URL protection",
    "curl/8.9.1",
    "python-requests/2.32.3",
    "Go-http-client/1.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/126.0 Safari/537.36",
    "facebookexternalhit/1.1",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
]


def visit(
    at: int = NOW, position: int = 1, kind: str = CLICKED, delivery: int = 5,
    verdict: Verdict = Verdict.PERSON, rule: Rule = Rule.NONE,
) -> Visit:  # fmt: skip
    return Visit(
        kind, DeliveryId(delivery), position, "https://example.com/", at, "192.0.2.1", FIREFOX,
        verdict, rule,
    )  # fmt: skip


@pytest.mark.parametrize("agent", PEOPLE)
def test_the_programs_people_read_with_are_people(agent: str) -> None:
    assert first_look("GET", {"user-agent": agent}) == (Verdict.PERSON, Rule.NONE)


@pytest.mark.parametrize("agent", PROXIES)
def test_image_proxies_are_kept_apart(agent: str) -> None:
    assert first_look("GET", {"user-agent": agent}) == (Verdict.PROXY, Rule.PROXY_AGENT)


@pytest.mark.parametrize("agent", SCANNERS)
def test_robots_filters_and_libraries_are_scanners(agent: str) -> None:
    assert first_look("GET", {"user-agent": agent}) == (Verdict.SCANNER, Rule.SCANNER_AGENT)


@pytest.mark.parametrize("fields", [{}, {"user-agent": "  "}])
def test_who_has_no_name_is_no_person(fields: dict[str, str]) -> None:
    assert first_look("GET", fields) == (Verdict.SCANNER, Rule.NO_AGENT)


def test_a_head_request_shows_nothing_to_anybody() -> None:
    assert first_look("HEAD", {"user-agent": FIREFOX}) == (Verdict.SCANNER, Rule.HEAD)


@pytest.mark.parametrize(
    "name, value",
    [
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("x-purpose", "preview"),
        ("x-moz", "Prefetch"),
    ],
)
def test_what_loads_ahead_says_so(name: str, value: str) -> None:
    seen = first_look("GET", {"user-agent": FIREFOX, name: value})
    assert seen == (Verdict.PREFETCH, Rule.PURPOSE)


def test_within_two_seconds_of_the_delivery_it_was_no_person() -> None:
    soon = second_look(visit(NOW + SOON_MS - 1), NOW, in_burst=False)
    assert soon == (Verdict.SCANNER, Rule.SOON)
    assert second_look(visit(NOW + SOON_MS), NOW, in_burst=False)[0] is Verdict.PERSON
    assert second_look(visit(), None, in_burst=False)[0] is Verdict.PERSON


def test_one_of_many_links_in_a_moment_was_no_person() -> None:
    assert second_look(visit(), 0, in_burst=True) == (Verdict.SCANNER, Rule.BURST)


def test_a_first_look_is_not_overruled() -> None:
    one = visit(verdict=Verdict.PROXY, rule=Rule.PROXY_AGENT)
    assert second_look(one, NOW, in_burst=True) == (Verdict.PROXY, Rule.PROXY_AGENT)


def test_four_different_links_within_a_second_are_a_burst_and_three_are_none() -> None:
    links = [visit(NOW + n * 100, n) for n in range(BURST_LINKS)]
    assert bursts_of(links) == {0, 1, 2, 3}
    assert bursts_of(links[1:]) == set()
    assert bursts_of(reversed(links)) == {0, 1, 2, 3}


def test_only_what_lies_close_together_is_in_a_burst() -> None:
    early = visit(NOW - BURST_MS - 1, 9)
    late = visit(NOW + 300 + BURST_MS + 1, 8)
    links = [visit(NOW + n * 100, n) for n in range(BURST_LINKS)]
    assert bursts_of([early, *links, late]) == {1, 2, 3, 4}
    spread = [visit(NOW + n * BURST_MS, n) for n in range(10)]
    assert bursts_of(spread) == set()


def test_the_same_link_again_other_messages_and_images_are_no_burst() -> None:
    assert bursts_of([visit(NOW + n, 1) for n in range(20)]) == set()
    assert bursts_of([visit(NOW + n, n, delivery=n) for n in range(20)]) == set()
    assert bursts_of([visit(NOW + n, n, kind=OPENED) for n in range(20)]) == set()


def test_a_flood_of_visits_is_judged_in_time() -> None:
    flood = [visit(NOW + n // 50, n % 2000) for n in range(20_000)]
    began = time.process_time()
    assert len(bursts_of(flood)) == len(flood)
    assert time.process_time() - began < 1.0


def test_the_name_of_a_program_is_kept_short_and_printable() -> None:
    assert shown_agent("  Firefox\r\nX: y\x00 ") == "Firefox??X: y?"
    assert len(shown_agent("x" * 10_000)) == SHOWN_AGENT


def test_every_rule_has_words_and_every_visit_a_sentence() -> None:
    assert set(RULE_WORDS) == set(Rule)
    url = "https://example.com/a"
    assert visit_words(CLICKED, 3, url, "person", "none") == f"Somebody followed link 3, {url}."
    assert visit_words(OPENED, 0, "", "proxy", "proxy_agent") == (
        "A proxy loaded the tracking pixel; it named itself as the image proxy of a mail provider."
    )
    assert visit_words(OPENED, 2, url, "prefetch", "purpose").startswith(
        "Something that loads ahead loaded image 2"
    )
    assert visit_words(CLICKED, 1, url, "from a newer program", "so is this").endswith(".")
