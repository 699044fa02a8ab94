"""a client of the server API that posts as those do that exist: forms, and names without a value"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote_plus, urlencode

from pillarbox.net.http_client import Answer, LocalClient

Value = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The body as text: what such a client throws as its message."""
        return self.body.decode("utf-8")

    @property
    def media_type(self) -> str:
        """Without parameters."""
        return self.headers.get("content-type", "").partition(";")[0]

    def json(self) -> Any:
        """The document."""
        return json.loads(self.body)


def form_of(values: Mapping[str, Value]) -> bytes:
    """A form in which whatever is None is a bare name, and true and false are words."""
    parts = []
    for name, value in values.items():
        if value is None:
            parts.append(quote_plus(name))
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            parts.append(f"{quote_plus(name)}={quote_plus(text)}")
    return "&".join(parts).encode()


class FormClient:
    """One caller, with one token or none."""

    def __init__(
        self, url: str, token: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """`url` is that of the server, with the prefix the paths are looked for below."""
        self._url = url
        self._headers = dict(headers or {})
        self._token = token

    async def signed_in(self, username: str, password: str) -> Self:
        """The same, once the server has given a token."""
        reply = await self.log_in({"username": username, "password": password})
        assert reply.status == 200, reply.text
        return type(self)(self._url, reply.json()["token"], headers=self._headers)

    async def log_in(self, values: Mapping[str, Value]) -> Reply:
        """Ask for a token."""
        return await self.post("/auth/login", values)

    async def post(self, path: str, values: Mapping[str, Value]) -> Reply:
        """A form."""
        return await self.send("POST", path, form_of(values))

    async def post_json(self, path: str, document: object) -> Reply:
        """JSON, as newer programs send it."""
        return await self.send("POST", path, json.dumps(document).encode(), "application/json")

    async def get(self, path: str, **values: str | int) -> Reply:
        """With a query."""
        return await self.send("GET", f"{path}?{urlencode(values)}" if values else path, None)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        media_type: str = "application/x-www-form-urlencoded",
    ) -> Reply:
        """Anything at all, on a connection of its own."""
        headers = {"accept": "application/json", **self._headers}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["content-type"] = media_type

        def ask() -> Answer:
            with LocalClient(self._url) as line:
                return line.request(method, path, body=body, headers=headers)

        answer = await asyncio.to_thread(ask)
        return Reply(answer.status, answer.body, answer.headers)
