"""the little face that an authority looks at: what proves that a host name is ours (RFC 8555 §8.3)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

PATH: Final = "/.well-known/acme-challenge/"
_MOST_CHARACTERS: Final = 200

Said = Callable[[str], Awaitable[str | None]]
"""What a token is answered with; None where it is none of ours."""


def build_challenges(said: Said) -> ASGIApp:
    """An application that answers this and nothing else. It reads no body and keeps nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, body = 404, b"Nothing is here.\n"
        token = str(scope["path"]).removeprefix(PATH)
        reads = scope["method"] in ("GET", "HEAD")
        if reads and scope["path"] == PATH + token and 0 < len(token) <= _MOST_CHARACTERS:
            found = await said(token)
            if found is not None:
                status, body = 200, found.encode("ascii")
        fields = [
            (b"content-type", b"application/octet-stream" if status == 200 else b"text/plain"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        sent = body if scope["method"] != "HEAD" else b""
        await send({"type": "http.response.body", "body": sent})

    return app
