"""servers: an app's ways out, in their order"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.fields import Names, Port, Short, address, given, host, one_line
from pillarbox.api.finding import find_app, find_server
from pillarbox.api.names import thing_name
from pillarbox.api.paging import page, read_query
from pillarbox.api.v1.routes import refuse_if_ruled
from pillarbox.policy.directory import App
from pillarbox.policy.routing import ACTIVE, DISABLED
from pillarbox.policy.server import Encryption, Server
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import format_object_id, new_object_id
from pillarbox.terms.secret import Secret

_USUAL_PORT: Final = {Encryption.NONE: 25, Encryption.STARTTLS: 587, Encryption.TLS: 465}
_Password = Annotated[str, Meta(max_length=1000)]
_Path = Annotated[str, Meta(max_length=4096)]


class ServerChange(Struct):
    """What may be changed about a server. A password of null takes it away."""

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "name": thing_name,
        "host": host,
        "username": one_line,
        "ca_file": one_line,
        "from_address": address,
        "from_name": one_line,
    }

    name: str | UnsetType = UNSET
    host: Names | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    encryption: Encryption | UnsetType = UNSET
    verify: bool | UnsetType = UNSET
    ca_file: _Path | UnsetType = UNSET
    username: Names | UnsetType = UNSET
    password: _Password | None | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    max_connections: Annotated[int, Meta(ge=1, le=1000)] | UnsetType = UNSET
    from_address: Names | UnsetType = UNSET
    from_name: Short | UnsetType = UNSET


class NewServer(ServerChange, kw_only=True):
    """What a new server is made from; without a name it is called as its host."""

    host: Names


def server_view(server: Server, app: App) -> dict[str, Any]:
    """A server as programs see it; of its password only whether there is one."""
    return {
        "id": format_object_id("srv", server.id),
        "app": app.name,
        "name": server.name,
        "host": server.host,
        "port": server.port,
        "encryption": server.encryption,
        "verify": server.verify,
        "ca_file": server.ca_file,
        "username": server.username,
        "password_set": bool(server.password),
        "priority": server.priority,
        "weight": server.weight,
        "status": server.status,
        "enabled": server.status == ACTIVE,
        "errors": server.errors,
        "max_connections": server.max_connections,
        "from_address": server.from_address,
        "from_name": server.from_name,
        "created_at": format_instant(server.created_at),
        "modified_at": format_instant(server.modified_at),
    }


async def list_servers(call: Call) -> Response:
    """An app's servers, by priority."""
    read_query(call.request, "limit")
    app = await find_app(call, call.part("app"))
    servers = await call.rooms.storage.directory.servers(app.id)
    return answer(page([server_view(each, app) for each in servers]))


async def add_server(call: Call) -> Response:
    """A new server of an app, ready to be used."""
    app = await find_app(call, call.part("app"))
    values = _values(await call.shape(NewServer))
    encryption = values.get("encryption", Encryption.STARTTLS)
    server = Server(
        id=new_object_id(),
        app=app.id,
        created_at=call.now_ms,
        modified_at=call.now_ms,
        **{"name": values["host"], "port": _USUAL_PORT[encryption], **values},
    )
    await call.rooms.storage.directory.save_server(server)
    place = f"/pillarbox/v1/servers/{format_object_id('srv', server.id)}"
    return answer(server_view(server, app), 201, {"Location": place})


async def show_server(call: Call) -> Response:
    """One server."""
    app, server = await _named(call)
    return answer(server_view(server, app))


async def change_server(call: Call) -> Response:
    """Only the fields that are named change."""
    app, server = await _named(call)
    return await _save(call, app, server, _values(await call.shape(ServerChange)))


async def remove_server(call: Call) -> Response:
    """What waits is delivered by the app's other servers. Refused while rules name it."""
    _, server = await _named(call)
    await refuse_if_ruled(call, server)
    await call.rooms.storage.directory.remove_server(server.id)
    return gone()


async def enable_server(call: Call) -> Response:
    """It may be used again."""
    app, server = await _named(call)
    return await _save(call, app, server, {"status": ACTIVE})


async def disable_server(call: Call) -> Response:
    """It is left alone until somebody enables it."""
    app, server = await _named(call)
    return await _save(call, app, server, {"status": DISABLED})


async def _named(call: Call) -> tuple[App, Server]:
    query = read_query(call.request, "app")
    return await find_server(call, call.part("server"), query.get("app"))


async def _save(call: Call, app: App, server: Server, values: dict[str, Any]) -> Response:
    changed = replace(server, modified_at=call.now_ms, **values)
    await call.rooms.storage.directory.save_server(changed)
    return answer(server_view(changed, app))


def _values(shape: ServerChange) -> dict[str, Any]:
    values = given(shape)
    if "password" in values:
        values["password"] = Secret(values["password"]) if values["password"] else None
    return values


ENTRIES: Final = (
    Entry("GET", "/apps/{app}/servers", Verb.READ, list_servers),
    Entry("POST", "/apps/{app}/servers", Verb.MANAGE, add_server),
    Entry("GET", "/servers/{server}", Verb.READ, show_server),
    Entry("PATCH", "/servers/{server}", Verb.MANAGE, change_server),
    Entry("DELETE", "/servers/{server}", Verb.MANAGE, remove_server),
    Entry("POST", "/servers/{server}/enable", Verb.MANAGE, enable_server),
    Entry("POST", "/servers/{server}/disable", Verb.MANAGE, disable_server),
)
