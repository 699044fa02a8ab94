"""credentials: SMTP logins, whose passwords are shown once"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.fields import Senders, given, options, pattern
from pillarbox.api.finding import find_app, find_credential, the_app, visible_apps
from pillarbox.api.names import thing_name
from pillarbox.api.paging import page, read_query
from pillarbox.policy.credential import Credential, CredentialKind
from pillarbox.policy.directory import App, Mode, Uncertain
from pillarbox.services.submission.authenticate import hash_secret, new_password
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import format_object_id, new_object_id
from pillarbox.terms.secret import Secret


class CredentialChange(Struct):
    """What may be changed about a credential; a mode of null leaves it to the app."""

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "name": thing_name,
        "username": thing_name,
        "allowed_senders": pattern,
        "options": options,
    }

    name: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    kind: CredentialKind | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    mode: Mode | None | UnsetType = UNSET
    uncertain: Uncertain | UnsetType = UNSET
    allowed_senders: Senders | UnsetType = UNSET
    options: dict[str, str] | UnsetType = UNSET


class NewCredential(CredentialChange, kw_only=True):
    """What a new credential is made from; `app` may be left out where there is only one."""

    name: str
    app: str | UnsetType = UNSET


def credential_view(credential: Credential, app: App) -> dict[str, Any]:
    """A credential as programs see it; nothing of its password."""
    return {
        "id": format_object_id("crd", credential.id),
        "app": app.name,
        "name": credential.name,
        "username": credential.username,
        "kind": credential.kind,
        "active": credential.active,
        "mode": credential.mode,
        "uncertain": credential.uncertain,
        "allowed_senders": credential.allowed_senders,
        "options": credential.options,
        "created_at": format_instant(credential.created_at),
        "used_at": None if credential.used_at is None else format_instant(credential.used_at),
    }


async def list_credentials(call: Call) -> Response:
    """By name; of one app, or of all the caller sees."""
    query = read_query(call.request, "app", "limit")
    wanted = [await find_app(call, query["app"])] if "app" in query else await visible_apps(call)
    apps = {app.id: app for app in wanted}
    credentials = await call.rooms.storage.directory.credentials()
    return answer(page([credential_view(c, apps[c.app]) for c in credentials if c.app in apps]))


async def add_credential(call: Call) -> Response:
    """A new login, with the password that nobody will see again."""
    values = given(await call.shape(NewCredential))
    app = await the_app(call, values.pop("app", None))
    password = new_password()
    credential = Credential(
        id=new_object_id(),
        app=app.id,
        password_hash=hash_secret(password),
        created_at=call.now_ms,
        **{"username": await _free_username(call, values["name"]), **values},
    )
    await call.rooms.storage.directory.save_credential(credential)
    return _with_password(credential, app, password, 201)


async def show_credential(call: Call) -> Response:
    """One credential."""
    app, credential = await _named(call)
    return answer(credential_view(credential, app))


async def change_credential(call: Call) -> Response:
    """Only the fields that are named change."""
    app, credential = await _named(call)
    changed = replace(credential, **given(await call.shape(CredentialChange)))
    await call.rooms.storage.directory.save_credential(changed)
    return answer(credential_view(changed, app))


async def rotate_credential(call: Call) -> Response:
    """A new password; the old one fails from now on."""
    app, credential = await _named(call)
    password = new_password()
    changed = replace(credential, password_hash=hash_secret(password))
    await call.rooms.storage.directory.save_credential(changed)
    return _with_password(changed, app, password, 200)


async def remove_credential(call: Call) -> Response:
    """Nobody can log in with it any more; what it handed over stays."""
    _, credential = await _named(call)
    await call.rooms.storage.directory.remove_credential(credential.id)
    return gone()


async def _named(call: Call) -> tuple[App, Credential]:
    query = read_query(call.request, "app")
    return await find_credential(call, call.part("credential"), query.get("app"))


async def _free_username(call: Call, name: str) -> str:
    """The name itself where no login has it, otherwise with something behind it."""
    if await call.rooms.storage.directory.credential_with_username(name) is None:
        return name
    return f"{name}-{secrets.token_hex(4)}"


def _with_password(credential: Credential, app: App, password: Secret, status: int) -> Response:
    return answer({**credential_view(credential, app), "password": password.reveal()}, status)


ENTRIES: Final = (
    Entry("GET", "/credentials", Verb.READ, list_credentials),
    Entry("POST", "/credentials", Verb.MANAGE, add_credential),
    Entry("GET", "/credentials/{credential}", Verb.READ, show_credential),
    Entry("PATCH", "/credentials/{credential}", Verb.MANAGE, change_credential),
    Entry("DELETE", "/credentials/{credential}", Verb.MANAGE, remove_credential),
    Entry("POST", "/credentials/{credential}/rotate", Verb.MANAGE, rotate_credential),
)
