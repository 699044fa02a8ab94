"""handing a message over by HTTP"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, TypeAlias, cast

from msgspec import UNSET, Meta, Struct, UnsetType, field
from starlette.responses import Response

from pillarbox.api.auth import submitter_of
from pillarbox.api.bodies import Check, check_json_type, read_shape
from pillarbox.api.calls import Call, answer
from pillarbox.api.draft import IN_A_THREAD_BYTES, MOST_ATTACHMENTS, Draft, pack, read_base64
from pillarbox.api.fields import InvalidField
from pillarbox.api.finding import the_app
from pillarbox.api.parcel import Parcel, hand_over, noting_refusals, pack_whole
from pillarbox.api.problems import InvalidRequest, Mistake, RequestError
from pillarbox.api.v1.standing import status_of
from pillarbox.message.compose import Attachment, Mailbox
from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.message.mailboxes import addresses_in
from pillarbox.message.transfer import with_mail_line_ends
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import App, Mode
from pillarbox.policy.submitter import Submitter
from pillarbox.storage.interface.companions import RecordCall
from pillarbox.storage.interface.errors import Repeated
from pillarbox.terms.address import InvalidAddress, parse_address, parse_mailbox
from pillarbox.terms.ids import (
    DeliveryId,
    MessageId,
    format_delivery_id,
    format_message_id,
)

_MOST_PEOPLE: Final = 2000
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
_PLACE: Final = re.compile(r"[A-Za-z_]+|\d+")
_BORN: Final = {Mode.SANDBOX: State.SANDBOXED, Mode.HOLD: State.HELD, Mode.LIVE: State.QUEUED}
_ROUTE: Final = b" POST /messages"


class Person(Struct, forbid_unknown_fields=True):
    """An address, perhaps with a name."""

    email: str
    name: str = ""


class File(Struct, forbid_unknown_fields=True):
    """An attachment, in base64; its type may be left to its name."""

    name: str
    content: str
    content_type: str = ""


def _recipient(value: str | Person) -> Mailbox:
    if isinstance(value, Person):
        return Mailbox(value.name, parse_address(value.email).text)
    name, found = parse_mailbox(value)
    return Mailbox(name, found.text)


def _author(value: str | Person) -> Mailbox:
    try:
        return _recipient(value)
    except InvalidAddress as error:
        raise InvalidField(error.sentence, code="address_invalid") from None


def _attachment(value: File) -> Attachment:
    return Attachment(value.name, read_base64(value.content), value.content_type)


_One: TypeAlias = str | Person
_People: TypeAlias = str | Person | Annotated[tuple[_One, ...], Meta(max_length=_MOST_PEOPLE)]


class NewMessage(Struct, kw_only=True):
    """What a message is made from. Without `author` the app's own is taken.

    With `raw_base64` it is a whole message (RFC 5322) already: the others only name the envelope.
    """

    CHECKS: ClassVar[Mapping[str, Check]] = {
        "author": _author,
        "to": _recipient,
        "cc": _recipient,
        "bcc": _recipient,
        "reply_to": _author,
        "attachments": _attachment,
        "raw_base64": lambda text: with_mail_line_ends(read_base64(text)),
    }

    author: _One | UnsetType = field(name="from", default=UNSET)
    to: _People = ()
    cc: _People = ()
    bcc: _People = ()
    reply_to: _One | None = None
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: Annotated[tuple[File, ...], Meta(max_length=MOST_ATTACHMENTS)] = ()
    raw_base64: str | None = None
    app: str | UnsetType = UNSET


async def add_message(call: Call) -> Response:
    """202 once the message is durable and we are responsible for it.

    With an ``Idempotency-Key`` the same request gives the same message, however often it is made.
    """
    with noting_refusals(call.rooms, call.caller):
        return await _add(call)


async def _add(call: Call) -> Response:
    check_json_type(call.request)
    body = await call.body(message=True)
    large = len(body) > IN_A_THREAD_BYTES
    wanted = (
        await asyncio.to_thread(read_shape, body, NewMessage)
        if large
        else read_shape(body, NewMessage)
    )
    app = await the_app(call, None if wanted.app is UNSET else wanted.app)
    submitter = await submitter_of(call.rooms, call.caller, app)
    record = _record(call, submitter, body)
    companions = () if record is None else (record,)
    try:
        if wanted.raw_base64 is None:
            parcel = await pack(call.rooms, _draft(wanted, app))
        else:
            parcel = _whole(wanted, app)
        receipt = await hand_over(
            call.rooms, call.request, submitter, parcel, companions=companions
        )
    except InvalidHeaderValue as error:
        mistake = Mistake(_pointer(error.field), error.reason, error.error_code)
        raise InvalidRequest([mistake]) from error
    except Repeated as repeated:
        return await _replayed(call, body, repeated)
    if not receipt.deliveries:
        return await _first_answer(call, receipt.message)
    return _accepted(receipt.message, receipt.deliveries)


def _draft(wanted: NewMessage, app: App) -> Draft:
    to, cc, bcc, answers = (
        _mailboxes(each) for each in (wanted.to, wanted.cc, wanted.bcc, wanted.reply_to)
    )
    if not answers and app.reply_to_address:
        answers = (Mailbox(app.reply_to_name, app.reply_to_address),)
    author = _author_of(wanted, app)
    mistakes = _nobody(wanted)
    if author is None:
        mistakes.append(Mistake("/from", "is missing, and the app has no from_address of its own"))
    if wanted.text is None and wanted.html is None and not wanted.attachments:
        mistakes.append(Mistake("/text", "is missing, and so are html and attachments"))
    if mistakes or author is None:
        raise InvalidRequest(mistakes)
    return Draft(
        author=author,
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=answers[0] if answers else None,
        subject=wanted.subject,
        text=wanted.text,
        html=wanted.html,
        attachments=cast("tuple[Attachment, ...]", wanted.attachments),  # since CHECKS
    )


def _whole(wanted: NewMessage, app: App) -> Parcel:
    """The return path, where it is not given, is the author the message itself names."""
    data = cast(bytes, wanted.raw_base64)  # since CHECKS
    said = (wanted.subject, wanted.text, wanted.html, wanted.reply_to, wanted.attachments)
    mistakes = _nobody(wanted)
    if any(said):
        mistakes.append(Mistake("/raw_base64", "is a whole message; leave out what it says itself"))
    named = _mailboxes(wanted.author)
    written = addresses_in(HeaderBlock.parse(split_content(data)[0]).get("From") or b"")
    return_path = named[0].address if named else _usable(written) or app.from_address
    if not return_path:
        mistakes.append(Mistake("/from", "is missing, and the message names no author"))
    if mistakes:
        raise InvalidRequest(mistakes)
    everybody = (*_mailboxes(wanted.to), *_mailboxes(wanted.cc), *_mailboxes(wanted.bcc))
    recipients = tuple(dict.fromkeys(mailbox.address for mailbox in everybody))
    return pack_whole(return_path, recipients, data)


def _author_of(wanted: NewMessage, app: App) -> Mailbox | None:
    named = _mailboxes(wanted.author)
    if named:
        return named[0]
    return Mailbox(app.from_name, app.from_address) if app.from_address else None


def _usable(written: Sequence[str]) -> str:
    try:
        return parse_address(written[0]).text if written else ""
    except InvalidAddress:
        return ""


def _nobody(wanted: NewMessage) -> list[Mistake]:
    if wanted.to or wanted.cc or wanted.bcc:
        return []
    return [Mistake("/to", "names no recipient", "recipient_invalid")]


def _mailboxes(value: object) -> tuple[Mailbox, ...]:
    """What CHECKS has made of one person or several."""
    if isinstance(value, Mailbox):
        return (value,)
    return tuple(value) if isinstance(value, tuple) else ()


def _pointer(place: str) -> str:
    """``to[2].name`` as a pointer into the request."""
    parts = _PLACE.findall(place)
    return "/" + "/".join("from" if part == "author" else part for part in parts)


def _record(call: Call, submitter: Submitter, body: bytes) -> RecordCall | None:
    key = call.request.headers.get("idempotency-key")
    if key is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise RequestError(
            "The Idempotency-Key is empty, too long or not plain ASCII.",
            code="invalid_value",
            fix="Use up to 255 printable characters, such as order-1042.",
        )
    return RecordCall(submitter.id + _ROUTE, key.encode("ascii"), _digest(body))


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


async def _replayed(call: Call, body: bytes, repeated: Repeated) -> Response:
    """The first answer once more. Raises `RequestError` where the bodies differ."""
    if repeated.digest != _digest(body):
        raise RequestError(
            "This Idempotency-Key was used before, for another message.",
            code="idempotency_conflict",
        ) from repeated
    return await _first_answer(call, MessageId(repeated.message))


async def _first_answer(call: Call, number: MessageId) -> Response:
    messages = call.rooms.storage.messages
    message = await messages.get(number)
    born = _BORN[Mode(message.mode)]
    rows = [(row.delivery, row.recipient, born) for row in await messages.deliveries(message.id)]
    return _accepted(message.id, rows, {"Idempotency-Replayed": "true"})


def _accepted(
    message: MessageId,
    deliveries: Sequence[tuple[DeliveryId, str, State]],
    headers: Mapping[str, str] | None = None,
) -> Response:
    id_text = format_message_id(message)
    document: dict[str, Any] = {
        "id": id_text,
        "status": status_of(state for _, _, state in deliveries),
        "deliveries": [
            {"id": format_delivery_id(delivery), "recipient": recipient, "state": state}
            for delivery, recipient, state in deliveries
        ],
    }
    place = {"Location": f"/pillarbox/v1/messages/{id_text}"}
    return answer(document, 202, {**place, **(headers or {})})
