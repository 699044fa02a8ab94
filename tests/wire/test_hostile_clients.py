"""whatever a client sends, it gets a clear answer or none, and others get their mail through

Each test goes on until the hostile client has done its worst; a good client, from another address,
hands in its message in the meantime or right behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from dataclasses import replace

import apsw
import pytest

from pillarbox.net.smtp_ports import PortKind
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from pillarbox.storage.interface.errors import StorageFull
from pillarbox.storage.interface.messages import MessageFilter, StoredMessage
from pillarbox.terms.ids import MessageId
from tests.doubles.bad_server import BadServer
from tests.e2e.porch import (
    BOTH,
    ENVELOPE,
    HELLO,
    PROTECTED,
    called,
    codes,
    converse,
    good_client,
    hand_in,
    logged_in,
    port_of,
    protected,
    right_login,
    trusting,
)
from tests.fix_house import Houses, Running
from tests.wire.conversation import HOST, Typist

MEGABYTE = 1024 * 1024
SMALL = replace(BOTH, max_message_mb=1, max_recipients=100)
HEAD = b"From: ann@example.com\r\nSubject: x\r\n\r\n"
LINE = b"x" * 98 + b"\r\n"


@pytest.fixture
async def house(houses: Houses) -> Running:
    """Keeps what it takes; messages of 1 MB and 100 recipients at most."""
    return await houses.start(Mode.SANDBOX, smtp=SMALL)


async def taken(house: Running) -> list[StoredMessage]:
    """Newest first."""
    return (await house.house.storage.messages.newest(MessageFilter(), 100)).messages


def blocks_kept(house: Running) -> int:
    """Rows of content in the database, whomever they belong to."""
    path = str(house.house.settings.data_dir / "pillarbox.db")
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        ((count,),) = connection.execute("SELECT count(*) FROM content")
        return int(count)
    finally:
        connection.close()


async def until_blocks(house: Running, wanted: int) -> None:
    try:
        async with asyncio.timeout(5):
            while blocks_kept(house) != wanted:
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{blocks_kept(house)} blocks, not {wanted}") from None


async def until_all_have_left(house: Running) -> None:
    """Nobody is counted any more; raises where that takes long."""
    async with asyncio.timeout(5):
        while house.house.listener.sessions:
            await asyncio.sleep(0.01)


# --- too much -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_size_that_is_announced_beyond_the_limit_is_refused_at_once(
    house: Running, kind: PortKind
) -> None:
    async with logged_in(house, kind) as client:
        for size in (MEGABYTE + 1, 10**12, 10**19):
            said = await client.say(b"MAIL FROM:<ann@example.com> SIZE=%d\r\n" % size)
            assert said.startswith(b"552 5.3.4 ") and b"EHLO says how large" in said, size
        assert (await hand_in(client, HEAD + LINE)).startswith(b"250"), "the connection lives"
    assert len(await taken(house)) == 1


@pytest.mark.parametrize("announced", [b"", b" SIZE=100"], ids=["unsaid", "a lie"])
@pytest.mark.parametrize("kind", PROTECTED)
async def test_content_beyond_the_limit_is_refused_once_and_leaves_nothing_behind(
    house: Running, kind: PortKind, announced: bytes
) -> None:
    async with logged_in(house, kind) as client:
        envelope = ENVELOPE.replace(b"example.com>", b"example.com>" + announced)
        client.type(envelope)
        for code in (b"250", b"250", b"354"):
            assert (await client.heard()).startswith(code)
        client.type(HEAD)
        for _ in range(6):
            client.type(LINE * 5000)
            await client.writer.drain()
            await good_client(house, kind)
        assert (await client.say(b".\r\n")).startswith(b"552 5.3.4 ")
        assert (await hand_in(client, HEAD + LINE)).startswith(b"250"), "the connection lives"
    messages = await taken(house)
    assert len(messages) == 7
    await until_blocks(house, len(messages))


async def test_content_that_is_given_up_in_the_middle_leaves_nothing_behind(
    house: Running,
) -> None:
    for kind in PROTECTED:
        async with logged_in(house, kind) as client:
            client.type(ENVELOPE)
            for code in (b"250", b"250", b"354"):
                assert (await client.heard()).startswith(code)
            client.type(HEAD + LINE * 9000)
            await client.writer.drain()
            # The first block rests in memory; from the second on they are in the database.
            while not blocks_kept(house):
                await asyncio.sleep(0.01)
            client.writer.transport.abort()
        await until_blocks(house, 0)
    assert not await taken(house)


async def test_content_with_a_bare_line_end_far_behind_leaves_nothing_behind(
    house: Running,
) -> None:
    async with logged_in(house, PortKind.TLS) as client:
        said = await converse(client, ENVELOPE + HEAD + LINE * 9000 + b"smuggled\n.\r\n")
        assert codes(said) == [250, 250, 354, 550]
    await until_blocks(house, 0)


async def test_storage_that_is_full_in_the_middle_is_a_452_and_keeps_nothing(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = house.house.storage.queue
    store = queue.store_block

    async def full_at_the_third(message: MessageId, number: int, body: bytes) -> None:
        if number == 3:
            raise StorageFull("no room")
        await store(message, number, body)

    monkeypatch.setattr(type(queue), "store_block", staticmethod(full_at_the_third))
    async with logged_in(house, PortKind.TLS) as client:
        said = await converse(client, ENVELOPE + HEAD + LINE * 10_000 + b".\r\nQUIT\r\n")
        assert codes(said) == [250, 250, 354, 452, 221]
        assert b"452 4.3.1 No room to store mail" in said
    await until_blocks(house, 0)


async def test_a_reply_of_refusal_reaches_a_client_that_is_still_sending(house: Running) -> None:
    for kind in PROTECTED:
        async with logged_in(house, kind) as client:
            said = await converse(client, ENVELOPE + b"smuggled\n.\r\n" + LINE * 30_000)
            assert codes(said) == [250, 250, 354, 550], kind


@pytest.mark.parametrize("kind", PROTECTED)
async def test_the_last_words_reach_a_client_that_sends_all_before_it_reads(
    house: Running, kind: PortKind
) -> None:
    """More than fits on the way; where nobody reads it on, such a client never gets to listen."""
    context = trusting(house) if kind is PortKind.TLS else None

    def talk() -> bytes:
        with socket.create_connection((HOST, port_of(house, kind)), 5) as line:
            if context is not None:
                line = context.wrap_socket(line, server_hostname="localhost")
            with contextlib.suppress(OSError) if context else contextlib.nullcontext():
                line.sendall(b"WHAT\r\n" * 3_000_000)
            with line, line.makefile("rb") as replies:
                return replies.read()

    said = await asyncio.to_thread(talk)
    assert codes(said) == [220] + [500] * 10 + [421]
    await until_all_have_left(house)


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_line_of_a_megabyte_is_kept_as_it_is(houses: Houses, kind: PortKind) -> None:
    house = await houses.start(Mode.LIVE, smtp=replace(BOTH, max_message_mb=2))
    body = b"x" * MEGABYTE + b"\r\n.\r\n" + b"y" * 5000 + b"\r\n"
    async with BadServer() as server:
        await house.add_server("only", server.port)
        async with logged_in(house, kind) as client:
            client.type(ENVELOPE)
            for code in (b"250", b"250", b"354"):
                assert (await client.heard()).startswith(code)
            said = await client.say(HEAD + body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            assert said.startswith(b"250")
        (message,) = await taken(house)
        (row,) = await house.until(message.id)
        assert row.state is State.HANDED_OVER
        assert server.messages[0].body == body


@pytest.mark.parametrize(
    "start", [b"", b"NOOP ", b"MAIL FROM:<", b"AUTH PLAIN ", b"AUTH LOGIN\r\n", b"\x16\x03\x01"]
)
async def test_a_command_without_end_is_refused_and_the_session_ends(
    house: Running, start: bytes
) -> None:
    async with protected(house, PortKind.TLS) as client:
        hearing = asyncio.create_task(converse(client, start + b"A" * 13 * MEGABYTE))
        await good_client(house, PortKind.TLS)
        said = await hearing
    assert codes(said)[-1] == 500 and said.splitlines()[-1].startswith(b"500 5.5.6 Line too long")
    assert len(said) < 200, "said once"


async def test_a_hundred_thousand_recipients_are_answered_and_the_first_ones_are_valid(
    house: Running,
) -> None:
    wanted = 100_000
    rcpt = b"".join(b"RCPT TO:<r%d@example.org>\r\n" % n for n in range(wanted))
    async with logged_in(house, PortKind.TLS) as client:

        async def type_all() -> None:
            client.type(b"MAIL FROM:<ann@example.com>\r\n")
            for at in range(0, len(rcpt), 65536):
                client.type(rcpt[at : at + 65536])
                await client.writer.drain()

        typing = asyncio.create_task(type_all())
        assert (await client.heard()).startswith(b"250 2.1.0")
        for _ in range(100):
            assert (await client.heard()).startswith(b"250 2.1.5")
        good = asyncio.create_task(good_client(house, PortKind.STARTTLS))
        refused = await asyncio.wait_for(_lines(client, wanted - 100), 30)
        assert refused == {b"452 4.5.3 Too many recipients; put the rest into another message\r\n"}
        await good
        await typing
        assert (await client.say(b"DATA\r\n")).startswith(b"354")
        assert (await client.say(HEAD + LINE + b".\r\n")).startswith(b"250")
    newest = (await taken(house))[0]
    assert [row.recipient for row in await house.deliveries(newest.id)] == [
        f"r{n}@example.org" for n in range(100)
    ]


async def _lines(client: Typist, count: int) -> set[bytes]:
    return {await client.reader.readline() for _ in range(count)}


# --- nonsense -------------------------------------------------------------------------------------


def noise(seed: int, size: int = 20_000) -> bytes:
    draw = random.Random(seed)
    return draw.randbytes(size)


@pytest.mark.parametrize("kind", PROTECTED)
async def test_random_bytes_end_in_a_refusal(house: Running, kind: PortKind) -> None:
    for seed in range(8):
        async with called(house, kind) as client:
            said = await converse(client, noise(seed) + b"\r\n")
            assert codes(said) and all(code >= 421 for code in codes(said)), seed
            assert said.isascii(), "nothing of it comes back"
        async with logged_in(house, kind) as client:
            said = await converse(client, ENVELOPE + noise(seed) + b"\r\n.\r\n")
            assert codes(said) == [250, 250, 354, 550], seed
    await until_all_have_left(house)
    await good_client(house, kind)
    assert len(await taken(house)) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"NO\0OP", b"MAIL FROM:<ann\0@example.com>", b"EHLO \0", b"\0", b"\xff\xfe", b"NOOP \x80",
        b"MAIL FROM:<\xe9@example.com>",
    ],
)  # fmt: skip
async def test_bytes_that_no_command_has_are_refused_and_the_session_goes_on(
    house: Running, line: bytes
) -> None:
    async with logged_in(house, PortKind.TLS) as client:
        assert (await client.say(line + b"\r\n")).startswith(b"501 5.5.2 ")
        assert (await hand_in(client, HEAD + LINE)).startswith(b"250")


async def test_nul_in_content_is_content(house: Running) -> None:
    body = b"a\0b\r\n\0\r\n\0.\r\n"
    async with logged_in(house, PortKind.TLS) as client:
        assert (await hand_in(client, HEAD + body)).startswith(b"250")
    (message,) = await taken(house)
    content = await house.house.storage.messages.content(message.id)
    assert content.endswith(b"\r\n\r\n" + body)


async def test_errors_in_a_row_end_the_session(house: Running) -> None:
    async with called(house, PortKind.STARTTLS) as client:
        said = await converse(client, b"WHAT\r\n" * 1000)
    assert codes(said) == [500] * 10 + [421]


async def test_a_handshake_on_the_port_that_begins_in_clear_fails_at_once(house: Running) -> None:
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLError):
        await asyncio.wait_for(
            asyncio.open_connection(
                HOST, port_of(house, PortKind.STARTTLS), ssl=context, server_hostname="localhost"
            ),
            5,
        )
    await good_client(house, PortKind.STARTTLS)


# --- too slow -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROTECTED)
async def test_clients_that_go_silent_are_sent_away(houses: Houses, kind: PortKind) -> None:
    house = await houses.start(Mode.SANDBOX, smtp=replace(SMALL, idle_seconds=1))
    begun = {
        "greeted": b"",
        "half a command": b"MAIL FROM:<ann@exam",
        "waiting for a password": b"AUTH LOGIN\r\nZmlyc3QtYXBw\r\n",
        "in a transaction": right_login(house) + b"MAIL FROM:<ann@example.com>\r\n",
        "in content": right_login(house) + ENVELOPE + HEAD,
        "at the dot": right_login(house) + ENVELOPE + HEAD + b".",
    }

    async def leave_waiting(start: bytes) -> bytes:
        async with protected(house, kind) as client:
            client.type(start)
            return await client.over()

    waiting = [asyncio.create_task(leave_waiting(start)) for start in begun.values()]
    while house.house.listener.sessions < len(begun):
        await asyncio.sleep(0.01)
    await good_client(house, kind)
    for name, said in zip(begun, await asyncio.gather(*waiting), strict=True):
        assert said.splitlines()[-1].startswith(b"421 4.4.2 "), name
    assert len(await taken(house)) == 1


async def test_a_client_that_says_something_is_not_taken_for_silent(houses: Houses) -> None:
    house = await houses.start(Mode.SANDBOX, smtp=replace(SMALL, idle_seconds=1))
    async with logged_in(house, PortKind.TLS) as client:
        loop = asyncio.get_running_loop()
        until = loop.time() + 2
        while loop.time() < until:
            for command in (b"NOOP\r\n", b"RSET\r\n", b"VRFY ann\r\n"):
                assert (await client.say(command)).startswith(b"25"), command
                await asyncio.sleep(0.1)
        assert (await hand_in(client, HEAD + LINE)).startswith(b"250")


async def test_a_crowd_that_says_a_byte_now_and_then_keeps_nobody_out(houses: Houses) -> None:
    most = 150
    house = await houses.start(
        Mode.SANDBOX, smtp=replace(SMALL, max_sessions_per_address=most, idle_seconds=2)
    )
    crowd = [await Typist.call(port_of(house, PROTECTED[number % 2])) for number in range(most)]
    # On the one port they are greeted, on the other they begin a handshake and never end it.
    for number, client in enumerate(crowd):
        client.type(b"\x16" if number % 2 else b"N")
    while house.house.listener.sessions < most:
        await asyncio.sleep(0.01)
    async with await Typist.call(port_of(house, PortKind.STARTTLS)) as late:
        assert (await late.over()).startswith(b"421 4.7.0 Too many connections")
    async with await Typist.call(port_of(house, PortKind.TLS)) as late:
        assert await converse(late, b"") == b"", "no handshake is spent on it"
    for kind in PROTECTED:
        await good_client(house, kind)
    for client in crowd[::2]:
        assert b"421 4.4.2 " in await client.over()
    for client in crowd:
        await client.hang_up()
    await good_client(house, PortKind.STARTTLS, address=HOST)


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_client_that_does_not_read_is_not_read_and_goes_in_the_end(
    houses: Houses, kind: PortKind
) -> None:
    house = await houses.start(Mode.SANDBOX, smtp=replace(SMALL, idle_seconds=1))
    async with called(house, kind) as client:
        accepted = 0

        async def talk() -> None:
            nonlocal accepted
            while True:
                client.type(b"HELP\r\n" * 10_000)
                await client.writer.drain()
                accepted += 60_000

        # Nobody reads, so its stream stops taking anything from the socket after 128 KB.
        talking = asyncio.create_task(talk())
        await good_client(house, kind)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asyncio.wait_for(talking, 10)
        assert accepted < 64 * MEGABYTE, "it was read on and on"
        client.writer.transport.abort()
    await until_all_have_left(house)


# --- order ----------------------------------------------------------------------------------------


async def test_a_client_that_says_all_at_once_gets_every_answer_in_order(house: Running) -> None:
    async with protected(house, PortKind.TLS) as client:
        everything = (
            right_login(house) + ENVELOPE + HEAD + LINE + b".\r\n" + b"RSET\r\n" + HELLO
            + ENVELOPE + HEAD + LINE + b".\r\n" + b"QUIT\r\n" + ENVELOPE
        )  # fmt: skip
        said = await converse(client, everything)
    assert codes(said) == [235, 250, 250, 354, 250, 250, 250, 250, 250, 354, 250, 221]
    assert len(await taken(house)) == 2
