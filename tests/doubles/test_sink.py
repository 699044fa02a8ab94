"""the sink's promises: counted once, on record before the reply, honest about what was open"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.certificates import CertificateFiles
from tests.doubles.journal import Fact, Journal, read_journal
from tests.doubles.sink import Sink, SinkProcess, SinkSettings
from tests.doubles.sink_session import count_bare

HANDS_OVER_AND_WAITS = """
import signal, smtplib, sys
client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=5)
client.sendmail("f@x.test", ["a@x.test"], b"X-Exp-Id: doomed\\r\\n\\r\\nx\\r\\n")
sys.stdout.write(".")
sys.stdout.flush()
signal.pause()
"""

BODY = b"hello\r\n.\r\n..two\r\nend\r\n"


class Client:
    """A raw client that is bounded in time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Client:
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        await client.replies(1)
        return client

    async def replies(self, count: int) -> list[bytes]:
        replies: list[bytes] = []
        while len(replies) < count:
            line = await asyncio.wait_for(self.reader.readline(), 5)
            assert line, "the sink ended the connection"
            if line[3:4] == b" ":
                replies.append(line.rstrip())
        return replies

    async def ask(self, data: bytes, count: int = 1) -> list[bytes]:
        self.writer.write(data)
        return await self.replies(count)

    async def envelope(self, *recipients: str) -> list[bytes]:
        lines = [b"MAIL FROM:<from@example.test>"]
        lines += [b"RCPT TO:<%s>" % r.encode() for r in recipients or ("a@example.test",)]
        return await self.ask(b"\r\n".join([*lines, b"DATA", b""]), len(lines) + 1)

    def content(self, identity: str, body: bytes = BODY) -> bytes:
        stuffed = body.replace(b"\r\n.", b"\r\n..")
        return b"X-Exp-Id: %s\r\nMessage-ID: <m@x>\r\n\r\n%s.\r\n" % (identity.encode(), stuffed)

    async def hand_over(self, identity: str, *recipients: str) -> bytes:
        await self.envelope(*recipients)
        return (await self.ask(self.content(identity)))[0]

    async def gone(self) -> None:
        with_reset = asyncio.wait_for(self.reader.read(), 5)
        try:
            await with_reset
        except ConnectionError:
            pass
        finally:
            await self.close()

    async def close(self) -> None:
        self.writer.transport.abort()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


def events(facts: list[Fact], event: str) -> list[Fact]:
    return [fact for fact in facts if fact["event"] == event]


async def test_a_message_taken_is_described_as_it_was_meant() -> None:
    async with Sink(SinkSettings(keep_content=True)) as sink:
        client = await Client.to(sink.port)
        assert (await client.hand_over("exp-1", "a@example.test", "B@example.test"))[:3] == b"250"
        await client.close()
    (fact,) = sink.taken
    assert fact["id"] == "exp-1" and fact["message_id"] == "<m@x>"
    assert fact["recipients"] == ["a@example.test", "B@example.test"]
    assert fact["return_path"] == "from@example.test"
    assert fact["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert fact["content"].endswith(BODY) and fact["size"] == len(fact["content"])
    assert fact["bare"] == 0 and fact["code"] == 250


async def test_a_pipelined_conversation_is_answered_in_order_however_it_is_cut() -> None:
    one = b"MAIL FROM:<f@x>\r\nRCPT TO:<a@x>\r\nRCPT TO:<bad-1@x>\r\nDATA\r\n"
    text = b"X-Exp-Id: e\r\n\r\n..\r\n.\r\n"
    stream = b"EHLO x\r\n" + (one + text) * 2 + b"NOOP\r\nRSET\r\nFOO\r\nQUIT\r\n"
    expected = [b"250", *[b"250", b"250", b"550", b"354", b"250"] * 2]
    expected += [b"250", b"250", b"500", b"221"]
    async with Sink() as sink:
        for step in (1, 3, len(stream)):
            client = await Client.to(sink.port)
            for start in range(0, len(stream), step):
                client.writer.write(stream[start : start + step])
                await client.writer.drain()
            assert [reply[:3] for reply in await client.replies(len(expected))] == expected
            await client.close()
    assert sink.taken_count == 6
    assert {fact["sha256"] for fact in sink.taken} == {hashlib.sha256(b".\r\n").hexdigest()}
    assert events(sink.facts, "lost") == []


async def test_the_id_may_be_the_subject() -> None:
    async with Sink() as sink:
        client = await Client.to(sink.port)
        await client.envelope()
        await client.ask(b"Subject: exp-http-1\r\n\r\nx\r\n.\r\n")
        await client.close()
    assert sink.taken[0]["id"] == "exp-http-1"


async def test_after_a_reply_a_transaction_stays_open_until_the_client_goes_on() -> None:
    async with Sink() as sink:
        for ending in (b"", b"NOOP\r\n", b"MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\nhalf"):
            client = await Client.to(sink.port)
            await client.hand_over("first")
            await client.hand_over("second")
            client.writer.write(ending)
            await client.writer.drain()
            await client.close()
            await sink.until(lambda: not sink.sessions)
    assert len(events(sink.facts, "lost")) == 3
    for fact in events(sink.facts, "lost"):
        assert [(entry["id"], entry["replied"]) for entry in fact["open"]] == [("second", True)]


async def test_quit_closes_what_was_open() -> None:
    async with Sink() as sink:
        client = await Client.to(sink.port)
        await client.hand_over("first")
        await client.ask(b"QUIT\r\n")
        await client.gone()
        other = await Client.to(sink.port)
        await other.close()
        await sink.until(lambda: len(events(sink.facts, "lost")) == 1)
    assert events(sink.facts, "lost")[0]["open"] == []
    assert events(sink.facts, "lost")[0]["session"] == 2


async def test_without_a_reply_it_stays_open_for_ever_and_counts_as_taken() -> None:
    async with Sink(SinkSettings(delay_ms=10_000)) as sink:
        client = await Client.to(sink.port)
        await client.envelope()
        client.writer.write(client.content("slow") + b"QUIT\r\n")
        await sink.until(lambda: sink.taken_count == 1)
        await client.close()
        await sink.until(lambda: bool(events(sink.facts, "lost")))
    (entry,) = events(sink.facts, "lost")[0]["open"]
    assert entry["id"] == "slow" and entry["replied"] is False
    assert entry["recipients"] == ["a@example.test"]


async def test_a_delayed_reply_comes_late_and_keeps_the_order() -> None:
    async with Sink(SinkSettings(delay_ms=60, jitter_ms=20)) as sink:
        client = await Client.to(sink.port)
        await client.envelope()
        begun = asyncio.get_running_loop().time()
        replies = await client.ask(client.content("slow") + b"NOOP\r\n", 2)
        assert asyncio.get_running_loop().time() - begun >= 0.055
        assert replies == [b"250 2.0.0 taken", b"250 2.0.0 here"]
        await client.close()


async def test_while_it_holds_no_content_is_asked_for_and_nothing_else_waits() -> None:
    async with Sink() as sink:
        early, late = await Client.to(sink.port), await Client.to(sink.port)
        await early.ask(b"EHLO one.test\r\n")
        await early.envelope()
        await late.ask(b"EHLO two.test\r\n")
        sink.hold()
        assert (await early.ask(early.content("early")))[0].startswith(b"250")
        late.writer.write(b"MAIL FROM:<f@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n")
        await late.replies(2)
        gone = await Client.to(sink.port)
        gone.writer.write(b"MAIL FROM:<f@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n")
        await gone.replies(2)
        await gone.close()
        await sink.until(lambda: len(sink.sessions) == 2)
        sink.go_on()
        assert (await late.replies(1))[0].startswith(b"354")
        assert (await late.ask(late.content("late")))[0].startswith(b"250")
        for client in (early, late):
            await client.close()
    order = [fact["id"] if fact["event"] == "taken" else fact["event"] for fact in sink.facts]
    assert [word for word in order if word not in ("started", "stopped", "lost")] == [
        "holding", "early", "going_on", "late",
    ]  # fmt: skip
    assert [fact["hello"] for fact in sink.taken] == ["one.test", "two.test"]
    assert events(sink.facts, "lost")[0]["in_content"]


async def test_a_share_of_messages_is_deferred_at_its_first_attempt_only() -> None:
    async def run(seed: int) -> set[str]:
        deferred: set[str] = set()
        async with Sink(SinkSettings(defer_share=0.3, seed=seed)) as sink:
            client = await Client.to(sink.port)
            for number in range(60):
                if (await client.hand_over(f"exp-{number}"))[:3] == b"451":
                    deferred.add(f"exp-{number}")
                    assert (await client.hand_over(f"exp-{number}"))[:3] == b"250"
            await client.close()
        assert sink.taken_count == 60
        assert len(events(sink.facts, "deferred")) == len(deferred)
        return deferred

    first, again, other = await run(1), await run(1), await run(2)
    assert 6 <= len(first) <= 32
    assert first == again != other


async def test_a_share_of_messages_is_taken_and_the_connection_cut() -> None:
    async with Sink(SinkSettings(lose_share=1.0)) as sink:
        client = await Client.to(sink.port)
        await client.envelope()
        client.writer.write(client.content("exp-1"))
        await client.gone()
        await sink.until(lambda: bool(events(sink.facts, "lost")))
        client = await Client.to(sink.port)
        assert (await client.hand_over("exp-1"))[:3] == b"250"
        await client.close()
    assert [fact["id"] for fact in sink.taken] == ["exp-1", "exp-1"]
    assert events(sink.facts, "lost")[0]["open"][0]["replied"] is False


async def test_recipients_are_refused_by_their_local_part() -> None:
    async with Sink(SinkSettings(defer_times=2)) as sink:
        client = await Client.to(sink.port)
        names = ("bad-1@x.test", "defer-1@x.test", "good@x.test")
        codes = []
        for _ in range(3):
            codes.append([reply[:3] for reply in (await client.envelope(*names))[1:4]])
            await client.ask(client.content("exp-1"))
        await client.close()
    later = [b"550", b"451", b"250"]
    assert codes == [later, later, [b"550", b"250", b"250"]]
    assert sink.taken[-1]["recipients"] == ["defer-1@x.test", "good@x.test"]
    refused = events(sink.facts, "refused")
    assert [(f["recipient"], f["code"]) for f in refused[:2]] == [
        ("bad-1@x.test", 550),
        ("defer-1@x.test", 451),
    ]


@pytest.mark.parametrize(
    ("content", "bare"),
    [(b"a\r\nb\r\n", 0), (b"a\nb\r\n", 1), (b"a\rb\r\n", 1), (b"\r\r\n\n", 2), (b"\n\r", 2)],
)
def test_bare_line_ends_are_counted(content: bytes, bare: int) -> None:
    assert count_bare(content) == bare


async def test_a_bare_line_feed_does_not_end_a_message() -> None:
    async with Sink() as sink:
        client = await Client.to(sink.port)
        await client.envelope()
        await client.ask(b"X-Exp-Id: e\r\n\r\na\n.\nMAIL FROM:<evil@x>\r\n.\r\n")
        await client.close()
    assert sink.taken_count == 1 and sink.taken[0]["bare"] == 2


@pytest.mark.parametrize("implicit", [False, True])
async def test_tls_and_logins_work_with_the_standard_client(
    certificate: CertificateFiles, implicit: bool
) -> None:
    def deliver(port: int, password: str) -> int:
        context = certificate.client_context()
        client: smtplib.SMTP
        if implicit:
            client = smtplib.SMTP_SSL("localhost", port, context=context, timeout=5)
        else:
            client = smtplib.SMTP("localhost", port, timeout=5)
            assert not client.has_extn("auth")
            client.starttls(context=context)
        with client:
            try:
                client.login("ann", password)
            except smtplib.SMTPAuthenticationError as refused:
                return refused.smtp_code
            client.sendmail("a@x.test", ["b@x.test"], b"X-Exp-Id: e\r\n\r\nhello\r\n")
        return 250

    settings = SinkSettings(
        tls=certificate.server_context(),
        implicit_tls=implicit,
        username="ann",
        password="pa ss",
    )
    async with Sink(settings) as sink:
        assert await asyncio.to_thread(deliver, sink.port, "pa ss") == 250
        assert await asyncio.to_thread(deliver, sink.port, "wrong") == 535
        client = await Client.to(sink.port) if not implicit else None
        if client is not None:
            assert (await client.ask(b"MAIL FROM:<>\r\n"))[0].startswith(b"530")
            await client.close()
    assert sink.taken[0]["tls"] is True and sink.taken[0]["username"] == "ann"


async def test_the_fact_is_on_record_before_the_reply_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "sink.jsonl")
    async with Sink(journal=journal) as sink:
        client = await Client.to(sink.port)
        for number in range(5):
            await client.hand_over(f"exp-{number}")
            taken = events(read_journal(journal.path), "taken")
            assert [fact["id"] for fact in taken] == [f"exp-{n}" for n in range(number + 1)]
        await client.close()
    journal.close()
    facts = read_journal(tmp_path / "sink.jsonl")
    assert facts[0]["event"] == "started" and facts[-1]["event"] == "stopped"
    assert sink.facts == []


async def test_as_a_process_it_outlives_its_client_and_names_what_was_open(tmp_path: Path) -> None:
    async with SinkProcess(tmp_path / "sink.jsonl", "--max-seconds", "30") as sink:
        doomed = subprocess.Popen(
            [sys.executable, "-c", HANDS_OVER_AND_WAITS, str(sink.port)], stdout=subprocess.PIPE
        )
        with doomed:
            assert doomed.stdout is not None
            assert await asyncio.to_thread(doomed.stdout.read, 1) == b"."
            doomed.kill()
        await sink.until(lambda: bool(events(sink.facts(), "lost")))
        client = await Client.to(sink.port)
        assert (await client.hand_over("after"))[:3] == b"250"
        await client.close()
        assert await asyncio.to_thread(sink.stop) == 0
    facts: list[dict[str, Any]] = sink.facts()
    assert [fact["id"] for fact in sink.taken()] == ["doomed", "after"]
    assert events(facts, "lost")[0]["open"][0]["id"] == "doomed"
    assert facts[-1]["event"] == "stopped"
