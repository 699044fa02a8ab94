"""a rendering as a job for another process: what goes there, and what comes back"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from pillarbox.message.errors import CannotRender, TooComplex
from pillarbox.message.facts import MessageFacts
from pillarbox.message.features import Styles, known_styles, no_styles, remember_styles, styles_of
from pillarbox.message.keys import RenderKeys
from pillarbox.message.render import Hop, rendering
from pillarbox.message.style_memory import StyleMemory
from pillarbox.message.wishes import inlines_styles
from pillarbox.net.errors import WorkerLost
from pillarbox.services.delivery.packed_keys import PackedKeys, pack_keys
from pillarbox.services.delivery.sent_hop import SentHop
from pillarbox.terms.ids import DeliveryId


class HostedImage(msgspec.Struct, frozen=True, array_like=True):
    """An image that no longer travels with a message."""

    digest: str
    media_type: str
    data: bytes


class Rendered(msgspec.Struct, frozen=True, array_like=True):
    """What a message became, as far as delivery is concerned."""

    content: bytes
    remarks: tuple[str, ...] = ()
    hosted: tuple[HostedImage, ...] = ()
    styles: Styles | None = None
    """To be used again: for other recipients of the same message, and for messages like it."""
    status: str = ""
    """Where it cannot be rendered for this hop: the status, and the sentence."""
    wrong: str = ""
    broke: str = ""
    """What went wrong that should not have, and where: nothing of what was rendered."""


class RenderJob(msgspec.Struct, frozen=True, array_like=True):
    """All that rendering depends on."""

    content: bytes
    facts: MessageFacts
    hop: SentHop
    delivery: int
    keys: PackedKeys
    styles: Styles | None = None
    left: str = ""
    tells_styles: bool = True


@dataclass(frozen=True, slots=True)
class RenderWork:
    """What rendering is asked for."""

    content: bytes
    facts: MessageFacts
    hop: Hop
    keys: RenderKeys
    delivery: DeliveryId
    styles: Styles | None = None
    left: str = ""
    """Why no feature is to be applied."""
    tells_styles: bool = True
    """Whether they are to come back; they cost something to send."""

    def left_because(self, why: str) -> RenderWork:
        """Without any feature."""
        return replace(self, styles=None, left=why)


def job_of(work: RenderWork) -> bytes:
    """The job as it is sent; of the keys only those that the message names."""
    keys = pack_keys(work.facts, work.keys)
    return msgspec.msgpack.encode(
        RenderJob(
            work.content,
            work.facts,
            SentHop.of(work.hop),
            work.delivery,
            keys,
            work.styles,
            work.left,
            work.tells_styles,
        )
    )


def read_rendered(answer: bytes) -> Rendered:
    """What came back. Raises `CannotRender` where that was found, and `WorkerLost` where the work
    itself went wrong.
    """
    done = _RENDERED.decode(answer)
    if done.broke:
        raise WorkerLost(f"something unexpected happened ({done.broke})")
    if done.wrong:
        raise CannotRender(done.wrong, status=done.status)
    return done


def answer_to(job: bytes) -> bytes:
    """The answer to a job, in the process that does it."""
    asked = _JOB.decode(job)
    try:
        done = rendered(
            RenderWork(
                asked.content,
                asked.facts,
                asked.hop.received(),
                asked.keys.unpacked(),
                DeliveryId(asked.delivery),
                asked.styles,
                asked.left,
                asked.tells_styles,
            )
        )
    except CannotRender as error:
        done = Rendered(b"", status=error.status, wrong=error.sentence)
    except MemoryError:
        raise  # what is left may be too little for the next job as well: the process ends
    except Exception as error:
        # The boundary of a process whose words nobody hears otherwise.
        done = Rendered(b"", broke=place_of(error))
    return msgspec.msgpack.encode(done)


def rendered(work: RenderWork) -> Rendered:
    """As `message.render.rendering`, in the process that is asked. Raises what that does."""
    styles = work.styles
    if styles is None and not work.left and inlines_styles(work.facts):
        styles = _styles(work.content)
    made = rendering(
        work.content, work.facts, work.hop, work.keys, work.delivery, styles=styles, left=work.left
    )
    hosted = tuple(
        HostedImage(image.digest, image.media_type, image.data) for image in made.changes.hosted
    )
    told = styles if work.tells_styles else None
    return Rendered(made.content, tuple(made.changes.remarks), hosted, told)


def styles_without_work(content: bytes) -> Styles | None:
    """Those of a message that has no style sheet; None where inlining is to be worked out."""
    try:
        return no_styles(content)
    except TooComplex:
        return ()


def styles_remembered(content: bytes, memory: StyleMemory) -> Styles | None:
    """Those of a message that has no style sheet or is like one that was seen; None for others."""
    try:
        return known_styles(content, memory)
    except TooComplex:
        return ()


def remember(content: bytes, styles: Styles, memory: StyleMemory) -> None:
    """The styles that a child found, for messages like this one."""
    remember_styles(content, styles, memory)


def _styles(content: bytes) -> Styles | None:
    """Of the message as it came: who stands in for its author changes no document."""
    try:
        return styles_of(content)
    except TooComplex:
        return None


def place_of(error: Exception) -> str:
    """What went wrong and where, without a word of what was rendered."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}" if place is not None else "nowhere"
    return f"{type(error).__name__} in {where}"


_JOB = msgspec.msgpack.Decoder(RenderJob)
_RENDERED = msgspec.msgpack.Decoder(Rendered)
