"""the settings that each server has for itself, and the failures that are about nothing else

Several apps may send through one host with one user name. That host's failures are known to all of
them; but a wrong password, or the wrong authority for its certificate, is the mistake of whoever set
it, and says nothing about those who have set another.
"""

from __future__ import annotations

from typing import Final

from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Server

OwnSettings = tuple[object, ...]
"""Values, secrets among them: compared in memory, never stored and never shown."""

_ABOUT_SETTINGS: Final = frozenset(
    {
        Category.LOGIN_REFUSED.value,
        Category.LOGIN_REQUIRED.value,
        Category.TLS_FAILED.value,
        Category.SENDER_REFUSED.value,
    }
)
"""Failures of a server that another one with the same host need not have: the login, how it is
encrypted and whom it trusts for that, its default sender.
"""


def own_settings(server: Server) -> OwnSettings:
    """What two servers must have in common for such a failure of one to be the other's as well.

    A refresh token is left out, since providers renew it by themselves: who sets a new one modifies
    the server.
    """
    return (
        server.encryption,
        server.verify,
        server.ca_file,
        server.pin,
        server.auth,
        server.password,
        server.oauth,
        server.client_secret,
        server.modified_at if server.refresh_token else 0,
        server.from_address,
        server.hello_name,
        server.local_address,
    )


def is_about_settings(outcome: Outcome) -> bool:
    """Whether a failure is about the settings of the server that met it, and not about its host.

    A login for which no access token could be had is one of them, the host not even having been
    asked, and so is a host that hangs up on a login or offers none that could be used.
    """
    if outcome.stage is Stage.AUTH and outcome.reply is None:
        return outcome.category != Category.NO_ANSWER and outcome.category != Category.GARBAGE
    return outcome.category in _ABOUT_SETTINGS
