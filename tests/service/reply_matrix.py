"""the matrix of replies: every stage, every way to misbehave, and what must come of it

A cell is played four times: for one recipient and for three of which one is bad, by a server that is
the app's only one and by one that has another behind it. Each play has an app and servers of its
own, so all of them run at once in one Pillarbox, and what they cost is the longest timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from pillarbox.handover.receipt import Content
from pillarbox.message.facts import Origin
from pillarbox.policy.delivery import State
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.events import AttemptFacts, ServerFacts
from pillarbox.policy.server import Encryption, Server
from pillarbox.storage.interface.queue import DeliveryRow
from pillarbox.terms.ids import MessageId, ObjectId, new_object_id
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles
from tests.doubles.script import (
    Gate,
    Script,
    Stage,
    Step,
    drop,
    garbage,
    long_line,
    say,
    stall,
)
from tests.fix_house import SAMPLE, Running

GOOD: Final = ("ann@example.org", "eve@example.org")
BAD: Final = "bob@example.org"
ONE: Final = (BAD,)
THREE: Final = (GOOD[0], BAD, GOOD[1])
_LOGIN: Final = ("relay", "right")
_SECONDS: Final = 15.0
_EVENT_SECONDS: Final = 3.0

UNKNOWN: Final = say(550, "5.1.1 nobody of that name here")
REPLIES: Final[dict[Stage, tuple[Step, Step]]] = {
    # what a server says there that puts us off, and what it says that refuses for good
    Stage.BANNER: (say(450, "not now"), say(554, "no service for you")),
    Stage.EHLO: (say(450, "4.3.2 not now"), say(554, "5.7.1 go away")),
    Stage.STARTTLS: (say(454, "4.7.0 no TLS just now"), say(501, "5.5.4 no TLS for you")),
    Stage.AUTH: (say(454, "4.7.0 no logins just now"), say(535, "5.7.8 wrong password")),
    Stage.MAIL: (say(451, "4.3.0 not now"), say(550, "5.1.8 this return path is not known")),
    Stage.RCPT: (say(450, "4.2.1 mailbox in use"), UNKNOWN),
    Stage.DATA: (say(451, "4.3.0 not now"), say(554, "5.6.0 no content of yours")),
    Stage.DOT: (say(451, "4.3.0 not now"), say(554, "5.6.0 no content of yours")),
    Stage.QUIT: (say(451, "4.3.0 not now"), say(554, "5.3.0 you may not go")),
}
_CODES: Final = {Stage.BANNER: 220, Stage.STARTTLS: 220, Stage.AUTH: 235, Stage.DATA: 354}
"""Of a reply that would have been right, had it not been so long; 250 elsewhere."""
SPECIAL: Final[dict[str, Step]] = {
    "relay": say(554, "5.7.1 <bob@example.org>: Relay access denied"),
    "login": say(530, "5.7.0 Authentication required"),
    "grey": say(450, "4.7.1 greylisted, see you later"),
    "rate": say(450, "4.7.28 you send too much mail"),
    "filter": say(451, "4.7.1 cannot judge this just now"),
    "refused": drop(),
}
"""Replies that say more than their code; and ``refused``: nobody listens."""
HOWS: Final = ("4xx", "5xx", "421", "drop", "stall", "garbage", "oversize")


@dataclass(frozen=True, slots=True)
class Play:
    """What became of one play of a cell."""

    endings: tuple[str, ...]
    """State and category of each recipient, of the first attempt that ended or deferred it."""
    server: str
    """What was held against the first server then: ``blamed``, ``paused``, or ``-``; and its stored
    number of errors in a row.
    """
    copies: tuple[str, ...]
    """For each recipient a digit for every copy that was taken or may have been: 1 by the first
    server, 2 by the second; ``-`` for none.
    """


def steps_of(stage: Stage, how: str, gate: Gate) -> tuple[Step, ...]:
    """What the server does there."""
    match how:
        case "4xx":
            return (REPLIES[stage][0],)
        case "5xx":
            return (REPLIES[stage][1],)
        case "421":
            return (say(421, "4.3.2 leaving"), drop())
        case "drop":
            return (drop(),)
        case "stall":
            return (stall(gate),)
        case "garbage":
            return (garbage(),)
        case "oversize":
            return (long_line(_CODES.get(stage, 250)),)
    return (SPECIAL[how],)


def script_of(stage: Stage, how: str, recipients: Sequence[str], gate: Gate) -> Script:
    """As it is played. At RCPT it is the bad recipient who meets it; elsewhere everybody does, and
    the bad one of three is unknown to the server besides.

    Behind the final dot it happens once: what follows is told by what comes then.
    """
    steps = steps_of(stage, how, gate)
    script = Script()
    if stage is Stage.RCPT:
        return script.on(stage, *steps, recipient=BAD)
    script.on(stage, *steps, times=1 if stage is Stage.DOT else None)
    return script if len(recipients) == 1 else script.on(Stage.RCPT, UNKNOWN, recipient=BAD)


class Player:
    """Plays cells in a running Pillarbox."""

    def __init__(self, running: Running, certificate: CertificateFiles) -> None:
        self._running = running
        self._certificate = certificate
        self._tls = certificate.server_context()

    async def play(
        self, stage: Stage, how: str, recipients: Sequence[str], server: str, *, alone: bool
    ) -> Play:
        """One play, from the submission until nothing more will happen.

        Events of servers come a moment after what they tell of, so `server` is waited for; where
        something else stays, that is in the play.
        """
        gate = Gate()
        script = script_of(stage, how, recipients, gate)
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(self._double(stage, script))
            stack.callback(gate.release)
            if how == "refused":
                await first.stop_listening()
            app = await self._app(f"{stage}-{how}-{len(recipients)}-{alone}")
            way = await self._server(app, first, 0, stage)
            doubles = [first]
            if not alone:
                others = Script()
                if len(recipients) > 1 and stage is not Stage.RCPT:
                    others.on(Stage.RCPT, UNKNOWN, recipient=BAD)
                second = await stack.enter_async_context(BadServer(others))
                await self._server(app, second, 1, Stage.CONNECT)
                doubles.append(second)
            message = await self._submit(app, recipients)
            rows = await self._attempted(message, recipients)
            endings = [await self._ending(row) for row in rows]
            if how != "refused":  # what never happened would show nothing
                await first.until(lambda: script.rules[0].done > 0)
            said = await self._held_against(app, way, server)
            if doubted := [row for row in rows if row.uncertain]:
                await self._try_again(doubted)
                await self._running.until(message, seconds=_SECONDS)
                same = {message.content for message in first.messages}
                assert len(same) == 1, "what went twice is not the same"
            return Play(tuple(endings), said, tuple(_copies(row, doubles) for row in rows))

    def _double(self, stage: Stage, script: Script) -> BadServer:
        if stage is Stage.STARTTLS:
            return BadServer(script, tls=self._tls)
        if stage is Stage.AUTH:
            return BadServer(script, credentials=dict([_LOGIN]), auth_in_clear=True)
        return BadServer(script)

    async def _app(self, name: str) -> ObjectId:
        app = replace(self._running.app, id=new_object_id(), name=name)
        await self._running.house.storage.directory.save_app(app)
        return app.id

    async def _server(
        self, app: ObjectId, double: BadServer, priority: int, stage: Stage
    ) -> ObjectId:
        server = Server(
            new_object_id(), app, f"server-{priority}", "localhost", double.port,
            encryption=Encryption.STARTTLS if stage is Stage.STARTTLS else Encryption.NONE,
            ca_file=str(self._certificate.ca),
            username=_LOGIN[0] if stage is Stage.AUTH else "",
            password=Secret(_LOGIN[1]) if stage is Stage.AUTH else None,
            priority=priority,
        )  # fmt: skip
        await self._running.house.storage.directory.save_server(server)
        return server.id

    async def _submit(self, app: ObjectId, recipients: Sequence[str]) -> MessageId:
        """Without a return path, so that no notice comes between."""
        house = self._running.house
        submitter = replace(self._running.submitter(), app=await house.storage.directory.app(app))
        envelope = Envelope("", tuple(Recipient(r) for r in recipients))
        receipt = await house.door.accept(envelope, Content(SAMPLE), submitter, Origin("smtp"))
        return receipt.message

    async def _attempted(self, message: MessageId, recipients: Sequence[str]) -> list[DeliveryRow]:
        """Everybody's standing after the first attempt, in the order of the recipients."""
        rows = await self._running.until(
            message,
            lambda rows: (
                len(rows) == len(recipients)
                and all(row.attempts and row.state is not State.ACTIVE for row in rows)
            ),
            _SECONDS,
        )
        return sorted(rows, key=lambda row: recipients.index(row.recipient))

    async def _ending(self, row: DeliveryRow) -> str:
        history = await self._running.house.storage.events.history(row.last_event)
        facts = [event.data for event in history if isinstance(event.data, AttemptFacts)][-1]
        return f"{row.state} {facts.category}"

    async def _try_again(self, rows: Sequence[DeliveryRow]) -> None:
        house = self._running.house
        await house.storage.queue.retry([r.delivery for r in rows], house.clock.now_ms(), "test")
        house.worker.look_now()

    async def _held_against(self, app: ObjectId, server: ObjectId, expected: str) -> str:
        deadline = asyncio.get_running_loop().time() + _EVENT_SECONDS
        while (said := await self._look_at(app, server)) != expected:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.01)
        return said

    async def _look_at(self, app: ObjectId, server: ObjectId) -> str:
        storage = self._running.house.storage
        kinds = {
            event.kind
            for event in await storage.events.recent(50, app=app)
            if isinstance(event.data, ServerFacts) and event.data.server == server
        }
        errors = (await storage.directory.server(server)).errors
        if "server.paused" in kinds:
            return f"paused {errors}"
        return f"blamed {errors}" if "server.failing" in kinds else f"- {errors}"


def _copies(row: DeliveryRow, doubles: Sequence[BadServer]) -> str:
    """Taken, or, where nothing lawful was answered, perhaps taken."""
    copies = ""
    for number, double in enumerate(doubles, 1):
        for message in double.messages:
            if row.recipient in message.accepted_recipients and message.code // 100 in (0, 2):
                copies += str(number)
    return copies or "-"
