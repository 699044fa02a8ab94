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
from pillarbox.api.fields import (
    Count,
    Names,
    Networks,
    Octets,
    Options,
    Senders,
    address,
    given,
    instant,
    network,
    option_name,
    options,
    pattern,
    with_options,
)
from pillarbox.api.finding import find_app, find_credential, the_app, visible_apps
from pillarbox.api.names import login_name
from pillarbox.api.paging import page, read_query
from pillarbox.policy.credential import (
    Credential,
    CredentialKind,
    LoginUse,
    Once,
    OverLimit,
    PasswordStyle,
)
from pillarbox.policy.directory import Account, App, Mode, Uncertain
from pillarbox.policy.effect import effect_of
from pillarbox.policy.flags import flags_of
from pillarbox.services.submission.authenticate import (
    hash_secret,
    new_password,
    new_spaced_password,
)
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import format_object_id, new_object_id
from pillarbox.terms.secret import Secret


class CredentialChange(Struct):
    """What may be changed about a credential; a mode of null leaves it to the app, an option of
    null likewise, and an end of null takes it away.
    """

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "name": login_name,
        "username": login_name,
        "allowed_senders": pattern,
        "options": options,
        "fixed_options": option_name,
        "allowed_addresses": network,
        "forward_address": address,
        "expires_at": instant,
    }

    name: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    kind: CredentialKind | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    mode: Mode | None | UnsetType = UNSET
    uncertain: Uncertain | UnsetType = UNSET
    allowed_senders: Senders | UnsetType = UNSET
    options: Options | UnsetType = UNSET
    fixed_options: tuple[str, ...] | UnsetType = UNSET
    allowed_addresses: Networks | UnsetType = UNSET
    forward_address: Names | UnsetType = UNSET
    per_minute: Count | UnsetType = UNSET
    per_hour: Count | UnsetType = UNSET
    per_day: Count | UnsetType = UNSET
    over_limit: OverLimit | UnsetType = UNSET
    max_message_bytes: Octets | UnsetType = UNSET
    expires_at: str | None | UnsetType = UNSET
    once: Once | UnsetType = UNSET


class NewCredential(CredentialChange, kw_only=True):
    """What a new credential is made from; `app` may be left out where there is only one."""

    name: str
    app: str | UnsetType = UNSET
    password_style: PasswordStyle = PasswordStyle.PLAIN


def credential_view(
    credential: Credential, app: App, account: Account, now_ms: int, *, tracking: bool
) -> dict[str, Any]:
    """A credential as programs see it, nothing of its password; `tracking`: there is a host for it."""
    last = credential.uses.last if credential.uses is not None else None
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
        "fixed_options": credential.fixed_options,
        "allowed_addresses": credential.allowed_addresses,
        "forward_address": credential.forward_address,
        "per_minute": credential.per_minute,
        "per_hour": credential.per_hour,
        "per_day": credential.per_day,
        "over_limit": credential.over_limit,
        "max_message_bytes": credential.max_message_bytes,
        "expires_at": _instant(credential.expires_at),
        "once": credential.once,
        "created_at": format_instant(credential.created_at),
        "used_at": _instant(credential.used_at),
        "last_use": _use_view(last),
        "former": _former_view(credential, now_ms),
        "flags": flags_of(credential, now_ms),
        "summary": effect_of(credential, app, account, now_ms, tracking=tracking),
    }


async def list_credentials(call: Call) -> Response:
    """By name; of one app, or of all the caller sees."""
    query = read_query(call.request, "app", "limit")
    wanted = [await find_app(call, query["app"])] if "app" in query else await visible_apps(call)
    apps = {app.id: app for app in wanted}
    credentials = await call.rooms.storage.directory.credentials()
    return answer(page([await shown(call, apps[c.app], c) for c in credentials if c.app in apps]))


async def add_credential(call: Call) -> Response:
    """A new login, with the password that nobody will see again."""
    values = _values(await call.shape(NewCredential), {})
    app = await the_app(call, values.pop("app", None))
    password = a_password(values.pop("password_style"))
    credential = Credential(
        id=new_object_id(),
        app=app.id,
        password_hash=hash_secret(password),
        created_at=call.now_ms,
        **{"username": await free_username(call, values["name"]), **values},
    )
    await call.rooms.storage.directory.save_credential(credential)
    view = await shown(call, app, credential)
    return answer({**view, "password": password.reveal()}, 201)


async def show_credential(call: Call) -> Response:
    """One credential."""
    return answer(await shown(call, *await named(call)))


async def change_credential(call: Call) -> Response:
    """Only the fields that are named change; of the options, only those that are named."""
    app, credential = await named(call)
    values = _values(await call.shape(CredentialChange), credential.options)
    changed = replace(credential, **values)
    await call.rooms.storage.directory.save_credential(changed)
    return answer(await shown(call, app, changed))


async def remove_credential(call: Call) -> Response:
    """Nobody can log in with it any more; what it handed over stays."""
    _, credential = await named(call)
    await call.rooms.storage.directory.remove_credential(credential.id)
    return gone()


async def named(call: Call) -> tuple[App, Credential]:
    """The credential in the path, with its app."""
    query = read_query(call.request, "app")
    return await find_credential(call, call.part("credential"), query.get("app"))


async def shown(call: Call, app: App, credential: Credential) -> dict[str, Any]:
    """The view of a credential as it stands now."""
    account = await call.rooms.storage.directory.account(app.account)
    tracking = bool(call.rooms.tracking_facts().host)
    return credential_view(credential, app, account, call.now_ms, tracking=tracking)


async def free_username(call: Call, name: str) -> str:
    """The name itself where no login has it, otherwise with something behind it."""
    if await call.rooms.storage.directory.credential_with_username(name) is None:
        return name
    return another_username(name)


def another_username(name: str) -> str:
    """The name with something behind it that nobody else has."""
    return f"{name}-{secrets.token_hex(4)}"


def a_password(style: PasswordStyle) -> Secret:
    """A new one."""
    return new_spaced_password() if style is PasswordStyle.SPACED else new_password()


def former_view(credential: Credential) -> dict[str, Any] | None:
    """What was rotated away: until when it works, and who used it last."""
    former = credential.former
    if former is None:
        return None
    return {
        "username": former.username,
        "until": format_instant(former.until),
        "last_use": _use_view(credential.former_use()),
    }


def _former_view(credential: Credential, now_ms: int) -> dict[str, Any] | None:
    return former_view(credential) if credential.holds_former(now_ms) else None


def _values(shape: CredentialChange, current: Mapping[str, str]) -> dict[str, Any]:
    values = given(shape)
    values["options"] = with_options(current, values.get("options", {}))
    for name in ("fixed_options", "allowed_addresses"):
        if name in values:
            values[name] = tuple(dict.fromkeys(values[name]))
    return values


def _use_view(use: LoginUse | None) -> dict[str, Any] | None:
    if use is None:
        return None
    return {
        "at": format_instant(use.at),
        "address": use.address,
        "tls": use.tls,
        "hello": use.hello,
    }


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_instant(at_ms)


ENTRIES: Final = (
    Entry("GET", "/credentials", Verb.READ, list_credentials),
    Entry("POST", "/credentials", Verb.MANAGE, add_credential),
    Entry("GET", "/credentials/{credential}", Verb.READ, show_credential),
    Entry("PATCH", "/credentials/{credential}", Verb.MANAGE, change_credential),
    Entry("DELETE", "/credentials/{credential}", Verb.MANAGE, remove_credential),
)
