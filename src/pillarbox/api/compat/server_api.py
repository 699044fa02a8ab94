"""/private, /auth and their twins below /api: the calls of the server API, as data"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pillarbox.api.compat.parameters import Parameters, of_body, of_query
from pillarbox.api.compat.plain import NoSuchPath
from pillarbox.api.compat.private_emails import EmailCalls
from pillarbox.api.compat.server_apps import AppCalls
from pillarbox.api.compat.signed_in import Visitor, identify, log_in
from pillarbox.api.compat.smtp_servers import ServerCalls
from pillarbox.api.problems import RequestError
from pillarbox.api.rooms import Rooms

PREFIXES: Final = ("", "/api")
LOG_IN: Final = "/auth/login"
PRIVATE: Final = "/private"

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Visitor, Parameters], Awaitable[Response]]


def endpoints(rooms: Rooms, *, owner: bool) -> list[tuple[str, Endpoint]]:
    """The paths, each for every method; what else is asked for below them comes last."""
    servers, apps = ServerCalls(rooms), AppCalls(rooms)
    calls: list[tuple[str, str, Handler]] = [
        ("POST", "/smtps/save", servers.save),
        ("GET", "/smtps/findByApp", servers.find_by_app),
        ("GET", "/smtps/findById", servers.find_by_id),
        ("POST", "/smtps/remove", servers.remove),
        ("POST", "/smtps/check", servers.check),
        ("POST", "/apps/save", apps.save),
        ("GET", "/apps/findAll", apps.find_all),
        ("GET", "/apps/findById", apps.find_by_id),
        ("POST", "/apps/remove", apps.remove),
    ]

    async def log_in_here(request: Request) -> Response:
        _require("POST", request)
        return await log_in(rooms, request)

    def private(method: str, handler: Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            visitor = await identify(rooms, request, owner=owner)
            _require(method, request)
            given = of_query(request) if method == "GET" else await of_body(request, rooms)
            return await handler(visitor, given)

        return endpoint

    async def send(request: Request) -> Response:
        visitor = await identify(rooms, request, owner=owner)
        _require("POST", request)
        return await EmailCalls(rooms).send(visitor, request)

    async def nothing(request: Request) -> Response:
        """Who is not signed in does not learn what there is."""
        await identify(rooms, request, owner=owner)
        raise NoSuchPath

    found: list[tuple[str, Endpoint]] = []
    for prefix in PREFIXES:
        found.append((prefix + LOG_IN, log_in_here))
        for method, path, handler in calls:
            found.append((prefix + PRIVATE + path, private(method, handler)))
        found.append((prefix + PRIVATE + "/emails/send", send))
        found.append((prefix + PRIVATE + "/{rest:path}", nothing))
    return found


def _require(method: str, request: Request) -> None:
    asked = "GET" if request.method == "HEAD" else request.method
    if asked != method:
        raise RequestError(
            f"This call is made with {method}.", status=405, headers={"Allow": method}
        )
