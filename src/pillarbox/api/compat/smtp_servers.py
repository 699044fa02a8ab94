"""/private/smtps/*: the servers of an app, to the letter of the contract

A save says all of a server that these calls know: what it leaves out has its documented default
afterwards, also where it changes a server that is there. What only our own API knows stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.compat.known_passwords import KnownPasswords
from pillarbox.api.compat.parameters import BadParameter, Parameters
from pillarbox.api.compat.plain import (
    Specific,
    answer,
    app_not_found,
    done,
    hex_id,
    kept_time,
    saved_time,
    server_not_found,
)
from pillarbox.api.compat.signed_in import Visitor
from pillarbox.api.fields import address, host, one_line
from pillarbox.api.names import name_after
from pillarbox.api.rooms import Rooms
from pillarbox.api.test_mail import with_test_address
from pillarbox.policy.directory import App
from pillarbox.policy.disclosure import is_mask
from pillarbox.policy.server import Encryption, Kind, Server
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.terms.ids import ObjectId, new_object_id
from pillarbox.terms.secret import Secret

_USUAL_PRIORITY: Final = 10
_HIGHEST: Final = 2**31 - 1
_HIGHEST_PORT: Final = 65535
_TRIES: Final = 5


class ServerCalls:
    """The five calls."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._directory = rooms.storage.directory
        self._passwords = KnownPasswords(rooms)

    async def save(self, visitor: Visitor, parameters: Parameters) -> Response:
        """A server as it is described: a new one, or with idsmtp one that is there."""
        visitor.require_edit()
        parameters.required("idapp")
        values = _values(parameters)
        app = await self._app(visitor, parameters.id("idapp"))
        before = None
        if parameters.text("idsmtp") is not None:
            before = (await self._server(visitor, parameters.id("idsmtp")))[0]
            # A server stays with its app: its circuit, its queue and its errors are told there.
            if before.app != app.id:
                raise server_not_found()
        server = await self._saved(app, before, values)
        (shown,) = await self._passwords.of(visitor, app, [server])
        return answer(_view(server, shown, saved_time))

    async def find_by_app(self, visitor: Visitor, parameters: Parameters) -> Response:
        """An app's servers, by priority; of an app that is not there, none."""
        wanted = parameters.id("idapp")
        try:
            app = await self._app(visitor, wanted)
        except Specific:
            return answer([])
        servers = [each for each in await self._directory.servers(app.id) if _is_server(each)]
        shown = await self._passwords.of(visitor, app, servers)
        return answer([_view(*each, kept_time) for each in zip(servers, shown, strict=True)])

    async def find_by_id(self, visitor: Visitor, parameters: Parameters) -> Response:
        """One server."""
        server, app = await self._server(visitor, parameters.id("idsmtp"))
        (shown,) = await self._passwords.of(visitor, app, [server])
        return answer(_view(server, shown, kept_time))

    async def remove(self, visitor: Visitor, parameters: Parameters) -> Response:
        """It is gone. The parameter is called idapp in the description, and holds a server's id."""
        visitor.require_edit()
        server, _ = await self._server(visitor, parameters.id("idsmtp", "idapp"))
        try:
            await self._directory.remove_server(server.id)
        except NotFound:
            raise server_not_found() from None
        return done()

    async def check(self, visitor: Visitor, parameters: Parameters) -> Response:
        """It is tried out with a mail, and enabled or disabled by what came of it."""
        visitor.require_edit()
        found = await self._known(parameters.id("idsmtp", "idapp"))
        try:
            app = await self._directory.app(found.app)
        except NotFound:
            raise app_not_found() from None
        if not visitor.sees(app):
            raise server_not_found()
        app = await with_test_address(self._rooms, app)
        report = await self._rooms.checker.check(found, app)
        if not report.ok:
            raise Specific(report.sentence)
        return done()

    # --- finding and keeping ------------------------------------------------------------------

    async def _app(self, visitor: Visitor, wanted: ObjectId | None) -> App:
        try:
            app = await self._directory.app(wanted or ObjectId(b""))
        except NotFound:
            raise app_not_found() from None
        if not visitor.sees(app):
            raise app_not_found()
        return app

    async def _known(self, wanted: ObjectId | None) -> Server:
        try:
            server = await self._directory.server(wanted or ObjectId(b""))
        except NotFound:
            raise server_not_found() from None
        if not _is_server(server):
            raise server_not_found()
        return server

    async def _server(self, visitor: Visitor, wanted: ObjectId | None) -> tuple[Server, App]:
        server = await self._known(wanted)
        try:
            return server, await self._app(visitor, server.app)
        except Specific:
            raise server_not_found() from None

    async def _saved(self, app: App, before: Server | None, values: dict[str, Any]) -> Server:
        """Kept under a name that is free in its app. Raises `Conflict` where that goes on failing."""
        for attempt in range(_TRIES):
            server = _changed(before, app, values, self._rooms.clock.now_ms())
            others = [each.name for each in await self._directory.servers(app.id)
                      if each.id != server.id]  # fmt: skip
            if before is None or before.host != server.host:
                server = replace(server, name=name_after(server.host, others))
            try:
                await self._directory.save_server(server)
            except Conflict:
                # Somebody saved one for the same host between our look and our write.
                if attempt == _TRIES - 1:
                    raise
                continue
            return server
        raise AssertionError("unreachable")


def _is_server(way: Server) -> bool:
    """Direct delivery is a way out as well, and nothing that clients of these calls could show."""
    return way.kind is Kind.SMTP


def _changed(before: Server | None, app: App, values: dict[str, Any], now_ms: int) -> Server:
    if before is None:
        if values["password"] is None:
            raise BadParameter("password is the mask that stands for one, and there is none yet.")
        return Server(id=new_object_id(), app=app.id, name="", created_at=now_ms,
                      modified_at=now_ms, **_with_secret(values))  # fmt: skip
    kept = dict(values)
    if kept["password"] is None:
        del kept["password"]
    return replace(before, modified_at=max(now_ms, before.modified_at + 1), **_with_secret(kept))


def _with_secret(values: dict[str, Any]) -> dict[str, Any]:
    if "password" not in values:
        return values
    return {**values, "password": Secret(values["password"]) if values["password"] else None}


def _values(parameters: Parameters) -> dict[str, Any]:
    """All that a save says of a server; a password of None is the one that is there."""
    parameters.required("host")
    auth = parameters.switch("auth")
    username = parameters.checked(one_line, "", "username")
    password = parameters.text("password")
    if auth and not username:
        raise BadParameter("username is missing.")
    if auth and password is None:
        raise BadParameter("password is missing.")
    return {
        "host": parameters.checked(host, "", "host"),
        "port": parameters.number("port", None, 1, _HIGHEST_PORT),
        "priority": parameters.number("priority", _USUAL_PRIORITY, 0, _HIGHEST),
        "username": username,
        "password": None if password is not None and is_mask(password) else password or "",
        "auth": auth,
        "encryption": _encryption(parameters),
        "debug": parameters.switch("debug"),
        "from_address": parameters.checked(address, "", "defaultfromemail", "defaulfromemail"),
        "from_name": parameters.checked(one_line, "", "defaultfromname", most=100),
    }


def _encryption(parameters: Parameters) -> Encryption:
    """TLS from the first byte leaves nothing for STARTTLS to do."""
    starttls = parameters.switch("starttls", "startstls")
    if parameters.switch("ssltls"):
        return Encryption.TLS
    return Encryption.STARTTLS if starttls else Encryption.NONE


def _view(server: Server, password: str, time: Any) -> dict[str, Any]:
    return {
        "_id": hex_id(server.id),
        "idapp": hex_id(server.app),
        "priority": server.priority,
        "host": server.host,
        "port": server.port,
        "username": server.username,
        "password": password,
        "auth": server.auth and bool(server.username),
        "starttls": server.encryption is Encryption.STARTTLS,
        "sslTls": server.encryption is Encryption.TLS,
        "debug": server.debug,
        "defaultfromemail": server.from_address,
        "defaultfromname": server.from_name,
        "numerrors": server.errors,
        "created": time(server.created_at),
        "modified": time(server.modified_at),
        "status": server.status,
    }
