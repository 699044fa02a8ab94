"""one request on its way: the caller, the rooms, and how answers are written"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.api.auth import Caller, Verb
from pillarbox.api.bodies import check_json_type, read_body, read_shape
from pillarbox.api.rooms import Rooms
from pillarbox.policy.directory import Account

S = TypeVar("S", bound=msgspec.Struct)

PRIVATE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Goes with every answer: none of them is anybody else's business, and secrets may be in it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was admitted to a route."""

    rooms: Rooms
    request: Request
    caller: Caller
    request_id: str

    @property
    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return self.rooms.clock.now_ms()

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    async def body(self, *, message: bool = False) -> bytes:
        """The whole body; with `message` it may be as large as one. Raises `RequestError`."""
        config = self.rooms.config
        limit = config.max_body_mb * 1024 if message else config.max_small_body_kb
        return await read_body(self.request, limit=limit * 1024, seconds=config.body_seconds)

    async def shape(self, shape: type[S]) -> S:
        """The body as a `shape`. Raises `RequestError`, naming all mistakes."""
        check_json_type(self.request)
        return read_shape(await self.body(), shape)

    async def account(self) -> Account:
        """Whose things a caller adds to: their own account, for the owner the first one."""
        directory = self.rooms.storage.directory
        if self.caller.key is not None:
            return await directory.account(self.caller.key.account)
        return (await directory.accounts())[0]


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the route table."""

    method: str
    path: str
    verb: Verb
    handler: Handler


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(document), status, dict(headers or {}), "application/json")


def gone() -> Response:
    """The answer to a removal."""
    return Response(status_code=204)
