"""a rehearsal as a job for another process: what goes there, and what comes back"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from pillarbox.message.errors import CannotRender, InvalidHeaderValue
from pillarbox.message.facts import MessageFacts
from pillarbox.message.keys import RenderKeys
from pillarbox.message.options import Remark
from pillarbox.message.rehearsal import Arrived, Rehearsal, rehearse
from pillarbox.message.render import Hop
from pillarbox.net.errors import WorkerLost
from pillarbox.net.workers import Workers
from pillarbox.services.delivery.packed_keys import PackedKeys, pack_keys
from pillarbox.services.delivery.render_job import place_of
from pillarbox.services.delivery.sent_hop import SentHop
from pillarbox.terms.ids import DeliveryId

MODULE: Final = "pillarbox.services.delivery.rehearsal_child"
"""What the children run."""
_TRIES: Final = 2


class RehearsalJob(msgspec.Struct, frozen=True, array_like=True):
    """All that a rehearsal depends on."""

    name: str
    content: bytes
    came: bytes | None
    facts: MessageFacts
    delivery: int
    ignored: tuple[Remark, ...]
    hop: SentHop
    keys: PackedKeys
    remarks: tuple[str, ...]
    left: str


class Rehearsed(msgspec.Struct, frozen=True, array_like=True):
    """What was told, and what would leave."""

    told: Rehearsal | None = None
    content: bytes = b""
    status: str = ""
    """Where it cannot be rendered for this hop: the status, and the sentence."""
    wrong: str = ""
    broke: str = ""
    """What went wrong that should not have, and where: nothing of what was rendered."""


async def rehearse_in_child(
    workers: Workers, name: str, arrived: Arrived, hop: Hop, keys: RenderKeys,
    came: bytes | None = None, remarks: tuple[str, ...] = (),
) -> tuple[Rehearsal, bytes]:  # fmt: skip
    """As `message.rehearsal.rehearse`, by children that run `MODULE`.

    As in delivery, what ends two of them goes as it came. Raises `CannotRender`, and `WorkerLost`
    where not even that can be told.
    """
    why = ""
    for _ in range(_TRIES):
        try:
            job = partial(_job_of, name, arrived, came, hop, keys, remarks)
            return _read(await workers.do(job))
        except WorkerLost as lost:
            why = lost.sentence
    left = f"It leaves as it came: while it was changed, {why}, twice."
    job = partial(_job_of, name, arrived, came, hop, keys, remarks, left)
    return _read(await workers.do(job))


def _job_of(
    name: str, arrived: Arrived, came: bytes | None, hop: Hop, keys: RenderKeys,
    remarks: tuple[str, ...], left: str = "",
) -> bytes:  # fmt: skip
    """The job as it is sent; of the keys only those that the message names."""
    job = RehearsalJob(
        name, arrived.content, came, arrived.facts, arrived.delivery, arrived.ignored,
        SentHop.of(hop),
        pack_keys(arrived.facts, keys), remarks, left,
    )  # fmt: skip
    return msgspec.msgpack.encode(job)


def _read(answer: bytes) -> tuple[Rehearsal, bytes]:
    done = _REHEARSED.decode(answer)
    if done.wrong:
        raise CannotRender(done.wrong, status=done.status)
    if done.told is None:
        raise WorkerLost(f"something unexpected happened ({done.broke})")
    return done.told, done.content


def work(job: bytes) -> bytes:
    """The answer to a job, in the process that does it."""
    asked = _JOB.decode(job)
    arrived = Arrived(asked.content, asked.facts, DeliveryId(asked.delivery), asked.ignored)
    try:
        told, content = rehearse(
            asked.name, arrived, asked.hop.received(), asked.keys.unpacked(),
            came=asked.came, remarks=asked.remarks, left=asked.left,
        )  # fmt: skip
        return msgspec.msgpack.encode(Rehearsed(told, content))
    except CannotRender as error:
        done = Rehearsed(status=error.status, wrong=error.sentence)
    except InvalidHeaderValue as error:
        done = Rehearsed(status="5.6.0", wrong=error.sentence)
    except MemoryError:
        raise  # what is left may be too little for the next job as well: the process ends
    except Exception as error:
        # The boundary of a process whose words nobody hears otherwise.
        done = Rehearsed(broke=place_of(error))
    return msgspec.msgpack.encode(done)


_JOB = msgspec.msgpack.Decoder(RehearsalJob)
_REHEARSED = msgspec.msgpack.Decoder(Rehearsed)
