"""a person's consent: asked for by a code or by an address, and what can go wrong on the way"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from pillarbox.net.consents import REDIRECT_URI, Consents, Invitation
from pillarbox.net.token_endpoint import NoToken
from pillarbox.net.web_client import WebClient
from pillarbox.policy.server import Grant, OAuth, Server
from pillarbox.policy.token_providers import GOOGLE, MICROSOFT, InvalidOAuth
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret
from tests.doubles.token_endpoint import TokenEndpoint, as_json, refusal
from tests.doubles.web_server import WebReply

DEVICE = {
    "device_code": "d3vice",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://microsoft.com/devicelogin",
    "expires_in": 900,
    "interval": 7,
}


class Clock:
    seconds = 0.0

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    async with TokenEndpoint(rotates=True) as found:
        yield found


class Desk:
    def __init__(self, endpoint: TokenEndpoint) -> None:
        self.clock = Clock()
        self.web = WebClient(clear_on_loopback=True)
        providers = {
            "microsoft": replace(MICROSOFT, device_url=endpoint.url("/device")),
            "google": GOOGLE,
        }
        self.consents = Consents(self.web, self.clock, providers)
        self.microsoft = self.server("microsoft", endpoint)
        self.google = self.server("google", endpoint)

    def server(self, provider: str, endpoint: TokenEndpoint) -> Server:
        return Server(
            ObjectId(provider.ljust(12)[:12].encode()), ObjectId(b"a" * 12), provider, "h",
            username="me@example.com", client_secret=Secret("s3cret"),
            oauth=OAuth(provider, Grant.REFRESH_TOKEN, "client", token_url=endpoint.url("/token")),
        )  # fmt: skip


@pytest.fixture
async def desk(endpoint: TokenEndpoint) -> AsyncIterator[Desk]:
    found = Desk(endpoint)
    yield found
    await found.web.close()


def came_back(invitation: Invitation, **changed: str) -> str:
    """The address a browser ends at."""
    state = parse_qs(urlsplit(invitation.url).query)["state"][0]
    said = {"state": state, "code": "c0de"} | changed
    return REDIRECT_URI + "?" + "&".join(f"{name}={value}" for name, value in said.items())


async def test_a_code_is_shown_and_looked_after_until_the_person_is_done(endpoint, desk):
    endpoint.answer_next = [
        as_json(DEVICE),
        refusal("authorization_pending", "AADSTS70016: pending"),
        refusal("slow_down"),
        WebReply(503),
    ]
    invitation = await desk.consents.invite(desk.microsoft)
    assert invitation == Invitation("https://microsoft.com/devicelogin", "ABCD-EFGH", 900, 7)
    assert await desk.consents.redeem(desk.microsoft) == (None, 7)
    assert await desk.consents.redeem(desk.microsoft) == (None, 12)
    assert await desk.consents.redeem(desk.microsoft) == (None, 12)
    assert await desk.consents.redeem(desk.microsoft) == (Secret("refresh-1"), 0)
    assert endpoint.asked[0] == {
        "client_id": "client",
        "scope": "https://outlook.office.com/SMTP.Send offline_access",
    }
    assert endpoint.asked[-1] == {
        "client_id": "client",
        "client_secret": "s3cret",
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "d3vice",
    }
    with pytest.raises(InvalidOAuth, match="nobody was invited"):
        await desk.consents.redeem(desk.microsoft)


async def test_an_address_is_shown_and_the_one_that_comes_back_is_redeemed_with_its_proof(
    endpoint, desk
):
    invitation = await desk.consents.invite(desk.google)
    assert invitation.url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
    assert invitation.user_code == ""
    asked = {name: value[0] for name, value in parse_qs(urlsplit(invitation.url).query).items()}
    assert asked["scope"] == "https://mail.google.com/"
    assert asked["access_type"] == "offline"
    assert asked["login_hint"] == "me@example.com"
    assert "s3cret" not in invitation.url
    token, _ = await desk.consents.redeem(desk.google, came_back(invitation))
    assert token == Secret("refresh-1")
    (form,) = endpoint.asked
    assert (form["grant_type"], form["code"]) == ("authorization_code", "c0de")
    assert form["redirect_uri"] == asked["redirect_uri"] == REDIRECT_URI
    proof = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert urlsafe_b64encode(proof).rstrip(b"=").decode() == asked["code_challenge"]


@pytest.mark.parametrize(
    "changed",
    [{"state": "another"}, {"state": ""}, {"code": ""}, {"error": "access_denied"}, {"state": "ü"}],
)
async def test_an_address_that_does_not_fit_is_not_redeemed_and_the_right_one_still_is(
    endpoint, desk, changed
):
    invitation = await desk.consents.invite(desk.google)
    for address in (came_back(invitation, **changed), "", "nonsense", "http://[", "&=" * 4000):
        with pytest.raises(InvalidOAuth):
            await desk.consents.redeem(desk.google, address)
    assert not endpoint.requests
    token, _ = await desk.consents.redeem(desk.google, came_back(invitation))
    assert token is not None


async def test_an_endpoint_that_is_busy_may_be_asked_again_with_the_same_address(endpoint, desk):
    endpoint.answer_next = [WebReply(503)]
    invitation = await desk.consents.invite(desk.google)
    with pytest.raises(NoToken, match="503"):
        await desk.consents.redeem(desk.google, came_back(invitation))
    token, _ = await desk.consents.redeem(desk.google, came_back(invitation))
    assert token is not None


async def test_consent_that_is_refused_ends_it(endpoint, desk):
    endpoint.answer_next = [as_json(DEVICE), refusal("authorization_declined", "AADSTS70018: no")]
    await desk.consents.invite(desk.microsoft)
    with pytest.raises(NoToken, match="authorization_declined|AADSTS70018"):
        await desk.consents.redeem(desk.microsoft)
    with pytest.raises(InvalidOAuth):
        await desk.consents.redeem(desk.microsoft)


async def test_an_invitation_ends_with_its_time_and_when_settings_change(endpoint, desk):
    invitation = await desk.consents.invite(desk.google)
    assert desk.google.oauth is not None
    other = replace(desk.google, oauth=replace(desk.google.oauth, client_id="other"))
    with pytest.raises(InvalidOAuth):
        await desk.consents.redeem(other, came_back(invitation))
    invitation = await desk.consents.invite(desk.google)
    desk.clock.seconds += 901
    with pytest.raises(InvalidOAuth, match="too long"):
        await desk.consents.redeem(desk.google, came_back(invitation))


async def test_a_provider_that_gives_no_refresh_token_is_told(endpoint, desk):
    endpoint.rotates = False
    invitation = await desk.consents.invite(desk.google)
    with pytest.raises(InvalidOAuth, match="no refresh token"):
        await desk.consents.redeem(desk.google, came_back(invitation))


@pytest.mark.parametrize(
    "document",
    [
        {**DEVICE, "user_code": 5},
        {**DEVICE, "user_code": "\x1b[2J"},
        {**DEVICE, "verification_uri": None},
        {**DEVICE, "verification_uri": "x" * 400},
        {"user_code": "A"},
    ],
)
async def test_an_invitation_that_cannot_be_shown_is_none(endpoint, desk, document):
    endpoint.answer_next = [as_json(document)]
    with pytest.raises(NoToken):
        await desk.consents.invite(desk.microsoft)


@pytest.mark.parametrize(("interval", "kept"), [(0, 5), (-1, 5), (10**9, 60), ("x", 5), (True, 5)])
async def test_the_time_between_looks_is_bounded(endpoint, desk, interval, kept):
    endpoint.answer_next = [as_json({**DEVICE, "interval": interval, "expires_in": 10**9})]
    invitation = await desk.consents.invite(desk.microsoft)
    assert (invitation.interval_seconds, invitation.expires_seconds) == (kept, 3600)


async def test_where_nobody_has_to_consent_that_is_said(endpoint, desk):
    assert desk.microsoft.oauth is not None
    for oauth, words in (
        (None, "nobody has to consent"),
        (replace(desk.microsoft.oauth, grant=Grant.CLIENT_CREDENTIALS), "nobody has to consent"),
        (replace(desk.microsoft.oauth, provider=""), "not known"),
        (replace(desk.microsoft.oauth, client_id=""), "client id"),
    ):
        with pytest.raises(InvalidOAuth, match=words):
            await desk.consents.invite(replace(desk.microsoft, oauth=oauth))
    assert not endpoint.requests


async def test_only_so_many_are_waited_for_at_once(endpoint, desk):
    first = await desk.consents.invite(desk.google)
    for number in range(64):
        await desk.consents.invite(replace(desk.google, id=ObjectId(bytes([number]) * 12)))
    with pytest.raises(InvalidOAuth, match="nobody was invited"):
        await desk.consents.redeem(desk.google, came_back(first))
