"""logins by access token: against a token endpoint and a server that are told how to behave"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from pillarbox.net.access_tokens import AccessTokens
from pillarbox.net.errors import Broken, LoginFailed
from pillarbox.net.smtp_client import Connection
from pillarbox.net.web_client import WebClient
from pillarbox.policy.server import Grant, OAuth, Server
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.doubles.script import Script, Stage, say
from tests.doubles.token_endpoint import TokenEndpoint, as_json, refusal
from tests.doubles.web_server import WebReply

USER = "relay@example.com"
ID = ObjectId(b"\x01" * 12)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class Desk:
    """Everything between a server's settings and its login."""

    def __init__(self, endpoint: TokenEndpoint, port: int = 0) -> None:
        self.clock = Clock()
        self.kept: list[tuple[str, str]] = []
        self.refuses_to_keep = False
        web = WebClient(clear_on_loopback=True)
        self.tokens = AccessTokens(web, self.clock, self.keep, ask_seconds=1.0)
        self.server = Server(
            ID, ObjectId(b"\x02" * 12), "m365", "127.0.0.1", port, username=USER,
            client_secret=Secret("s3cret/client"),
            oauth=OAuth(client_id="client", token_url=endpoint.url("/t"), scope="mail"),
        )  # fmt: skip

    def with_refresh_token(self, token: str = "refresh-0") -> None:
        assert self.server.oauth is not None
        oauth = replace(self.server.oauth, grant=Grant.REFRESH_TOKEN)
        self.server = replace(self.server, oauth=oauth, refresh_token=Secret(token))

    async def keep(self, server: Server, before: object, token: Secret) -> None:
        if self.refuses_to_keep:
            raise OSError("disk")
        self.kept.append((server.name, token.reveal()))

    async def connect(self, token: Secret) -> Connection:
        return await Connection.open(
            self.server.host, self.server.port, encryption="none", hello_name="client.test",
            username=USER, token=token,
        )  # fmt: skip

    async def login(self) -> str:
        connection = await self.tokens.login(self.server, self.connect)
        connection.close()
        return connection.facts.mechanism

    async def refused(self) -> LoginFailed:
        with pytest.raises(LoginFailed) as caught:
            await self.login()
        return caught.value


@asynccontextmanager
async def desk(endpoint: TokenEndpoint, server: BadServer | None = None) -> AsyncIterator[Desk]:
    async with endpoint, server or tokens_server(endpoint) as smtp:
        made = Desk(endpoint, smtp.port)
        yield made
        await made.tokens.close()


def tokens_server(endpoint: TokenEndpoint, **more: object) -> BadServer:
    return BadServer(tokens=endpoint.tokens, auth_in_clear=True, **more)  # type: ignore[arg-type]


# --- what is asked, and how one logs in ----------------------------------------------------------


async def test_client_credentials_are_posted_and_the_token_logs_in():
    endpoint = TokenEndpoint()
    server = tokens_server(endpoint)
    async with desk(endpoint, server) as at:
        assert await at.login() == "XOAUTH2"
    assert endpoint.asked == [
        {
            "grant_type": "client_credentials",
            "client_id": "client",
            "client_secret": "s3cret/client",
            "scope": "mail",
        }
    ]
    (request,) = endpoint.requests
    assert (request.method, request.target) == ("POST", "/t")
    assert [(x.username, x.password) for x in server.sessions[0].logins] == [(USER, "token-1")]


async def test_a_server_that_offers_oauthbearer_alone_is_logged_in_at_by_that():
    endpoint = TokenEndpoint()
    server = tokens_server(endpoint, bearer=("OAUTHBEARER",))
    async with desk(endpoint, server) as at:
        assert await at.login() == "OAUTHBEARER"
    assert server.sessions[0].logins[0].username == USER


async def test_a_token_too_long_for_the_command_line_waits_for_the_challenge():
    endpoint = TokenEndpoint()
    endpoint.makes = lambda number: f"{number}{'x' * 3000}"
    server = tokens_server(endpoint)
    async with desk(endpoint, server) as at:
        await at.login()
    assert b"AUTH XOAUTH2\r\n" in server.sessions[0].received


async def test_a_refresh_token_is_posted_and_the_one_that_replaces_it_is_stored_and_used():
    endpoint = TokenEndpoint(rotates=True, expires_in=100)
    async with desk(endpoint) as at:
        at.with_refresh_token()
        await at.login()
        at.clock.seconds += 101
        await at.login()
    assert [form["refresh_token"] for form in endpoint.asked] == ["refresh-0", "refresh-1"]
    assert at.kept == [("m365", "refresh-1"), ("m365", "refresh-2")]


async def test_a_server_read_again_with_its_new_refresh_token_needs_no_new_token():
    endpoint = TokenEndpoint(rotates=True)
    async with desk(endpoint) as at:
        at.with_refresh_token()
        await at.login()
        at.with_refresh_token("refresh-1")
        await at.login()
    assert endpoint.given == 1


async def test_a_refresh_token_that_cannot_be_stored_keeps_no_mail_from_going():
    endpoint = TokenEndpoint(rotates=True, expires_in=100)
    async with desk(endpoint) as at:
        at.refuses_to_keep = True
        at.with_refresh_token()
        await at.login()
        at.clock.seconds += 101
        await at.login()
    assert [form["refresh_token"] for form in endpoint.asked] == ["refresh-0", "refresh-1"]


# --- keeping and renewing -------------------------------------------------------------------------


async def test_a_token_is_kept_and_renewed_before_it_ends():
    endpoint = TokenEndpoint(expires_in=1000)
    async with desk(endpoint) as at:
        await at.login()
        at.clock.seconds += 790
        await at.login()
        assert endpoint.given == 1
        at.clock.seconds += 115
        await at.login()
        assert endpoint.given == 2


async def test_servers_started_together_do_not_renew_together():
    endpoint = TokenEndpoint(expires_in=1000)
    async with desk(endpoint) as at:
        servers = [replace(at.server, id=ObjectId(bytes([n]) * 12)) for n in range(8)]
        for server in servers:
            await at.tokens.token(server)
        at.clock.seconds += 850
        kept = [(await at.tokens.token(server))[1] for server in servers]
    assert 0 < sum(kept) < len(kept)


async def test_two_connections_at_once_make_one_request():
    endpoint = TokenEndpoint()
    endpoint.waits = asyncio.Event()
    async with desk(endpoint) as at:
        logins = [asyncio.ensure_future(at.login()) for _ in range(10)]
        while not endpoint.requests:
            await asyncio.sleep(0.01)
        logins[0].cancel()  # whoever asked first may give up; the others get their answer
        endpoint.waits.set()
        done = await asyncio.gather(*logins, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert done[1:] == ["XOAUTH2"] * 9
    assert len(endpoint.requests) == 1


async def test_changed_settings_ask_anew():
    endpoint = TokenEndpoint()
    async with desk(endpoint) as at:
        await at.login()
        at.server = replace(at.server, client_secret=Secret("another"))
        await at.login()
    assert [form["client_secret"] for form in endpoint.asked] == ["s3cret/client", "another"]


async def test_an_endpoint_that_is_down_while_the_old_token_is_good_stops_nothing():
    endpoint = TokenEndpoint(expires_in=1000)
    async with desk(endpoint) as at:
        await at.login()
        at.clock.seconds += 950
        endpoint.answer_always = WebReply(503)
        assert await at.login() == "XOAUTH2"
        at.clock.seconds += 51
        error = await at.refused()
    assert not error.lasting
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    ("expires_in", "kept"), [("3600", True), (None, True), ("soon", True), (0, False), (-5, False)]
)
async def test_whatever_is_said_of_its_life_a_token_is_used_and_not_for_ever(expires_in, kept):
    endpoint = TokenEndpoint(expires_in=expires_in)
    async with desk(endpoint) as at:
        await at.login()
        await at.login()
        assert endpoint.given == (1 if kept else 2)
        at.clock.seconds += 86_401
        await at.login()
        assert endpoint.given == (2 if kept else 3)


# --- a server that does not take the token ---------------------------------------------------------


async def test_a_kept_token_that_is_refused_is_thrown_away_and_fetched_once_more():
    endpoint = TokenEndpoint()
    server = tokens_server(endpoint)
    async with desk(endpoint, server) as at:
        await at.login()
        endpoint.tokens[USER] = "revoked elsewhere"
        assert await at.login() == "XOAUTH2"
    assert endpoint.given == 2
    said = [login.password for session in server.sessions for login in session.logins]
    assert said == ["token-1", "token-1", "token-2"]


async def test_a_fresh_token_that_is_refused_is_the_operators_matter():
    endpoint = TokenEndpoint(username="somebody.else@example.com")
    server = tokens_server(endpoint)
    async with desk(endpoint, server) as at:
        error = await at.refused()
    assert error.lasting and error.stage == "auth"
    assert error.reply is not None and error.reply.code == 535
    assert "not for this user name" in error.words
    assert endpoint.given == 1 and len(server.sessions) == 1
    # The reason came as a challenge, which was answered before the verdict.
    assert "token-1" not in f"{error.words} {error.dialogue} {error}"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (
            "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
            "Tenant. Visit https://aka.ms/smtp_auth_disabled",
            "Set-CASMailbox -SmtpClientAuthenticationDisabled $false",
        ),
        ("5.7.3 Authentication unsuccessful", "SMTP.SendAsApp"),
        ("5.7.9 whatever else", "5.7.9 whatever else"),
    ],
)
async def test_the_servers_refusal_is_told_with_what_to_do(line, advice):
    endpoint = TokenEndpoint()
    server = tokens_server(endpoint, script=Script().on(Stage.AUTH, say(535, line)))
    async with desk(endpoint, server) as at:
        error = await at.refused()
    assert error.words.startswith("did not accept the access token: ")
    assert advice in error.words


async def test_the_reason_in_the_challenge_is_told_where_nothing_better_is_known():
    endpoint = TokenEndpoint(username="somebody.else@example.com")
    server = tokens_server(endpoint, script=Script().on(Stage.AUTH, say(535, "5.7.0 no")))
    async with desk(endpoint, server) as at:
        error = await at.refused()
    assert '"scope":"https://mail.example/"' in error.words


async def test_a_temporary_refusal_of_the_login_keeps_the_token():
    endpoint = TokenEndpoint()
    script = Script().on(Stage.AUTH, say(454, "4.7.0 later"), times=1)
    async with desk(endpoint, tokens_server(endpoint, script=script)) as at:
        with pytest.raises(Broken) as caught:
            await at.login()
        assert not isinstance(caught.value, LoginFailed)
        assert caught.value.reply is not None and caught.value.reply.code == 454
        await at.login()
    assert endpoint.given == 1


async def test_a_server_without_such_a_mechanism_is_named_with_what_it_offers():
    endpoint = TokenEndpoint()
    server = BadServer(credentials={"u": "p"}, auth_in_clear=True)
    async with desk(endpoint, server) as at:
        with pytest.raises(Broken, match="neither AUTH XOAUTH2 nor OAUTHBEARER, but LOGIN PLAIN"):
            await at.login()
    assert b"AUTH" not in server.sessions[0].received


# --- an endpoint that gives none ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "words", "lasting"),
    [
        (
            refusal("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401),
            "the client secret is wrong",
            True,
        ),
        (
            refusal("invalid_client", "AADSTS7000222: The provided client secret keys expired."),
            "has expired; make a new one",
            True,
        ),
        (refusal("unauthorized_client", "AADSTS700016: Application not found"), "tenant", True),
        (refusal("invalid_request", "AADSTS90002: Tenant 'x' not found"), "no such tenant", True),
        (refusal("invalid_grant", "AADSTS65001: not consented"), "grant admin consent", True),
        (
            refusal("invalid_grant", "Token has been expired or revoked."),
            "the refresh token is no longer valid",
            True,
        ),
        (
            refusal("odd_error", "Because.\nTrace: 1"),
            "gave no access token (odd_error): Because.",
            True,
        ),
        (refusal("temporarily_unavailable"), "temporarily_unavailable", False),
        (refusal("invalid_grant", "AADSTS90033: transient"), "AADSTS90033", False),
        (WebReply(500, b"<html>"), "answered 500", False),
        (WebReply(429, b"{}"), "asks us to slow down", False),
        (WebReply(404, b"nothing here"), "answered 404 without a token", False),
        (WebReply(302, b"", {"Location": "https://x.example/"}), "not followed", True),
        (WebReply(200, b"\xff\x00 garbage"), "answered without a token", False),
        (WebReply(200, b"[" * 50_000), "answered without a token", False),
        (WebReply(200, b'{"access_token": 5}'), "answered without a token", False),
        (as_json({"access_token": "a\r\nMAIL FROM:<>"}), "cannot be said", False),
        (as_json({"access_token": "x" * 9000}), "cannot be said", False),
        (as_json({"access_token": "x", "token_type": "mac"}), "another kind", True),
        (WebReply(200, b"x" * 70_000), "more than 65536 bytes", False),
        (WebReply(endless=True), "more than 65536 bytes", False),
        (WebReply(raw=b"SSH-2.0-x\r\n"), "not HTTP", False),
    ],
)
async def test_every_way_of_getting_no_token_is_told_and_says_whether_it_lasts(
    reply, words, lasting
):
    endpoint = TokenEndpoint()
    endpoint.answer_always = reply
    server = tokens_server(endpoint)
    async with desk(endpoint, server) as at:
        error = await at.refused()
    assert words in error.words
    assert error.words.startswith("could not be logged in at: ")
    assert "localhost" in error.words
    assert error.lasting is lasting
    assert not server.sessions  # nobody is bothered without a token
    assert "s3cret" not in f"{error} {error.words}"


async def test_an_endpoint_that_is_slow_or_gone_is_given_up():
    endpoint = TokenEndpoint()
    endpoint.waits = asyncio.Event()
    async with desk(endpoint) as at:
        slow = await at.refused()
    gone = await at.refused()
    assert "within 1 seconds" in slow.words and not slow.lasting
    assert "nobody listens there" in gone.words and not gone.lasting


async def test_an_endpoint_is_left_alone_as_long_as_it_asks():
    endpoint = TokenEndpoint()
    endpoint.answer_next = [WebReply(429, b"{}", {"Retry-After": "120"})]
    async with desk(endpoint) as at:
        await at.refused()
        at.clock.seconds += 119
        error = await at.refused()
        assert len(endpoint.requests) == 1
        assert "slow down" in error.words
        at.clock.seconds += 2
        await at.login()
    assert len(endpoint.requests) == 2


async def test_a_description_that_repeats_a_secret_is_not_told():
    endpoint = TokenEndpoint()
    endpoint.answer_always = refusal("odd_error", "you sent s3cret/client")
    async with desk(endpoint) as at:
        error = await at.refused()
    assert "odd_error" in error.words
    assert "s3cret" not in error.words


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"token_url": "http://tokens.example/t"}, "only https is asked"),
        ({"token_url": ""}, "the token endpoint is missing"),
        ({"client_id": ""}, "a client id is missing"),
        ({"provider": "microsoft", "token_url": ""}, "needs the directory (tenant)"),
        ({"provider": "google", "token_url": ""}, "use refresh_token"),
        ({"provider": "nobody"}, "no provider of tokens named 'nobody'"),
        ({"grant": Grant.REFRESH_TOKEN}, "has no refresh token yet"),
    ],
)
async def test_settings_that_cannot_work_are_told_without_asking_anybody(facts, words):
    endpoint = TokenEndpoint()
    async with desk(endpoint) as at:
        assert at.server.oauth is not None
        at.server = replace(at.server, oauth=replace(at.server.oauth, **facts))
        error = await at.refused()
    assert words in error.words and error.lasting
    assert not endpoint.requests


async def test_without_a_client_secret_nobody_is_asked():
    endpoint = TokenEndpoint()
    async with desk(endpoint) as at:
        at.server = replace(at.server, client_secret=None)
        error = await at.refused()
    assert "no client secret yet" in error.words and error.lasting
    assert not endpoint.requests


async def test_what_was_being_asked_ends_with_the_house():
    endpoint = TokenEndpoint()
    endpoint.waits = asyncio.Event()
    async with desk(endpoint) as at:
        login = asyncio.ensure_future(at.login())
        while not endpoint.requests:
            await asyncio.sleep(0.01)
        await at.tokens.close()
        with pytest.raises(asyncio.CancelledError):
            await login
