"""/private/apps/*: apps as clients of the server API know them

Names are free text there, and many fields mean something that only the service had which these calls
come from. They are kept and given back. Unlike with servers, a save changes what it names and leaves
the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.compat.parameters import Parameters
from pillarbox.api.compat.plain import (
    Specific,
    answer,
    app_not_found,
    done,
    hex_id,
    kept_time,
    saved_time,
)
from pillarbox.api.compat.signed_in import Visitor
from pillarbox.api.fields import address, one_line
from pillarbox.api.names import app_name_after
from pillarbox.api.problems import RequestError
from pillarbox.api.rooms import Rooms
from pillarbox.api.test_mail import owner_email
from pillarbox.policy.directory import App, Strategy
from pillarbox.policy.routing import ACTIVE, DISABLED
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.terms.ids import ObjectId, new_object_id

_PAGE: Final = 20
_MOST: Final = 1000
_LAST_PAGE: Final = 10**9
_LONGEST_NAME: Final = 100
_LONGEST_TEXT: Final = 2000
_LONGEST_SECONDS: Final = 10**9
_TRIES: Final = 5
_MADE_BY: Final = "iduser"

_SWITCHES: Final = ("retaindata", "useblacklist", "useautoblacklist")
_TEXTS: Final = (
    "originserver",
    "origindomain",
    "webhook_sending_finished",
    "webhook_sending_error",
    "webhook_tracking_opened",
    "webhook_tracking_clicked",
    "webhook_blacklisted_added",
    "webhook_mailing_finished",
    "language",
)
_SECONDS: Final = "timebetweenemails"
_USUAL_SECONDS: Final = 60
_STRATEGIES: Final = {"PRIORITY": Strategy.PRIORITY, "RANDOM": Strategy.RANDOM}


class AppCalls:
    """The four calls."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._directory = rooms.storage.directory

    async def save(self, visitor: Visitor, parameters: Parameters) -> Response:
        """A new app, in the sandbox, or with idapp changes to one that is there."""
        visitor.require_edit()
        values, legacy = _values(parameters), _legacy(parameters)
        before = None
        if parameters.text("idapp") is not None:
            before = await self._app(visitor, parameters.id("idapp"))
        label = parameters.checked(one_line, "", "name", most=_LONGEST_NAME)
        if before is None and not label:
            raise Specific("App name is required")
        for attempt in range(_TRIES):
            app = await self._made(visitor, before, label, values, legacy)
            try:
                await self._directory.save_app(app)
            except Conflict:
                # Somebody took the name between our look and our write.
                if attempt == _TRIES - 1:
                    raise
                continue
            return answer(await self._view(app, saved_time))
        raise AssertionError("unreachable")

    async def find_all(self, visitor: Visitor, parameters: Parameters) -> Response:
        """A page of the apps, the oldest first, in the form Spring gives pages."""
        number = parameters.number("page", 0, 0, _LAST_PAGE)
        size = parameters.number("size", _PAGE, 1, _MOST)
        apps = await self._apps(visitor)
        shown = apps[number * size : (number + 1) * size]
        content = [await self._view(app, kept_time) for app in shown]
        return answer(_page(content, number, size, len(apps)))

    async def find_by_id(self, visitor: Visitor, parameters: Parameters) -> Response:
        """One app."""
        app = await self._app(visitor, parameters.id("idapp"))
        return answer(await self._view(app, kept_time))

    async def remove(self, visitor: Visitor, parameters: Parameters) -> Response:
        """It is gone, with its servers and logins; refused while its mail waits."""
        visitor.require_edit()
        app = await self._app(visitor, parameters.id("idapp"))
        try:
            await self._directory.remove_app(app.id)
        except NotFound:
            raise app_not_found() from None
        return done()

    # --- finding and making -------------------------------------------------------------------

    async def _apps(self, visitor: Visitor) -> list[App]:
        mine = [app for app in await self._directory.apps() if visitor.sees(app)]
        return sorted(mine, key=lambda app: (app.created_at, app.id))

    async def _app(self, visitor: Visitor, wanted: ObjectId | None) -> App:
        for app in await self._directory.apps():
            if app.id == wanted and visitor.sees(app):
                return app
        raise app_not_found()

    async def _made(
        self,
        visitor: Visitor,
        before: App | None,
        label: str,
        values: dict[str, Any],
        legacy: dict[str, str],
    ) -> App:
        """Raises `Specific` where another app of the account has the name."""
        others = [a for a in await self._directory.apps() if before is None or a.id != before.id]
        mine = {_name(app).lower() for app in others if visitor.sees(app)}
        named: dict[str, Any] = {}
        if label and (before is None or label != _name(before)):
            if label.lower() in mine:
                raise Specific("There is an app with the same name already")
            # The name programs use stays what it was: it is in their addresses.
            named = {"label": label}
        now_ms = self._rooms.clock.now_ms()
        if before is not None:
            merged = {**before.legacy, **legacy}
            moved = max(now_ms, before.modified_at + 1)
            return replace(before, modified_at=moved, legacy=merged, **named, **values)
        email = visitor.email
        usual: dict[str, Any] = {"test_address": email, "from_address": email, "from_name": email}
        made_by = {_MADE_BY: hex_id(visitor.user.id)} if visitor.user else {}
        return App(
            id=new_object_id(), account=visitor.account.id,
            name=app_name_after(label, [app.name for app in others]),
            created_at=now_ms, modified_at=now_ms, legacy={**legacy, **made_by},
            **named, **{**usual, **values},
        )  # fmt: skip

    async def _view(self, app: App, time: Callable[[int], str]) -> dict[str, Any]:
        legacy = app.legacy
        switches = {name: legacy.get(name) == "true" for name in _SWITCHES}
        texts = {name: legacy.get(name, "") for name in _TEXTS}
        return {
            "_id": hex_id(app.id),
            "iduser": legacy.get(_MADE_BY) or hex_id(app.account),
            "name": _name(app),
            "strategy": app.strategy.name,
            "defaultfromemail": app.from_address,
            "defaultfromname": app.from_name,
            "testemail": app.test_address or await owner_email(self._rooms, app.account),
            _SECONDS: int(legacy.get(_SECONDS, _USUAL_SECONDS)),
            **switches,
            **texts,
            "created": time(app.created_at),
            "modified": time(app.modified_at or app.created_at),
            "status": ACTIVE if app.active else DISABLED,
        }


def _name(app: App) -> str:
    """What people call it."""
    return app.label or app.name


def _values(parameters: Parameters) -> dict[str, Any]:
    """What means the same here as there, as far as it was given."""
    found: dict[str, Any] = {
        "test_address": parameters.checked(address, None, "testemail"),
        "from_address": parameters.checked(address, None, "defaultfromemail", "defaulfromemail"),
        "from_name": parameters.checked(one_line, None, "defaultfromname", most=100),
        "strategy": parameters.checked(_strategy, None, "strategy"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _strategy(text: str) -> Strategy:
    found = _STRATEGIES.get(text.strip().upper())
    if found is None:
        raise RequestError("is PRIORITY or RANDOM")
    return found


def _legacy(parameters: Parameters) -> dict[str, str]:
    """What is kept for its own sake, as far as it was given."""
    kept: dict[str, str] = {}
    for name in _SWITCHES:
        if parameters.text(name) is not None:
            kept[name] = "true" if parameters.switch(name) else "false"
    for name in _TEXTS:
        value = parameters.checked(one_line, None, name, most=_LONGEST_TEXT)
        if value is not None:
            kept[name] = value
    if parameters.text(_SECONDS) is not None:
        kept[_SECONDS] = str(parameters.number(_SECONDS, None, 0, _LONGEST_SECONDS))
    return kept


def _page(content: list[dict[str, Any]], number: int, size: int, total: int) -> dict[str, Any]:
    pages = -(-total // size)
    unsorted = {"sorted": False, "unsorted": True, "empty": True}
    return {
        "content": content,
        "pageable": {
            "sort": unsorted, "offset": number * size, "pageNumber": number, "pageSize": size,
            "paged": True, "unpaged": False,
        },
        "last": number + 1 >= pages,
        "totalPages": pages,
        "totalElements": total,
        "size": size,
        "number": number,
        "sort": unsorted,
        "first": number == 0,
        "numberOfElements": len(content),
        "empty": not content,
    }  # fmt: skip
