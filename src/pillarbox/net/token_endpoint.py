"""one request for an access token (RFC 6749 §4.4 and §6), and what the answer says

Secrets are in the body of the request and nowhere else. Of the answer only what is understood is
kept; a description that repeats a secret is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from pillarbox.net.errors import LoginFailed
from pillarbox.net.web_client import WebAnswer, WebClient, read_address
from pillarbox.net.web_errors import WebAddressInvalid, WebFailed, WebFault
from pillarbox.policy.server import Grant, Server
from pillarbox.policy.token_providers import InvalidOAuth, endpoint_of
from pillarbox.policy.token_refusals import TokenRefusal, read_refusal
from pillarbox.terms.secret import Secret

_ANSWER_BYTES: Final = 64 * 1024
_TOKEN_CHARACTERS: Final = 8192
"""RFC 4954 §4 has servers take responses of 12288 octets; in base64 this stays below."""
_REFRESH_CHARACTERS: Final = 16_384
_USUAL_SECONDS: Final = 300
"""Where an answer does not say how long the token lives."""
_LONGEST_SECONDS: Final = 86_400
_LONGEST_PAUSE_SECONDS: Final = 3600
_OK: Final = 200
_SECRETS: Final = ("client_secret", "refresh_token", "device_code", "code", "code_verifier")
_REDIRECT: Final = 3
_FORM: Final = {
    "content-type": "application/x-www-form-urlencoded",
    "accept": "application/json",
}


@dataclass(frozen=True, slots=True)
class GivenToken:
    """What a token endpoint gave."""

    token: Secret
    lifetime_seconds: int
    refresh_token: Secret | None
    """One that replaces the refresh token it was asked with."""


class NoToken(LoginFailed):
    """A token endpoint gave no token; it wants to be left alone for `pause_seconds`.

    `error` is the name it gave to the reason (RFC 6749 §5.2), empty where it gave none.
    """

    def __init__(
        self, words: str, *, lasting: bool, pause_seconds: float = 0.0, error: str = ""
    ) -> None:
        """See `LoginFailed`."""
        super().__init__(words, lasting=lasting)
        self.pause_seconds = pause_seconds
        self.error = error


async def ask_token(
    web: WebClient, server: Server, refresh_token: Secret | None, *, seconds: float
) -> GivenToken:
    """Ask for a token that logs in at `server`, with its newest refresh token. Raises `NoToken`."""
    oauth = server.oauth
    assert oauth is not None
    try:
        endpoint = endpoint_of(oauth)
    except InvalidOAuth as error:
        words = f"could not be logged in at: {error.sentence}; {error.fix}"
        raise NoToken(words, lasting=True) from error
    asked = {"grant_type": oauth.grant.value, "client_id": oauth.client_id}
    if oauth.grant is Grant.REFRESH_TOKEN:
        if not refresh_token:
            raise NoToken("could not be logged in at: it has no refresh token yet", lasting=True)
        asked["refresh_token"] = refresh_token.reveal()
    elif not server.client_secret:
        raise NoToken("could not be logged in at: it has no client secret yet", lasting=True)
    if server.client_secret:
        asked["client_secret"] = server.client_secret.reveal()
    if endpoint.scope:
        asked["scope"] = endpoint.scope
    return given_in(await request(web, endpoint.url, asked, "access_token", seconds=seconds))


async def request(
    web: WebClient, url: str, form: Mapping[str, str], wanted: str, *, seconds: float
) -> Mapping[str, Any]:
    """Post a form; the document that is answered, where it has the text `wanted`. Raises `NoToken`."""
    try:
        host = read_address(url, clear_on_loopback=True).host
        answer = await web.post(
            url,
            urlencode(form).encode("ascii"),
            fields=_FORM,
            seconds=seconds,
            max_bytes=_ANSWER_BYTES,
        )
    except WebAddressInvalid as error:
        words = f"could not be logged in at: of the token endpoint's address, {error.sentence}"
        raise NoToken(words, lasting=True) from error
    except WebFailed as error:
        raise NoToken(_got_none(f"{error.host} {error.words}"), lasting=_lasts(error)) from error
    facts = _facts(answer)
    if answer.status == _OK and isinstance(facts.get(wanted), str):
        return {**facts, "host": host}
    secrets = [form[name] for name in _SECRETS if name in form]
    name, description = _text(facts, "error", secrets), _text(facts, "error_description", secrets)
    if answer.status // 100 == _REDIRECT:
        refusal = TokenRefusal("sent us elsewhere, which is not followed; correct the URL", True)
    elif answer.status == _OK and not name:
        refusal = TokenRefusal("answered without a token; compare the token URL", False)
    else:
        refusal = read_refusal(answer.status, name, description)
    raise NoToken(
        _got_none(f"{host} {refusal.words}"),
        lasting=refusal.lasting,
        pause_seconds=_pause(answer),
        error=name,
    )


def given_in(document: Mapping[str, Any]) -> GivenToken:
    """The token in a document that `request` gave. Raises `NoToken`."""
    host, token = document["host"], document["access_token"]
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoToken(_got_none(f"{host} gives tokens of another kind"), lasting=True)
    if not _sayable(token, _TOKEN_CHARACTERS):
        raise NoToken(_got_none(f"{host} gave one that cannot be said"), lasting=False)
    renewed = document.get("refresh_token")
    if not isinstance(renewed, str) or not _sayable(renewed, _REFRESH_CHARACTERS):
        renewed = None
    return GivenToken(Secret(token), _lifetime(document), Secret(renewed) if renewed else None)


def _got_none(words: str) -> str:
    return f"could not be logged in at: {words}"


def _lasts(error: WebFailed) -> bool:
    # A certificate does not become right by waiting; everything else may.
    return error.fault is WebFault.TLS or error.fault is WebFault.FORBIDDEN


def _facts(answer: WebAnswer) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(facts: Mapping[str, Any], name: str, secrets: list[str]) -> str:
    text = facts.get(name, "")
    if not isinstance(text, str) or any(secret in text for secret in secrets):
        return ""
    return text[:2000]


def _sayable(token: str, most: int) -> bool:
    return 0 < len(token) <= most and token.isascii() and token.isprintable()


def _lifetime(facts: Mapping[str, Any]) -> int:
    said = facts.get("expires_in", _USUAL_SECONDS)
    try:
        seconds = int(said)  # a number, though some write it as text
    except (TypeError, ValueError, OverflowError):
        seconds = _USUAL_SECONDS
    return max(0, min(seconds, _LONGEST_SECONDS))


def _pause(answer: WebAnswer) -> float:
    said = answer.fields.get("retry-after", "")
    if not (said.isascii() and said.isdigit() and len(said) < 10):
        return 0.0
    return min(float(said), _LONGEST_PAUSE_SECONDS)
