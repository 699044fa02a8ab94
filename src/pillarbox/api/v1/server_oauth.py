"""what a request says about a server's login by access token, and what is shown of it"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from pillarbox.api.fields import given, one_line
from pillarbox.api.problems import InvalidRequest, Mistake
from pillarbox.net.web_client import read_address
from pillarbox.policy.server import Grant, OAuth, Server
from pillarbox.policy.token_providers import (
    PROVIDERS,
    endpoint_of,
    provider_of,
    usual_grant,
)
from pillarbox.terms.errors import PillarboxError

RefreshToken = Annotated[str, Meta(max_length=16_384)]
_Name = Annotated[str, Meta(max_length=100)]
_Long = Annotated[str, Meta(max_length=2048)]
_SECRETS: Final = ("client_secret", "refresh_token")


class OAuthChange(Struct, forbid_unknown_fields=True):
    """Where tokens come from; fields that are not named stay as they are."""

    provider: _Name | UnsetType = UNSET
    grant: Grant | UnsetType = UNSET
    client_id: _Name | UnsetType = UNSET
    tenant: _Name | UnsetType = UNSET
    token_url: _Long | UnsetType = UNSET
    scope: _Long | UnsetType = UNSET


def oauth_view(server: Server) -> dict[str, Any] | None:
    """What is shown of it; of its secrets only whether there are any."""
    oauth = server.oauth
    if oauth is None:
        return None
    return {
        "provider": oauth.provider,
        "grant": oauth.grant,
        "client_id": oauth.client_id,
        "tenant": oauth.tenant,
        "token_url": oauth.token_url,
        "scope": oauth.scope,
        "client_secret_set": bool(server.client_secret),
        "refresh_token_set": bool(server.refresh_token),
    }


def with_oauth(values: dict[str, Any], server: Server | None) -> dict[str, Any]:
    """The values of a request, what it says about tokens made into fields of a server; `server`
    is the one that changes.

    A login is made by a token or by a password, and whichever comes takes the other away. A known
    provider's host need not be said. Raises `InvalidRequest`.
    """
    before = server.oauth if server is not None else None
    if "oauth" not in values:
        return _without(values, before)
    change: OAuthChange | None = values["oauth"]
    if change is None:
        return {"client_secret": None, "refresh_token": None, **values, "oauth": None}
    oauth = _changed(before, change)
    values = {**values, "oauth": oauth, "password": None}
    if server is None and not values.get("host") and not values.get("preset"):
        provider = PROVIDERS.get(oauth.provider)
        if provider is not None:
            values["host"] = provider.host
    _check(oauth, values, server)
    return values


def _without(values: dict[str, Any], before: OAuth | None) -> dict[str, Any]:
    said = [name for name in _SECRETS if values.get(name) is not None]
    if before is None and said:
        raise InvalidRequest([Mistake(f"/{name}", "means nothing without oauth") for name in said])
    if before is not None and values.get("password") is not None:
        return {**values, "oauth": None, "client_secret": None, "refresh_token": None}
    return values


def _changed(before: OAuth | None, change: OAuthChange) -> OAuth:
    said = given(change)
    try:
        said = {
            name: one_line(value) if isinstance(value, str) else value
            for name, value in said.items()
        }
    except PillarboxError as error:
        raise InvalidRequest([Mistake("/oauth", error.sentence)]) from None
    if before is None or said.get("provider", before.provider) != before.provider:
        # Of another provider nothing is left but who we are.
        name = str(said.get("provider", ""))
        kept = before or OAuth()
        before = OAuth(name, usual_grant(name), client_id=kept.client_id, tenant=kept.tenant)
    return replace(before, **said)


def _check(oauth: OAuth, values: dict[str, Any], server: Server | None) -> None:
    mistakes = []
    try:
        provider_of(oauth)
        read_address(endpoint_of(oauth).url, clear_on_loopback=True)
    except PillarboxError as error:
        mistakes.append(Mistake("/oauth", f"{error.sentence}; {error.fix}"))
    if not values.get("username", server.username if server is not None else ""):
        mistakes.append(Mistake("/username", "is missing: the mailbox that mail is sent from"))
    secret = values.get("client_secret", server.client_secret if server is not None else None)
    if oauth.grant is Grant.CLIENT_CREDENTIALS and not secret:
        mistakes.append(Mistake("/client_secret", "is missing"))
    if mistakes:
        raise InvalidRequest(mistakes)
