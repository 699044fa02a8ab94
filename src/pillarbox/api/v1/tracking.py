"""tracking: the keys that tracked links are signed with, a new one, and one that is withdrawn"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import nothing_like, sees_everything
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import NotPermitted
from pillarbox.storage.interface.keys import TokenKey
from pillarbox.terms.clock import format_instant


def key_view(key: TokenKey, current: int) -> dict[str, Any]:
    """A key as programs see it, which is without its secret."""
    revoked = key.revoked_at is not None
    return {
        "number": key.number,
        "state": "revoked" if revoked else "current" if key.number == current else "old",
        "made_at": format_instant(key.made_at),
        "revoked_at": format_instant(key.revoked_at) if key.revoked_at is not None else None,
    }


async def list_keys(call: Call) -> Response:
    """All there were, by number; with the first message that is tracked there is one."""
    read_query(call.request, "limit")
    await _check(call)
    keys = await call.rooms.storage.keys.token_keys()
    current = keys[-1].number if keys else 0
    return answer(page([key_view(key, current) for key in keys]))


async def rotate_key(call: Call) -> Response:
    """A new one for what is accepted from now on; those before are followed as ever."""
    read_query(call.request)
    await _check(call)
    key = await call.rooms.storage.keys.rotate_token_key(call.now_ms)
    return answer(key_view(key, key.number), 201)


async def revoke_key(call: Call) -> Response:
    """What was signed with it is not followed any more."""
    read_query(call.request)
    await _check(call)
    text = call.part("number")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1
    if number < 0:
        raise nothing_like("key of tracked links", text)
    key = await call.rooms.storage.keys.revoke_token_key(number, call.now_ms)
    return answer(key_view(key, 0))


async def _check(call: Call) -> None:
    if not await sees_everything(call):
        raise NotPermitted(
            "Keys of tracked links serve all apps and accounts, and this key does not see all of "
            "them.",
            fix="Use a key that is good for all apps, or the command line on the machine of a node.",
        )


ENTRIES: Final = (
    Entry("GET", "/tracking/keys", Verb.READ, list_keys),
    Entry("POST", "/tracking/keys", Verb.MANAGE, rotate_key),
    Entry("POST", "/tracking/keys/{number}/revoke", Verb.MANAGE, revoke_key),
)
