"""certificates from pebble, over loopback: obtained, refused, and told in words"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from pillarbox.net.acme import AcmeClient, AcmeConfig, Issued, new_account_key
from pillarbox.net.acme_errors import AcmeFailed
from pillarbox.net.web_client import WebClient
from pillarbox.terms.secret import Secret
from tests.doubles.pebble import Authority, pebble

HOST = "track.example.test"
pytestmark = [pytest.mark.needs("pebble")]


class Answers:
    """What is said on the port at which the authority looks."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        self.asked: list[str] = []
        self.wrong = False

    async def publish(self, token: str, answer: str) -> None:
        self.said[token] = answer

    @contextlib.asynccontextmanager
    async def at(self, port: int) -> AsyncIterator[None]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            self.asked.append(path)
            body = self.said.get(path.rpartition("/")[2], "").encode()
            if self.wrong:
                body = b"something else"
            writer.write(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            )
            writer.write(body)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


@contextlib.asynccontextmanager
async def asking(authority: Authority, **settings: object) -> AsyncIterator[AcmeClient]:
    values: dict[str, object] = {"directory": authority.directory, "agree_terms": True} | settings
    web = WebClient(ca_file=str(authority.ca_file))
    try:
        yield AcmeClient(AcmeConfig(**values), web, look_seconds=0.05)  # type: ignore[arg-type]
    finally:
        await web.close()


async def obtained(client: AcmeClient, answers: Answers, key: Secret) -> Issued:
    account = await client.open_account(key)
    return await client.obtain(HOST, account, key, answers.publish)


async def test_an_authority_gives_a_certificate_for_the_host_that_answered(tmp_path: Path) -> None:
    answers, key = Answers(), new_account_key()
    async with (
        pebble(tmp_path, HOST) as authority,
        answers.at(authority.http_port),
        asking(authority, contact="postmaster@example.test") as client,
    ):
        issued = await obtained(client, answers, key)
        leaf = x509.load_pem_x509_certificates(issued.chain.encode())[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [HOST]
        assert issued.since_at < issued.until_at
        assert answers.asked[0].startswith("/.well-known/acme-challenge/")
        account = await client.open_account(key)
        assert account == await client.open_account(key), "the same key, the same account"
        again = await client.obtain(HOST, account, key, answers.publish)
        assert again.key.reveal() != issued.key.reveal(), "a new certificate has a key of its own"


async def test_an_answer_that_is_not_there_is_told_in_the_authority_s_words(tmp_path: Path) -> None:
    answers, key = Answers(), new_account_key()
    answers.wrong = True
    async with (
        pebble(tmp_path, HOST) as authority,
        answers.at(authority.http_port),
        asking(authority) as client,
    ):
        with pytest.raises(
            AcmeFailed, match="the authority did not find our answer: .*did not match"
        ):
            await obtained(client, answers, key)


async def test_an_account_the_authority_has_forgotten_is_told_apart(tmp_path: Path) -> None:
    answers, key = Answers(), new_account_key()
    async with pebble(tmp_path, HOST) as authority, asking(authority) as client:
        elsewhere = authority.directory.replace("/dir", "/my-account/1f")
        with pytest.raises(AcmeFailed) as failed:
            await client.obtain(HOST, elsewhere, key, answers.publish)
        assert failed.value.unknown_account


async def test_an_authority_that_cannot_be_asked_is_told_in_a_sentence(tmp_path: Path) -> None:
    answers, key = Answers(), new_account_key()
    async with pebble(tmp_path, HOST) as authority:
        web = WebClient()
        config = AcmeConfig(directory=authority.directory, agree_terms=True)
        client = AcmeClient(config, web, look_seconds=0.05)
        with pytest.raises(AcmeFailed, match="the authority cannot be asked: .*certificate"):
            await obtained(client, answers, key)
        await web.close()
