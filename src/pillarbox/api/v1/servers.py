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
from pillarbox.api.fields import (
    Names,
    Port,
    Senders,
    Short,
    address,
    given,
    hello_name,
    host,
    one_line,
    own_address,
    pattern,
    pin,
)
from pillarbox.api.finding import find_app, find_server
from pillarbox.api.names import thing_name
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake
from pillarbox.api.v1.routes import refuse_if_ruled
from pillarbox.api.v1.server_oauth import OAuthChange, RefreshToken, oauth_view, with_oauth
from pillarbox.api.v1.server_standing import standings
from pillarbox.policy.checkup import warnings_of
from pillarbox.policy.directory import App
from pillarbox.policy.events import SwitchFacts
from pillarbox.policy.presets import RegionNeeded, UnknownPreset, fill_in
from pillarbox.policy.routing import ACTIVE, DISABLED
from pillarbox.policy.server import Encryption, Kind, SenderRule, Server
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import format_object_id, new_object_id
from pillarbox.terms.secret import Secret

_USUAL_PORT: Final = {Encryption.NONE: 25, Encryption.STARTTLS: 587, Encryption.TLS: 465}
_Password = Annotated[str, Meta(max_length=1000)]
_Path = Annotated[str, Meta(max_length=4096)]
_Rate = Annotated[int, Meta(ge=0, le=1_000_000_000)]
_DIRECT: Final = frozenset(
    {
        "name", "kind", "priority", "weight", "max_connections", "hello_name", "local_address",
        "max_per_second", "max_per_minute", "max_per_day",
    }
)  # fmt: skip
"""What may be said about a direct way."""
_DIRECT_CONNECTIONS: Final = 300
"""It leads to many hosts: as many as all direct ways have together (`direct.connections`)."""


class ServerChange(Struct):
    """What may be changed about a server. A password of null takes it away."""

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "name": thing_name,
        "host": host,
        "username": one_line,
        "ca_file": one_line,
        "from_address": address,
        "from_name": one_line,
        "pin": pin,
        "hello_name": hello_name,
        "local_address": own_address,
        "preset": one_line,
        "allowed_senders": pattern,
        "client_secret": one_line,
        "refresh_token": one_line,
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
    auth: bool | UnsetType = UNSET
    pin: Short | UnsetType = UNSET
    hello_name: Names | UnsetType = UNSET
    local_address: Short | UnsetType = UNSET
    preset: Short | UnsetType = UNSET
    allowed_senders: Senders | UnsetType = UNSET
    sender_rule: SenderRule | UnsetType = UNSET
    max_per_second: Annotated[float, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    max_per_minute: _Rate | UnsetType = UNSET
    max_per_day: _Rate | UnsetType = UNSET
    oauth: OAuthChange | None | UnsetType = UNSET
    client_secret: _Password | None | UnsetType = UNSET
    refresh_token: RefreshToken | None | UnsetType = UNSET


class NewServer(ServerChange, kw_only=True):
    """What a new server is made from; without a name it is called as its host.

    A `preset` fills in what is not said, in a `region` where the service has several. A direct way
    has no host.
    """

    host: Names | UnsetType = UNSET
    kind: Kind = Kind.SMTP
    region: Short = ""


def server_view(server: Server, app: App) -> dict[str, Any]:
    """A server as programs see it; of its password only whether there is one."""
    return {
        "id": format_object_id("srv", server.id),
        "app": app.name,
        "name": server.name,
        "kind": server.kind,
        "preset": server.preset,
        "host": server.host,
        "port": server.port,
        "encryption": server.encryption,
        "verify": server.verify,
        "ca_file": server.ca_file,
        "pin": server.pin,
        "hello_name": server.hello_name,
        "local_address": server.local_address,
        "auth": server.auth,
        "username": server.username,
        "password_set": bool(server.password),
        "oauth": oauth_view(server),
        "priority": server.priority,
        "weight": server.weight,
        "status": server.status,
        "enabled": server.status == ACTIVE,
        "errors": server.errors,
        "max_connections": server.max_connections,
        "from_address": server.from_address,
        "max_per_second": server.max_per_second,
        "max_per_minute": server.max_per_minute,
        "max_per_day": server.max_per_day,
        "from_name": server.from_name,
        "sender_rule": server.sender_rule,
        "allowed_senders": server.allowed_senders,
        "warnings": warnings_of(server),
        "created_at": format_instant(server.created_at),
        "modified_at": format_instant(server.modified_at),
    }


async def list_servers(call: Call) -> Response:
    """An app's servers, by priority."""
    read_query(call.request, "limit")
    app = await find_app(call, call.part("app"))
    servers = await call.rooms.storage.directory.servers(app.id)
    stand = await standings(call, servers)
    views = [server_view(each, app) | how for each, how in zip(servers, stand, strict=True)]
    return answer(page(views))


async def add_server(call: Call) -> Response:
    """A new server of an app, ready to be used."""
    app = await find_app(call, call.part("app"))
    values = with_oauth(_values(await call.shape(NewServer)), None)
    kind, region = values.get("kind", Kind.SMTP), values.pop("region", "")
    if kind is Kind.DIRECT:
        _only_direct(values)
        values = {
            "name": "direct", "host": "", "port": 25, "max_connections": _DIRECT_CONNECTIONS,
            **values,
        }  # fmt: skip
    elif values.get("preset"):
        values = _from_preset(call, values, region)
    if kind is Kind.SMTP and "host" not in values:
        raise InvalidRequest([Mistake("/host", "is missing")])
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
    (stands,) = await standings(call, [server])
    return answer(server_view(server, app) | stands)


async def change_server(call: Call) -> Response:
    """Only the fields that are named change."""
    app, server = await _named(call)
    values = with_oauth(_values(await call.shape(ServerChange)), server)
    if server.kind is Kind.DIRECT:
        _only_direct(values)
    if values.get("preset"):
        values["preset"] = call.rooms.presets().preset(values["preset"]).name
    changed = replace(server, modified_at=call.now_ms, **values)
    await call.rooms.storage.directory.save_server(changed)
    return answer(server_view(changed, app))


async def remove_server(call: Call) -> Response:
    """What waits is delivered by the app's other servers. Refused while rules name it."""
    _, server = await _named(call)
    await refuse_if_ruled(call, server)
    await call.rooms.storage.directory.remove_server(server.id)
    return gone()


async def enable_server(call: Call) -> Response:
    """It may be used again."""
    return await _switch(call, ACTIVE)


async def disable_server(call: Call) -> Response:
    """It is left alone until somebody enables it."""
    return await _switch(call, DISABLED)


async def _named(call: Call) -> tuple[App, Server]:
    query = read_query(call.request, "app")
    return await find_server(call, call.part("server"), query.get("app"))


async def _switch(call: Call, status: str) -> Response:
    """Enable or disable, and tell of it, where that changes anything."""
    app, server = await _named(call)
    if server.status != status:
        kind = "server.enabled" if status == ACTIVE else "server.disabled"
        facts = SwitchFacts(server.id, server.name, call.caller.name)
        server = replace(server, status=status, modified_at=call.now_ms)
        await call.rooms.storage.directory.judge_server(server, call.now_ms, [(kind, facts)])
    return answer(server_view(server, app))


def _from_preset(call: Call, values: dict[str, Any], region: str) -> dict[str, Any]:
    """What was said, and what the preset says beside it. Raises `InvalidRequest`."""
    try:
        return fill_in(call.rooms.presets().preset(values["preset"]), values, region)
    except (UnknownPreset, RegionNeeded) as error:
        place = "/preset" if isinstance(error, UnknownPreset) else "/region"
        raise InvalidRequest([Mistake(place, f"{error.sentence} {error.fix}")]) from None


def _only_direct(values: Mapping[str, Any]) -> None:
    """Raises `InvalidRequest` for what means nothing where mail goes to the recipients' hosts."""
    mistakes = [
        Mistake(f"/{name}", "means nothing for a direct way")
        for name, value in values.items()
        if name not in _DIRECT and value not in (None, "", ())
    ]
    if mistakes:
        raise InvalidRequest(mistakes)


def _values(shape: ServerChange) -> dict[str, Any]:
    values = given(shape)
    for name in ("password", "client_secret", "refresh_token"):
        if name in values:
            values[name] = Secret(values[name]) if values[name] else None
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
