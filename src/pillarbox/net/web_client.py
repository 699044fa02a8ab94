"""requests to web servers of strangers: one at a time each, everything about them bounded

No redirect is followed, no cookie kept, nothing decompressed, no proxy asked. What comes back is
whatever the server said; what it means is for the caller to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpcore2

from pillarbox.net.tls import new_client_context
from pillarbox.net.web_errors import WebAddressInvalid, WebFailed, WebFault
from pillarbox.net.web_stream import LookUp, Permits, WebDialler, addresses_by_name

__all__ = ["WebAnswer", "WebClient", "read_address"]

_ADDRESS_CHARACTERS: Final = 2048
_BODY_BYTES: Final = 64 * 1024
_TOTAL_SECONDS: Final = 20.0
_LARGEST_PORT: Final = 65535
_AGENT: Final = "Pillarbox"


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a web server said."""

    status: int
    fields: Mapping[str, str]
    """Header fields, their names in lower case; of those that came twice, the last."""
    body: bytes

    @property
    def media_type(self) -> str:
        """Such as ``text/plain``, in lower case and without parameters."""
        return self.fields.get("content-type", "").partition(";")[0].strip().lower()


class WebAddress(NamedTuple):
    """A URL, taken apart."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""


def read_address(url: str, *, clear_on_loopback: bool = False, clear: bool = False) -> WebAddress:
    """Take an https URL apart. Raises `WebAddressInvalid`.

    With `clear_on_loopback` also http is taken, for hosts that are loopback addresses; with `clear`,
    for all.
    """
    if len(url) > _ADDRESS_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise WebAddressInvalid("a URL has up to 2048 printable ASCII characters without blanks")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebAddressInvalid("this is no URL", fix="write it as https://host/path") from error
    host = (parts.hostname or "").rstrip(".")
    if not host or parts.username is not None or parts.password is not None:
        raise WebAddressInvalid(
            "a URL needs a host, and no user name before it", fix="write it as https://host/path"
        )
    may_be_clear = clear or (clear_on_loopback and _is_loopback(host))
    if parts.scheme != "https" and not (parts.scheme == "http" and may_be_clear):
        raise WebAddressInvalid(
            "only https is asked, so that nobody between can read or answer",
            fix="write it as https://host/path",
        )
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    if not 0 < port <= _LARGEST_PORT:
        raise WebAddressInvalid("the port of a URL lies between 1 and 65535")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebAddress(parts.scheme, host, port, target)


class WebClient:
    """Asks web servers. Connections are kept for a while and belong to one event loop.

    Every failure is `WebFailed`; a status of 500 is none, but an answer.
    """

    def __init__(
        self,
        *,
        ca_file: str = "",
        permits: Permits | None = None,
        look_up: LookUp = addresses_by_name,
        clear_on_loopback: bool = False,
        clear: bool = False,
        max_connections: int = 10,
        kept_seconds: float = 5.0,
    ) -> None:
        """`ca_file` replaces the authorities this machine trusts; raises `TlsFilesUnusable`.

        `permits` is asked about each address before it is connected to; `policy.networks.is_public`
        fits. With `clear_on_loopback` http is allowed towards loopback addresses; with `clear`
        towards all, for what is no secret and is checked by whoever takes it.
        """
        self._clear = clear
        self._clear_on_loopback = clear_on_loopback
        # httpcore2 changes the context it is given. The authorities of the machine are many, and most
        # processes never ask anybody.
        self._context = new_client_context(ca_file) if ca_file else None
        self._dialler = WebDialler(look_up, permits)
        self._max_connections = max_connections
        self._kept_seconds = kept_seconds
        self._pool: httpcore2.AsyncConnectionPool | None = None

    async def get(
        self,
        url: str,
        *,
        fields: Mapping[str, str] | None = None,
        seconds: float = _TOTAL_SECONDS,
        max_bytes: int = _BODY_BYTES,
    ) -> WebAnswer:
        """GET `url`: all within `seconds`, and a body of at most `max_bytes`.

        Raises `WebFailed`, and `WebAddressInvalid` before anything is sent.
        """
        return await self._ask("GET", url, None, fields or {}, seconds, max_bytes)

    async def head(
        self,
        url: str,
        *,
        fields: Mapping[str, str] | None = None,
        seconds: float = _TOTAL_SECONDS,
        max_bytes: int = _BODY_BYTES,
    ) -> WebAnswer:
        """HEAD `url`; otherwise like `get`."""
        return await self._ask("HEAD", url, None, fields or {}, seconds, max_bytes)

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        fields: Mapping[str, str] | None = None,
        seconds: float = _TOTAL_SECONDS,
        max_bytes: int = _BODY_BYTES,
    ) -> WebAnswer:
        """POST `body` to `url`; otherwise like `get`. It is never sent twice."""
        return await self._ask("POST", url, body, fields or {}, seconds, max_bytes)

    async def close(self) -> None:
        """Close the connections that were kept."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _ask(
        self,
        method: str,
        url: str,
        body: bytes | None,
        fields: Mapping[str, str],
        seconds: float,
        max_bytes: int,
    ) -> WebAnswer:
        address = read_address(url, clear_on_loopback=self._clear_on_loopback, clear=self._clear)
        host = address.host
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(method, address, body, fields, max_bytes)
        except WebFailed:
            raise
        except TimeoutError:
            words = f"did not finish its answer within {seconds:g} seconds"
            raise WebFailed(host, WebFault.TIME, words) from None
        except (httpcore2.RemoteProtocolError, httpcore2.LocalProtocolError) as error:
            words = "answered something that is not HTTP, or broke off"
            raise WebFailed(host, WebFault.GARBAGE, words) from error
        except (httpcore2.NetworkError, httpcore2.TimeoutException, OSError) as error:
            words = "closed the connection before its answer was complete"
            raise WebFailed(host, WebFault.LOST, words) from error

    async def _exchange(
        self,
        method: str,
        address: WebAddress,
        body: bytes | None,
        fields: Mapping[str, str],
        max_bytes: int,
    ) -> WebAnswer:
        named = f"[{address.host}]" if ":" in address.host else address.host
        default = 443 if address.scheme == "https" else 80
        sent = {
            "host": named if address.port == default else f"{named}:{address.port}",
            "user-agent": _AGENT,
            "accept": "*/*",
            **fields,
        }
        if body is not None:
            sent["content-length"] = str(len(body))
        request = httpcore2.Request(
            method,
            httpcore2.URL(
                scheme=address.scheme.encode("ascii"),
                host=address.host.encode("ascii"),
                port=address.port,
                target=address.target.encode("ascii"),
            ),
            headers=[
                (name.encode("ascii"), value.encode("latin-1")) for name, value in sent.items()
            ],
            content=body,
        )
        response = await self._connections().handle_async_request(request)
        try:
            whole = bytearray()
            async for piece in response.aiter_stream():
                whole += piece
                if len(whole) > max_bytes:
                    words = f"answered with more than {max_bytes} bytes"
                    raise WebFailed(address.host, WebFault.TOO_LONG, words)
        finally:
            await response.aclose()
        answered = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        return WebAnswer(response.status, answered, bytes(whole))

    def _connections(self) -> httpcore2.AsyncConnectionPool:
        if self._pool is None:
            self._pool = httpcore2.AsyncConnectionPool(
                ssl_context=self._context or new_client_context(),
                max_connections=self._max_connections,
                keepalive_expiry=self._kept_seconds,
                network_backend=self._dialler,
            )
        return self._pool


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
