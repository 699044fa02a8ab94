"""previews: messages as they would leave, rendered in full and not sent"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb, submitter_of
from pillarbox.api.bodies import Check, check_json_type, read_shape
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.draft import read_base64
from pillarbox.api.fields import Names, Options, Short, options
from pillarbox.api.finding import find_credential, find_message, nothing_like, the_app
from pillarbox.api.paging import read_query
from pillarbox.api.parcel import check_size
from pillarbox.api.problems import InvalidRequest, Mistake
from pillarbox.api.v1.standing import last_attempt
from pillarbox.message.rehearsal import Rehearsal
from pillarbox.message.render import Hop
from pillarbox.message.transfer import with_mail_line_ends
from pillarbox.policy.credential import CredentialKind
from pillarbox.policy.submitter import Submitter
from pillarbox.storage.interface.messages import StoredMessage
from pillarbox.storage.interface.queue import DeliveryRow

_GOOD_HOP: Final = Hop(eight_bit=True, smtputf8=True)
_SEVEN_BIT: Final = Hop(eight_bit=False, smtputf8=False)


class PreviewWish(Struct, kw_only=True):
    """What is to be shown, a whole message or one that was taken, and with which options."""

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "raw_base64": lambda text: with_mail_line_ends(read_base64(text)),
        "options": options,
    }

    raw_base64: str | None = None
    message: Short | None = None
    """The id of one that was taken."""
    app: str | UnsetType = UNSET
    credential: Names | None = None
    """A login by which it would be handed over; without it, the key."""
    options: Options = {}
    recipient: Names | None = None
    """For whom, of the recipients of one that was taken; the first, where nobody is named."""
    seven_bit: bool = False
    """For a next server that takes neither 8BITMIME nor SMTPUTF8."""
    content: bool = False
    """Whether the octets that would leave are wanted as well."""


async def preview(call: Call) -> Response:
    """What would be done to a message; nothing is stored and nothing sent."""
    check_json_type(call.request)
    wish = read_shape(await call.body(message=True), PreviewWish)
    _check(wish)
    hop = _SEVEN_BIT if wish.seven_bit else _GOOD_HOP
    asked = {
        name: value
        for name, value in cast("dict[str, str | None]", wish.options).items()  # since CHECKS
        if value is not None
    }
    if wish.message is not None:
        call.caller.require(Verb.READ)
        told, leaves = await _stored(call, wish.message, wish.recipient, asked, hop)
    else:
        told, leaves = await _fresh(call, wish, asked, hop)
    document = _view(told)
    if wish.content:
        document["content_base64"] = base64.b64encode(leaves).decode("ascii")
    return answer(document)


async def preview_message(call: Call) -> Response:
    """A message that was taken, as it leaves or left."""
    query = read_query(call.request, "recipient")
    told, _ = await _stored(call, call.part("message"), query.get("recipient"), {}, _GOOD_HOP)
    return answer(_view(told))


async def _stored(
    call: Call, id_: str, recipient: str | None, asked: Mapping[str, str], hop: Hop
) -> tuple[Rehearsal, bytes]:
    app, message = await find_message(call, id_)
    row = await _row(call, message, recipient)
    storage = call.rooms.storage
    check_size(call.rooms, message.size)
    last = last_attempt(await storage.events.history(row.last_event))
    rehearser = call.rooms.rehearser
    async with rehearser.turn():
        content = await storage.messages.content(message.id)
        return await rehearser.stored(message, app.account, content, row, last, asked, hop)


async def _row(call: Call, message: StoredMessage, recipient: str | None) -> DeliveryRow:
    rows = await call.rooms.storage.messages.deliveries(message.id)
    for row in rows:
        if recipient is None or row.recipient.lower() == recipient.lower():
            return row
    raise nothing_like("recipient", recipient or "")


async def _fresh(
    call: Call, wish: PreviewWish, asked: Mapping[str, str], hop: Hop
) -> tuple[Rehearsal, bytes]:
    content = cast(bytes, wish.raw_base64)  # since CHECKS
    check_size(call.rooms, len(content))
    submitter = await _submitter(call, wish)
    async with call.rooms.rehearser.turn():
        return await call.rooms.rehearser.fresh("", content, submitter, asked, hop)


async def _submitter(call: Call, wish: PreviewWish) -> Submitter:
    """Whoever would hand it over: the caller, or a login of theirs."""
    named = None if wish.app is UNSET else wish.app
    if wish.credential is None:
        app = await the_app(call, named)
        return await submitter_of(call.rooms, call.caller, app)
    app, credential = await find_credential(call, wish.credential, named)
    return replace(
        await submitter_of(call.rooms, call.caller, app),
        name=credential.name,
        relays=credential.kind is CredentialKind.RELAY,
        allowed_senders=credential.allowed_senders,
        options=credential.options,
        fixed_options=frozenset(credential.fixed_options),
    )


def _check(wish: PreviewWish) -> None:
    mistakes = []
    if (wish.message is None) == (wish.raw_base64 is None):
        mistakes.append(Mistake("/raw_base64", "or message is wanted, and not both"))
    if wish.message is not None and (wish.credential is not None or wish.app is not UNSET):
        mistakes.append(Mistake("/message", "has its app and its login; leave out both"))
    if wish.message is None and wish.recipient is not None:
        mistakes.append(Mistake("/recipient", "is for a message that was taken"))
    if mistakes:
        raise InvalidRequest(mistakes)


def _view(told: Rehearsal) -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.to_builtins(told))


ENTRIES: Final = (
    Entry("POST", "/preview", Verb.SEND, preview),
    Entry("GET", "/messages/{message}/preview", Verb.READ, preview_message),
)
