"""what can be said at the terminal about a server's login by access token"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Option

_SECTION: Final = "Login by access token (OAuth 2)"
_SECRETS: Final = {"client_secret": "Client secret", "refresh_token": "Refresh token"}


def oauth_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where tokens come from."""
    for option in reversed(
        (
            _text("--oauth", "WHO", "microsoft, google, or the URL of a token endpoint."),
            _text("--tenant", "ID", "Microsoft: directory (tenant) of the organisation, or its domain."),
            _text("--client-id", "ID", "Under which the program was registered there."),
            _text("--client-secret-file", "FILE", "File with its secret; - reads standard input."),
            _text("--refresh-token-file", "FILE", "File with a refresh token; - likewise."),
            click.option(
                "--grant", type=click.Choice(["client_credentials", "refresh_token"]),
                metavar="GRANT", cls=Option, section=_SECTION,
                help="client_credentials (default), or refresh_token (google: always).",
            ),
            _text("--scope", "SCOPE", "Where the provider's usual one does not do."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def take_oauth(call: Call, values: dict[str, Any]) -> dict[str, Any]:
    """Turn the options among `values` into fields of the API; its secrets are read now.

    Raises `WrongUsage`.
    """
    names = ("oauth", "tenant", "client_id", "grant", "scope")
    said = {name: values.pop(name, None) for name in names}
    files = {name: values.pop(f"{name}_file", None) for name in _SECRETS}
    if list(files.values()).count("-") > 1:
        raise WrongUsage("only one secret can be read from standard input")
    who = said.pop("oauth")
    oauth = {name: value for name, value in said.items() if value is not None}
    if who is not None:
        oauth |= {"provider": "", "token_url": who} if "/" in who else {"provider": who.lower()}
    if oauth:
        values["oauth"] = oauth
    for name, file in files.items():
        if file is not None:
            secret = call.secret(_SECRETS[name], file)
            values[name] = secret.reveal() if secret else None
    return values


def secrets_in(document: dict[str, Any]) -> list[str]:
    """Which secrets a request sets, in words."""
    named = {"password": "Password", **_SECRETS}
    return [label.lower() for name, label in named.items() if document.get(name)]


def wants_consent(found: dict[str, Any]) -> bool:
    """Whether a person has to sign in for a server before it can be used."""
    oauth = found["oauth"]
    return bool(oauth) and _wanted(oauth) == "refresh_token" and not oauth["refresh_token_set"]


def login_of(found: dict[str, Any]) -> str:
    """How a server is logged in at, in a few words."""
    oauth = found["oauth"]
    if not found["username"]:
        return "none"
    if not found["auth"]:
        return f"{found['username']}, not used"
    if oauth is None:
        return f"{found['username']}, {'with' if found['password_set'] else 'without'} a password"
    return f"{found['username']}, with tokens from {oauth['provider'] or oauth['token_url']}"


def oauth_lines(found: dict[str, Any]) -> list[tuple[str, object]]:
    """More about it, for whoever looks at the server."""
    oauth = found["oauth"]
    if oauth is None:
        return []
    secrets = ", ".join(
        f"{label.lower()} {'set' if oauth[f'{name}_set'] else 'MISSING'}"
        for name, label in _SECRETS.items()
        if oauth[f"{name}_set"] or name == _wanted(oauth)
    )
    return [
        ("Grant", oauth["grant"]),
        ("Directory", oauth["tenant"]),
        ("Client id", oauth["client_id"]),
        ("Scope", oauth["scope"]),
        ("Secrets", secrets),
    ]


def _wanted(oauth: dict[str, Any]) -> str:
    return "refresh_token" if oauth["grant"] == "refresh_token" else "client_secret"


def _text(name: str, metavar: str, about: str) -> Callable[..., Any]:
    return click.option(name, metavar=metavar, help=about, cls=Option, section=_SECTION)
