"""Python's own library and the one for asyncio"""

from __future__ import annotations

import asyncio
import platform
import smtplib
import ssl
from importlib import metadata

import aiosmtplib

from tests.e2e.zoo.client import Client, Door, Said
from tests.e2e.zoo.letters import Letter


class Smtplib(Client):
    """The standard library, as most programs in Python use it."""

    name = "smtplib"

    @classmethod
    def version(cls) -> str:
        return platform.python_version()

    async def hand(self, letter: Letter, door: Door) -> Said:
        await asyncio.to_thread(self._talk, letter, door)
        return Said(letter.content)

    def _talk(self, letter: Letter, door: Door) -> None:
        trust = ssl.create_default_context(cafile=str(door.ca))
        client: smtplib.SMTP
        if door.security == "TLS":
            client = smtplib.SMTP_SSL(door.host, door.port, timeout=40, context=trust)
        else:
            client = smtplib.SMTP(door.host, door.port, timeout=40)
        with client:
            if door.security == "STARTTLS":
                client.starttls(context=trust)
            client.ehlo()
            client.user, client.password = door.username, door.password
            mechanism = client.auth_plain if door.mechanism == "PLAIN" else client.auth_login
            client.auth(door.mechanism, mechanism)
            refused = client.sendmail(
                letter.return_path, letter.recipients, letter.content, mail_options(letter)
            )
            assert not refused, refused


class Aiosmtplib(Client):
    """The same for programs on asyncio."""

    name = "aiosmtplib"

    async def hand(self, letter: Letter, door: Door) -> Said:
        client = aiosmtplib.SMTP(
            hostname=door.host, port=door.port, timeout=40,
            use_tls=door.security == "TLS", start_tls=door.security == "STARTTLS",
            tls_context=ssl.create_default_context(cafile=str(door.ca)),
        )  # fmt: skip
        async with client:
            await client.ehlo(hostname="aiosmtplib.example.com")
            if door.mechanism == "PLAIN":
                await client.auth_plain(door.username, door.password)
            else:
                await client.auth_login(door.username, door.password)
            refused, _ = await client.sendmail(
                letter.return_path, list(letter.recipients), letter.content,
                mail_options=mail_options(letter),
            )  # fmt: skip
            assert not refused, refused
        return Said(letter.content)

    @classmethod
    def version(cls) -> str:
        return metadata.version("aiosmtplib")


def mail_options(letter: Letter) -> list[str]:
    """What MAIL must say of it."""
    options = [] if letter.content.isascii() else ["BODY=8BITMIME"]
    return [*options, "SMTPUTF8"] if letter.utf8 else options
