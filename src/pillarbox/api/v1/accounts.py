"""accounts: whose mail it is, and whether any of it is taken"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.fields import given, one_line
from pillarbox.api.finding import find_account, sees_everything, visible_accounts
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import NotPermitted
from pillarbox.policy.directory import Account
from pillarbox.terms.ids import format_object_id


class AccountChange(Struct):
    """What may be changed about an account."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"contact": one_line}

    may_send: bool | UnsetType = UNSET
    contact: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    """Whom to ask for permission, as it is told to clients that have none."""
    enforces_domains: bool | UnsetType = UNSET
    """Whether mail is taken only of authors at its sending domains."""


def account_view(account: Account) -> dict[str, Any]:
    """An account as programs see it."""
    return {
        "id": format_object_id("acc", account.id),
        "name": account.name,
        "may_send": account.may_send,
        "contact": account.contact,
        "enforces_domains": account.enforces_domains,
    }


async def list_accounts(call: Call) -> Response:
    """All accounts the caller sees, oldest first."""
    call.caller.require_whole_account()
    read_query(call.request, "limit")
    return answer(page([account_view(each) for each in await visible_accounts(call)]))


async def show_account(call: Call) -> Response:
    """One account."""
    call.caller.require_whole_account()
    read_query(call.request)
    return answer(account_view(await find_account(call, call.part("account"))))


async def change_account(call: Call) -> Response:
    """Whether it may send, whom to ask where it may not, and in whose name it does. It holds at
    once, also for sessions that are open; what was taken before is delivered.
    """
    call.caller.require_whole_account()
    read_query(call.request)
    account = await find_account(call, call.part("account"))
    if not await sees_everything(call):
        raise NotPermitted(
            "Whether an account may send is for whoever runs this place, not for its own keys.",
            fix="Use the command line on the machine of a node: pillarbox account permit.",
        )
    changed = replace(account, **given(await call.shape(AccountChange)))
    await call.rooms.storage.directory.save_account(changed)
    return answer(account_view(changed))


ENTRIES: Final = (
    Entry("GET", "/accounts", Verb.READ, list_accounts),
    Entry("GET", "/accounts/{account}", Verb.READ, show_account),
    Entry("PATCH", "/accounts/{account}", Verb.MANAGE, change_account),
)
