"""mail servers that pass on what they get through a login of ours: Postfix, Exim"""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

from tests.doubles.exim import Exim, exim_version
from tests.doubles.postfix import Postfix
from tests.e2e.zoo.accounts import without
from tests.e2e.zoo.client import ALWAYS_DATED, Client, Door, Said
from tests.e2e.zoo.letters import Letter
from tests.e2e.zoo.python import mail_options


class PostfixRelay(Client):
    """An instance for each door, at the level ``secure``; it removes Bcc by itself."""

    name = "postfix"
    needs = ("postfix", "root")
    lacks = ALWAYS_DATED

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._relays: dict[Door, Postfix] = {}

    async def hand(self, letter: Letter, door: Door) -> Said:
        relay = await self._relay(door)
        await asyncio.to_thread(_talk, letter, relay.port)
        return Said(without(letter.content, b"bcc"), traces=1)

    async def _relay(self, door: Door) -> Postfix:
        if door not in self._relays:
            relay = Postfix.relaying_client(
                door.port, door.ca, username=door.username, password=door.password,
                implicit_tls=door.security == "TLS", mechanisms=door.mechanism.lower(),
            )  # fmt: skip
            self._relays[door] = await self.running.enter_async_context(relay)
        return self._relays[door]


def _talk(letter: Letter, port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=40) as client:
        refused = client.sendmail(
            letter.return_path, letter.recipients, letter.content, mail_options(letter)
        )
        assert not refused, refused


class EximRelay(Client):
    """GnuTLS, and CHUNKING wherever it is offered."""

    name = "exim"
    needs = ("exim", "mounts")
    lacks = ALWAYS_DATED

    @classmethod
    def version(cls) -> str:
        return exim_version()

    async def hand(self, letter: Letter, door: Door) -> Said:
        relay = Exim(
            door.port, door.ca, username=door.username, password=door.password,
            implicit_tls=door.security == "TLS", mechanism=door.mechanism,
        )  # fmt: skip
        with relay as exim:
            await exim.send(letter.return_path, letter.recipients, letter.content)
        return Said(letter.content, traces=1)
