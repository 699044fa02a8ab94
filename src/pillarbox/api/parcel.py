"""an envelope and its content, from a request to the door"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from pillarbox.api.auth import Caller
from pillarbox.api.problems import RequestError
from pillarbox.api.rooms import Rooms
from pillarbox.handover.receipt import Content, Receipt
from pillarbox.message.facts import Origin
from pillarbox.message.header import split_content
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.submitter import Submitter
from pillarbox.storage.interface.companions import Companion
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import MAX_RECIPIENTS


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the door takes."""

    envelope: Envelope
    content: Content


def pack_whole(return_path: str, recipients: Sequence[str], data: bytes) -> Parcel:
    """A message that somebody else wrote, with the line ends of mail."""
    header, _ = split_content(data)
    envelope = make_envelope(return_path, recipients, smtputf8=not header.isascii())
    return Parcel(envelope, Content(data))


def make_envelope(return_path: str, recipients: Sequence[str], *, smtputf8: bool) -> Envelope:
    """An envelope of bare addresses. Raises `RequestError` where there are too many."""
    if len(recipients) > MAX_RECIPIENTS:
        raise RequestError(
            f"The message has {len(recipients)} recipients; {MAX_RECIPIENTS} are possible.",
            code="too_many_recipients",
        )
    return Envelope(
        return_path=return_path,
        recipients=tuple(Recipient(address) for address in recipients),
        smtputf8=smtputf8 or not all(map(str.isascii, (return_path, *recipients))),
    )


async def hand_over(
    rooms: Rooms,
    request: Request,
    submitter: Submitter,
    parcel: Parcel,
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
    check_size(rooms, len(parcel.content.head))
    client = request.client
    origin = Origin(
        porch="http",
        address=client.host if client else "",
        port=client.port if client else 0,
        protocol="HTTP",
    )
    return await rooms.door.accept(
        parcel.envelope,
        parcel.content,
        submitter,
        origin,
        answer_by=answer_by,
        companions=companions,
    )


def check_size(rooms: Rooms, size_bytes: int) -> None:
    """Raises `RequestError` for a message larger than this service takes."""
    most = rooms.config.max_message_mb
    if size_bytes > most * 1024 * 1024:
        raise RequestError(f"The message is larger than {most} MB.", code="message_too_large")


@contextmanager
def noting_refusals(rooms: Rooms, caller: Caller) -> Iterator[None]:
    """Within it, whatever keeps a message from being taken is told to those who keep count."""
    try:
        yield
    except PillarboxError as error:
        rooms.note_refusal(error.error_code, caller.name, error.sentence)
        raise
