"""the routes of the REST face, in its two variants: for everybody with a key, and for the owner"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pillarbox.api.auth import OWNER, identify
from pillarbox.api.autoconfig import CONFIG_PATHS, DISCOVER_PATHS, AutoconfigRoutes
from pillarbox.api.bodies import LEASE, BodyRoom
from pillarbox.api.calls import PRIVATE, Call, Entry
from pillarbox.api.compat import email_service, plain, server_api
from pillarbox.api.health import HealthRoutes
from pillarbox.api.problems import RequestError, answer_to
from pillarbox.api.rooms import Rooms
from pillarbox.api.v1 import (
    accounts,
    apps,
    certificates,
    checks,
    connecting,
    connection_problems,
    consents,
    credentials,
    domain_keys,
    domains,
    events,
    explaining,
    keys,
    lanes,
    messages,
    nodes,
    previews,
    queue,
    rotation,
    routes,
    servers,
    status,
    tls,
    tracking,
    users,
)
from pillarbox.terms.ids import ObjectId, format_object_id, new_object_id

PREFIX: Final = "/pillarbox/v1"
ENTRIES: Final[tuple[Entry, ...]] = (
    *explaining.ENTRIES,
    *previews.ENTRIES,
    *messages.ENTRIES,  # first, since they are looked through in this order
    *status.ENTRIES,
    *accounts.ENTRIES,
    *domain_keys.ENTRIES,
    *domains.ENTRIES,
    *apps.ENTRIES,
    *servers.ENTRIES,
    *checks.ENTRIES,
    *consents.ENTRIES,
    *routes.ENTRIES,
    *connection_problems.ENTRIES,  # before the names of credentials
    *credentials.ENTRIES,
    *connecting.ENTRIES,
    *rotation.ENTRIES,
    *keys.ENTRIES,
    *lanes.ENTRIES,
    *users.ENTRIES,
    *queue.ENTRIES,
    *events.ENTRIES,
    *nodes.ENTRIES,
    *tls.ENTRIES,
    *tracking.ENTRIES,
    *certificates.ENTRIES,
)
"""Our own API, as data."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IDS: Final = 1 << 96
_IN_SCOPE: Final = "pillarbox.request_id"

Endpoint = Callable[[Request], Awaitable[Response]]
Answering = Callable[[Exception, str], Response]


def build_app(rooms: Rooms, *, owner: bool = False) -> ASGIApp:
    """The ASGI application.

    With `owner` nobody is asked for a key and everything is permitted: only for a socket that
    nobody but the owner of the data directory can open.
    """
    health = HealthRoutes(rooms, owner=owner)
    routes = [
        Route("/healthz", _Guarded(_only("GET", health.live), answer_to)),
        Route("/readyz", _Guarded(_only("GET", health.ready), answer_to)),
        Route("/metrics", _Guarded(_only("GET", health.metrics), answer_to)),
    ]
    programs = AutoconfigRoutes(rooms)
    for path in CONFIG_PATHS:
        routes.append(Route(path, _Guarded(_only("GET", programs.config), answer_to)))
    for path in DISCOVER_PATHS:
        routes.append(Route(path, _Guarded(_only("POST", programs.discover), answer_to)))
    for path, entries in _by_path(ENTRIES).items():
        endpoint = _native(rooms, entries, owner=owner)
        routes.append(Route(PREFIX + path, _Guarded(endpoint, answer_to)))
    for path, endpoint in server_api.endpoints(rooms, owner=owner):
        routes.append(Route(path, _Guarded(endpoint, plain.answer_to)))
    for path, endpoint in email_service.endpoints(rooms, owner=owner):
        routes.append(Route(path, _Guarded(endpoint, email_service.answer_to)))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _nothing_here})
    app.router.redirect_slashes = False
    return _Face(app, BodyRoom(rooms.config.bodies_mb * 1024 * 1024))


def _by_path(entries: Iterable[Entry]) -> dict[str, dict[str, Entry]]:
    by_path: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        by_path.setdefault(entry.path, {})[entry.method] = entry
    return by_path


def _native(rooms: Rooms, entries: dict[str, Entry], *, owner: bool) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        caller = OWNER if owner else await identify(rooms, request)
        entry = entries.get(_method(request))
        if entry is None:
            raise _wrong_method(request, entries)
        caller.require(entry.verb)
        return await entry.handler(Call(rooms, request, caller, request_id_of(request)))

    return endpoint


def _only(method: str, endpoint: Endpoint) -> Endpoint:
    async def checked(request: Request) -> Response:
        if _method(request) != method:
            raise _wrong_method(request, (method,))
        return await endpoint(request)

    return checked


def _method(request: Request) -> str:
    return "GET" if request.method == "HEAD" else request.method


def _wrong_method(request: Request, known: Iterable[str]) -> RequestError:
    names = ", ".join(sorted(known))
    return RequestError(
        f"{request.method[:20]} is not possible here.",
        status=405,
        fix=f"Possible are: {names}.",
        headers={"Allow": names},
    )


def request_id_of(request: Request) -> str:
    """The number a request goes by in the log and in its answer."""
    return str(request.scope[_IN_SCOPE])


async def _nothing_here(request: Request, error: Exception) -> Response:
    """For what matches no route."""
    ours = RequestError(
        f"There is nothing at {request.url.path[:100]!r}.",
        code="not_found",
        fix=f"The API is found under {PREFIX}, the email service under /api/v2.",
    )
    face = email_service.answer_to if request.url.path.startswith("/api/") else answer_to
    return face(ours, request_id_of(request))


class _Guarded:
    """An endpoint for every method, whose errors become answers."""

    def __init__(self, endpoint: Endpoint, answering: Answering) -> None:
        self._endpoint = endpoint
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._endpoint(request)
        except Exception as error:
            response = self._answering(error, request_id_of(request))
        await response(scope, receive, send)


class _Face:
    """Gives each request its number, and each answer what all of them carry."""

    def __init__(self, app: ASGIApp, bodies: BodyRoom) -> None:
        self._app = app
        self._bodies = bodies
        self._number = int.from_bytes(new_object_id(), "big")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or self._next_id()
        scope[_IN_SCOPE] = request_id
        always = [
            (b"request-id", request_id.encode("ascii")),
            *((name.lower().encode(), value.encode()) for name, value in PRIVATE.items()),
        ]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *always]
            await send(message)

        lease = scope[LEASE] = self._bodies.lease()
        try:
            await self._app(scope, receive, sending)
        finally:
            lease.give_back()

    def _next_id(self) -> str:
        """Counted on from a random start: asking for randomness each time would be slower."""
        self._number += 1
        return format_object_id("req", ObjectId((self._number % _IDS).to_bytes(12, "big")))


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _REQUEST_ID.fullmatch(text) else None
    return None
