"""a rendering as a job for another process: what goes there, and what comes back"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from pillarbox.message.dkim import SigningKey, read_key
from pillarbox.message.errors import CannotRender, TooComplex
from pillarbox.message.facts import MessageFacts
from pillarbox.message.features import Styles, styles_of
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


def job_of(
    content: bytes, facts: MessageFacts, hop: Hop, keys: RenderKeys, delivery: DeliveryId,
    styles: Styles | None,
) -> bytes:  # fmt: skip
    """The job as it is sent; of the keys only those that the message names."""
    tokens = {facts.token_key: keys.tokens[facts.token_key]} if _has_key(facts, keys) else {}
    signing = tuple(
        (key.domain, key.selector, key.private_text().reveal())
        for name in facts.key_ids
        if (key := keys.signing.get(name)) is not None
    )
    job = RenderJob(content, facts, hop, delivery, tokens, signing, styles)
    return msgspec.msgpack.encode(job)


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


def work(job: bytes) -> bytes:
    """The answer to a job, in the process that does it."""
    asked = _JOB.decode(job)
    signing = {key_id(domain, selector): _key(domain, selector, pem)
               for domain, selector, pem in asked.signing}  # fmt: skip
    try:
        done = rendered(
            asked.content, asked.facts, asked.hop, RenderKeys(asked.tokens, signing),
            DeliveryId(asked.delivery), asked.styles,
        )  # fmt: skip
    except CannotRender as error:
        done = Rendered(b"", status=error.status, wrong=error.sentence)
    except Exception as error:
        # The boundary of a process whose words nobody hears otherwise.
        done = Rendered(b"", broke=_place_of(error))
    return msgspec.msgpack.encode(done)


def rendered(
    content: bytes, facts: MessageFacts, hop: Hop, keys: RenderKeys, delivery: DeliveryId,
    styles: Styles | None = None, left: str = "",
) -> Rendered:  # fmt: skip
    """As `message.render.rendering`, in the process that is asked.

    Raises what that does.
    """
    if styles is None and not left and inlines_styles(facts):
        styles = _styles(content)
    made = rendering(content, facts, hop, keys, delivery, styles=styles, left=left)
    hosted = tuple(
        HostedImage(image.digest, image.media_type, image.data) for image in made.changes.hosted
    )
    return Rendered(made.content, tuple(made.changes.remarks), hosted, styles)


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


def _has_key(facts: MessageFacts, keys: RenderKeys) -> bool:
    return bool(facts.tracking_host) and facts.token_key in keys.tokens


@lru_cache(maxsize=64)
def _key(domain: str, selector: str, pem: str) -> SigningKey:
    return read_key(domain, selector, Secret(pem))


_JOB = msgspec.msgpack.Decoder(RenderJob)
_RENDERED = msgspec.msgpack.Decoder(Rendered)
