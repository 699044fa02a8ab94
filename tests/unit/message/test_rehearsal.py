from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pillarbox.message.diff import Fate
from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.message.errors import CannotRender, MessageError, NoAuthor
from pillarbox.message.keys import NO_KEYS, RenderKeys
from pillarbox.message.rehearsal import (
    MOST_SPOTS,
    REHEARSED_TOKENS,
    Asked,
    Rehearsal,
    arrive,
    rehearse,
)
from pillarbox.message.render import Hop, render
from pillarbox.message.tokens import read
from pillarbox.message.transfer import with_mail_line_ends
from pillarbox.message.untouched import Why

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
AT_MS = 1_793_700_000_000
HOST = "track.example.com"
EVERYTHING = {
    "inlinecss": "true",
    "trackclicks": "true",
    "trackopens": "true",
    "images": "hosted",
}
ANY_HOP = Hop(eight_bit=True, smtputf8=True)
KEYS = RenderKeys(REHEARSED_TOKENS)


def sample(name: str) -> bytes:
    return with_mail_line_ends((SAMPLES / f"{name}.eml").read_bytes())


def rehearsed(
    content: bytes, keys: RenderKeys = KEYS, hop: Hop = ANY_HOP, **options: str
) -> tuple[Rehearsal, bytes]:
    asked = Asked(
        AT_MS,
        request=options,
        tracking_host=HOST,
        exceptions=("partner.example.edu",),
        key_ids=tuple(keys.signing),
    )
    return rehearse("it", arrive(content, asked), hop, keys, came=content)


def html(*links: str) -> bytes:
    body = "".join(links).encode()
    return b"From: a@example.com\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body


def test_what_is_told_to_leave_is_what_rendering_makes() -> None:
    content = sample("newsletter")
    arrived = arrive(content, Asked(AT_MS, request=EVERYTHING, tracking_host=HOST))
    _, leaves = rehearse("it", arrived, ANY_HOP, KEYS)
    assert leaves == render(arrived.content, arrived.facts, ANY_HOP, KEYS, arrived.delivery)


def test_without_an_option_nothing_is_told_but_what_the_door_does() -> None:
    content = sample("transactional")
    told, leaves = rehearsed(content)
    assert leaves == content
    assert told.difference.same
    assert not (told.links or told.images or told.options or told.remarks)


def test_the_newsletter_has_a_link_of_every_verdict_with_its_reason() -> None:
    told, _ = rehearsed(sample("newsletter"), **EVERYTHING)
    assert {link.verdict for link in told.links} == set(Why) - {Why.TOO_MANY}
    assert all(link.reason for link in told.links)
    assert all(bool(link.instead) == (link.verdict == "tracked") for link in told.links)
    assert [link.position for link in told.links] == list(range(1, len(told.links) + 1))


def test_links_beyond_those_that_are_counted_say_so_and_are_not_all_listed() -> None:
    content = html(*(f'<a href="https://example.com/{n}">x</a>' for n in range(2100)))
    told, _ = rehearsed(content, trackclicks="true")
    assert (len(told.links), told.more_links) == (MOST_SPOTS, 1100)


def test_images_are_told_as_served_by_us_hosted_or_put_in() -> None:
    told, _ = rehearsed(sample("newsletter"), **EVERYTHING)
    assert [image.kind for image in told.images] == ["embedded", "image"]
    assert [image.content_id for image in told.hosted] == ["logo@letters.example.com"]
    assert [part.fate for part in told.difference.parts].count(Fate.REMOVED) == 1
    told, leaves = rehearsed(sample("transactional"), trackopens="true")
    (pixel,) = told.images
    assert (pixel.kind, pixel.position) == ("pixel", 0)
    assert pixel.instead.encode() in leaves


def test_options_say_where_they_came_from_and_headers_win() -> None:
    content = b"X-SMTPeter-TrackClicks: false\r\nX-Pillarbox-Nonsense: 1\r\n" + html("<p>")
    asked = Asked(AT_MS, app={"preventscam": "true"}, credential={"inlinecss": "true"},
                  request={"trackclicks": "true", "trackopens": "true"})  # fmt: skip
    told, _ = rehearse("it", arrive(content, asked), ANY_HOP, KEYS)
    assert {(each.name, each.value, each.origin) for each in told.options} == {
        ("preventscam", "true", "app"),
        ("inlinecss", "true", "credential"),
        ("trackopens", "true", "request"),
        ("trackclicks", "false", "header"),
    }
    assert [(each.name, each.reason) for each in told.ignored] == [
        ("x-pillarbox-nonsense", "there is no such option")
    ]


def test_what_the_door_adds_and_takes_away_is_among_the_fields() -> None:
    told, leaves = rehearsed(b"Bcc: x@example.com\r\nX-SMTPeter-InlineCSS: 1\r\n" + html("<p>"))
    fates = {(each.name, each.fate) for each in told.difference.fields}
    assert fates == {
        ("Date", Fate.ADDED),
        ("Message-ID", Fate.ADDED),
        ("Bcc", Fate.REMOVED),
        ("X-SMTPeter-InlineCSS", Fate.REMOVED),
    }
    assert b"Bcc" not in leaves


def test_signatures_are_told_and_among_the_fields() -> None:
    key = new_key("example.com", "s1", Algorithm.ED25519)
    told, leaves = rehearsed(
        sample("transactional"), RenderKeys(REHEARSED_TOKENS, {"example.com/s1": key})
    )
    assert told.signed_by == ("example.com/s1",)
    assert [each.name for each in told.difference.fields] == ["DKIM-Signature"]
    assert leaves.startswith(b"DKIM-Signature:")


def test_a_rehearsal_of_the_same_at_the_same_instant_is_the_same() -> None:
    assert rehearsed(sample("newsletter"), **EVERYTHING) == rehearsed(
        sample("newsletter"), **EVERYTHING
    )


def test_addresses_of_a_rehearsal_are_honoured_by_no_tracking_host() -> None:
    told, _ = rehearsed(html('<a href="https://example.com/">x</a>'), trackclicks="true")
    token = told.links[0].instead.split("/")[3]
    assert read(token, REHEARSED_TOKENS) is not None
    assert read(token, {number: bytes(range(32)) for number in range(1, 9)}) is None
    assert 0 in REHEARSED_TOKENS, "a store counts from 1"


def test_what_cannot_be_tracked_is_remarked() -> None:
    content = html('<a href="https://example.com/">x</a>')
    asked = Asked(AT_MS, request={"trackclicks": "true"})
    told, leaves = rehearse("it", arrive(content, asked), ANY_HOP, NO_KEYS, remarks=["First."])
    assert told.remarks[0] == "First."
    assert "no tracking host" in told.remarks[1]
    assert told.links == ()
    assert b"https://example.com/" in leaves


def test_a_message_that_is_left_as_it_came_says_why() -> None:
    content = html('<a href="https://example.com/">x</a>')
    asked = Asked(AT_MS, request={"trackclicks": "true"}, tracking_host=HOST)
    told, _ = rehearse("it", arrive(content, asked), ANY_HOP, KEYS, left="It was too much.")
    assert told.remarks == ("It was too much.",)
    assert told.links == ()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["newsletter", "transactional"]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 40)), max_size=6),
    st.booleans(),
)
def test_however_a_message_is_broken_it_is_told_or_refused(
    name: str, cuts: list[tuple[float, bytes, int]], eight_bit: bool
) -> None:
    content = sample(name)
    for place, extra, gone in cuts:
        at = int(place * len(content))
        content = content[:at] + extra + content[at + gone :]
    try:
        told, leaves = rehearsed(content, hop=Hop(eight_bit, eight_bit), **EVERYTHING)
    except MessageError:
        return
    assert told.difference.bytes_after == len(leaves)
    assert any(link.instead for link in told.links) <= (not told.difference.same)


def test_what_would_be_refused_is_refused() -> None:
    with pytest.raises(NoAuthor):
        arrive(b"Subject: x\r\n\r\nHi\r\n", Asked(AT_MS))
    signed = (
        b"From: a@example.com\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"
        b"--b\r\n\r\ncaf\xc3\xa9\r\n--b--\r\n"
    )
    with pytest.raises(CannotRender):
        rehearsed(signed, hop=Hop(eight_bit=False))


def test_long_addresses_and_labels_are_cut_and_labels_are_one_line() -> None:
    content = html(f'<a href="https://example.com/{"x" * 3000}">one\r\n  {"y" * 3000}</a>')
    told, _ = rehearsed(content, trackclicks="true")
    assert told.links[0].label.startswith("one yyy")
    assert max(len(told.links[0].url), len(told.links[0].label)) < 600
