"""a server that stays at one port and changes its mind: it works, refuses, stalls, denies logins

::

    async with MoodyServer(("relay", "pa ss")) as server:
        await server.become(Mood.REFUSING)      # all connections cut, nobody listens
        await server.become(Mood.WORKING)

A change cuts every connection, as a restart does. What was open on them is told as a sink tells it:
`facts` are such that `judge` reads them.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, Self

from tests.doubles.bad_server import BadServer
from tests.doubles.journal import Fact, wall_ms
from tests.doubles.ports import free_port
from tests.doubles.records import MessageRecord
from tests.doubles.script import Gate, Script, Stage, say, stall

_STALL_SECONDS: Final = 600.0


class Mood(StrEnum):
    """How it is today."""

    WORKING = "working"
    REFUSING = "refuses connections"
    STALLING_AT_BANNER = "stalls at its banner"
    STALLING_AT_MAIL = "stalls at MAIL"
    DENYING = "answers 535"
    UNABLE = "answers 454"


class MoodyServer:
    """One port, and a new `BadServer` behind it for each mood; an async context manager."""

    def __init__(self, login: tuple[str, str]) -> None:
        """Who delivers to it has to log in, in clear."""
        self._login = login
        self._server: BadServer | None = None
        self._gate = Gate()
        self.port = free_port()
        self.mood = Mood.WORKING
        self._facts: list[Fact] = []

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def become(self, mood: Mood) -> int:
        """Change; how many connections the mood before has met."""
        met = await self._end()
        self.mood = mood
        await self._begin()
        return met

    @property
    def connections(self) -> int:
        """Since the mood changed."""
        return len(self._server.sessions) if self._server is not None else 0

    def taken(self) -> list[Fact]:
        """What it took up to now, of all moods."""
        now = [] if self._server is None else [_taken(m) for m in self._server.messages]
        return [fact for fact in self._facts if fact["event"] == "taken"] + now

    @property
    def facts(self) -> list[Fact]:
        """For the judge, when it has ended."""
        return self._facts

    async def _begin(self) -> None:
        self._gate = Gate(max_seconds=_STALL_SECONDS)
        if self.mood is not Mood.REFUSING:
            self._server = BadServer(
                self._script(), port=self.port, credentials=dict([self._login]),
                auth_in_clear=True, require_auth=True, max_session_seconds=_STALL_SECONDS,
            )  # fmt: skip
            await self._server.__aenter__()

    def _script(self) -> Script:
        script = Script()
        match self.mood:
            case Mood.STALLING_AT_BANNER:
                script.on(Stage.BANNER, stall(self._gate))
            case Mood.STALLING_AT_MAIL:
                script.on(Stage.MAIL, stall(self._gate))
            case Mood.DENYING:
                script.on(Stage.AUTH, say(535, "5.7.8 not with this password"))
            case Mood.UNABLE:
                script.on(Stage.AUTH, say(454, "4.7.0 no logins just now"))
        return script

    async def _end(self) -> int:
        server, self._server = self._server, None
        if server is None:
            return 0
        await server.stop_listening()
        cut = {session.number for session in server.sessions if not session.ended}
        await server.__aexit__()
        last: dict[int, MessageRecord] = {}
        for message in server.messages:
            self._facts.append(_taken(message))
            last[message.session] = message
        opened = [_open(message) for number, message in last.items() if number in cut]
        self._facts.append({"event": "lost", "at": wall_ms(), "open": opened})
        return len(server.sessions)


def _taken(message: MessageRecord) -> Fact:
    """Every message that came up to its final dot; nothing is answered but 250."""
    return {
        "event": "taken",
        "at": message.received_at,
        "id": _identity(message),
        "return_path": message.return_path,
        "recipients": list(message.accepted_recipients),
        "sha256": hashlib.sha256(message.body).hexdigest(),
        "bare": 0,
    }


def _open(message: MessageRecord) -> Fact:
    return {
        "id": _identity(message),
        "recipients": list(message.accepted_recipients),
        "replied": message.code != 0,
    }


def _identity(message: MessageRecord) -> str:
    found = message.header("X-Exp-Id") or message.header("Subject")
    return found[0].decode() if found else ""
