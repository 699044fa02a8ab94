"""who gives access tokens for mail: where they are asked for, by which grant, with which scope"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from pillarbox.policy.server import Grant, OAuth
from pillarbox.terms.errors import PillarboxError

_TENANT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,98}[A-Za-z0-9])?")
_URL: Final = re.compile(r"https?://[!-~]{1,2000}", re.IGNORECASE)


class InvalidOAuth(PillarboxError):
    """Access tokens cannot be asked for with this."""

    code: ClassVar[str] = "invalid_value"


@dataclass(frozen=True, slots=True)
class TokenProvider:
    """One that has a name here. In its URLs ``{tenant}`` stands for the organisation's directory."""

    name: str
    title: str
    host: str
    """Its submission server."""
    token_url: str
    device_url: str
    """Where a code for another device is asked for (RFC 8628); empty where mail is not given so."""
    authorize_url: str
    scopes: Mapping[Grant, str]
    """The grants it takes for mail, and the scope of each; said again when a token is renewed."""
    consent_scope: str
    """What a person is asked to permit, so that a refresh token may be had."""
    any_tenant: str = ""
    """Stands for the tenant where a person signs in and none is named."""

    @property
    def has_tenants(self) -> bool:
        """Whether the organisation has to be named."""
        return "{tenant}" in self.token_url


MICROSOFT: Final = TokenProvider(
    name="microsoft",
    title="Microsoft 365",
    host="smtp.office365.com",
    token_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
    device_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode",
    authorize_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
    scopes={
        Grant.CLIENT_CREDENTIALS: "https://outlook.office365.com/.default",
        Grant.REFRESH_TOKEN: "https://outlook.office.com/SMTP.Send offline_access",
    },
    consent_scope="https://outlook.office.com/SMTP.Send offline_access",
    any_tenant="organizations",
)
GOOGLE: Final = TokenProvider(
    name="google",
    title="Google",
    host="smtp.gmail.com",
    token_url="https://oauth2.googleapis.com/token",
    device_url="",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    # What was consented to is what a renewed token is for; nothing need be said.
    scopes={Grant.REFRESH_TOKEN: ""},
    consent_scope="https://mail.google.com/",
)
PROVIDERS: Final[Mapping[str, TokenProvider]] = {each.name: each for each in (MICROSOFT, GOOGLE)}


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where a server's tokens are asked for, and for what."""

    url: str
    scope: str


def provider_of(oauth: OAuth) -> TokenProvider | None:
    """Its preset; None where there is none. Raises `InvalidOAuth` for a name nobody has."""
    if not oauth.provider:
        return None
    provider = PROVIDERS.get(oauth.provider)
    if provider is None:
        raise InvalidOAuth(
            f"there is no provider of tokens named {oauth.provider[:40]!r}",
            fix=f"name one of {', '.join(PROVIDERS)}, or give the URL of its token endpoint",
        )
    return provider


def usual_grant(provider: str) -> Grant:
    """The grant that is meant where none is named."""
    preset = PROVIDERS.get(provider)
    if preset is not None and Grant.CLIENT_CREDENTIALS not in preset.scopes:
        return Grant.REFRESH_TOKEN
    return Grant.CLIENT_CREDENTIALS


def in_tenant(url: str, oauth: OAuth, provider: TokenProvider) -> str:
    """A URL of a provider for the organisation. Raises `InvalidOAuth`."""
    if "{tenant}" not in url:
        return url
    tenant = oauth.tenant
    if not tenant and oauth.grant is Grant.REFRESH_TOKEN:
        tenant = provider.any_tenant
    if not _TENANT.fullmatch(tenant):
        raise InvalidOAuth(
            f"{provider.title} needs the directory (tenant) of your organisation",
            fix="give its id or its domain, such as contoso.onmicrosoft.com",
        )
    return url.replace("{tenant}", tenant)


def endpoint_of(oauth: OAuth) -> TokenEndpoint:
    """Where tokens are asked for. Raises `InvalidOAuth`, which says what is missing."""
    provider = provider_of(oauth)
    if not oauth.client_id:
        raise InvalidOAuth(
            "a client id is missing", fix="give the id under which the program was registered"
        )
    if provider is None:
        if not _URL.fullmatch(oauth.token_url):
            raise InvalidOAuth(
                "the token endpoint is missing, or no URL",
                fix="give its address as https://host/path, or name a provider",
            )
        return TokenEndpoint(oauth.token_url, oauth.scope)
    if oauth.grant not in provider.scopes:
        takes = " or ".join(grant.value for grant in provider.scopes)
        raise InvalidOAuth(
            f"{provider.title} gives no tokens for mail by the grant {oauth.grant.value}",
            fix=f"use {takes}",
        )
    url = oauth.token_url or in_tenant(provider.token_url, oauth, provider)
    return TokenEndpoint(url, oauth.scope or provider.scopes[oauth.grant])
