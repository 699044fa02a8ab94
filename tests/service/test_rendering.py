"""rendering in a running house: children, keys, what is said, and the same bytes every time"""

from __future__ import annotations

import asyncio
import hashlib
import quopri
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.message.render import RENDERER_VERSION
from pillarbox.message.tokens import read
from pillarbox.net.workers import Workers, WorkersConfig
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from pillarbox.policy.events import AttemptFacts, LeftFacts
from pillarbox.services.delivery import renderer
from pillarbox.wiring import ways_out
from tests.doubles.bad_server import BadServer
from tests.doubles.script import Script, Stage, say
from tests.e2e.clerk import ask, show
from tests.fix_house import Houses, Running

HOST = TrackingConfig(host="clicks.test")
STYLED = b"<style>td { color: red }</style><table><tr><td>one</td></tr></table>"
LINK = b'<a href="https://example.com/">shop</a>'

Job = Callable[[], bytes]


@pytest.fixture
async def sink() -> AsyncIterator[BadServer]:
    async with BadServer(Script()) as server:
        yield server


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """What children are given to do; they do it."""
    given: list[Job] = []
    do, share = Workers.do, Workers.share

    async def noted(self: Workers, job: Job) -> bytes:
        given.append(job)
        return await do(self, job)

    async def shared(self: Workers, job: Job) -> bytes:
        given.append(job)
        return await share(self, job)

    monkeypatch.setattr(Workers, "do", noted)
    monkeypatch.setattr(Workers, "share", shared)
    return given


def letter(html: bytes) -> bytes:
    return (
        b"From: ann@example.com\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html + b"\r\n"
    )


async def started(houses: Houses, sink: BadServer, *features: str, **sections: object) -> Running:
    """A house whose app has these features."""
    house = await houses.start(Mode.LIVE, **{"tracking": HOST, **sections})
    house.app = replace(house.app, options=dict.fromkeys(features, "true"))
    await house.house.storage.directory.save_app(house.app)
    if not await house.house.storage.directory.servers(house.app.id):
        await house.add_server("sink", sink.port)
    return house


async def left_of(house: Running, message: int) -> list[LeftFacts]:
    """What was said about a message that could not be changed as it asked."""
    events = await house.house.storage.events.recent(1000)
    return [
        event.data
        for event in events
        if event.kind == "message.left_as_it_is" and event.delivery >> 10 == message
        and isinstance(event.data, LeftFacts)
    ]  # fmt: skip


async def test_what_left_is_noted_by_its_digest_and_the_version_that_made_it(
    houses: Houses, sink: BadServer
) -> None:
    house = await started(houses, sink, "trackclicks")
    receipt = await house.submit(content=letter(LINK))
    (row,) = await house.until(receipt.message)
    last = (await house.house.storage.events.history(row.last_event))[-1]
    assert isinstance(last.data, AttemptFacts)
    (record,) = sink.delivered
    assert last.data.bytes_sha256 == hashlib.sha256(record.content).digest()
    assert last.data.renderer == RENDERER_VERSION


async def test_mail_that_asks_for_nothing_leaves_without_a_digest_or_a_child(
    houses: Houses, sink: BadServer
) -> None:
    house = await started(houses, sink)
    receipt = await house.submit(content=letter(STYLED + LINK))
    (row,) = await house.until(receipt.message)
    last = (await house.house.storage.events.history(row.last_event))[-1]
    assert isinstance(last.data, AttemptFacts)
    assert (last.data.bytes_sha256, last.data.renderer) == (b"", 0)
    assert house.house.workers.running == 0


async def test_small_mail_without_a_style_sheet_asks_no_child(
    houses: Houses, sink: BadServer
) -> None:
    house = await started(houses, sink, "inlinecss", "trackclicks", "trackopens")
    await house.until((await house.submit(content=letter(LINK))).message)
    (record,) = sink.delivered
    assert b'href="https://clicks.test/' in record.content
    assert house.house.workers.running == 0


async def test_styles_are_inlined_in_a_child_once_for_all_recipients(
    houses: Houses, sink: BadServer, jobs: list[Job]
) -> None:
    house = await started(houses, sink, "inlinecss", "trackclicks")
    await house.add_server("other", sink.port, max_connections=1)
    receipt = await house.submit("a@example.org", content=letter(STYLED + LINK))
    await house.until(receipt.message)
    assert len(jobs) == 1
    many = [f"r{number}@example.org" for number in range(12)]
    receipt = await house.submit(*many, content=letter(STYLED + LINK + b"<p></p>"))
    await house.until(receipt.message)
    assert len(sink.delivered) == 13
    assert all(b"<td style=" in record.content for record in sink.delivered)
    assert len({record.content for record in sink.delivered}) == 13
    assert len(jobs) == 2


async def test_a_document_like_one_that_was_there_before_needs_no_child(
    houses: Houses, sink: BadServer, jobs: list[Job]
) -> None:
    house = await started(houses, sink, "inlinecss", "trackclicks")
    await house.add_server("other", sink.port, max_connections=1)
    for word in (b"one", b"other", b"third"):
        link = LINK.replace(b"example", b"example-" + word)
        content = letter(STYLED + b"<p>" + word + link)
        receipt = await house.submit("a@example.org", content=content)
        await house.until(receipt.message)
    assert len(jobs) == 1
    assert all(b"<td style=" in record.content for record in sink.delivered)
    assert len({record.content for record in sink.delivered}) == 3


async def test_where_much_is_rendered_a_child_that_is_free_takes_its_share(
    houses: Houses, sink: BadServer, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await started(houses, sink, "inlinecss", "trackclicks")
    await house.add_server("other", sink.port, max_connections=1)
    content = letter(STYLED + LINK + b"<p>" + b"word " * 600)
    for most in (1_000_000, 1_000_000, 0):
        monkeypatch.setattr(renderer, "_MANY", most)
        receipt = await house.submit("a@example.org", content=content)
        await house.until(receipt.message)
    assert len(jobs) == 2
    here, there = (untracked(record.content) for record in sink.delivered[1:])
    assert here == there


def untracked(content: bytes) -> bytes:
    """Without what tells one message from another."""
    body = content[content.index(b"\r\n\r\n") :].replace(b"=\r\n", b"")
    return re.sub(rb"https://[^\"]+", b"", body)


MORTAL = """
import os, time
from pillarbox.services.delivery import render_child
from pillarbox.services.delivery.render_job import answer_to
def work(job):
    if b"deadly" in job:
        os._exit(9)
    if b"fragile" in job and b", twice." not in job:
        os._exit(9)
    if b"endless" in job:
        time.sleep(60)
    return answer_to(job)
render_child.main(work)
"""
"""The child itself, but that one word is its end, one is unless the message is left as it came, and
one keeps it for ever.
"""


async def test_a_message_that_ends_two_children_goes_unmodified_and_says_so_once(
    houses: Houses, sink: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mortal_child.py").write_text(MORTAL)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(ways_out, "_RENDER_MODULE", "mortal_child")
    deadly = letter(STYLED + LINK + b"<p>deadly</p>")
    config = WorkersConfig(processes=1)
    house = await started(houses, sink, "inlinecss", rendering=config)
    bad = await house.submit("a@example.org", "b@example.org", content=deadly)
    good = await house.submit(content=letter(STYLED))
    for receipt in (bad, good):
        rows = await house.until(receipt.message)
        assert {row.state for row in rows} == {State.HANDED_OVER}
    contents = [record.content for record in sink.delivered]
    assert [each for each in contents if each.endswith(deadly)]
    assert [each for each in contents if b"<td style=" in each]
    (said,) = await left_of(house, bad.message)
    assert "twice" in said.remarks[0]
    assert not await left_of(house, good.message)


async def test_a_message_that_ends_the_child_it_shares_takes_nobody_with_it(
    houses: Houses,
    sink: BadServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs: list[Job],
) -> None:
    (tmp_path / "mortal_child.py").write_text(MORTAL)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(ways_out, "_RENDER_MODULE", "mortal_child")
    monkeypatch.setattr(renderer, "_MANY", 0)  # as where much is rendered
    house = await started(houses, sink, "trackclicks")
    long = LINK + b"\r\n<p>some words</p>" * 200
    deadly = letter(long + b"\r\n<p>deadly</p>")
    words = [letter(long + b"\r\n<p>%d</p>" % number) for number in range(60)]
    receipts = await asyncio.gather(
        *(house.submit(content=each) for each in [*words[:30], deadly, *words[30:]])
    )
    for receipt in receipts:
        (row,) = await house.until(receipt.message)
        assert row.state == State.HANDED_OVER
    contents = [record.content for record in sink.delivered]
    assert len(contents) == len(receipts) and sum(b"deadly" in job() for job in jobs) >= 2
    assert [each for each in contents if each.endswith(deadly)]
    assert sum(b'href="https://clicks.test/' in each for each in contents) == len(words)
    for receipt in receipts:
        said = await left_of(house, receipt.message)
        assert len(said) == (receipt is receipts[30])
        assert not said or "twice" in said[0].remarks[0]


@pytest.mark.parametrize("word", [b"fragile", b"deadly"])
async def test_a_large_message_that_ends_two_children_is_signed_in_a_third_or_else_here(
    houses: Houses, sink: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: bytes
) -> None:
    (tmp_path / "mortal_child.py").write_text(MORTAL)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(ways_out, "_RENDER_MODULE", "mortal_child")
    house = await started(houses, sink, "inlinecss", rendering=WorkersConfig(processes=1))
    content = letter(STYLED + word + b"\r\nmore" * 200_000)
    for _ in range(2):  # what was found out once holds for the next try as well
        sink.script.on(Stage.DOT, say(451, "4.3.0 not now"), times=1)
        receipt = await house.submit(content=content)
        await house.until(receipt.message)
        first, second = sink.messages[-2:]
        assert first.content == second.content and second.content.endswith(content)
        (said,) = await left_of(house, receipt.message)
        assert "twice" in said.remarks[0]
    assert house.house.workers.running == (word == b"fragile")


async def test_a_message_that_takes_a_child_too_long_is_ended_there(
    houses: Houses, sink: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mortal_child.py").write_text(MORTAL)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(ways_out, "_RENDER_MODULE", "mortal_child")
    config = WorkersConfig(processes=1, seconds=0.3)
    house = await started(houses, sink, "inlinecss", rendering=config)
    content = letter(STYLED + b"<p>endless</p>")
    receipt = await house.submit(content=content)
    await house.until(receipt.message)
    (record,) = sink.delivered
    assert record.content.endswith(content)
    (said,) = await left_of(house, receipt.message)
    assert "more than 0.3 seconds" in said.remarks[0]


async def test_without_a_tracking_host_nothing_is_tracked_and_the_history_says_so(
    houses: Houses, sink: BadServer
) -> None:
    house = await started(houses, sink, "trackclicks", tracking=TrackingConfig())
    receipt = await house.submit(content=letter(LINK))
    (row,) = await house.until(receipt.message)
    (record,) = sink.delivered
    assert LINK in record.content
    assert await house.kinds(row) == [
        "message.accepted", "message.left_as_it_is", "delivery.handed_over",
    ]  # fmt: skip
    shown = await show(house, f"/messages/{receipt.id_text}")
    words = [event["words"] for event in shown["deliveries"][0]["history"]]
    assert "no tracking host is configured (tracking.host)" in words[1]


async def test_operators_exceptions_hold_for_what_was_taken_under_them(
    houses: Houses, sink: BadServer
) -> None:
    tracking = TrackingConfig(host="clicks.test", https=False, exceptions=("example.com",))
    house = await started(houses, sink, "trackclicks", tracking=tracking)
    other = b'<a href="https://example.org/">other</a>'
    await house.until((await house.submit(content=letter(LINK + other))).message)
    (record,) = sink.delivered
    assert LINK in record.content and b'<a href="http://clicks.test/' in record.content


async def test_the_same_message_is_the_same_to_the_byte_after_a_restart_and_a_new_key(
    houses: Houses, sink: BadServer
) -> None:
    features = ("inlinecss", "trackclicks", "trackopens")
    sink.script.on(Stage.DOT, say(451, "4.3.0 not now"), times=4)
    house = await started(houses, sink, *features)
    receipt = await house.submit(content=letter(STYLED + LINK))
    await sink.until(lambda: len(sink.messages) >= 2)
    keys = house.house.storage.keys
    await keys.rotate_token_key(house.house.clock.now_ms())
    await keys.revoke_token_key(1, house.house.clock.now_ms())
    house = await started(houses, sink, *features, tracking=TrackingConfig(host="other.test"))
    await house.until(receipt.message)
    assert len(sink.messages) >= 5
    (content,) = {record.content for record in sink.messages}
    assert b"<td style=" in content and b'href="https://clicks.test/' in content


async def test_mail_of_the_email_service_has_the_features_of_its_app(
    houses: Houses, sink: BadServer
) -> None:
    house = await started(houses, sink, "inlinecss", "trackclicks", "trackopens")
    assert house.first is not None
    document = {
        "to": [{"email": "a@example.org"}, {"email": "b@example.org"}], "subject": "hello",
        "from_email": "ann@example.com", "body_html": (STYLED + LINK).decode(),
    }  # fmt: skip
    key = {"x-dreamfactory-api-key": house.first.key.reveal()}
    answer = await ask(house, "POST", f"/api/v2/{house.app.name}", document, **key)
    assert (answer.status, answer.json()) == (200, {"count": 2})
    assert len({record.content for record in sink.delivered}) == 2
    for record in sink.delivered:
        assert len(record.accepted_recipients) == 1
        for mark in (b"<td style=", b'href="https://clicks.test/', b'src="https://clicks.test/'):
            assert mark in quopri.decodestring(record.body)


@pytest.mark.parametrize("connections", [1, 8])
async def test_nobody_gets_the_copy_of_somebody_else(
    houses: Houses, sink: BadServer, connections: int
) -> None:
    house = await started(houses, sink, "trackclicks")
    (server,) = await house.house.storage.directory.servers(house.app.id)
    await house.house.storage.directory.save_server(replace(server, max_connections=connections))
    sink.script.on(Stage.RCPT, say(451, "4.2.1 later"), times=5)
    sink.script.on(Stage.DOT, say(451, "4.3.0 not now"), times=5)
    people = [f"r{number}@example.org" for number in range(3)]
    receipts = await asyncio.gather(
        *(house.submit(*people, content=letter(LINK)) for _ in range(30))
    )
    for receipt in receipts:
        rows = await house.until(receipt.message)
        assert {row.state for row in rows} == {State.HANDED_OVER}
    secrets = await house.house.storage.keys.token_secrets()
    meant = {born.id: born.recipient.decode() for one in receipts for born in one.born}
    assert len(sink.delivered) == len(meant) == 90
    for record in sink.delivered:
        (recipient,) = record.accepted_recipients
        found = re.search(rb'href="https://clicks.test/([\w-]+)', record.content)
        assert found is not None
        token = read(found[1].decode(), secrets)
        assert token is not None
        assert meant.pop(token.delivery) == recipient
    assert not meant


async def test_a_large_message_that_was_read_back_is_changed_in_a_child(
    houses: Houses, sink: BadServer
) -> None:
    house = await started(houses, sink, "trackclicks")
    attached = b"A" * 76 + b"\r\n"
    content = (
        b"From: ann@example.com\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        + LINK + b"\r\n--b\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + attached * 30_000 + b"\r\n--b--\r\n"
    )  # fmt: skip
    sink.script.on(Stage.DOT, say(451, "4.3.0 not now"), times=1)
    receipt = await house.submit("a@example.org", "b@example.org", content=content)
    await house.until(receipt.message)
    assert 1 <= house.house.workers.running <= 2
    one, two = (record.content for record in sink.delivered)
    assert one != two
    for made in (one, two):
        assert made.endswith(content[content.index(b"\r\n--b\r\nContent-Type: app") :])
        assert b"https://clicks.test/" in made
