from __future__ import annotations

import asyncio
import base64
import logging
import socket
from dataclasses import replace

import pytest

from pillarbox.net.interface import Peer
from pillarbox.net.port_terms import Patience
from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    LoginReceived,
    MailReceived,
    RecipientReceived,
    ServerEvent,
    TransactionReset,
)
from pillarbox.protocol.reply import Reply
from tests.wire.conversation import EASY, HOST, Told, Typist, calling, letter, served

ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"


async def test_mail_is_taken_and_its_bytes_arrive_as_they_were() -> None:
    content = letter(1000) + b"..two dots\r\n\xff\xfe eight bits\r\n"
    async with served() as server, calling(server.local) as client:
        for line in ENVELOPE.splitlines(keepends=True):
            assert (await client.say(line))[:1] in b"23"
        stuffed = content.replace(b"\r\n..", b"\r\n...")
        assert (await client.say(stuffed + b".\r\n")).startswith(b"250 2.0.0 Ok: queued")
        assert (await client.say(b"QUIT\r\n")).startswith(b"221")
        assert await client.over() == b""
    assert server.told.contents == [content]
    assert server.told.peers[0] == Peer(
        HOST, server.told.peers[0].port, "local", local_port=server.local
    )
    assert server.told.ends == ["QUIT"]


async def test_pipelined_commands_are_answered_in_order_and_in_one_piece() -> None:
    async with served() as server, calling(server.local) as client:
        client.type(ENVELOPE)
        said = [await client.heard() for _ in range(3)]
        assert [reply[:3] for reply in said] == [b"250", b"250", b"354"]
        client.type(letter() + b".\r\n" + ENVELOPE + letter() + b".\r\nQUIT\r\n")
        assert [(await client.heard())[:3] for _ in range(6)] == [
            b"250",
            b"250",
            b"250",
            b"354",
            b"250",
            b"221",
        ]
    assert len(server.told.contents) == 2


async def test_a_promised_answer_is_waited_for_and_nothing_overtakes_it() -> None:
    promise: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    told = Told(answer=lambda event: promise if type(event) is MailReceived else None)
    async with served(told=told) as server, calling(server.local) as client:
        client.type(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nNOOP\r\n")
        await told.until(lambda: MailReceived in told.kinds())
        assert RecipientReceived not in told.kinds()
        promise.set_result(Reply.of(250, "2.1.0", "at last"))
        assert await client.heard() == b"250 2.1.0 at last\r\n"
        assert (await client.heard()).startswith(b"250 2.1.5")
        assert (await client.heard()).startswith(b"250")


async def test_a_coroutine_may_answer() -> None:
    async def check(event: ServerEvent) -> Reply:
        await asyncio.sleep(0)
        return Reply.of(550, "5.1.1", "nobody")

    told = Told(answer=lambda event: check(event) if type(event) is RecipientReceived else None)
    async with served(told=told) as server, calling(server.local) as client:
        await client.say(b"MAIL FROM:<a@example.com>\r\n")
        assert await client.say(b"RCPT TO:<b@example.com>\r\n") == b"550 5.1.1 nobody\r\n"


async def test_long_content_comes_in_blocks_and_the_handler_can_slow_it_down() -> None:
    content = letter(1_500_000)
    blocks: list[asyncio.Future[Reply | None]] = []

    def answer(event: ServerEvent) -> asyncio.Future[Reply | None] | None:
        if isinstance(event, ContentReceived) and not event.last:
            told.changed.set()
            blocks.append(asyncio.get_running_loop().create_future())
            told.contents.append(event.data)
            return blocks[-1]
        return None

    told = Told(answer=answer)
    async with served(told=told) as server, calling(server.local) as client:
        client.type(ENVELOPE)
        for _ in range(3):
            await client.heard()
        client.type(content + b".\r\n")
        for count in range(1, 6):
            await told.until(lambda: len(blocks) == count)  # noqa: B023
            blocks[-1].set_result(None)
        assert (await client.heard()).startswith(b"250")
    assert len(told.contents) == 6
    assert b"".join(told.contents[:5]) == content[: 5 * 262_144]


async def test_a_client_that_sends_ahead_of_a_slow_handler_is_held_back() -> None:
    promise: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    told = Told(answer=lambda event: promise if type(event) is MailReceived else None)
    async with served(told=told) as server, calling(server.local) as client:
        client.type(b"MAIL FROM:<a@example.com>\r\n")
        await told.until(lambda: MailReceived in told.kinds())
        total, line = 0, b"NOOP " + b"x" * 500 + b"\r\n"
        # Far more than the kernel's buffers of both sides take.
        for _ in range(40_000):
            total += len(line)
            client.type(line)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.writer.drain(), 0.3)
        promise.set_result(replies.RETURN_PATH_OK)
        count = 0
        while count < 40_001:
            assert (await client.heard()).startswith(b"250")
            count += 1


async def test_a_client_that_does_not_read_is_not_read_either_and_goes_in_the_end() -> None:
    patience = Patience(idle_seconds=0.5, slow_after_seconds=0.2)
    told = Told()
    async with served(told=told, patience=patience) as server:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await loop.sock_connect(sock, (HOST, server.local))
        await loop.sock_sendall(sock, b"EHLO x\r\n")
        flood = b"HELP\r\n" * 1000
        with pytest.raises((OSError, TimeoutError)):
            async with asyncio.timeout(20):
                while True:
                    await loop.sock_sendall(sock, flood)
        await told.until(lambda: bool(told.ends))
        sock.close()
    assert told.ends == ["the client did not read our replies"]


async def test_an_exception_in_a_handler_costs_that_client_a_451_and_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(event: ServerEvent) -> None:
        if isinstance(event, MailReceived) and event.return_path == "bad@example.com":
            raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "pillarbox"):
        async with served(told=Told(answer=answer)) as server, calling(server.local) as client:
            assert (await client.say(b"MAIL FROM:<bad@example.com>\r\n")).startswith(b"451 4.3.0")
            assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"250")
            async with calling(server.local) as other:
                assert (await other.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"250")
    (record,) = caplog.records
    assert HOST in record.getMessage()
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError


async def test_a_broken_promise_is_a_451_and_of_a_login_a_454() -> None:
    async def fail() -> Reply:
        raise ZeroDivisionError

    def answer(event: ServerEvent) -> object:
        return fail() if type(event) in (ContentReceived, LoginReceived) else None

    config = replace(EASY, local_credential="")
    async with served(config, told=Told(answer=answer)) as server:
        async with calling(server.local) as client:
            plain = base64.b64encode(b"\0u\0p")
            assert (await client.say(b"AUTH PLAIN " + plain + b"\r\n")).startswith(b"454 4.7.0")
    async with served(told=Told(answer=answer)) as server, calling(server.local) as client:
        client.type(ENVELOPE + letter() + b".\r\nNOOP\r\n")
        said = [(await client.heard())[:9] for _ in range(5)]
        assert said[3:] == [b"451 4.3.0", b"250 2.0.0"]


async def test_a_handler_that_forgets_to_answer_costs_a_451() -> None:
    def forgets(event: ServerEvent) -> object:
        async def nothing() -> None:
            return None

        return nothing() if type(event) is MailReceived else None

    async with served(told=Told(answer=forgets)) as server, calling(server.local) as client:
        assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"451 4.3.0")


async def test_an_exception_at_the_start_ends_the_session_with_421() -> None:
    def banner(peer: Peer) -> Reply:
        raise ZeroDivisionError

    async with served(told=Told(banner=banner)) as server:
        async with await Typist.call(server.local) as client:
            assert (await client.over()).startswith(b"421 ")


async def test_a_banner_that_refuses_ends_the_connection() -> None:
    async with served(told=Told(banner=lambda peer: Reply.of(554, "5.3.2", "No"))) as server:
        async with await Typist.call(server.local) as client:
            assert (await client.over()).startswith(b"554 5.3.2")


async def test_a_421_of_the_handler_ends_the_session() -> None:
    def answer(event: ServerEvent) -> Reply | None:
        return Reply.of(421, "4.7.0", "enough") if type(event) is MailReceived else None

    async with served(told=Told(answer=answer)) as server, calling(server.local) as client:
        client.type(b"MAIL FROM:<a@example.com>\r\nNOOP\r\n")
        assert await client.over() == b"421 4.7.0 enough\r\n"


async def test_the_reply_that_ends_a_session_arrives_though_input_is_left_unread() -> None:
    async with served() as server, calling(server.local) as client:
        client.type(ENVELOPE)
        for _ in range(3):
            await client.heard()
        client.type(b"smuggled\n.\r\n" + letter(3_000_000))
        said = await client.over()
        assert said.startswith(b"550 5.5.2")
        assert said.count(b"\r\n") == 1
    assert server.told.contents == []
    assert TransactionReset in server.told.kinds()


async def test_a_half_closed_client_still_gets_its_answers() -> None:
    promise: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    told = Told(answer=lambda e: promise if type(e) is ContentReceived else None)
    async with served(told=told) as server, calling(server.local) as client:
        client.type(ENVELOPE + letter() + b".\r\n")
        client.writer.write_eof()
        await told.until(lambda: ContentReceived in told.kinds())
        promise.set_result(Reply.of(250, "2.0.0", "Ok"))
        assert (await client.over()).endswith(b"250 2.0.0 Ok\r\n")


async def test_a_handler_hears_of_the_end_only_after_the_answer_it_owes() -> None:
    promise: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    told = Told(answer=lambda e: promise if type(e) is ContentReceived else None)
    async with served(told=told) as server:
        client = await Typist.call(server.local)
        client.type(b"EHLO x\r\n" + ENVELOPE + letter() + b".\r\n")
        await told.until(lambda: ContentReceived in told.kinds())
        client.writer.transport.abort()
        async with calling(server.local) as other:  # time for the reset to be noticed
            await other.say(b"NOOP\r\n")
        assert told.ends == []
        promise.set_result(replies.OK)
        await told.until(lambda: len(told.ends) == 2)


# --- time ------------------------------------------------------------------------------------


async def test_a_silent_client_is_sent_away_with_421() -> None:
    async with served(patience=Patience(idle_seconds=0.5)) as server:
        async with calling(server.local) as client:
            assert (await client.over()).startswith(b"421 4.4.2")
    assert server.told.ends == ["idle"]


async def test_a_command_that_trickles_in_does_not_last_for_ever() -> None:
    async with served(patience=Patience(idle_seconds=0.6)) as server:
        async with calling(server.local) as client:

            async def trickle() -> None:
                while True:
                    client.type(b"x")
                    await asyncio.sleep(0.02)

            task = asyncio.create_task(trickle())
            # What it types meanwhile may meet a closed socket, and end in a reset behind the reply.
            assert (await client.heard()).startswith(b"421 4.4.2")
            await server.told.until(lambda: bool(server.told.ends))
            task.cancel()
    assert server.told.ends == ["idle"]


async def test_content_that_trickles_in_is_refused() -> None:
    patience = Patience(idle_seconds=60, slow_after_seconds=0.3, bytes_per_second=1000)
    async with served(patience=patience) as server, calling(server.local) as client:
        client.type(ENVELOPE)
        for _ in range(3):
            await client.heard()

        async def trickle() -> None:
            while True:
                client.type(b"x\r\n")
                await asyncio.sleep(0.02)

        task = asyncio.create_task(trickle())
        assert (await client.heard()).startswith(b"421 4.4.2")
        await server.told.until(lambda: bool(server.told.ends))
        task.cancel()
    assert server.told.ends == ["content came too slowly"]


async def test_a_session_ends_in_the_end_but_not_inside_a_transaction() -> None:
    patience = Patience(session_seconds=1.0, idle_seconds=30, slow_after_seconds=0.1)
    async with served(patience=patience) as server, calling(server.local) as client:
        await client.say(b"MAIL FROM:<a@example.com>\r\n")
        with pytest.raises(TimeoutError):
            await client.heard(1.4)
        assert (await client.say(b"RSET\r\n")).startswith(b"250")
        assert (await client.over()).startswith(b"421 4.4.2")
    assert server.told.ends == ["the session took too long"]


async def test_the_time_the_handler_takes_is_not_counted_against_the_client() -> None:
    promise: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    told = Told(answer=lambda e: promise if type(e) is MailReceived else None)
    async with served(told=told, patience=Patience(idle_seconds=0.5)) as server:
        async with calling(server.local) as client:
            client.type(b"MAIL FROM:<a@example.com>\r\n")
            with pytest.raises(TimeoutError):
                await client.heard(0.8)
            promise.set_result(replies.RETURN_PATH_OK)
            assert (await client.heard()).startswith(b"250")


# --- crowds ----------------------------------------------------------------------------------


async def test_one_connection_too_many_is_refused_before_any_work() -> None:
    config = replace(EASY, max_sessions=2)
    async with served(config) as server, calling(server.local), calling(server.local) as second:
        async with await Typist.call(server.local) as third:
            assert (await third.over()).startswith(b"421 4.7.0")
        assert len(server.told.peers) == 2
        await second.hang_up()
        await server.told.until(lambda: len(server.told.ends) == 1)
        async with calling(server.local):
            pass


async def test_one_address_cannot_take_all_places() -> None:
    config = replace(EASY, max_sessions_per_address=1)
    async with served(config) as server, calling(server.local):
        async with await Typist.call(server.local) as again:
            assert (await again.over()).startswith(b"421 4.7.0")
        reader, writer = await asyncio.open_connection(
            HOST, server.local, local_addr=("127.0.0.2", 0)
        )
        async with Typist(reader, writer) as other:
            assert (await other.heard()).startswith(b"220")


# --- the end ---------------------------------------------------------------------------------


async def test_draining_sends_idle_clients_away_and_takes_nobody_new() -> None:
    async with served() as server, calling(server.local) as client:
        port = server.local
        assert await server.listener.drain(5.0) == 0
        assert (await client.over()).startswith(b"421 4.3.2")
        with pytest.raises(OSError):
            await asyncio.open_connection(HOST, port)


async def test_draining_waits_for_the_reply_that_is_owed() -> None:
    promise: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    told = Told(answer=lambda e: promise if type(e) is ContentReceived else None)
    async with served(told=told) as server, calling(server.local) as client:
        client.type(ENVELOPE + letter() + b".\r\n")
        await told.until(lambda: ContentReceived in told.kinds())
        draining = asyncio.create_task(server.listener.drain(5.0))
        await asyncio.sleep(0)
        promise.set_result(Reply.of(250, "2.0.0", "Ok: queued"))
        said = await client.over()
        assert said.index(b"250 2.0.0 Ok: queued\r\n") < said.index(b"421 4.3.2")
        assert await draining == 0


async def test_draining_lets_an_open_transaction_be_finished() -> None:
    async with served() as server, calling(server.local) as client:
        await client.say(b"MAIL FROM:<a@example.com>\r\n")
        draining = asyncio.create_task(server.listener.drain(5.0))
        assert (await client.say(b"RCPT TO:<b@example.com>\r\n")).startswith(b"250")
        assert (await client.say(b"DATA\r\n")).startswith(b"354")
        assert (await client.say(letter() + b".\r\n")).startswith(b"250")
        assert (await client.over()).startswith(b"421 4.3.2")
        assert await draining == 0
    assert len(server.told.contents) == 1


async def test_draining_cuts_off_who_takes_too_long() -> None:
    promise: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    told = Told(answer=lambda e: promise if type(e) is ContentReceived else None)
    async with served(told=told) as server, calling(server.local) as client:
        client.type(ENVELOPE + letter() + b".\r\n")
        await told.until(lambda: ContentReceived in told.kinds())
        assert await server.listener.drain(0.1) == 1
        await told.until(lambda: len(told.ends) == 1)
        assert promise.cancelled()
        await client.over()
