"""a line to a server, opened as its settings say: the same for mail and for a check"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pillarbox.net.access_tokens import AccessTokens
from pillarbox.net.client_facts import ClientTimeouts
from pillarbox.net.errors import LoginFailed
from pillarbox.net.progress import Progress, Told
from pillarbox.net.smtp_client import Connection
from pillarbox.policy.server import Server
from pillarbox.terms.secret import Secret


class Lines:
    """Opens lines. The only place where a server's settings become those of a connection."""

    def __init__(
        self,
        hostname: str,
        timeouts: ClientTimeouts,
        tokens: AccessTokens | None = None,
        mx_connect_seconds: float | None = None,
    ) -> None:
        """`hostname` is said to servers that have no EHLO name of their own. Without `tokens` nobody
        logs in by one. Connecting to an MX host takes as long as to a server unless
        `mx_connect_seconds` says otherwise.
        """
        self._hostname = hostname
        self._timeouts = timeouts
        self._tokens = tokens
        self._mx_timeouts = timeouts
        if mx_connect_seconds is not None:
            self._mx_timeouts = replace(timeouts, connect_seconds=mx_connect_seconds)

    async def open(self, server: Server, told: Told | None = None) -> Connection:
        """Connect and come to the point where mail may be sent; `told` hears of each stage.

        Raises `Broken`, or `TlsFilesUnusable` for the authority's file.
        """
        if server.oauth is None or not server.auth:
            return await self._connect(server, told, None)
        if self._tokens is None:
            raise LoginFailed(
                "could not be logged in at: nobody asks for tokens here", lasting=True
            )
        # A line may be opened twice, where a token that was kept is no longer good.
        once = _once(told) if told is not None else None

        async def attempt(token: Secret) -> Connection:
            return await self._connect(server, once, token)

        return await self._tokens.login(server, attempt)

    async def _connect(self, server: Server, told: Told | None, token: Secret | None) -> Connection:
        username = server.username if server.auth else ""
        return await Connection.open(
            server.host,
            server.port,
            encryption=server.encryption.value,
            verify=server.verify,
            ca_file=server.ca_file,
            hello_name=server.hello_name or self._hostname,
            username=username,
            password=server.password if username else None,
            token=token,
            timeouts=self._mx_timeouts if server.is_mx_host else self._timeouts,
            local_address=server.local_address,
            told=told,
            pin=server.pin,
            plan=server.tls,
            addresses=server.addresses,
        )


def _once(told: Told) -> Callable[[Progress], None]:
    behind: set[str] = set()

    def tell(progress: Progress) -> None:
        if progress.stage not in behind:
            behind.add(progress.stage)
            told(progress)

    return tell
