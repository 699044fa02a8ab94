"""a message as a request describes it, not composed yet"""

from __future__ import annotations

import asyncio
import binascii
import re
from dataclasses import dataclass
from typing import ClassVar, Final

from pillarbox.api.parcel import Parcel, check_size, make_envelope
from pillarbox.api.rooms import Rooms
from pillarbox.handover.receipt import Content
from pillarbox.message.compose import Attachment, Composition, Mailbox, compose
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import format_message_id

IN_A_THREAD_BYTES: Final = 128 * 1024
"""What is larger is decoded and composed beside the loop, which others are waiting for."""

MOST_ATTACHMENTS: Final = 100
_BLANKS: Final = re.compile(r"\s+")


class InvalidBase64(PillarboxError):
    """This is no base64."""

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


async def pack(rooms: Rooms, draft: Draft) -> Parcel:
    """The message composed, with its envelope. Raises `RequestError`, `InvalidHeaderValue`."""
    size = len(draft.text or "") + len(draft.html or "")
    size += sum(len(each.data) for each in draft.attachments)
    check_size(rooms, size)
    envelope = make_envelope(
        draft.author.address,
        draft.recipients,
        smtputf8=draft.reply_to is not None and not draft.reply_to.address.isascii(),
    )
    now_ms = rooms.clock.now_ms()
    message = rooms.storage.queue.next_message_id(now_ms)
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
    return Parcel(envelope, Content(content, message))


def read_base64(text: str) -> bytes:
    """What base64 holds, also where it comes in lines. Raises `InvalidBase64`."""
    try:
        return binascii.a2b_base64(_BLANKS.sub("", text).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise InvalidBase64("the content is no base64") from None
