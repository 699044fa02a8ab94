from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pillarbox.net.budget import STEP_BYTES, ContentBudget, ContentShare
from pillarbox.net.burst import Burst
from pillarbox.net.interface import Answer, Peer
from pillarbox.net.port_terms import Patience, PortTerms
from pillarbox.net.sessions import Sessions
from pillarbox.net.smtp_server import SmtpServerProtocol
from pillarbox.protocol import replies
from pillarbox.protocol.events import ContentReceived, MailReceived, RecipientReceived, ServerEvent
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import Reply


class Transport:
    """Remembers what was done to it."""

    def __init__(self) -> None:
        self.burst = Burst()
        self.out: list[bytes] = []
        self.reading = True
        self.closed = self.aborted = self.eof = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 1234) if name == "peername" else default

    def write(self, data: bytes) -> None:
        assert data, "an empty write makes some loops spin"
        self.out.append(data)

    def write_eof(self) -> None:
        self.eof = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def written(self) -> list[bytes]:
        """Every write, as at the end of a turn of the loop, and forget them."""
        self.burst.flush()
        out, self.out = self.out, []
        return out

    def take(self) -> bytes:
        return b"".join(self.written())


class Handler:
    promise: asyncio.Future[Reply | None] | None = None
    refusal: Reply | None = None
    """Of a block that is not the last."""

    def opened(self, peer: Peer) -> Reply:
        return replies.banner("mx.example.test")

    def secured(self, peer: Peer) -> None:
        raise AssertionError

    def handle(self, event: ServerEvent) -> Answer:
        match event:
            case MailReceived():
                return replies.RETURN_PATH_OK
            case RecipientReceived():
                return replies.RECIPIENT_OK
            case ContentReceived(last=True):
                return self.promise or replies.accepted_message("msg_1")
            case ContentReceived():
                return self.refusal
        return None

    def closed(self, reason: str) -> None:
        pass


class Wired:
    def __init__(self, **limits: Any) -> None:
        self.handler = Handler()
        self.transport = Transport()
        self.protocol = SmtpServerProtocol(
            PortTerms(
                "local",
                ServerLimits(26_214_400, 1000, auth="clear", **limits),
                "mx.example.test",
                lambda: self.handler,
                Sessions(10, 10),
                Patience(),
                burst=self.transport.burst,
            )
        )
        self.protocol.connection_made(self.transport)  # type: ignore[arg-type]
        self.protocol.data_received(b"EHLO client.example.test\r\n")
        self.transport.take()


ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"


async def rounds(count: int = 100) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_all_that_one_read_led_to_is_written_in_one_call() -> None:
    wired = Wired()
    wired.protocol.data_received(ENVELOPE)
    assert len(wired.transport.written()) == 1
    wired.protocol.data_received(b"Subject: x\r\n\r\n.\r\n" + ENVELOPE)
    assert len(wired.transport.written()) == 1


async def test_an_answer_at_once_needs_no_turn_of_the_loop() -> None:
    wired = Wired()
    wired.protocol.data_received(ENVELOPE + b"Subject: x\r\n\r\n.\r\n")
    assert wired.transport.take().endswith(b"250 2.0.0 Ok: queued as msg_1\r\n")


async def test_a_flood_of_commands_is_answered_in_turns() -> None:
    wired = Wired()
    flood = b"NOOP\r\n" * 40_000
    wired.protocol.data_received(flood)
    first = wired.transport.take().count(b"\r\n")
    assert 0 < first < 4_000
    assert not wired.transport.reading
    await rounds()
    assert first + wired.transport.take().count(b"\r\n") == 40_000
    assert wired.transport.reading


async def test_what_comes_while_a_flood_is_answered_waits_for_its_turn() -> None:
    wired = Wired()
    wired.protocol.data_received(b"NOOP\r\n" * 10_000)
    wired.protocol.data_received(b"HELP\r\n")
    wired.protocol.eof_received()
    await rounds()
    said = wired.transport.take()
    assert said.count(b"250 2.0.0 Ok\r\n") == 10_000
    assert said.rindex(b"250 2.0.0 Ok\r\n") < said.index(b"214")
    assert wired.transport.closed, "the end of input is seen after all of it was answered"


async def test_content_is_not_taken_in_bites() -> None:
    wired = Wired()
    line = b"x" * 70 + b"\r\n"
    wired.protocol.data_received(ENVELOPE)
    wired.protocol.data_received(line * 3000)
    assert wired.protocol._session.buffered == 0
    wired.protocol.data_received(b".\r\n")
    assert wired.transport.take().endswith(b"msg_1\r\n")


async def test_an_envelope_longer_than_a_bite_and_its_content_in_one_read() -> None:
    wired = Wired()
    people = b"".join(b"RCPT TO:<person-%05d@example.com>\r\n" % n for n in range(900))
    wired.protocol.data_received(
        b"MAIL FROM:<a@example.com>\r\n" + people + b"DATA\r\n" + b"x\r\n" * 9000 + b".\r\nQUIT\r\n"
    )
    await rounds()
    said = wired.transport.take()
    assert said.count(b"250 2.1.5") == 900
    assert said.endswith(b"msg_1\r\n221 2.0.0 Goodbye\r\n")
    assert wired.transport.closed


async def test_bytes_far_behind_starttls_in_one_read_are_refused_too() -> None:
    wired = Wired(tls="starttls")
    # STARTTLS ends exactly with a bite, so that nothing follows it in the same portion.
    bite = b"NOOP\r\n" * 2729 + b"STARTTLS\r\n"
    assert len(bite) == 16 * 1024
    wired.protocol.data_received(bite + b"MAIL FROM:<a@example.com>\r\n" * 10)
    await rounds()
    said = wired.transport.take()
    assert b"250 2.1.0" not in said
    assert wired.transport.closed or wired.transport.eof


async def test_a_flood_behind_an_owed_reply_is_read_no_further() -> None:
    wired = Wired()
    wired.handler.promise = asyncio.get_running_loop().create_future()
    wired.protocol.data_received(ENVELOPE + b"x\r\n.\r\n")
    wired.transport.take()
    wired.protocol.data_received(b"NOOP\r\n" * 40_000)
    await rounds()
    assert wired.transport.take() == b""
    assert not wired.transport.reading
    wired.handler.promise.set_result(replies.OK)
    await rounds()
    assert wired.transport.take().count(b"\r\n") == 40_001
    assert wired.transport.reading


async def test_replies_wait_while_the_client_does_not_read() -> None:
    wired = Wired()
    wired.protocol.pause_writing()
    assert not wired.transport.reading
    wired.protocol.data_received(ENVELOPE)  # was on its way already
    assert wired.transport.take() == b""
    wired.protocol.resume_writing()
    assert wired.transport.take().endswith(b"<CRLF>.<CRLF>\r\n")
    assert wired.transport.reading


async def test_a_client_whose_message_was_refused_midway_is_in_no_transaction() -> None:
    wired = Wired(block_bytes=10)
    wired.handler.refusal = replies.TRY_LATER
    wired.protocol.data_received(ENVELOPE + b"x" * 20)
    wired.transport.take()
    wired.protocol.ask_to_leave()
    assert wired.transport.take() == b"", "content is still coming, and its reply is owed"
    wired.protocol.data_received(b"\r\n.\r\n")
    assert wired.transport.take() == replies.TRY_LATER.encode() + replies.SHUTTING_DOWN.encode()
    assert wired.transport.closed


@pytest.mark.parametrize("portion", [1, 7, 5000])
async def test_portions_make_no_difference(portion: int) -> None:
    wired = Wired()
    data = (ENVELOPE + b"Subject: x\r\n\r\n..\r\n.\r\n") * 3 + b"RSET\r\nQUIT\r\n"
    for at in range(0, len(data), portion):
        wired.protocol.data_received(data[at : at + portion])
    said = wired.transport.take()
    assert said.count(b"queued as msg_1") == 3
    assert said.endswith(b"221 2.0.0 Goodbye\r\n")


async def test_where_memory_for_content_is_used_up_the_rest_is_thrown_away_and_452_said() -> None:
    wired = Wired()
    budget = ContentBudget(STEP_BYTES)
    wired.protocol._share = ContentShare(budget)
    line = b"x" * 70 + b"\r\n"
    wired.protocol.data_received(ENVELOPE)
    wired.protocol.data_received(line * 1500)
    assert wired.protocol._session.held_bytes == 0
    assert budget.reserved_bytes == 0
    wired.protocol.data_received(line * 1500 + b".\r\n")
    assert wired.transport.take().endswith(replies.TOO_MUCH_AT_ONCE.encode())
    wired.protocol.data_received(ENVELOPE + b"x\r\n.\r\n")
    assert wired.transport.take().endswith(b"msg_1\r\n")
    assert budget.reserved_bytes == 0


async def test_content_that_came_in_one_read_is_not_given_on_where_there_is_no_memory() -> None:
    wired = Wired()
    wired.protocol._share = ContentShare(ContentBudget(0))
    wired.protocol.data_received(ENVELOPE + b"x\r\n.\r\n")
    assert wired.transport.take().endswith(replies.TOO_MUCH_AT_ONCE.encode())


async def test_memory_for_content_is_free_again_when_its_client_is_gone() -> None:
    wired = Wired()
    budget = ContentBudget(10 * STEP_BYTES)
    wired.protocol._share = ContentShare(budget)
    wired.protocol.data_received(ENVELOPE + b"half of it\r\n")
    assert budget.reserved_bytes == STEP_BYTES
    wired.protocol.connection_lost(None)
    assert budget.reserved_bytes == 0
