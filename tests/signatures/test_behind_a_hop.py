"""A50: signatures still hold when Postfix or Exim has passed the message on"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.utils import parseaddr
from pathlib import Path

import pytest

from pillarbox.message.dkim import Algorithm, new_key, sign
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import issue_certificate
from tests.doubles.exim_server import EximServer
from tests.doubles.postfix import Postfix
from tests.signatures.kinds import KINDS, TOO_LONG, UNREADABLE
from tests.signatures.verifying import NEEDED, records_of, wrong_kinds

pytestmark = [
    pytest.mark.needs(*NEEDED),
    pytest.mark.postfix,
    pytest.mark.root,
    pytest.mark.slow,
]

KEYS = [new_key("example.com", "rsa"), new_key("example.com", "ed", Algorithm.ED25519)]
AT_SECONDS = 1_774_000_000
SECONDS = 60.0


@pytest.fixture
def names(size: str) -> list[str]:
    """Every kind that nobody may fold, or some of them."""
    every = [name for name in KINDS if name not in TOO_LONG and name not in UNREADABLE]
    return every if size == "full" else every[::6]


def hand_over(port: int, names: Sequence[str], login: Callable[[smtplib.SMTP], None]) -> None:
    """Each kind, signed, to a recipient whose number says which it is."""
    with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
        login(client)
        for number, name in enumerate(names):
            content = sign(KINDS[name], KEYS, AT_SECONDS)
            options = [] if content.isascii() else ["BODY=8BITMIME"]
            client.sendmail("ann@example.com", [f"k{number}@example.org"], content, options)


async def arrived(server: BadServer, names: Sequence[str]) -> Mapping[str, bytes]:
    """What the next hop was given, by kind."""
    async with asyncio.timeout(SECONDS):
        while len(server.delivered) < len(names):
            await asyncio.sleep(0.05)
    found = {}
    for message in server.delivered:
        (recipient,) = message.accepted_recipients
        number = re.match(r"k(\d+)@", parseaddr(recipient)[1] or recipient)
        assert number is not None
        found[names[int(number[1])]] = message.content
    assert found.keys() == set(names)
    return found


async def behind_postfix(names: Sequence[str]) -> Mapping[str, bytes]:
    async with BadServer() as server, Postfix.plain_relay(server.port) as postfix:
        await asyncio.to_thread(hand_over, postfix.port, names, lambda client: None)
        return await arrived(server, names)


async def behind_exim(names: Sequence[str], folder: Path) -> Mapping[str, bytes]:
    certificate = issue_certificate(folder)

    def login(client: smtplib.SMTP) -> None:
        client.starttls(context=ssl.create_default_context(cafile=str(certificate.ca)))
        client.login("relay", "secret")

    async with BadServer() as server:
        async with EximServer(certificate, server.port, {"relay": "secret"}) as exim:
            await asyncio.to_thread(hand_over, exim.port, names, login)
            return await arrived(server, names)


async def test_a50_signatures_hold_behind_postfix_and_behind_exim(
    tmp_path: Path, names: list[str]
) -> None:
    by_postfix, by_exim = await asyncio.gather(behind_postfix(names), behind_exim(names, tmp_path))
    found = {f"Postfix: {name}": content for name, content in by_postfix.items()}
    found |= {f"Exim: {name}": content for name, content in by_exim.items()}
    assert all(content.startswith(b"Received: ") for content in found.values())
    assert await wrong_kinds(found, records_of(KEYS), "example.com") == {}
