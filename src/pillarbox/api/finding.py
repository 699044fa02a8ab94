"""looking things up as people name them; what a caller may not see is not there"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from pillarbox.api.calls import Call
from pillarbox.api.problems import NothingThere, RequestError
from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import Account, App, Key
from pillarbox.policy.server import Server
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.messages import StoredMessage
from pillarbox.terms.errors import InvalidId
from pillarbox.terms.ids import (
    MessageId,
    ObjectId,
    format_object_id,
    parse_message_id,
    parse_object_id,
)

T = TypeVar("T", Server, Credential, Key)

_SHOWN = 60


async def visible_apps(call: Call) -> list[App]:
    """The apps that exist for the caller, by name."""
    return [app for app in await call.rooms.storage.directory.apps() if call.caller.sees(app)]


async def sees_everything(call: Call) -> bool:
    """Whether the caller sees all there is, and so is, or speaks for, whoever runs this place."""
    if call.caller.key is None:
        return True
    accounts = await call.rooms.storage.directory.accounts()
    return call.caller.app is None and len(accounts) == 1


async def find_account(call: Call, text: str) -> Account:
    """By name or id. Raises `NothingThere`."""
    accounts = await visible_accounts(call)
    wanted = _as_id("acc", text)
    for account in accounts:
        if account.name == text or account.id == wanted:
            return account
    raise _nothing("account", text, [account.name for account in accounts])


async def visible_accounts(call: Call) -> list[Account]:
    """All of them for the owner, and their own for others, oldest first."""
    accounts = await call.rooms.storage.directory.accounts()
    key = call.caller.key
    return [account for account in accounts if key is None or account.id == key.account]


async def find_app(call: Call, text: str) -> App:
    """By name or id. Raises `NothingThere`."""
    apps = await visible_apps(call)
    wanted = _as_id("app", text)
    for app in apps:
        if app.name == text.lower() or app.id == wanted:
            return app
    raise _nothing("app", text, [app.name for app in apps])


async def the_app(call: Call, named: str | None) -> App:
    """The app named, or the only one there is. Raises `NothingThere` or `RequestError`."""
    if named is not None:
        return await find_app(call, named)
    apps = await visible_apps(call)
    if len(apps) == 1:
        return apps[0]
    names = ", ".join(app.name for app in apps)
    if not apps:
        raise NothingThere("There is no app yet.", fix="Make one: pillarbox app add")
    raise RequestError(
        "There are several apps, and none was named.",
        code="invalid_value",
        fix=f"Name one as app: {names}",
    )


async def find_server(call: Call, text: str, app: str | None = None) -> tuple[App, Server]:
    """By id, or by name where only one has it. Raises `NothingThere` or `RequestError`."""
    apps = [await find_app(call, app)] if app else await visible_apps(call)
    directory = call.rooms.storage.directory
    servers = [server for each in apps for server in await directory.servers(each.id)]
    found = _one_of("server", "srv", text, servers, apps)
    return _app_of(found, apps), found


async def find_credential(call: Call, text: str, app: str | None = None) -> tuple[App, Credential]:
    """By id, user name or name. Raises `NothingThere` or `RequestError`."""
    apps = [await find_app(call, app)] if app else await visible_apps(call)
    seen = {each.id for each in apps}
    credentials = [c for c in await call.rooms.storage.directory.credentials() if c.app in seen]
    for credential in credentials:
        if credential.username == text:
            return _app_of(credential, apps), credential
    found = _one_of("credential", "crd", text, credentials, apps)
    return _app_of(found, apps), found


async def find_key(call: Call, text: str) -> Key:
    """By id or name. Raises `NothingThere` or `RequestError`."""
    return _one_of("key", "key", text, await visible_keys(call), [])


async def visible_keys(call: Call) -> list[Key]:
    """The keys a caller may look after: one narrowed to an app sees those of that app only."""
    mine = call.caller.key
    keys = await call.rooms.storage.directory.keys()
    if mine is None:
        return keys
    return [key for key in keys if key.account == mine.account and mine.app in (None, key.app)]


async def find_message(call: Call, text: str) -> tuple[App, StoredMessage]:
    """By id. Raises `NothingThere`."""
    apps = {app.id: app for app in await visible_apps(call)}
    try:
        message = await call.rooms.storage.messages.get(message_id(text))
    except NotFound:
        raise nothing_like("message", text) from None
    if message.app not in apps:
        raise nothing_like("message", text)
    return apps[message.app], message


def message_id(text: str) -> MessageId:
    """Raises `NothingThere`."""
    try:
        return parse_message_id(text)
    except InvalidId as error:
        raise NothingThere(f"There is no message {text[:_SHOWN]!r}: {error.sentence}.") from None


def nothing_like(noun: str, text: str) -> NothingThere:
    """There is none of that name or id."""
    return NothingThere(f"There is no {noun} {text[:_SHOWN]!r}.")


def _one_of(noun: str, prefix: str, text: str, things: Sequence[T], apps: Iterable[App]) -> T:
    wanted = _as_id(prefix, text)
    for thing in things:
        if thing.id == wanted:
            return thing
    named = [thing for thing in things if thing.name.lower() == text.lower()]
    if len(named) == 1:
        return named[0]
    if named:
        names = {app.id: app.name for app in apps}
        ids = (
            f"{format_object_id(prefix, each.id)} of {names.get(each.app or each.id, '?')}"
            for each in named
        )
        raise RequestError(
            f"There are {len(named)} of the name {text[:_SHOWN]!r}.",
            code="invalid_value",
            status=409,
            fix=f"Use the id: {', '.join(ids)}",
        )
    raise _nothing(noun, text, [thing.name for thing in things])


def _nothing(noun: str, text: str, names: Sequence[str]) -> NothingThere:
    near = get_close_matches(text[:_SHOWN], names, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return NothingThere(f"There is no {noun} {text[:_SHOWN]!r}.{hint}")


def _as_id(prefix: str, text: str) -> ObjectId | None:
    try:
        return parse_object_id(prefix, text)
    except InvalidId:
        return None


def _app_of(thing: Server | Credential, apps: Iterable[App]) -> App:
    return next(app for app in apps if app.id == thing.app)
