"""a message as a request describes it, on its way to the door"""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from starlette.requests import Request

from pillarbox.api.problems import RequestError
from pillarbox.api.rooms import Rooms
from pillarbox.handover.accept import Content, Receipt
from pillarbox.message.compose import Attachment, Composition, Mailbox, compose
from pillarbox.message.facts import Origin
from pillarbox.policy.directory import Submitter
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.storage.interface.queue import Companion
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import MAX_RECIPIENTS, MessageId, format_message_id

IN_A_THREAD_BYTES: Final = 128 * 1024
"""What is larger is decoded and composed beside the loop, which others are waiting for."""

MOST_ATTACHMENTS: Final = 100
_BLANKS: Final = re.compile(r"\s+")


class InvalidAttachment(PillarboxError):
    """The attachment cannot be read."""

    code: ClassVar[str] = "invalid_value"


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything a request says about a message."""

    author: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    reply_to: Mailbox | None = None
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """Every address once, in the order of to, cc, bcc."""
        everybody = (*self.to, *self.cc, *self.bcc)
        return tuple(dict.fromkeys(mailbox.address for mailbox in everybody))


async def hand_over(
    rooms: Rooms,
    request: Request,
    submitter: Submitter,
    draft: Draft,
    *,
    answer_by: int | None = None,
    companions: Sequence[Companion] = (),
) -> Receipt:
    """One message to all recipients, through the door. Raises what the door raises, and
    `RequestError`; `Trouble` while nothing can be taken charge of.
    """
    trouble = rooms.gate.trouble if rooms.gate else None
    if trouble is not None:
        raise trouble.with_traceback(None)
    recipients = draft.recipients
    if len(recipients) > MAX_RECIPIENTS:
        raise RequestError(
            f"The message has {len(recipients)} recipients; {MAX_RECIPIENTS} are possible.",
            code="too_many_recipients",
        )
    now_ms = rooms.clock.now_ms()
    message = rooms.storage.queue.next_message_id(now_ms)
    content = await _composed(rooms, draft, message, now_ms)
    envelope = Envelope(
        return_path=draft.author.address,
        recipients=tuple(Recipient(address) for address in recipients),
        smtputf8=not all(map(str.isascii, _addresses(draft))),
    )
    client = request.client
    origin = Origin(
        porch="http",
        address=client.host if client else "",
        port=client.port if client else 0,
        protocol="HTTP",
    )
    return await rooms.door.accept(
        envelope,
        Content(content, message),
        submitter,
        origin,
        answer_by=answer_by,
        companions=companions,
    )


async def _composed(rooms: Rooms, draft: Draft, message: MessageId, now_ms: int) -> bytes:
    limit = rooms.config.max_message_mb * 1024 * 1024
    size = len(draft.text or "") + len(draft.html or "")
    size += sum(len(each.data) for each in draft.attachments)
    if size > limit:
        raise _too_large(rooms)
    composition = Composition(
        message_id=f"{format_message_id(message)}@{rooms.hostname}",
        at=now_ms,
        author=draft.author,
        to=draft.to,
        cc=draft.cc,
        reply_to=draft.reply_to,
        subject=draft.subject,
        text=draft.text,
        html=draft.html,
        attachments=draft.attachments,
    )
    if size > IN_A_THREAD_BYTES:
        content = await asyncio.to_thread(compose, composition)
    else:
        content = compose(composition)
    if len(content) > limit:
        raise _too_large(rooms)
    return content


def read_attachment(name: str, content: str, content_type: str) -> Attachment:
    """An attachment as JSON carries it: base64, also in lines. Raises `InvalidAttachment`."""
    try:
        data = binascii.a2b_base64(_BLANKS.sub("", content).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise InvalidAttachment("the content is no base64") from None
    return Attachment(name, data, content_type)


def _addresses(draft: Draft) -> Iterable[str]:
    answers = (draft.reply_to,) if draft.reply_to else ()
    everybody = (draft.author, *draft.to, *draft.cc, *draft.bcc, *answers)
    return (mailbox.address for mailbox in everybody)


def _too_large(rooms: Rooms) -> RequestError:
    return RequestError(
        f"The message is larger than {rooms.config.max_message_mb} MB.", code="message_too_large"
    )
