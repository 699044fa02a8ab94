"""a person's consent to our sending from a mailbox, and the refresh token that comes of it

By a code that is entered at another device (RFC 8628) where the provider gives mail that way;
otherwise by an address that the browser ends at (RFC 8252), with a proof that whoever redeems it is
whoever asked (RFC 7636). What is waited for is in memory, and ends with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from pillarbox.net.token_endpoint import NoToken, given_in, request
from pillarbox.net.web_client import WebClient
from pillarbox.policy.server import Grant, OAuth, Server
from pillarbox.policy.token_providers import (
    PROVIDERS,
    InvalidOAuth,
    TokenProvider,
    endpoint_of,
    in_tenant,
)
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret

REDIRECT_URI: Final = "http://127.0.0.1:53682/"
"""Nobody listens there: the address itself is what a person brings back."""

_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_CODE_GRANT: Final = "authorization_code"
_ASK_SECONDS: Final = 20.0
_USUAL_INTERVAL_SECONDS: Final = 5
_SLOWER_SECONDS: Final = 5
_USUAL_LIFE_SECONDS: Final = 900
_LONGEST_LIFE_SECONDS: Final = 3600
_MOST_WAITING: Final = 64
_MOST_CHARACTERS: Final = 8192


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a person is asked to do."""

    url: str
    """To be opened in any browser."""
    user_code: str
    """To be entered there; empty where the address that the browser ends at is brought back."""
    expires_seconds: int
    interval_seconds: int
    """How long to wait before looking whether it was done."""


@dataclass(slots=True)
class _Waiting:
    oauth: OAuth
    until: float
    interval_seconds: int
    device_code: str = ""
    state: str = ""
    verifier: str = ""


class Consents:
    """Asks for consent, one for each server at a time."""

    def __init__(
        self, web: WebClient, clock: Clock, providers: Mapping[str, TokenProvider] = PROVIDERS
    ) -> None:
        self._web = web
        self._clock = clock
        self._providers = providers
        self._waiting: dict[ObjectId, _Waiting] = {}

    async def invite(self, server: Server) -> Invitation:
        """Begin. Raises `InvalidOAuth` where there is nothing to consent to, and `NoToken`."""
        oauth, provider = self._of(server)
        endpoint_of(oauth)
        scope = oauth.scope or provider.consent_scope
        if provider.device_url:
            url = in_tenant(provider.device_url, oauth, provider)
            return await self._by_device(server, oauth, url, scope)
        return self._by_address(server, oauth, in_tenant(provider.authorize_url, oauth, provider))

    async def redeem(self, server: Server, address: str = "") -> tuple[Secret | None, int]:
        """The refresh token, or None where the person is not done yet, and the seconds to wait then.

        `address` is where the browser ended. Raises `InvalidOAuth` where nothing was begun or the
        address does not fit, and `NoToken` where consent was refused.
        """
        waiting = self._waiting.get(server.id)
        if (
            waiting is None
            or waiting.oauth != server.oauth
            or self._clock.monotonic() >= waiting.until
        ):
            self._waiting.pop(server.id, None)
            raise InvalidOAuth(
                "nobody was invited to consent, or it took too long", fix="begin again"
            )
        form = {"client_id": waiting.oauth.client_id}
        if server.client_secret:
            form["client_secret"] = server.client_secret.reveal()
        if waiting.device_code:
            form |= {"grant_type": _DEVICE_GRANT, "device_code": waiting.device_code}
        else:
            form |= {
                "grant_type": _CODE_GRANT,
                "code": _code_in(address, waiting.state),
                "code_verifier": waiting.verifier,
                "redirect_uri": REDIRECT_URI,
            }
        try:
            document = await request(
                self._web, endpoint_of(waiting.oauth).url, form, "access_token",
                seconds=_ASK_SECONDS,
            )  # fmt: skip
        except NoToken as error:
            if error.error == "slow_down":
                waiting.interval_seconds += _SLOWER_SECONDS  # RFC 8628 §3.5
            pending = error.error in ("authorization_pending", "slow_down") or not error.lasting
            if waiting.device_code and pending:
                return None, waiting.interval_seconds
            if error.lasting:
                self._waiting.pop(server.id, None)
            raise
        self._waiting.pop(server.id, None)
        given = given_in(document)
        if given.refresh_token is None:
            raise InvalidOAuth(
                "the provider gave no refresh token",
                fix="withdraw the consent that was given before in the account, and begin again",
            )
        return given.refresh_token, 0

    def _of(self, server: Server) -> tuple[OAuth, TokenProvider]:
        oauth = server.oauth
        if oauth is None or oauth.grant is not Grant.REFRESH_TOKEN:
            raise InvalidOAuth(
                "nobody has to consent: it does not log in by a refresh token",
                fix="choose that with --grant refresh_token",
            )
        provider = self._providers.get(oauth.provider)
        if provider is None:
            raise InvalidOAuth(
                "where this provider asks people is not known",
                fix="get a refresh token there, and set it with --refresh-token-file",
            )
        return oauth, provider

    async def _by_device(self, server: Server, oauth: OAuth, url: str, scope: str) -> Invitation:
        form = {"client_id": oauth.client_id, "scope": scope}
        document = await request(self._web, url, form, "device_code", seconds=_ASK_SECONDS)
        shown = document.get("verification_uri") or document.get("verification_url")
        user_code = document.get("user_code")
        if not _fit_to_show(shown) or not _fit_to_show(user_code):
            raise NoToken(
                f"could not be logged in at: {document['host']} gave no code to be entered",
                lasting=False,
            )
        life = _whole(document.get("expires_in"), _USUAL_LIFE_SECONDS, _LONGEST_LIFE_SECONDS)
        interval = _whole(document.get("interval"), _USUAL_INTERVAL_SECONDS, 60)
        self._await(
            server, _Waiting(oauth, 0.0, interval, device_code=document["device_code"]), life
        )
        return Invitation(str(shown), str(user_code), life, interval)

    def _by_address(self, server: Server, oauth: OAuth, url: str) -> Invitation:
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        provider = self._providers[oauth.provider]
        asked = {
            "client_id": oauth.client_id,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": oauth.scope or provider.consent_scope,
            "state": state,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
            "code_challenge_method": "S256",
            # Without these Google gives a refresh token at the first consent only.
            "access_type": "offline",
            "prompt": "consent",
            "login_hint": server.username,
        }
        waiting = _Waiting(oauth, 0.0, 0, state=state, verifier=verifier)
        self._await(server, waiting, _USUAL_LIFE_SECONDS)
        return Invitation(f"{url}?{urlencode(asked)}", "", _USUAL_LIFE_SECONDS, 0)

    def _await(self, server: Server, waiting: _Waiting, seconds: int) -> None:
        waiting.until = self._clock.monotonic() + seconds
        self._waiting.pop(server.id, None)
        self._waiting[server.id] = waiting
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))


def _code_in(address: str, state: str) -> str:
    """The code in an address that a browser ended at. Raises `InvalidOAuth`."""
    try:
        found = parse_qs(urlsplit(address[:_MOST_CHARACTERS].strip()).query, max_num_fields=50)
    except ValueError:
        found = {}
    said, code = found.get("state", [""])[0], found.get("code", [""])[0]
    if found.get("error"):
        raise InvalidOAuth("consent was not given", fix="begin again, and consent")
    if not code or not hmac.compare_digest(said.encode(), state.encode()):
        raise InvalidOAuth(
            "this is not the address the browser ended at",
            fix=f"copy all of it; it begins with {REDIRECT_URI}?",
        )
    return code


def _fit_to_show(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 300 and text.isascii() and text.isprintable()


def _whole(said: Any, usual: int, most: int) -> int:
    if isinstance(said, int) and not isinstance(said, bool) and said > 0:
        return min(said, most)
    return usual
