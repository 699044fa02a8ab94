"""mail through a server that takes access tokens: what becomes of it when there is none

With ``--engine postgres`` all of it on PostgreSQL.
"""

from __future__ import annotations

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.server import Grant, OAuth, Server
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.doubles.token_endpoint import TokenEndpoint, refusal
from tests.doubles.web_server import WebReply
from tests.fix_house import Running

USER = "relay@example.com"
DEFERRED = (State.DEFERRED,)


def tokens_server(endpoint: TokenEndpoint) -> BadServer:
    return BadServer(tokens=endpoint.tokens, auth_in_clear=True, require_auth=True)


async def add(
    running: Running, endpoint: TokenEndpoint, server: BadServer, **facts: object
) -> Server:
    oauth = OAuth(
        client_id="client", token_url=endpoint.url("/t"),
        grant=Grant.REFRESH_TOKEN if "refresh_token" in facts else Grant.CLIENT_CREDENTIALS,
    )  # fmt: skip
    return await running.add_server(
        "m365", server.port,
        **{"username": USER, "oauth": oauth, "client_secret": Secret("s3cret"), "priority": 0}
        | facts,
    )  # fmt: skip


async def told(running: Running) -> str:
    """Everything the history says, as text."""
    events = await running.house.storage.events.read({}, 500)
    return " ".join(repr(event) for event in events)


async def test_mail_goes_out_with_a_token_that_is_asked_for_once(running: Running):
    endpoint = TokenEndpoint()
    async with endpoint, tokens_server(endpoint) as server:
        await add(running, endpoint, server)
        for _ in range(3):
            receipt = await running.submit()
            (row,) = await running.until(receipt.message)
            assert row.state is State.HANDED_OVER
    assert len(endpoint.requests) == 1
    assert {message.username for message in server.messages} == {USER}


async def test_without_a_token_the_next_server_takes_it_and_the_circuit_opens_at_once(
    running: Running,
):
    endpoint = TokenEndpoint()
    endpoint.answer_always = refusal("invalid_client", "AADSTS7000222: expired", 401)
    async with endpoint, tokens_server(endpoint) as first, BadServer() as second:
        m365 = await add(running, endpoint, first)
        await running.add_server("second", second.port, priority=1)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(second.messages) == 1
        assert not first.sessions
        stored = await running.house.storage.directory.server(m365.id)
        assert stored.errors == 1
        text = await told(running)
    assert "server.paused" in text
    assert "the client secret has expired" in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    "reply",
    [
        refusal("invalid_grant", "Token has been expired or revoked."),
        refusal("temporarily_unavailable"),
        WebReply(503),
        WebReply(raw=b"garbage"),
    ],
)
async def test_with_that_server_alone_mail_waits_and_goes_when_tokens_are_given_again(
    running: Running, reply: WebReply
):
    endpoint = TokenEndpoint()
    endpoint.answer_always = reply
    async with endpoint, tokens_server(endpoint) as server:
        await add(running, endpoint, server, refresh_token=Secret("r3fresh"))
        receipt = await running.submit()
        (row,) = await running.until(
            receipt.message, lambda rows: all(row.state in DEFERRED for row in rows)
        )
        assert row.attempts
        endpoint.answer_always = None
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER
        assert "r3fresh" not in await told(running)


async def test_a_login_that_is_refused_with_a_fresh_token_waits_and_says_why(running: Running):
    endpoint = TokenEndpoint(username="somebody.else@example.com")
    async with endpoint, tokens_server(endpoint) as server:
        await add(running, endpoint, server)
        receipt = await running.submit()
        await running.until(
            receipt.message, lambda rows: all(row.state in DEFERRED for row in rows)
        )
        text = await told(running)
        assert "login_refused" in text
        assert "did not accept the access token: the token is not for this user name" in text
        assert "token-1" not in text


async def test_a_refresh_token_that_replaces_another_is_stored_sealed(running: Running):
    endpoint = TokenEndpoint(rotates=True)
    async with endpoint, tokens_server(endpoint) as server:
        m365 = await add(running, endpoint, server, refresh_token=Secret("refresh-0"))
        receipt = await running.submit()
        await running.until(receipt.message)
        stored = await running.house.storage.directory.server(m365.id)
    assert stored.refresh_token == Secret("refresh-1")
    assert stored.client_secret == Secret("s3cret")
    assert stored.oauth == m365.oauth


async def test_a_server_whose_login_is_switched_off_is_not_logged_in_at(running: Running):
    endpoint = TokenEndpoint()
    async with endpoint, BadServer() as server:
        await add(running, endpoint, server, auth=False)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER
    assert not endpoint.requests
    assert not server.sessions[0].logins


async def test_a_check_logs_in_by_token_and_tells_every_step_once(running: Running):
    endpoint = TokenEndpoint()
    async with endpoint, tokens_server(endpoint) as server:
        m365 = await add(running, endpoint, server)
        await running.house.checker.check(m365, running.app, mail=False)
        endpoint.tokens[USER] = "the kept one is revoked"
        report = await running.house.checker.check(m365, running.app, mail=False)
    assert report.ok, report
    names = [step.name for step in report.steps]
    assert len(names) == len(set(names))
    assert report.steps[-1].words == "XOAUTH2 accepted"


@pytest.mark.parametrize(
    ("endpoint_says", "words"),
    [
        (refusal("invalid_client", "AADSTS7000215: x", 401), "the client secret is wrong"),
        (None, "not for this user name"),
    ],
)
async def test_a_check_tells_why_there_was_no_login(
    running: Running, endpoint_says: WebReply | None, words: str
):
    endpoint = TokenEndpoint(username="somebody.else@example.com")
    endpoint.answer_always = endpoint_says
    async with endpoint, tokens_server(endpoint) as server:
        m365 = await add(running, endpoint, server)
        report = await running.house.checker.check(m365, running.app, mail=False)
    assert not report.ok
    assert report.steps[-1].name == "login"
    assert words in report.steps[-1].words
    assert "access token" in report.steps[-1].why
    assert "s3cret" not in repr(report)
