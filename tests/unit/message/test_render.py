from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.default_sender import DefaultSender
from pillarbox.message.dkim import Algorithm, new_key, sign
from pillarbox.message.errors import CannotRender
from pillarbox.message.facts import MessageFacts, OptionValue, Origin, RecipientFacts
from pillarbox.message.header import split_content
from pillarbox.message.keys import RenderKeys
from pillarbox.message.render import RENDERER_VERSION, Hop, render, rendering, size_ahead
from pillarbox.terms.ids import DeliveryId, MessageId, delivery_id, message_time_ms
from tests.doubles.odd_messages import odd_messages

HOPS = [Hop(eight_bit, smtputf8) for eight_bit in (True, False) for smtputf8 in (True, False)]
ASCII = b"Subject: x\r\n\r\nHello\r\n"
FOREIGN_BODY = "Subject: x\r\n\r\nGrüße und viele andere Wörter\r\n".encode()
FOREIGN_HEADER = "Subject: Grüße\r\n\r\nGrüße und viele andere Wörter\r\n".encode()


def facts(content: bytes, *, smtputf8: bool = False, known_header: bool = True) -> MessageFacts:
    return MessageFacts(
        return_path="ann@example.com",
        recipients=(),
        origin=Origin("smtp"),
        submitter_kind="credential",
        submitter_name="shop",
        smtputf8=smtputf8,
        header_bytes=len(split_content(content)[0]) if known_header else 0,
    )


@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("smtputf8", [True, False])
def test_ascii_goes_anywhere_as_it_is_whatever_was_declared(hop: Hop, smtputf8: bool):
    assert render(ASCII, facts(ASCII, smtputf8=smtputf8), hop) is ASCII


@pytest.mark.parametrize("hop", [Hop(), Hop(True, True), Hop(False, True)])
def test_a_foreign_body_stays_as_it_is_where_eight_bits_are_taken(hop: Hop):
    assert render(FOREIGN_BODY, facts(FOREIGN_BODY), hop) is FOREIGN_BODY


def test_a_foreign_body_is_converted_for_seven_bits():
    result = render(FOREIGN_BODY, facts(FOREIGN_BODY), Hop(eight_bit=False))
    assert result.isascii()
    assert b"Gr=C3=BC=C3=9Fe" in result


@pytest.mark.parametrize("known_header", [True, False])
def test_a_declared_foreign_header_needs_smtputf8(known_header: bool):
    stored = facts(FOREIGN_HEADER, smtputf8=True, known_header=known_header)
    assert render(FOREIGN_HEADER, stored, Hop(True, True)) is FOREIGN_HEADER
    assert render(FOREIGN_HEADER, stored, Hop(False, True)) is FOREIGN_HEADER
    for hop in (Hop(True, False), Hop(False, False)):
        with pytest.raises(CannotRender, match="SMTPUTF8") as caught:
            render(FOREIGN_HEADER, stored, hop)
        assert caught.value.status == "5.6.7"


def test_a_foreign_header_that_was_not_declared_goes_wherever_eight_bits_go():
    stored = facts(FOREIGN_HEADER)
    assert render(FOREIGN_HEADER, stored, Hop(True, False)) is FOREIGN_HEADER
    with pytest.raises(CannotRender) as caught:
        render(FOREIGN_HEADER, stored, Hop(False, False))
    assert caught.value.status == "5.6.7"


FOREIGN_PART = (
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Grüße\r\n\r\nhello\r\n--b--\r\n"
).encode()


def test_the_header_of_a_part_counts_as_one_where_it_was_declared():
    declared, silent = facts(FOREIGN_PART, smtputf8=True), facts(FOREIGN_PART)
    assert render(FOREIGN_PART, declared, Hop(True, True)) is FOREIGN_PART
    assert render(FOREIGN_PART, silent, Hop(True, False)) is FOREIGN_PART
    with pytest.raises(CannotRender, match="one of its parts") as caught:
        render(FOREIGN_PART, declared, Hop(True, False))
    assert caught.value.status == "5.6.7"


def test_a_foreign_body_that_was_declared_needs_no_smtputf8():
    assert (
        render(FOREIGN_BODY, facts(FOREIGN_BODY, smtputf8=True), Hop(True, False)) is FOREIGN_BODY
    )


def test_what_has_too_many_parts_to_look_at_goes_nowhere_without_smtputf8():
    parts = b"--b\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n" * 3000
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    assert render(content, facts(content), Hop(True, False)) is content
    with pytest.raises(CannotRender, match="SMTPUTF8"):
        render(content, facts(content, smtputf8=True), Hop(True, False))


@given(st.sampled_from([ASCII, FOREIGN_BODY, FOREIGN_HEADER]), st.sampled_from(HOPS), st.booleans())
def test_the_same_input_gives_the_same_bytes(content: bytes, hop: Hop, smtputf8: bool):
    results = []
    for _ in range(2):
        try:
            results.append(render(content, facts(content, smtputf8=smtputf8), hop))
        except CannotRender as error:
            results.append(error.status.encode())
    assert results[0] == results[1]


def test_the_renderer_has_a_version():
    assert RENDERER_VERSION >= 1


# --- features, conversion, signatures: in that order -------------------------------------------

LETTER = (
    b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org;\r\n s=x; b=abc\r\n"
    b"From: ann@example.com\r\nSubject: hello\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p>caf\xc3\xa9 <a href="https://example.com/">go</a></p>\r\n'
)
SIGNING = new_key("example.com", "pb1", Algorithm.ED25519)
TOKEN_KEYS = {1: b"k" * 32}
KEYS = RenderKeys(TOKEN_KEYS, {"example.com/pb1": SIGNING})
ANYWHERE = Hop(True, True)
TO_BOB = delivery_id(MessageId(1 << 50), 1)


def asking(keys: tuple[str, ...] = (), host: str = "clicks.test", **options: str) -> MessageFacts:
    return MessageFacts(
        "ann@example.com", (RecipientFacts("bob@example.org"),), Origin("smtp"), "credential", "x",
        options={name: OptionValue(value, "app") for name, value in options.items()},
        key_ids=keys, tracking_host=host, token_key=1,
    )  # fmt: skip


def test_a_signature_that_came_stays_where_nothing_else_is_changed() -> None:
    made = rendering(LETTER, asking(("example.com/pb1",)), ANYWHERE, KEYS, TO_BOB)
    assert made.content.endswith(b"\r\n" + LETTER)
    assert made.content.count(b"DKIM-Signature:") == 2
    assert made.signed_by == ("example.com/pb1",)
    assert not made.notes


@pytest.mark.parametrize(
    ("facts", "hop"),
    [
        (asking(trackclicks="true"), ANYWHERE),
        (asking(), Hop(eight_bit=False)),
        (asking(), Hop(True, True, sender=DefaultSender("shop@example.net"))),
    ],
    ids=["tracked", "converted", "default sender"],
)
def test_a_signature_that_came_goes_with_what_it_was_of(facts: MessageFacts, hop: Hop) -> None:
    made = rendering(LETTER, facts, hop, KEYS, TO_BOB)
    assert b"DKIM-Signature" not in made.content
    assert "taken out" in made.notes[0]
    assert render(LETTER, facts, hop, KEYS, TO_BOB) == made.content


def test_what_is_signed_is_what_leaves() -> None:
    """The signature is over the converted body with the tracked link in it."""
    facts = asking(("example.com/pb1",), trackclicks="true")
    made = rendering(LETTER, facts, Hop(eight_bit=False), KEYS, TO_BOB)
    signature, _, rest = made.content.partition(b"\r\nMIME-Version")
    rest = b"MIME-Version" + rest
    assert rest.isascii() and b"clicks.test" in rest.replace(b"=\r\n", b"")
    assert signature.startswith(b"DKIM-Signature: v=1; a=ed25519-sha256")
    assert made.content == sign(rest, [SIGNING], message_time_ms(MessageId(1 << 50)) // 1000)


def test_it_is_signed_at_the_instant_in_its_id_so_every_attempt_gives_the_same_octets() -> None:
    facts = asking(("example.com/pb1",), trackclicks="true", trackopens="true", inlinecss="true")
    one, two = (render(LETTER, facts, ANYWHERE, KEYS, TO_BOB) for _ in range(2))
    assert one == two
    assert b"; t=%d;" % (message_time_ms(MessageId(1 << 50)) // 1000) in one
    other = RenderKeys(TOKEN_KEYS | {2: b"z" * 32}, KEYS.signing)
    assert render(LETTER, facts, ANYWHERE, other, TO_BOB) == one
    assert render(LETTER, facts, ANYWHERE, KEYS, DeliveryId(TO_BOB + 1)) != one


def test_keys_that_are_gone_are_done_without_and_that_is_said() -> None:
    facts = asking(("example.com/pb1",), trackclicks="true", inlinecss="true")
    made = rendering(LETTER, facts, ANYWHERE)
    assert made.content == LETTER
    assert [bool(re.search("token key 1|pb1", each)) for each in made.changes.remarks] == [True] * 2


def test_a_message_that_is_left_is_signed_and_converted_all_the_same() -> None:
    facts = asking(("example.com/pb1",), trackclicks="true")
    why = "It was left as it came."
    made = rendering(LETTER, facts, Hop(eight_bit=False), KEYS, TO_BOB, left=why)
    assert made.content.isascii() and made.signed_by
    assert b"clicks.test" not in made.content
    assert made.changes.remarks == [why]


def test_too_many_levels_leave_a_message_as_it_came() -> None:
    part = b"\r\n" + LETTER
    for level in range(50):
        line = b"\r\n--b%d" % level
        head = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n" % level
        part = head + line + b"\r\n" + part + line + b"--\r\n"
    made = rendering(part, asking(trackclicks="true"), ANYWHERE, KEYS, TO_BOB)
    assert made.content == part
    assert "levels" in made.changes.remarks[0]


def test_the_stand_in_of_the_author_comes_before_everything_else() -> None:
    hop = Hop(True, True, sender=DefaultSender("shop@example.net"))
    facts = asking(("example.com/pb1",), trackclicks="true")
    made = rendering(LETTER, facts, hop, KEYS, TO_BOB)
    rest = made.content[made.content.index(b"From:") :]
    assert rest.startswith(b"From: shop@example.net\r\nReply-To: ann@example.com\r\n")
    assert made.content == sign(rest, [SIGNING], message_time_ms(MessageId(1 << 50)) // 1000)


def test_a_size_is_told_ahead_where_it_costs_nothing_to_know() -> None:
    assert size_ahead(LETTER, asking(), ANYWHERE) == len(LETTER)
    assert size_ahead(LETTER, asking(trackclicks="true"), ANYWHERE) is None
    assert size_ahead(LETTER, asking(("example.com/pb1",)), ANYWHERE) is None


# --- odd and broken messages ----------------------------------------------------------------------

EVERYTHING = {
    name: "hosted" if name == "images" else "true"
    for name in ("inlinecss", "trackclicks", "preventscam", "images")
}
ODD = odd_messages()


def test_there_are_many_odd_messages() -> None:
    assert len(set(ODD.values())) >= 150


@pytest.mark.parametrize("name", ODD)
def test_an_odd_message_leaves_as_it_came_whatever_is_switched_on(name: str) -> None:
    content = ODD[name]
    assert render(content, asking(), ANYWHERE) is content
    made = rendering(content, asking(**EVERYTHING), ANYWHERE, KEYS, TO_BOB)
    assert made.content == content
    assert not made.changes.edits
