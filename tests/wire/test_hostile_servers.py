"""whatever a server answers, the recipient is not blamed, nothing grows, and the next server is tried

At every stage the first server talks nonsense; the second takes the mail within the same attempt.
Only behind the final dot nobody can know: there it is deferred, said to be uncertain, and given to
the first again.
"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.bad_server import BadServer
from tests.doubles.script import (
    Gate,
    Script,
    Stage,
    Step,
    drop,
    garbage,
    long_line,
    many_lines,
    raw,
    say,
    stall,
)
from tests.e2e.porch import BOTH, PROTECTED, good_client, hand_in, logged_in
from tests.fix_house import Houses, Running

CODES = {Stage.BANNER: 220, Stage.DATA: 354}
BEFORE_THE_DOT = (Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.DATA)


def nonsense(code: int) -> dict[str, tuple[Step, ...]]:
    """What may stand in the place of a reply with that code."""
    text = str(code).encode()
    return {
        "a line of 300 kB": (long_line(code),),
        "a line without end": (raw(text + b" " + b"x" * 2_000_000),),
        "a reply without end": (many_lines(code, 200_000, ended=False),),
        "ten thousand lines": (many_lines(code),),
        "no digits": (raw(b"abc fine\r\n"),),
        "two digits": (raw(b"25 fine\r\n"),),
        "four digits": (raw(b"2500 fine\r\n"),),
        "a class that does not exist": (raw(b"650 fine\r\n"),),
        "a preliminary class": (raw(b"150 wait\r\n"),),
        "no mark behind the code": (raw(text + b"fine\r\n"),),
        "other digits": (raw("２５０ fine\r\n".encode()),),
        "noise": (garbage(5000),),
        "NULs": (raw(b"\0" * 600 + b"\r\n"),),
        "another protocol": (raw(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"),),
        "an empty line": (raw(b"\r\n"),),
    }


NONSENSE = tuple(nonsense(250))


@pytest.fixture
async def house(houses: Houses) -> Running:
    """Live, and open for good clients."""
    return await houses.start(smtp=BOTH)


async def attempts_of(house: Running, row: DeliveryRow) -> list[AttemptFacts]:
    """What is kept of each attempt."""
    history = await house.house.storage.events.history(row.last_event)
    return [event.data for event in history if isinstance(event.data, AttemptFacts)]


async def cancelled(house: Running, row: DeliveryRow) -> None:
    """Its next tries would count against the server that comes after this one."""
    queue = house.house.storage.queue
    async with asyncio.timeout(20):
        while not (await queue.cancel([row.delivery], house.house.clock.now_ms(), "test")).changed:
            await asyncio.sleep(0.01)


def is_bounded(attempt: AttemptFacts) -> bool:
    """What is stored of what a server said cannot grow with what it says."""
    lines = [line for _, line in attempt.dialogue]
    return (
        len(attempt.text) <= 2048
        and len(attempt.words) <= 4096
        and len(lines) <= 1000
        and sum(map(len, lines)) <= 16_384
        and all(line.isprintable() for line in (*lines, attempt.words, attempt.text))
    )


@pytest.mark.parametrize("stage", BEFORE_THE_DOT)
async def test_nonsense_before_the_dot_moves_the_mail_to_the_next_server(
    house: Running, stage: Stage
) -> None:
    for name, steps in nonsense(CODES.get(stage, 250)).items():
        async with BadServer(Script().on(stage, *steps)) as first, BadServer() as second:
            await use(house, first, second)
            receipt = await house.submit()
            await good_client(house, PROTECTED[0])
            (row,) = await house.until(receipt.message)
            assert (row.state, row.attempts) == (State.HANDED_OVER, 1), name
            assert len(second.messages) >= 1 and not first.delivered, name
            assert all(is_bounded(each) for each in await attempts_of(house, row)), name
            await nobody_used(house)


async def test_nonsense_as_the_only_server_defers_and_says_so(house: Running) -> None:
    for name, steps in nonsense(250).items():
        async with BadServer(Script().on(Stage.MAIL, *steps)) as only:
            await use(house, only)
            receipt = await house.submit()
            (row,) = await house.until(receipt.message, lambda rows: rows[0].attempts >= 1)
            assert row.state is State.DEFERRED, name
            attempt = (await attempts_of(house, row))[0]
            assert is_bounded(attempt), name
            assert attempt.words.startswith("first"), name
            assert attempt.category in ("garbage", "connection_lost"), name
            await nobody_used(house)
            await cancelled(house, row)


async def test_nonsense_in_place_of_a_verdict_is_uncertain_and_not_given_to_the_next(
    house: Running,
) -> None:
    for name, steps in nonsense(250).items():
        script = Script().on(Stage.DOT, *steps, times=1)
        async with BadServer(script) as first, BadServer() as second:
            await use(house, first, second)
            receipt = await house.submit()
            (row,) = await house.until(receipt.message)
            assert (row.state, row.attempts) == (State.HANDED_OVER, 2), name
            assert len(first.messages) == 2 and not second.messages, name
            assert "delivery.uncertain" in await house.kinds(row), name
            assert all(is_bounded(each) for each in await attempts_of(house, row)), name
            await nobody_used(house)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Stage.BANNER, b"220 mx\r\n250 and one more\r\n"),
        (Stage.BANNER, b"220 mx\r\n" + b"250 ahead\r\n" * 50),
        (Stage.EHLO, b"250-mx\r\n250 PIPELINING\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n"),
        (Stage.EHLO, b"250 mx\r\n250 2.1.0 ok\r\n"),
        (Stage.MAIL, b"250 ok\r\n250 ok\r\n354 go on\r\n250 2.0.0 taken\r\n"),
    ],
    ids=["one", "many", "a transaction", "an answer to MAIL", "a verdict"],
)
async def test_replies_that_come_before_their_commands_are_no_replies(
    house: Running, stage: Stage, said: bytes
) -> None:
    """In one segment, so that they are there before we could have said anything.

    Otherwise the verdict on the mail would be one that was given before it was sent.
    """
    script = Script().on(stage, raw(said)).on(Stage.DOT, say(550, "5.7.1 refused, in truth"))
    async with BadServer(script) as first, BadServer() as second:
        await use(house, first, second)
        receipt = await house.submit()
        (row,) = await house.until(receipt.message)
        assert row.state is State.HANDED_OVER
        assert len(second.messages) == 1 and not first.messages


@pytest.mark.parametrize("size", [600_000, 5_000_000])
@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ((say(552, "5.3.4 too big"),), State.FAILED),
        ((say(552, "5.3.4 too big"), drop()), State.FAILED),
        ((say(451, "4.3.0 not now"), drop()), State.HANDED_OVER),
        ((say(421, "4.3.2 leaving"), drop()), State.HANDED_OVER),
        ((drop(),), State.HANDED_OVER),
        ((drop(reset=True),), State.HANDED_OVER),
        ((garbage(),), State.HANDED_OVER),
    ],
    ids=["552", "552 and gone", "451", "421", "gone", "reset", "noise"],
)
async def test_what_a_server_says_in_the_middle_of_content_is_its_verdict_or_its_trouble(
    house: Running, steps: tuple[Step, ...], state: State, size: int
) -> None:
    """From memory, and block by block from the disk."""
    script = Script().on(Stage.CONTENT, *steps, at_bytes=300_000)
    async with BadServer(script) as first, BadServer() as second:
        await use(house, first, second)
        content = b"From: ann@example.com\r\n\r\n" + (b"x" * 98 + b"\r\n") * (size // 100)
        async with logged_in(house, PROTECTED[1]) as client:
            assert (await hand_in(client, content)).startswith(b"250")
        newest = await house.house.storage.messages.newest(MessageFilter(), 1)
        (row,) = await house.until(newest.messages[0].id)
        assert row.state is state
        assert "our_trouble" not in [each.category for each in await attempts_of(house, row)]


@pytest.mark.parametrize("code", [421, 450, 451, 452, 454, 471, 499, 500, 521, 554, 571, 599])
async def test_every_lawful_refusal_of_the_connection_is_the_servers_trouble(
    house: Running, code: int
) -> None:
    for stage in (Stage.BANNER, Stage.EHLO):
        script = Script().on(stage, say(code, "no")).on(Stage.HELO, say(code, "no"))
        async with BadServer(script) as first, BadServer() as second:
            await use(house, first, second)
            receipt = await house.submit()
            (row,) = await house.until(receipt.message)
            assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
            await nobody_used(house)


async def test_a_server_that_never_ends_its_replies_holds_up_nobody(house: Running) -> None:
    """Each of its connections hangs in another stage; the mail of others goes meanwhile."""
    gate = Gate()
    script = Script()
    for number, stage in enumerate((*BEFORE_THE_DOT, Stage.QUIT), 1):
        script.on(stage, raw(b"250-"), stall(gate), session=number)
    async with BadServer(script) as first, BadServer() as second:
        await use(house, first, second)
        receipts = [await house.submit(f"r{n}@example.org") for n in range(6)]
        await gate.reached()
        for kind in PROTECTED:
            await good_client(house, kind)
        for receipt in receipts:
            (row,) = await house.until(receipt.message)
            assert row.state is State.HANDED_OVER
        gate.release()
    assert house.house.listener.sessions == 0


# --- hands ----------------------------------------------------------------------------------------


async def use(house: Running, *servers: BadServer) -> None:
    for priority, server in enumerate(servers):
        await house.add_server(("first", "second")[priority], server.port, priority=priority)


async def nobody_used(house: Running) -> None:
    """The servers are taken away again, and their connections with them."""
    directory = house.house.storage.directory
    for server in await directory.servers(house.app.id):
        await directory.remove_server(server.id)
    await asyncio.sleep(0)
