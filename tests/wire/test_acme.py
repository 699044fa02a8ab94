"""certificates from pebble, over loopback: obtained, refused, and told in words"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from pillarbox.net.acme import AcmeClient, AcmeConfig, Issued, new_account_key
from pillarbox.net.acme_errors import AcmeFailed
from pillarbox.net.web_client import WebClient
from pillarbox.terms.secret import Secret
from tests.doubles.certificates import issue_certificate
from tests.doubles.pebble import Authority, pebble
from tests.doubles.web_server import WebReply, WebRequest, WebServer

HOST = "track.example.test"
pebbles = pytest.mark.needs("pebble")


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


@pebbles
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


@pebbles
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


@pebbles
async def test_an_account_the_authority_has_forgotten_is_told_apart(tmp_path: Path) -> None:
    answers, key = Answers(), new_account_key()
    async with pebble(tmp_path, HOST) as authority, asking(authority) as client:
        elsewhere = authority.directory.replace("/dir", "/my-account/1f")
        with pytest.raises(AcmeFailed) as failed:
            await client.obtain(HOST, elsewhere, key, answers.publish)
        assert failed.value.unknown_account


@pebbles
async def test_an_authority_that_cannot_be_asked_is_told_in_a_sentence(tmp_path: Path) -> None:
    answers, key = Answers(), new_account_key()
    async with pebble(tmp_path, HOST) as authority:
        web = WebClient()
        config = AcmeConfig(directory=authority.directory, agree_terms=True)
        client = AcmeClient(config, web, look_seconds=0.05)
        with pytest.raises(AcmeFailed, match="the authority cannot be asked: .*certificate"):
            await obtained(client, answers, key)
        await web.close()


# --- an authority that is none ----------------------------------------------------------------

DIRECTORY = {
    name: f"https://localhost:PORT/{name}" for name in ("newNonce", "newAccount", "newOrder")
}
NONCE = {"replay-nonce": "AAAAAAAAAAAAAAAAAAAAAA", "location": "https://localhost:PORT/acct/1"}
JSON = {"content-type": "application/json"}
ELSEWHERE = WebReply(302, fields={"location": "https://localhost:PORT/dir"})
WRONG: dict[str, dict[str, WebReply]] = {
    "no directory": {"/dir": WebReply(404)},
    "a page": {"/dir": WebReply(body=b"<html>hello</html>")},
    "a list": {"/dir": WebReply(body=b"[1, 2]", fields=JSON)},
    "nothing in it": {"/dir": WebReply(body=b"{}", fields=JSON)},
    "numbers in it": {"/dir": WebReply(body=b'{"newNonce": 5, "newAccount": 6}', fields=JSON)},
    "deep": {"/dir": WebReply(body=b"[" * 100_000, fields=JSON)},
    "long": {"/dir": WebReply(body=b" " * 300_000)},
    "no HTTP": {"/dir": WebReply(raw=b"220 mail.example.com ESMTP\r\n")},
    "broken off": {"/dir": WebReply(raw=b"")},
    "in a circle": {"/dir": ELSEWHERE},
    "in clear elsewhere": {
        "/dir": WebReply(body=b'{"newNonce": "http://127.0.0.1:9/n", "newAccount": "http://x/"}')
    },
    "no nonce": {"/newNonce": WebReply()},
    "a bad nonce": {"/newNonce": WebReply(fields={"replay-nonce": "\xff?"})},
    "an account without a place": {
        "/newAccount": WebReply(201, b"{}", {"replay-nonce": NONCE["replay-nonce"]})
    },
    "an error that is none": {
        "/newAccount": WebReply(400, b'{"type": 1, "detail": [], "subproblems": 7}', NONCE)
    },
    "a refusal": {
        "/newAccount": WebReply(
            403, b'{"type": "urn:ietf:params:acme:error:unauthorized", "detail": "no\\u001b[31m"}',
            NONCE,
        )
    },
    "no order": {"/newOrder": WebReply(201, b"{}", NONCE)},
    "an order of nonsense": {
        "/newOrder": WebReply(201, b'{"status": "x", "authorizations": [1, {}]}', NONCE)
    },
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
async def test_whatever_an_authority_answers_there_is_a_sentence_and_no_certificate(
    tmp_path: Path, what: str
) -> None:
    files = issue_certificate(tmp_path)
    usual = {
        "/dir": WebReply(body=json.dumps(DIRECTORY).encode(), fields=JSON),
        "/newNonce": WebReply(fields=NONCE),
        "/newAccount": WebReply(201, b'{"status": "valid"}', NONCE),
    }
    replies = {**usual, **WRONG[what]}

    def answer(request: WebRequest) -> WebReply:
        reply = replies.get(request.target, WebReply(404))
        body = reply.body.replace(b"PORT", str(server.port).encode())
        fields = {n: v.replace("PORT", str(server.port)) for n, v in reply.fields.items()}
        return replace(reply, body=body, fields=fields)

    async with WebServer(answer, files.server_context()) as server:
        web = WebClient(ca_file=str(files.ca))
        config = AcmeConfig(directory=server.url("/dir"), agree_terms=True)
        client = AcmeClient(config, web, look_seconds=0.05)
        with pytest.raises(AcmeFailed) as failed:
            await obtained(client, Answers(), new_account_key())
        await client.close()
    said = failed.value.sentence
    assert 10 < len(said) < 700 and said.isprintable()
    assert len(server.requests) < 12
