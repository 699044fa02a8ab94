"""a session that is over is forgotten at once, without a search for what refers to itself"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.net.smtp_server import SmtpServerProtocol
from pillarbox.policy.directory import Mode
from pillarbox.services.submission.session import SubmissionSession
from tests.e2e.porch import BOTH, PROTECTED, converse, hand_in, logged_in
from tests.fix_house import Houses


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only what nothing refers to goes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> list[object]:
    """What there still is of sessions."""
    kinds = (SubmissionSession, SmtpServerProtocol)
    return [one for one in gc.get_objects() if isinstance(one, kinds)]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", PROTECTED)
async def test_of_a_session_that_is_over_nothing_is_left(houses: Houses, kind: PortKind) -> None:
    running = await houses.start(Mode.SANDBOX, smtp=BOTH)
    for _ in range(3):
        async with logged_in(running, kind) as client:
            said = await hand_in(client, b"From: ann@example.com\r\n\r\nGood morning.\r\n")
            assert said.startswith(b"250")
            assert left()
            assert (await converse(client, b"QUIT\r\n")).startswith(b"221")
    async with asyncio.timeout(10):
        while left():
            await asyncio.sleep(0.01)
