"""chunks at a house's ports: what is in them is content, and what is refused leaves nothing behind

The same promises as for DATA (RFC 3030 §2): one message in is one message out, long content is
written down while it comes, and what is not taken to its end was not taken at all.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.storage.interface.errors import StorageFull
from pillarbox.terms.ids import MessageId
from tests.doubles.bad_server import BadServer
from tests.e2e.porch import BOTH, PROTECTED, codes, converse, logged_in, queued_as
from tests.fix_house import Houses, Running
from tests.pair.test_smuggling import CONTENT, REFUSED, SECOND, START
from tests.wire.test_hostile_clients import taken, until_all_have_left, until_blocks

HEAD = b"From: ann@example.com\r\nSubject: x\r\n\r\n"
ENVELOPE = b"MAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.org>\r\n"
SMALL = replace(BOTH, max_message_mb=3)
SMUGGLED = b"MAIL FROM:<smuggler@example.com>"
BLOCK = b"0123456789" * 26_214 + b"\r\n"


def bdat(octets: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


@pytest.fixture
async def house(houses: Houses, naive: BadServer) -> Running:
    """Live, with the careless server behind it; messages of 3 MB at most."""
    running = await houses.start(smtp=SMALL)
    await running.add_server("naive", naive.port)
    return running


@pytest.fixture
async def keeping(houses: Houses) -> Running:
    """Keeps what it takes; messages of 3 MB at most."""
    return await houses.start(Mode.SANDBOX, smtp=SMALL)


# --- one message in, one message out --------------------------------------------------------------


@pytest.mark.parametrize("slowly", [False, True], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_bare_line_end_in_a_chunk_is_refused_and_ends_the_session(
    house: Running, naive: BadServer, kind: PortKind, slowly: bool
) -> None:
    for name, vector in REFUSED.items():
        octets = START + vector + SECOND
        async with logged_in(house, kind) as client:
            data = ENVELOPE + bdat(octets, last=True) + b"QUIT\r\n"
            said = await converse(client, data, slowly=slowly)
        assert codes(said) == [250, 250, 550], name
        assert said.splitlines()[-1].startswith(b"550 5.5.2 "), name
    assert await taken(house) == []
    assert naive.sessions == []


@pytest.mark.parametrize("slowly", [False, True], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("kind", PROTECTED)
async def test_the_end_of_another_message_in_a_chunk_is_content(
    house: Running, naive: BadServer, kind: PortKind, slowly: bool
) -> None:
    """What ends content behind DATA ends nothing here, and is stuffed where it goes out."""
    vectors = CONTENT | {"CRLF.CRLF": b"\r\n.\r\n", "dots": b"\r\n..\r\n...\r\n.\t\r\n"}
    for count, (name, vector) in enumerate(vectors.items(), 1):
        octets = HEAD + START + vector + SECOND
        middle = len(octets) // 2
        async with logged_in(house, kind) as client:
            chunks = bdat(octets[:middle]) + bdat(octets[middle:], last=True)
            said = await converse(client, ENVELOPE + chunks + b"QUIT\r\n", slowly=slowly)
        assert codes(said) == [250, 250, 250, 250, 221], name
        await naive.until(lambda count=count: len(naive.delivered) == count)  # type: ignore[misc]
        message = naive.delivered[-1]
        assert message.content.endswith(octets), name
        assert SMUGGLED in message.content
        assert message.accepted_recipients == ("bob@example.org",)
    assert len(naive.messages) == len(vectors)


@pytest.mark.parametrize("kind", PROTECTED)
async def test_refused_chunks_are_read_and_nothing_in_them_is_obeyed(
    keeping: Running, kind: PortKind
) -> None:
    inside = b"RSET\r\n" + SECOND
    async with logged_in(keeping, kind) as client:
        data = (
            b"RCPT TO:<bob@example.org>\r\n" + bdat(inside) + bdat(inside, last=True)
            + b"MAIL FROM:<ann@example.com>\r\n" + bdat(inside) + bdat(inside, last=True)
            + ENVELOPE + bdat(HEAD + BLOCK * 11) + bdat(BLOCK) + bdat(inside) + bdat(b"", last=True)
            + ENVELOPE + bdat(HEAD + b"whole\r\n", last=True) + b"QUIT\r\n"
        )  # fmt: skip
        said = await converse(client, data)
    refused = [503, 503, 503, 250, 554, 554]
    assert codes(said) == [*refused, 250, 250, 250, 552, 552, 552, 250, 250, 250, 221]
    (message,) = await taken(keeping)
    assert message.id == queued_as(said)
    await until_blocks(keeping, 1)


# --- long content ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 65_536, 262_144, 10_000_000])
async def test_long_content_is_written_while_it_comes_and_arrives_as_it_was(
    house: Running, naive: BadServer, size: int
) -> None:
    content = HEAD + (b".%d\r\n" % size) * 100_000
    content = content[:2_500_000] + b"\r\n"
    assert len(content) < 3 * 1024 * 1024
    chunks = [bdat(content[at : at + size]) for at in range(0, len(content), size)]
    async with logged_in(house, PortKind.TLS) as client:
        said = await converse(client, ENVELOPE + b"".join(chunks) + b"BDAT 0 LAST\r\nQUIT\r\n")
    assert codes(said) == [250] * (len(chunks) + 3) + [221]
    await house.until(queued_as(said))
    assert naive.delivered[0].content.endswith(content)


async def test_content_without_a_line_end_gets_one_on_its_way_and_keeps_its_bytes_here(
    house: Running, naive: BadServer
) -> None:
    async with logged_in(house, PortKind.TLS) as client:
        said = await converse(client, ENVELOPE + bdat(HEAD + b"no end", last=True) + b"QUIT\r\n")
    message = queued_as(said)
    await house.until(message)
    stored = await house.house.storage.messages.content(message)
    assert stored.endswith(b"\r\n\r\nno end")
    assert naive.delivered[0].content == stored + b"\r\n"


@pytest.mark.parametrize("rest", [b"", b"BDAT 100", b"BDAT 100\r\nhalf", b"BDAT 100 LAST\r\nhalf"])
async def test_chunks_that_are_given_up_leave_nothing_behind(keeping: Running, rest: bytes) -> None:
    async with logged_in(keeping, PortKind.STARTTLS) as client:
        client.type(ENVELOPE + bdat(HEAD + BLOCK * 3) + rest)
        for _ in range(3):
            assert (await client.heard()).startswith(b"250 ")
        await until_blocks(keeping, 2)
        client.writer.transport.abort()
    await until_all_have_left(keeping)
    await until_blocks(keeping, 0)
    assert await taken(keeping) == []


async def test_storage_that_is_full_in_the_middle_is_said_behind_the_chunk(
    keeping: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = keeping.house.storage.queue
    store = queue.store_block

    async def full_at_the_second(message: MessageId, number: int, body: bytes) -> None:
        if number == 2:
            raise StorageFull("no room")
        await store(message, number, body)

    monkeypatch.setattr(type(queue), "store_block", staticmethod(full_at_the_second))
    async with logged_in(keeping, PortKind.TLS) as client:
        chunks = bdat(HEAD + BLOCK * 4) + bdat(b"RSET\r\n") + bdat(b"", last=True)
        said = await converse(client, ENVELOPE + chunks + ENVELOPE + b"QUIT\r\n")
    assert codes(said) == [250, 250, 452, 452, 452, 250, 250, 221]
    assert said.count(b"452 4.3.1 No room to store mail") == 3
    await until_blocks(keeping, 0)


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_chunk_beyond_all_measure_is_refused_at_once(
    keeping: Running, kind: PortKind
) -> None:
    async with logged_in(keeping, kind) as client:
        said = await converse(client, ENVELOPE + b"BDAT 99999999999\r\n")
    assert codes(said) == [250, 250, 552]
    await until_all_have_left(keeping)
