"""where access tokens come from, and where a refresh token goes that replaces another"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pillarbox.net.access_tokens import AccessTokens
from pillarbox.net.consents import Consents
from pillarbox.net.web_client import WebClient
from pillarbox.policy.server import Server
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.secret import Secret


def access_tokens(directory: DirectoryStore, clock: Clock) -> tuple[AccessTokens, Consents]:
    """Tokens of servers, whose replaced refresh tokens are stored with them; and consents, which
    give the first.
    """

    async def keep(server: Server, before: Collection[Secret | None], token: Secret) -> None:
        now = await directory.server(server.id)
        # What a person has entered meanwhile is newer than what came of the old one.
        if now.oauth == server.oauth and now.refresh_token in before:
            await directory.save_server(replace(now, refresh_token=token))

    web = WebClient(clear_on_loopback=True)
    return AccessTokens(web, clock, keep), Consents(web, clock)
