"""apps: sending contexts with their sender defaults and their mode"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.fields import (
    InvalidField,
    Names,
    Options,
    Senders,
    Short,
    Text,
    address,
    given,
    one_line,
    options,
    pattern,
    with_options,
)
from pillarbox.api.finding import find_app, visible_apps
from pillarbox.api.names import app_name
from pillarbox.api.paging import page, read_query
from pillarbox.policy.directory import App, Mode, Strategy, TrackedImages, VisitDetail
from pillarbox.policy.effect import without_host
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import format_object_id, new_object_id


def _only_sandbox(mode: Mode) -> Mode:
    if mode is not Mode.SANDBOX:
        raise InvalidField(
            "a new app begins in the sandbox; change its mode afterwards, with PATCH"
        )
    return mode


_CHECKS: Final[Mapping[str, Check]] = {
    "name": app_name,
    "label": one_line,
    "test_address": address,
    "from_address": address,
    "from_name": one_line,
    "reply_to_address": address,
    "reply_to_name": one_line,
    "allowed_senders": pattern,
    "options": options,
}


class AppChange(Struct):
    """What may be changed about an app."""

    CHECKS: ClassVar[Mapping[str, Check]] = _CHECKS

    name: str | UnsetType = UNSET
    label: Short | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    strategy: Strategy | UnsetType = UNSET
    test_address: Names | UnsetType = UNSET
    from_address: Names | UnsetType = UNSET
    from_name: Short | UnsetType = UNSET
    reply_to_address: Names | UnsetType = UNSET
    reply_to_name: Short | UnsetType = UNSET
    allowed_senders: Senders | UnsetType = UNSET
    options: Options | UnsetType = UNSET
    visits: VisitDetail | UnsetType = UNSET
    tracked_images: TrackedImages | UnsetType = UNSET


class NewApp(AppChange, kw_only=True):
    """What a new app is made from."""

    CHECKS: ClassVar[Mapping[str, Check]] = {**_CHECKS, "mode": _only_sandbox}

    name: str


def app_view(app: App, *, tracking: bool) -> dict[str, Any]:
    """An app as programs see it; `tracking`: there is a host for it."""
    return {
        "id": format_object_id("app", app.id),
        "name": app.name,
        "label": app.label,
        "description": app.description,
        "active": app.active,
        "mode": app.mode,
        "strategy": app.strategy,
        "test_address": app.test_address,
        "from_address": app.from_address,
        "from_name": app.from_name,
        "reply_to_address": app.reply_to_address,
        "reply_to_name": app.reply_to_name,
        "allowed_senders": app.allowed_senders,
        "options": app.options,
        "visits": app.visits,
        "tracked_images": app.tracked_images,
        "note": "" if tracking else without_host(app.options),
        "created_at": format_instant(app.created_at),
    }


async def list_apps(call: Call) -> Response:
    """All apps the caller sees, by name."""
    read_query(call.request, "limit")
    return answer(page([_view(call, app) for app in await visible_apps(call)]))


async def add_app(call: Call) -> Response:
    """A new app, in the sandbox."""
    call.caller.require_whole_account()
    values = given(await call.shape(NewApp))
    values["options"] = with_options({}, values.get("options", {}))
    account = await call.account()
    now_ms = call.now_ms
    app = App(
        id=new_object_id(), account=account.id, created_at=now_ms, modified_at=now_ms, **values
    )
    await call.rooms.storage.directory.save_app(app)
    return answer(_view(call, app), 201, {"Location": f"/pillarbox/v1/apps/{app.name}"})


async def show_app(call: Call) -> Response:
    """One app."""
    return answer(_view(call, await find_app(call, call.part("app"))))


async def change_app(call: Call) -> Response:
    """Only the fields that are named change; of the options, only those that are named."""
    app = await find_app(call, call.part("app"))
    values = given(await call.shape(AppChange))
    values["options"] = with_options(app.options, values.get("options", {}))
    changed = replace(app, modified_at=call.now_ms, **values)
    await call.rooms.storage.directory.save_app(changed)
    return answer(_view(call, changed))


async def remove_app(call: Call) -> Response:
    """With its servers and credentials; refused while its mail waits."""
    call.caller.require_whole_account()
    app = await find_app(call, call.part("app"))
    await call.rooms.storage.directory.remove_app(app.id)
    return gone()


def _view(call: Call, app: App) -> dict[str, Any]:
    return app_view(app, tracking=bool(call.rooms.tracking_facts().host))


ENTRIES: Final = (
    Entry("GET", "/apps", Verb.READ, list_apps),
    Entry("POST", "/apps", Verb.MANAGE, add_app),
    Entry("GET", "/apps/{app}", Verb.READ, show_app),
    Entry("PATCH", "/apps/{app}", Verb.MANAGE, change_app),
    Entry("DELETE", "/apps/{app}", Verb.MANAGE, remove_app),
)
