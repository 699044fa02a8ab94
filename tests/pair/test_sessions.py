"""the two sessions understand each other, with every extension on and off"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import pytest

from pillarbox.protocol.command import format_wishes
from pillarbox.protocol.events import (
    EnvelopeAnswered,
    HelloAnswered,
    LoginAnswered,
    MailReceived,
    RecipientReceived,
    TlsAnswered,
    VerdictReceived,
)
from pillarbox.protocol.states import ClientState, ServerState
from pillarbox.terms.secret import Secret
from tests.pair.answering import LIMITS, PASSWORD, USERNAME, Message
from tests.pair.channel import Channel

SWITCHED = ("PIPELINING", "8BITMIME", "SIZE", "SMTPUTF8")
CONTENT = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nb\xff\0\r\n"
OPEN = replace(LIMITS, auth="clear", tls="starttls")
ALL_OFF_AND_ON = [
    frozenset(chosen)
    for chosen in chain.from_iterable(combinations(SWITCHED, n) for n in range(len(SWITCHED) + 1))
]


def said_hello(limits=LIMITS, **options) -> Channel:
    channel = Channel(limits, **options)
    answered = channel.do(channel.client.hello, "client.example.com")
    assert isinstance(answered, HelloAnswered)
    return channel


def envelope(channel: Channel, recipients: list[str], **wishes: object) -> EnvelopeAnswered:
    answered = channel.do(channel.client.envelope, "a@example.com", recipients, **wishes)
    assert isinstance(answered, EnvelopeAnswered)
    return answered


def content(channel: Channel, data: bytes = CONTENT) -> int:
    verdict = channel.do(channel.client.content, data)
    assert isinstance(verdict, VerdictReceived)
    return verdict.reply.code


@pytest.mark.parametrize("portion", [None, 1, 7])
@pytest.mark.parametrize(
    "without", ALL_OFF_AND_ON, ids=lambda without: "-".join(sorted(without)) or "all"
)
def test_messages_arrive_as_they_left(without: frozenset[str], portion: int | None) -> None:
    channel = said_hello(without=without, portion=portion)
    recipients = ["b@example.net", "c@example.net"]
    for _ in range(3):
        answered = envelope(channel, recipients, size=len(CONTENT), body="8BITMIME", smtputf8=True)
        assert [reply.code for reply in answered.recipients] == [250, 250]
        assert answered.ready
        assert content(channel) == 250
    assert channel.listener.messages == [Message("a@example.com", recipients, CONTENT)] * 3
    assert (
        channel.listener.told(MailReceived)
        == [
            MailReceived(
                "a@example.com",
                None if "SIZE" in without else len(CONTENT),
                "7BIT" if "8BITMIME" in without else "8BITMIME",
                "SMTPUTF8" not in without,
            )
        ]
        * 3
    )
    channel.client.quit()
    assert channel.run() == []
    assert channel.listener.session.state is ServerState.CLOSING


def test_pipelining_saves_turns() -> None:
    turns = {}
    for without in (frozenset[str](), frozenset({"PIPELINING"})):
        channel = said_hello(without=without)
        before = channel.turns
        envelope(channel, [f"r{n}@example.net" for n in range(10)])
        content(channel)
        turns[bool(without)] = channel.turns - before
    assert turns == {False: 2, True: 13}


def test_an_envelope_said_ahead_leaves_one_turn_for_each_message() -> None:
    channel = said_hello()
    envelope(channel, ["b@example.net"])
    before = channel.turns
    for _ in range(3):
        channel.client.content(CONTENT)
        channel.client.envelope("a@example.com", ["b@example.net"])
        verdict, answered = channel.run()
        assert isinstance(verdict, VerdictReceived)
        assert isinstance(answered, EnvelopeAnswered)
        assert answered.ready
    assert channel.turns - before == 3
    assert [message.content for message in channel.listener.messages] == [CONTENT] * 3


@pytest.mark.parametrize("without", [frozenset(), frozenset({"PIPELINING"})])
@pytest.mark.parametrize(
    ("recipients", "codes"),
    [
        (["b@x.example", "unknown@x.example"], [250, 550]),
        (["unknown@x.example", "later@x.example", "b@x.example"], [550, 451, 250]),
    ],
)
def test_the_accepted_recipients_get_the_message(
    without: frozenset[str], recipients: list[str], codes: list[int]
) -> None:
    channel = said_hello(without=without)
    answered = envelope(channel, recipients)
    assert [reply.code for reply in answered.recipients] == codes
    assert content(channel) == 250
    (message,) = channel.listener.messages
    assert message.recipients == ["b@x.example"]


@pytest.mark.parametrize("without", [frozenset(), frozenset({"PIPELINING"})])
@pytest.mark.parametrize("refused", ["mail", "recipients"])
def test_after_a_refused_envelope_the_connection_takes_the_next(
    without: frozenset[str], refused: str
) -> None:
    channel = said_hello(without=without)
    return_path = "forged@example.com" if refused == "mail" else "a@example.com"
    answered = channel.do(channel.client.envelope, return_path, ["unknown@x.example"])
    assert isinstance(answered, EnvelopeAnswered)
    assert not answered.ready
    assert channel.client.usable
    assert channel.listener.session.state is ServerState.COMMAND
    assert envelope(channel, ["b@x.example"]).ready
    assert content(channel) == 250
    assert len(channel.listener.messages) == 1


def test_refused_content_leaves_the_connection_usable() -> None:
    channel = said_hello(replace(LIMITS, max_message_bytes=1000))
    envelope(channel, ["b@x.example"])
    assert content(channel, b"please refuse\r\n") == 554
    envelope(channel, ["b@x.example"])
    assert content(channel, b"x" * 2000) == 552
    answered = envelope(channel, ["b@x.example"], size=2000)
    assert (answered.mail.code, answered.ready) == (552, False)
    envelope(channel, ["b@x.example"])
    assert content(channel) == 250


def test_a_421_in_the_middle_ends_both_sides() -> None:
    channel = said_hello()
    answered = envelope(channel, ["b@x.example", "closing@x.example", "c@x.example"])
    assert [reply.code for reply in answered.recipients] == [250, 421, 421]
    assert channel.client.state is ClientState.CLOSING
    assert channel.listener.session.state is ServerState.CLOSING


@pytest.mark.parametrize("portion", [None, 1000, 100_000])
def test_long_content_travels_in_blocks(portion: int | None) -> None:
    body = b"".join(b".%d\r\n" % n for n in range(20_000))
    channel = said_hello(replace(LIMITS, block_bytes=10_000), portion=portion)
    envelope(channel, ["b@x.example"])
    for at in range(0, len(body), 3333):
        channel.client.content_block(body[at : at + 3333])
    verdict = channel.do(channel.client.content_end)
    assert isinstance(verdict, VerdictReceived)
    assert verdict.reply.code == 250
    assert channel.listener.messages[0].content == body


@pytest.mark.parametrize("portion", [None, 1])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_login_under_tls_leaves_nothing_in_clear(mechanism: str, portion: int | None) -> None:
    limits = replace(LIMITS, tls="starttls", require_tls=True, require_login=True)
    channel = said_hello(limits, portion=portion)
    assert channel.client.extensions.mechanisms == frozenset()
    assert envelope(channel, ["b@x.example"]).mail.code == 530
    assert isinstance(channel.do(channel.client.start_tls), TlsAnswered)
    channel.do(channel.client.hello, "client.example.com")
    assert not channel.client.extensions.has("STARTTLS")
    assert channel.client.extensions.mechanisms == {"PLAIN", "LOGIN"}
    assert envelope(channel, ["b@x.example"]).mail.code == 530
    wrong = channel.do(channel.client.login, mechanism, USERNAME, Secret("wrong"))
    assert isinstance(wrong, LoginAnswered)
    assert wrong.reply.code == 535
    right = channel.do(channel.client.login, mechanism, USERNAME, Secret(PASSWORD))
    assert isinstance(right, LoginAnswered)
    assert right.reply.code == 235
    assert envelope(channel, ["b@x.example"]).ready
    assert content(channel) == 250
    assert b"AUTH" not in channel.in_clear
    assert [login.password for login in channel.listener.answers.logins] == [
        Secret("wrong"),
        Secret(PASSWORD),
    ]


def test_a_long_password_takes_the_longer_way() -> None:
    channel = said_hello(OPEN)
    answered = channel.do(channel.client.login, "PLAIN", USERNAME, Secret("x" * 5000))
    assert isinstance(answered, LoginAnswered)
    assert answered.reply.code == 535
    assert channel.listener.answers.logins[0].password == Secret("x" * 5000)


def test_a_mechanism_the_server_does_not_take_is_refused() -> None:
    channel = said_hello(OPEN)
    answered = channel.do(channel.client.login, "XOAUTH2", USERNAME, Secret("token"))
    assert isinstance(answered, LoginAnswered)
    assert answered.reply.code == 504
    assert channel.client.usable


def test_addresses_beyond_ascii_travel_where_both_sides_take_them() -> None:
    channel = said_hello()
    answered = channel.do(
        channel.client.envelope, "ü@example.com", ["é@bücher.example"], smtputf8=True
    )
    assert isinstance(answered, EnvelopeAnswered)
    assert answered.ready
    assert content(channel) == 250
    (message,) = channel.listener.messages
    assert (message.return_path, message.recipients) == (
        "ü@example.com",
        ["é@xn--bcher-kva.example"],
    )


@pytest.mark.parametrize("portion", [None, 1])
def test_wishes_for_reports_arrive_as_they_were_meant(portion: int | None) -> None:
    original = "utf-8;ü+\\@example.org"
    recipients = ["b@example.net", "c@example.net", "d@example.net"]
    wishes = [
        format_wishes("SUCCESS,DELAY", "rfc822;B+=b@Example.net"),
        format_wishes("", original),
        format_wishes("", None),
    ]
    for without, known in ((frozenset[str](), True), (frozenset({"DSN"}), False)):
        channel = said_hello(portion=portion, without=without)
        answered = envelope(channel, recipients, report="FULL", envelope_id="id + =", wishes=wishes)
        assert answered.ready
        (mail,) = channel.listener.told(MailReceived)
        assert mail.parameters == ({"RET": "FULL", "ENVID": "id + ="} if known else {})
        told = [one.parameters for one in channel.listener.told(RecipientReceived)]
        first = {"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;B+=b@Example.net"}
        assert told == ([first, {"ORCPT": original}, {}] if known else [{}, {}, {}])


def test_rset_between_messages_is_answered_and_swallowed() -> None:
    channel = said_hello()
    channel.client.reset()
    assert channel.run() == []
    assert channel.client.expecting is None
    assert channel.client.usable
