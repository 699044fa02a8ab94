"""users: people who sign in, their roles and passwords"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.fields import InvalidField, Names, Short, address, given, one_line
from pillarbox.api.finding import find_account, visible_accounts
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import NothingThere, NotPermitted
from pillarbox.policy.directory import Account
from pillarbox.policy.user import LONGEST_PASSWORD, User, UserRole, check_password, sign_in_name
from pillarbox.terms.clock import format_instant
from pillarbox.terms.errors import InvalidId
from pillarbox.terms.ids import ObjectId, format_object_id, new_object_id, parse_object_id
from pillarbox.terms.secret import Secret

_Password = Annotated[str, Meta(max_length=LONGEST_PASSWORD)]
_SHOWN: Final = 60


def _email(text: str) -> str:
    found = address(text.strip())
    if not found:
        raise InvalidField("is an e-mail address, such as ann@example.com")
    return found


class UserChange(Struct):
    """What may be changed about a user. Whoever is switched off is signed out."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"email": _email, "name": one_line}

    email: Names | UnsetType = UNSET
    name: Short | UnsetType = UNSET
    role: UserRole | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class NewUser(UserChange, kw_only=True):
    """What a user is made from. Without a role, the first of an account that whoever runs this
    place makes is its owner, and everybody else a member.
    """

    email: Names
    password: _Password
    account: Short | UnsetType = UNSET


class NewPassword(Struct):
    """A password in place of the one before; all tokens end."""

    password: _Password


def user_view(user: User, accounts: Mapping[ObjectId, Account]) -> dict[str, Any]:
    """A user as programs see one."""
    account = accounts.get(user.account)
    return {
        "id": format_object_id("usr", user.id),
        "account": account.name if account else format_object_id("acc", user.account),
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "active": user.active,
        "created_at": format_instant(user.created_at),
        "used_at": None if user.used_at is None else format_instant(user.used_at),
    }


async def list_users(call: Call) -> Response:
    """By e-mail address."""
    call.caller.require_whole_account()
    read_query(call.request, "limit")
    accounts = await _accounts(call)
    return answer(page([user_view(user, accounts) for user in await _users(call)]))


async def add_user(call: Call) -> Response:
    """A new user, who can sign in at once."""
    call.caller.require_whole_account()
    values = given(await call.shape(NewUser))
    named = values.pop("account", None)
    account = await find_account(call, named) if named else await call.account()
    role = values.pop("role", None) or await _usual_role(call, account)
    _permit(call, role)
    password = check_password(values.pop("password"), values["email"])
    user = User(
        id=new_object_id(),
        account=account.id,
        role=role,
        password_hash=await _hashed(call, password),
        created_at=call.now_ms,
        **values,
    )
    await call.rooms.storage.users.save_user(user)
    place = f"/pillarbox/v1/users/{format_object_id('usr', user.id)}"
    return answer(user_view(user, {account.id: account}), 201, {"Location": place})


async def show_user(call: Call) -> Response:
    """One user."""
    return answer(user_view(await _named(call), await _accounts(call)))


async def change_user(call: Call) -> Response:
    """Only the fields that are named change."""
    user = await _named(call)
    values = given(await call.shape(UserChange))
    _permit(call, user.role, values.get("role"))
    changed = replace(user, **values)
    await call.rooms.storage.users.save_user(changed, sign_out=not changed.active)
    return answer(user_view(changed, await _accounts(call)))


async def remove_user(call: Call) -> Response:
    """Whatever they were given to sign in with is refused from now on."""
    user = await _named(call)
    _permit(call, user.role)
    await call.rooms.storage.users.remove_user(user.id)
    return gone()


async def set_password(call: Call) -> Response:
    """A new password; whoever signed in with the one before is signed out."""
    user = await _named(call)
    _permit(call, user.role)
    password = check_password((await call.shape(NewPassword)).password, user.email)
    changed = replace(user, password_hash=await _hashed(call, password))
    await call.rooms.storage.users.save_user(changed, sign_out=True)
    return answer(user_view(changed, await _accounts(call)))


async def sign_out(call: Call) -> Response:
    """End all tokens of a user; says how many there were."""
    user = await _named(call)
    _permit(call, user.role)
    return answer({"signed_out": await call.rooms.storage.users.close_tokens(user.id)})


async def _hashed(call: Call, password: str) -> str:
    return await call.rooms.sign_in.passwords.hash(Secret(password))


async def _accounts(call: Call) -> dict[ObjectId, Account]:
    return {account.id: account for account in await visible_accounts(call)}


async def _users(call: Call) -> list[User]:
    seen = await _accounts(call)
    return [user for user in await call.rooms.storage.users.users() if user.account in seen]


async def _usual_role(call: Call, account: Account) -> UserRole:
    first = not any(user.account == account.id for user in await _users(call))
    return UserRole.OWNER if first and call.caller.key is None else UserRole.MEMBER


def _permit(call: Call, *roles: UserRole | None) -> None:
    """Raises `NotPermitted` where a key would make, change or remove an owner."""
    if call.caller.key is not None and UserRole.OWNER in roles:
        raise NotPermitted(
            "Owners are made and changed by whoever runs this place, not with a key.",
            fix="Use the command line on the machine of a node: pillarbox user.",
        )


async def _named(call: Call) -> User:
    """By e-mail address or id. Raises `NothingThere`."""
    call.caller.require_whole_account()
    read_query(call.request)
    text = call.part("user")
    try:
        wanted = parse_object_id("usr", text)
    except InvalidId:
        wanted = None
    for user in await _users(call):
        if user.id == wanted or sign_in_name(user.email) == sign_in_name(text):
            return user
    raise NothingThere(f"There is no user {text[:_SHOWN]!r}.", fix="List them: pillarbox user list")


ENTRIES: Final = (
    Entry("GET", "/users", Verb.READ, list_users),
    Entry("POST", "/users", Verb.MANAGE, add_user),
    Entry("GET", "/users/{user}", Verb.READ, show_user),
    Entry("PATCH", "/users/{user}", Verb.MANAGE, change_user),
    Entry("DELETE", "/users/{user}", Verb.MANAGE, remove_user),
    Entry("POST", "/users/{user}/password", Verb.MANAGE, set_password),
    Entry("POST", "/users/{user}/logout", Verb.MANAGE, sign_out),
)
