"""slow clients stand where they say, and the guesser counts what happens to it"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.doubles.certificates import CertificateFiles
from tests.doubles.dawdlers import KINDS, Dawdlers, DawdlerSettings
from tests.doubles.guesser import GuesserProcess, GuesserSettings
from tests.doubles.sink import Sink, SinkSettings

pytestmark = pytest.mark.slow


@asynccontextmanager
async def clear_and_secure(certificate: CertificateFiles) -> AsyncIterator[tuple[Sink, Sink]]:
    """A sink with STARTTLS and one with TLS from the first byte; ann may log in to either."""
    context = certificate.server_context()
    clear = SinkSettings(tls=context, username="ann", password="pa ss")
    async with Sink(clear) as one, Sink(dataclasses.replace(clear, implicit_tls=True)) as other:
        yield one, other


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_slow_clients_stand_in_handshakes_commands_and_content(
    certificate: CertificateFiles, tmp_path: Path
) -> None:
    async with clear_and_secure(certificate) as (clear, secure):
        settings = DawdlerSettings(
            clear.port, secure.port, certificate.ca, "ann", "pa ss",
            clients=12, interval_seconds=0.05, per_address=5,
        )  # fmt: skip
        async with Dawdlers(tmp_path / "out", settings) as dawdlers:
            await until(lambda: dawdlers.count() == 12)
            assert dawdlers.standing()["now"] == dict.fromkeys(KINDS, 4)
            # Of whoever stands in the handshake the sink knows nothing yet.
            assert len(clear.sessions) == 4 and len(secure.sessions) == 4
            for session in list(clear.sessions):
                session.abandon()
            await until(lambda: dawdlers.standing()["cut"].get("command") == 4)
            await until(lambda: dawdlers.count() == 12)
        assert not secure.taken, "nobody came to an end"


async def test_the_guesser_counts_refusals_and_keeps_trying(
    certificate: CertificateFiles, tmp_path: Path
) -> None:
    async with clear_and_secure(certificate) as (clear, secure):
        settings = GuesserSettings(clear.port, secure.port, certificate.ca, "ann", connections=4)
        async with GuesserProcess(tmp_path / "out", settings) as guesser:
            await until(lambda: guesser.numbers().get("refused", 0) > 50)
            assert not guesser.engaged_at
            assert {"sent_away", "at_the_door"}.isdisjoint(guesser.numbers())


async def test_the_guesser_sees_a_door_that_is_shut(
    certificate: CertificateFiles, tmp_path: Path
) -> None:
    async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421 4.7.0 wait a few minutes\r\n")
        writer.close()

    server = await asyncio.start_server(shut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        settings = GuesserSettings(port, port, certificate.ca, "ann", connections=2)
        async with GuesserProcess(tmp_path / "out", settings) as guesser:
            await until(lambda: guesser.numbers().get("at_the_door", 0) > 20)
            assert guesser.engaged_at > 0
            assert "refused" not in guesser.numbers()
