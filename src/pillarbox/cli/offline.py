"""the API where no server runs: requests handed to the application in this very process"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pillarbox.net.http_client import Answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pillarbox.settings import Settings


class OfflineTransport:
    """Requests to an ASGI application, one after the other, on a loop of our own."""

    def __init__(self, runner: asyncio.Runner, app: ASGIApp) -> None:
        """The application lives on the loop of `runner`."""
        self._runner = runner
        self._app = app

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask and collect the whole answer."""
        sent = {"host": "localhost", **(headers or {})}
        if document is not None:
            body = json.dumps(document).encode()
            sent.setdefault("content-type", "application/json")
        return self._runner.run(_ask(self._app, method, path, body or b"", sent))


@contextmanager
def offline_client(settings: Settings) -> Iterator[OfflineTransport]:
    """Open the data directory itself for as long as the context lasts.

    Raises `DataDirLocked` where another process owns it, and whatever opening it raises.
    """
    from pillarbox.observe.log import LogConfig, configure
    from pillarbox.wiring import open_offline

    configure(sys.stderr, LogConfig(level="warning"))
    with asyncio.Runner() as runner:
        context = open_offline(settings)
        app = runner.run(_entered(context))
        try:
            yield OfflineTransport(runner, app)
        finally:
            runner.run(_left(context))


async def _entered(context: Any) -> Any:
    return await context.__aenter__()


async def _left(context: Any) -> None:
    await context.__aexit__(None, None, None)


async def _ask(
    app: ASGIApp, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    bare, _, query = path.partition("?")
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(bare),
        "raw_path": bare.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": None,
    }
    status = 500
    received: dict[str, str] = {}
    blocks: list[bytes] = []
    asked = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if asked:
            # The caller never hangs up before the answer is complete.
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            received.update((n.decode(), v.decode()) for n, v in message.get("headers", ()))
        elif message["type"] == "http.response.body":
            blocks.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, received, b"".join(blocks))
