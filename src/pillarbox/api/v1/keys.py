"""keys: what programs show over HTTP, shown to people once"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import ALL_VERBS, Verb
from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.fields import Senders, given, pattern
from pillarbox.api.finding import find_app, find_key, visible_apps, visible_keys
from pillarbox.api.names import thing_name
from pillarbox.api.paging import page, read_query
from pillarbox.policy.directory import App, Key, Mode, Uncertain
from pillarbox.services.submission.authenticate import hash_secret, new_key_secret
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import ObjectId, format_object_id, new_object_id

_HINT_CHARACTERS: Final = 8


class NewKey(Struct, kw_only=True):
    """What a key is made from; without `app` it is good for all of them."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"name": thing_name, "allowed_senders": pattern}

    name: str
    app: str | None | UnsetType = UNSET
    verbs: tuple[Verb, ...] | UnsetType = UNSET
    mode: Mode | None | UnsetType = UNSET
    uncertain: Uncertain | UnsetType = UNSET
    allowed_senders: Senders | UnsetType = UNSET


def key_view(key: Key, apps: Mapping[ObjectId, App]) -> dict[str, Any]:
    """A key as programs see it; of its secret only how it begins."""
    app = apps.get(key.app) if key.app is not None else None
    return {
        "id": format_object_id("key", key.id),
        "name": key.name,
        "hint": key.hint,
        "app": None if key.app is None else app.name if app else format_object_id("app", key.app),
        "verbs": key.verbs,
        "active": key.active,
        "mode": key.mode,
        "uncertain": key.uncertain,
        "allowed_senders": key.allowed_senders,
        "created_at": format_instant(key.created_at),
        "used_at": None if key.used_at is None else format_instant(key.used_at),
    }


async def list_keys(call: Call) -> Response:
    """By name."""
    read_query(call.request, "limit")
    apps = {app.id: app for app in await visible_apps(call)}
    return answer(page([key_view(key, apps) for key in await visible_keys(call)]))


async def add_key(call: Call) -> Response:
    """A new key, with the secret that nobody will see again.

    Whoever is narrowed to an app can only make keys for it.
    """
    values = given(await call.shape(NewKey))
    named = values.pop("app", None)
    app = await find_app(call, named) if named is not None else None
    account = await call.account()
    secret = new_key_secret()
    verbs = tuple(dict.fromkeys(verb.value for verb in values.pop("verbs", ()))) or ALL_VERBS
    key = Key(
        id=new_object_id(),
        account=account.id,
        secret_hash=hash_secret(secret),
        hint=secret.reveal()[:_HINT_CHARACTERS],
        app=app.id if app else call.caller.app,
        verbs=verbs,
        created_at=call.now_ms,
        **values,
    )
    await call.rooms.storage.directory.save_key(key)
    apps = {each.id: each for each in await visible_apps(call)}
    return answer({**key_view(key, apps), "key": secret.reveal()}, 201)


async def remove_key(call: Call) -> Response:
    """It is refused from now on."""
    read_query(call.request)
    key = await find_key(call, call.part("key"))
    await call.rooms.storage.directory.remove_key(key.id)
    return gone()


ENTRIES: Final = (
    Entry("GET", "/keys", Verb.MANAGE, list_keys),
    Entry("POST", "/keys", Verb.MANAGE, add_key),
    Entry("DELETE", "/keys/{key}", Verb.MANAGE, remove_key),
)
