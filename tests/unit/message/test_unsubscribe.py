from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.message.facts import MessageFacts, OptionValue, Origin
from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.message.keys import RenderKeys
from pillarbox.message.markup import spliced
from pillarbox.message.render import Hop, rendering
from pillarbox.message.tokens import TokenKind, read
from pillarbox.message.unsubscribe import is_one_click, is_unsubscribable, unsubscribe_edit
from pillarbox.message.wishes import is_individual
from pillarbox.terms.ids import DeliveryId

ADDRESS = "https://t.example.com/EwABabc/unsubscribe"
FIELDS = (
    b"List-Unsubscribe: <https://t.example.com/EwABabc/unsubscribe>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)
FORM = "application/x-www-form-urlencoded"


def added(content: bytes) -> bytes:
    fields = HeaderBlock.parse(split_content(content)[0]).fields
    edit = unsubscribe_edit(content, fields, ADDRESS)
    return content if edit is None else spliced(content, [edit])


def test_both_fields_stand_behind_all_others_and_nothing_else_changes() -> None:
    content = b"Received: by x\r\nFrom: a@example.com\r\nSubject: a\r\n b\r\n\r\nBody\r\n"
    assert added(content) == (
        b"Received: by x\r\nFrom: a@example.com\r\nSubject: a\r\n b\r\n" + FIELDS + b"\r\nBody\r\n"
    )


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"\r\nBody", FIELDS + b"\r\nBody"),
        (b"From: a@example.com\r\n", b"From: a@example.com\r\n" + FIELDS),
        (b"From: a@example.com", b"From: a@example.com\r\n" + FIELDS),
        (b"", FIELDS),
        (b"A: b\r\n\r\n", b"A: b\r\n" + FIELDS + b"\r\n"),
    ],
)
def test_a_header_without_a_body_or_a_body_without_a_header_takes_them_too(
    content: bytes, wanted: bytes
) -> None:
    assert added(content) == wanted


@pytest.mark.parametrize(
    "field",
    [
        b"List-Unsubscribe: <mailto:leave@example.com>",
        b"list-unsubscribe:<https://example.com/leave>",
        b"LIST-UNSUBSCRIBE : ",
    ],
)
def test_a_field_that_is_there_is_kept_and_never_doubled(field: bytes) -> None:
    content = b"From: a@example.com\r\n" + field + b"\r\n\r\nBody\r\n"
    assert added(content) == content
    assert is_unsubscribable(HeaderBlock.parse(split_content(content)[0]).fields)


def test_a_post_field_that_is_there_alone_is_not_doubled_either() -> None:
    content = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nBody\r\n"
    assert added(content).lower().count(b"list-unsubscribe-post:") == 1
    assert added(content).lower().count(b"list-unsubscribe:") == 1


@given(st.binary(max_size=300))
def test_the_body_stays_whatever_the_header_is(content: bytes) -> None:
    after = added(content)
    header, body = split_content(content)
    assert after.endswith(body)
    assert len(after) >= len(content)
    if after != content and header.endswith(b"\r\n\r\n"):
        assert split_content(after)[1] == body


def form(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


PART = b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click'


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (FORM, b"List-Unsubscribe=One-Click"),
        ("", b"List-Unsubscribe=One-Click"),
        (FORM + "; charset=utf-8", b"List-Unsubscribe=One-Click\r\n"),
        ("multipart/form-data; boundary=x", form(PART)),
        ('Multipart/Form-Data; boundary="x"', form(PART, end=b"--x--")),
        ("multipart/form-data; boundary=x", form(PART).replace(b"\r\n", b"\n")),
    ],
)
def test_the_pair_is_found_in_both_forms_of_forms(media_type: str, body: bytes) -> None:
    assert is_one_click(media_type, body)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (FORM, b""),
        (FORM, b"list-unsubscribe=one-click"),
        (FORM, b"List-Unsubscribe=One-Click&more=1"),
        (FORM, b"more=1&List-Unsubscribe=One-Click"),
        (FORM, b"List-Unsubscribe=Two-Clicks"),
        ("application/json", b'{"List-Unsubscribe":"One-Click"}'),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", form(PART, PART)),
        ("multipart/form-data; boundary=x", form(PART.replace(b"One", b"Two"))),
        ("multipart/form-data; boundary=x", form(b"no head")),
        ("multipart/form-data; boundary=x", form(b"A: b\r\n\r\nc")),
        ("multipart/form-data; boundary=y", form(PART)),
        ("multipart/form-data", form(PART)),
    ],
)
def test_whatever_else_is_sent_is_no_one_click(media_type: str, body: bytes) -> None:
    assert not is_one_click(media_type, body)


@given(st.text(max_size=40), st.binary(max_size=200))
def test_no_request_breaks_the_reader(media_type: str, body: bytes) -> None:
    is_one_click(media_type, body)
    is_one_click("multipart/form-data; boundary=" + media_type, body)


# --- as mail leaves --------------------------------------------------------------------------

SECRET = bytes(range(32))
SIGNING = new_key("example.com", "s1", Algorithm.ED25519)
KEYS = RenderKeys({3: SECRET}, {"example.com/s1": SIGNING})
MAIL = b"From: shop@example.com\r\nSubject: News\r\n\r\nGood morning.\r\n"
ONE = DeliveryId((1_790_000_000_000 << 12 | 1) << 10 | 1)


def facts(*, host: str = "t.example.com", https: bool = True, on: str = "true") -> MessageFacts:
    return MessageFacts(
        return_path="shop@example.com",
        recipients=(),
        origin=Origin("smtp"),
        submitter_kind="credential",
        submitter_name="shop",
        options={"unsubscribe": OptionValue(on, "app")},
        key_ids=("example.com/s1",),
        tracking_host=host,
        tracking_https=https,
        token_key=3,
    )


def test_what_leaves_names_a_token_of_its_own_delivery() -> None:
    done = rendering(MAIL, facts(), Hop(), KEYS, ONE)
    fields = HeaderBlock.parse(split_content(done.content)[0])
    address = fields.get("List-Unsubscribe") or b""
    assert address.startswith(b"<https://t.example.com/") and address.endswith(b"/unsubscribe>")
    token = read(address.split(b"/")[3].decode(), {3: SECRET})
    assert token is not None
    assert (token.kind, token.delivery) == (TokenKind.UNSUBSCRIBE, ONE)
    assert fields.get("List-Unsubscribe-Post") == b"List-Unsubscribe=One-Click"
    assert done.changes.remarks == []
    assert is_individual(facts())


def test_both_fields_are_covered_by_the_signature() -> None:
    done = rendering(MAIL, facts(), Hop(), KEYS, ONE)
    assert done.signed_by == ("example.com/s1",)
    signature = HeaderBlock.parse(split_content(done.content)[0]).get("DKIM-Signature") or b""
    named = signature.partition(b"h=")[2].partition(b";")[0].replace(b" ", b"").split(b":")
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= set(named)


def test_a_message_with_a_way_of_its_own_leaves_as_it_came_but_signed() -> None:
    own = b"List-Unsubscribe: <mailto:leave@example.com>\r\n" + MAIL
    done = rendering(own, facts(), Hop(), KEYS, ONE)
    assert done.content.endswith(own)
    assert done.changes.remarks == []


@pytest.mark.parametrize("stored", [facts(host=""), facts(https=False)])
def test_without_a_host_asked_by_https_nothing_is_added_and_it_is_said(
    stored: MessageFacts,
) -> None:
    done = rendering(MAIL, stored, Hop(), KEYS, ONE)
    assert done.content.endswith(MAIL)
    assert [remark for remark in done.changes.remarks if "List-Unsubscribe" in remark]


def test_without_its_token_key_nothing_is_added_and_it_is_said() -> None:
    done = rendering(MAIL, facts(), Hop(), RenderKeys({}, KEYS.signing), ONE)
    assert done.content.endswith(MAIL)
    assert done.changes.remarks


def test_nobody_is_given_a_way_to_leave_that_was_not_asked_for() -> None:
    stored = facts(on="false")
    assert rendering(MAIL, stored, Hop(), KEYS, ONE).content.endswith(MAIL)
    assert not is_individual(stored)


def test_it_stands_beside_tracked_links_and_styles() -> None:
    html = (
        b"From: shop@example.com\r\nContent-Type: text/html\r\n\r\n"
        b'<p><a href="https://example.com/">See</a></p>\r\n'
    )
    asked = facts()
    both = {**asked.options, "trackclicks": OptionValue("true", "app")}
    done = rendering(html, msgspec.structs.replace(asked, options=both), Hop(), KEYS, ONE)
    assert b"List-Unsubscribe: <https://t.example.com/" in done.content
    assert b'<a href="https://t.example.com/' in done.content
