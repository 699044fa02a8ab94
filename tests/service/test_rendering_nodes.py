"""a message that one node could not deliver leaves another one as it would have left the first"""

from __future__ import annotations

import asyncio
import smtplib
from contextlib import AsyncExitStack

import pytest

from tests.crash.relay import Relay
from tests.doubles.bad_server import BadServer
from tests.doubles.script import Script, Stage, say
from tests.service.test_nodes import Pair, pair

__all__ = ["pair"]
pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(60), pytest.mark.slow]

LETTER = (
    "From: ann@example.com\r\nSubject: hello\r\nX-Pillarbox-inlinecss: true\r\n"
    "X-Pillarbox-trackclicks: true\r\nX-Pillarbox-trackopens: true\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
    '<style>p { color: red }</style><p>Good <a href="https://example.com/">day</a>\r\n'
)


async def test_two_nodes_make_the_same_octets_of_a_message(pair: Pair) -> None:
    one = pair.node("one", **{"tracking.host": "clicks.test"})
    two = pair.node("two", **{"tracking.host": "other.test"})
    script = Script().on(Stage.DOT, say(451, "4.3.0 not now"), session=1)
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(BadServer(script))
        for relay in (one, two):
            stack.push_async_callback(asyncio.to_thread, relay.stop)
        await one.start()
        await one.go_live(upstream.port)
        await asyncio.to_thread(hand_in, one)
        await upstream.until(lambda: len(upstream.messages) >= 1)
        await asyncio.to_thread(one.stop)
        tried = len(upstream.messages)
        await two.start()
        await upstream.until(lambda: len(upstream.messages) > tried)
        (content,) = {record.content for record in upstream.messages}
        assert b'<p style="color: red">' in content
        assert b'href="https://clicks.test/' in content


def hand_in(relay: Relay) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port("plain"), timeout=10) as client:
        client.sendmail("ann@example.com", ["bob@example.org"], LETTER)
