"""a rendering as a job for another process: what goes there, and what comes back"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

from pillarbox.message.dkim import SigningKey, read_key
from pillarbox.message.errors import CannotRender, TooComplex
from pillarbox.message.facts import MessageFacts
from pillarbox.message.features import Styles, no_styles, styles_of
from pillarbox.message.keys import RenderKeys, key_id
from pillarbox.message.parts import read_parts
from pillarbox.message.render import Hop, rendering
from pillarbox.message.wishes import inlines_styles
from pillarbox.net.errors import WorkerLost
from pillarbox.terms.ids import DeliveryId
from pillarbox.terms.secret import Secret


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
    """To be used again for other recipients of the same message."""
    status: str = ""
    """Where it cannot be rendered for this hop: the status, and the sentence."""
    wrong: str = ""
    broke: str = ""
    """What went wrong that should not have, and where: nothing of what was rendered."""


class RenderJob(msgspec.Struct, frozen=True, array_like=True):
    """All that rendering depends on."""

    content: bytes
    facts: MessageFacts
    hop: Hop
    delivery: int
    tokens: Mapping[int, bytes] = {}
    signing: tuple[tuple[str, str, str], ...] = ()
    """Domain, selector, and the key in PEM."""
    styles: Styles | None = None


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

    def left_because(self, why: str) -> RenderWork:
        """Without any feature."""
        return replace(self, styles=None, left=why)


def job_of(work: RenderWork) -> bytes:
    """The job as it is sent; of the keys only those that the message names."""
    facts, keys = work.facts, work.keys
    number = facts.token_key
    tokens = {number: keys.tokens[number]} if number in keys.tokens else {}
    signing = tuple(
        (key.domain, key.selector, key.private_text().reveal())
        for name in facts.key_ids
        if (key := keys.signing.get(name)) is not None
    )
    return msgspec.msgpack.encode(
        RenderJob(work.content, facts, work.hop, work.delivery, tokens, signing, work.styles)
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
        signing = {
            key_id(domain, selector): _key(domain, selector, pem)
            for domain, selector, pem in asked.signing
        }
        keys = RenderKeys(asked.tokens, signing)
        done = rendered(
            RenderWork(
                asked.content,
                asked.facts,
                asked.hop,
                keys,
                DeliveryId(asked.delivery),
                asked.styles,
            )
        )
    except CannotRender as error:
        done = Rendered(b"", status=error.status, wrong=error.sentence)
    except Exception as error:
        # The boundary of a process whose words nobody hears otherwise.
        done = Rendered(b"", broke=_place_of(error))
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
    kept = styles if len(work.facts.recipients) > 1 else None  # they cost something to send
    return Rendered(made.content, tuple(made.changes.remarks), hosted, kept)


def styles_without_work(content: bytes) -> Styles | None:
    """Those of a message that has no style sheet; None where inlining is to be worked out."""
    try:
        return no_styles(content, read_parts(content))
    except TooComplex:
        return ()


def _styles(content: bytes) -> Styles | None:
    """Of the message as it came: who stands in for its author changes no document."""
    try:
        return styles_of(content, read_parts(content))
    except TooComplex:
        return None


def _place_of(error: Exception) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}" if place is not None else "nowhere"
    return f"{type(error).__name__} in {where}"


@lru_cache(maxsize=64)
def _key(domain: str, selector: str, pem: str) -> SigningKey:
    return read_key(domain, selector, Secret(pem))


_JOB = msgspec.msgpack.Decoder(RenderJob)
_RENDERED = msgspec.msgpack.Decoder(Rendered)
