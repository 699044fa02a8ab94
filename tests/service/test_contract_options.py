"""the contract about features: what a login and a message say of them, and what a recipient sees"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from tests.doubles.bad_server import BadServer
from tests.doubles.records import MessageRecord
from tests.e2e.clerk import (
    API,
    Login,
    add_login,
    arrived,
    ask,
    options_of,
    queued_as,
    show,
)
from tests.e2e.porch import BOTH, hand_in, plain_login, protected
from tests.fix_house import Houses, Running
from tests.wire.conversation import Typist

FEATURES = ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam")
HTML = (
    b"<style>td { color: red }</style>\r\n"
    b'<table><tr><td><a href="http://www.example.com">www.example.com</a></td></tr></table>\r\n'
    b"x-smtpeter-inlinecss: false\r\nBcc: nobody@example.org\r\n"
)


@pytest.fixture
async def sink() -> AsyncIterator[BadServer]:
    """The server of the app, where everything that leaves is looked at."""
    async with BadServer() as server:
        yield server


@pytest.fixture
async def house(houses: Houses, sink: BadServer) -> Running:
    """Its mail leaves for the sink."""
    running = await houses.start(Mode.LIVE, smtp=BOTH)
    await running.add_server("sink", sink.port)
    return running


def letter(*fields: bytes) -> bytes:
    """A message in HTML with these fields between its own."""
    head = [b"From: ann@example.com", *fields, b"Subject: hello", b"Content-Type: text/html"]
    return b"\r\n".join(head) + b"\r\n\r\n" + HTML


async def typed(client: Typist, login: Login, content: bytes) -> str:
    """Log in and hand over; the id."""
    assert (await client.say(plain_login(login.username, login.password))).startswith(b"235 ")
    return queued_as(await hand_in(client, content))


async def handed_over(house: Running, login: Login, content: bytes) -> str:
    """The id of a message that a login has handed over."""
    async with protected(house, PortKind.TLS) as client:
        return await typed(client, login, content)


def names_of(sent: MessageRecord) -> list[bytes]:
    """The names of a message's fields, in lower case."""
    lines = sent.content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line.partition(b":")[0].strip().lower() for line in lines if line[:1] not in b" \t"]


async def test_a26_names_of_fields_and_truth_values_are_read_in_any_letter_case(
    house: Running, sink: BadServer
) -> None:
    fields = {
        b"X-SMTPETER-TRACKCLICKS: TRUE": ("trackclicks", "true"),
        b"x-smtpeter-trackopens: True": ("trackopens", "true"),
        b"X-SmtPeter-TrackBounces: tRuE": ("trackbounces", "true"),
        b"X-Smtpeter-InlineCSS: FALSE": ("inlinecss", "false"),
        b"x-SMTPeter-preventScam: fAlse": ("preventscam", "false"),
    }
    login = await add_login(
        house, "shop", options={"inlinecss": "true", "preventscam": "true", "trackopens": "false"}
    )
    message = await handed_over(house, login, letter(*fields))
    wanted = {name: (value, "header") for name, value in fields.values()}
    assert await options_of(house, message) == wanted
    sent = await arrived(house, sink, message)
    assert names_of(sent)[-3:] == [b"from", b"subject", b"content-type"]
    assert sent.body == HTML


@pytest.mark.parametrize("kind", ["program", "relay"])
async def test_a27_no_option_field_reaches_a_recipient(
    house: Running, sink: BadServer, kind: str
) -> None:
    fields = (
        b"x-smtpeter-inlinecss: false", b"X-SMTPeter-TrackClicks: false",
        b"X-SMTPETER-PREVENTSCAM : 1", b"x-smtpeter-tags: a,\r\n\tb",
        b"x-smtpeter-images:\r\n hosted", b"x-smtpeter-nobody-knows-it: 1",
        b"X-SMTPeter-: nothing", b"x-smtpeter-unknown:", b"x-smtpeter-unknown: twice\r\n and folded",
    )  # fmt: skip
    login = await add_login(house, "shop", kind=kind)
    content = b"x-smtpeter-trackopens: true\r\n" + letter(*fields, b"X-Mailer: x-smtpeter-1")
    message = await handed_over(house, login, content)
    sent = await arrived(house, sink, message)
    assert not [name for name in names_of(sent) if name.startswith(b"x-smtpeter")]
    assert b"nobody-knows" not in sent.content and b"hosted" not in sent.content
    assert names_of(sent)[-4:] == [b"from", b"x-mailer", b"subject", b"content-type"]
    assert sent.header("X-Mailer") == [b"x-smtpeter-1"] and sent.body == HTML


async def test_a27_no_option_field_of_a_message_given_whole_over_http_reaches_a_recipient(
    house: Running, sink: BadServer
) -> None:
    whole = letter(b"X-SMTPeter-trackclicks: true", b"x-smtpeter-whatever: 1")
    document = {"to": "bob@example.org", "raw_base64": base64.b64encode(whole).decode()}
    answer = await ask(house, "POST", f"{API}/messages", document)
    assert answer.status == 202, answer.body
    sent = await arrived(house, sink, answer.json()["id"])
    assert names_of(sent)[-3:] == [b"from", b"subject", b"content-type"]
    assert b"x-smtpeter" not in sent.content.partition(b"\r\n\r\n")[0].lower()


async def test_a29_a_message_without_option_fields_has_the_features_of_its_login(
    house: Running, sink: BadServer
) -> None:
    options = {"trackclicks": "true", "preventscam": "true", "inlinecss": "false"}
    login = await add_login(house, "shop", options=options)
    message = await handed_over(house, login, letter())
    assert await options_of(house, message) == {
        name: (value, "credential") for name, value in options.items()
    }
    without = await handed_over(house, await add_login(house, "plain"), letter())
    assert await options_of(house, without) == {}
    for each in (message, without):
        sent = await arrived(house, sink, each)
        assert names_of(sent)[-3:] == [b"from", b"subject", b"content-type"]


@pytest.mark.parametrize("feature", FEATURES)
async def test_b7_each_feature_is_switched_by_itself_login_by_login(
    house: Running, sink: BadServer, feature: str
) -> None:
    only = await add_login(house, "only", options={feature: "true"})
    all_but = {name: str(name != feature).lower() for name in FEATURES}
    others = await add_login(house, "others", options=all_but)
    message = await handed_over(house, only, letter())
    assert await options_of(house, message) == {feature: ("true", "credential")}
    await arrived(house, sink, message)
    message = await handed_over(house, others, letter())
    assert await options_of(house, message) == {
        name: (value, "credential") for name, value in all_but.items()
    }
    await arrived(house, sink, message)


async def test_a19_features_that_change_hold_for_the_next_message_of_an_open_session(
    house: Running, sink: BadServer
) -> None:
    login = await add_login(house, "shop", options={"inlinecss": "true"})
    changed = {"inlinecss": "false", "trackclicks": "true"}
    async with protected(house, PortKind.STARTTLS) as client:
        before = await typed(client, login, letter())
        answer = await ask(house, "PATCH", f"{API}/credentials/shop", {"options": changed})
        assert answer.status == 200, answer.body
        after = queued_as(await hand_in(client, letter()))
    assert await options_of(house, before) == {"inlinecss": ("true", "credential")}
    assert await options_of(house, after) == {
        name: (value, "credential") for name, value in changed.items()
    }
    for message in (before, after):
        await arrived(house, sink, message)


async def test_a47_tags_given_by_a_field_are_exactly_those_of_the_message_and_of_all_its_events(
    house: Running, sink: BadServer
) -> None:
    login = await add_login(house, "shop", options={"tags": "of-the-login"})
    message = await handed_over(house, login, letter(b"X-SMTPeter-Tags: a,b"))
    await arrived(house, sink, message)
    document = await show(house, f"/messages/{message}")
    assert document["tags"] == ["a", "b"]
    history = document["deliveries"][0]["history"]
    assert {event["kind"] for event in history} == {"message.accepted", "delivery.handed_over"}
    assert all(event["tags"] == ["a", "b"] for event in history)
    told = [one for one in (await show(house, "/events"))["items"] if one["message"] == message]
    assert len(told) == 2
    assert all(event["tags"] == ["a", "b"] for event in told)
