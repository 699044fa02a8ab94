"""the entrance: logins checked, slowed down where many fail, and what failed kept for the operator

A client hears the same whatever was wrong, with a reference. What was wrong is told to whoever runs
the login, in words, under that reference.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pillarbox.net.interface import Peer
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.credential import LoginUse
from pillarbox.policy.problems import Problem, ProblemKind, shown, words_for
from pillarbox.policy.submitter import Submitter
from pillarbox.policy.throttle import LoginThrottle
from pillarbox.protocol import replies
from pillarbox.protocol.events import LoginReceived, Misbehaved
from pillarbox.protocol.reply import Reply
from pillarbox.services.submission.authenticate import Authenticator
from pillarbox.storage.interface.problems import ProblemStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.errors import Trouble
from pillarbox.terms.ids import ObjectId

_log = logger("submission")

_MISBEHAVIOUR: dict[Reply, ProblemKind] = {
    replies.LOGIN_NEEDS_TLS: ProblemKind.IN_CLEAR,
    replies.STARTTLS_FIRST: ProblemKind.IN_CLEAR,
    replies.LOGIN_FIRST: ProblemKind.NO_LOGIN,
    replies.UNKNOWN_MECHANISM: ProblemKind.MECHANISM,
}


@dataclass(slots=True)
class Entrance:
    """What all sessions share about who may come in."""

    authenticator: Authenticator
    throttle: LoginThrottle
    problems: ProblemStore
    clock: Clock
    metrics: Metrics
    news: News
    most_sessions: int = 0
    """Of one login at a time; 0: no limit."""
    _sessions: dict[ObjectId, int] = field(default_factory=dict)

    def admit(self, address: str) -> Reply | None:
        """Asked before anything is read from a client; the reply with which it is sent away."""
        if not self.throttle.pause(address, self.clock.monotonic()):
            return None
        return self._send_away(Problem(ProblemKind.THROTTLED, address))

    async def login(self, event: LoginReceived, peer: Peer, hello: str) -> Submitter | Reply:
        """Who logs in, or the reply to a login that is refused."""
        now_ms = self.clock.now_ms()
        visit = LoginUse(now_ms, peer.address, peer.tls, hello)
        port, username = peer.local_port, shown(event.username)
        if self.throttle.pause(peer.address, self.clock.monotonic()):
            # It was let in before it had failed too often, perhaps over many connections at once.
            return self._send_away(Problem(ProblemKind.THROTTLED, peer.address, port, username))
        if event.authorization and event.authorization != event.username:
            return await self._failed(
                Problem(
                    ProblemKind.OTHER_AUTHORIZATION, peer.address, port, username, None,
                    shown(event.authorization),
                )
            )  # fmt: skip
        try:
            found = await self.authenticator.login(event.username, event.password, visit, port)
        except Trouble as trouble:
            _log.warning("login.unavailable", reason=str(trouble), peer=peer.address)
            return replies.LOGIN_UNAVAILABLE
        if isinstance(found, Problem):
            return await self._failed(found)
        if self.most_sessions and self._sessions.get(found.id, 0) >= self.most_sessions:
            problem = Problem(ProblemKind.TOO_MANY_SESSIONS, peer.address, port, username, found.id)
            self.note(problem)
            return replies.referring(replies.TOO_MANY_OF_LOGIN, problem.reference)
        self.throttle.succeeded(peer.address, self.clock.monotonic())
        self._sessions[found.id] = self._sessions.get(found.id, 0) + 1
        self.metrics.logins["smtp", "accepted"] += 1
        channel = f"({peer.tls})" if peer.tls else "(in clear)"
        self.news.tell(now_ms, "login", found.name, f"from {peer.address} {channel}")
        return found

    def leave(self, submitter: Submitter) -> None:
        """A session that had logged in is over."""
        left = self._sessions.get(submitter.id, 0) - 1
        if left > 0:
            self._sessions[submitter.id] = left
        else:
            self._sessions.pop(submitter.id, None)

    def note(self, problem: Problem) -> None:
        """Keep it for the operator."""
        self.problems.note(problem, self.clock.now_ms())

    def misbehaved(self, event: Misbehaved, peer: Peer) -> None:
        """Some of what the session refuses by itself tells how a client is set up."""
        kind = _MISBEHAVIOUR.get(event.reply)
        if kind is not None:
            detail = shown(event.what) if kind is ProblemKind.MECHANISM else ""
            self.note(Problem(kind, peer.address, peer.local_port, detail=detail))

    def refuse(self, problem: Problem) -> Reply:
        """What a client hears whose login is not, or no longer, good; why is kept."""
        self.note(problem)
        self.metrics.logins["smtp", "refused"] += 1
        _log.warning(
            "login.refused", username=problem.username, peer=problem.address,
            reason=problem.kind.value, reference=problem.reference,
        )  # fmt: skip
        self.news.tell(
            self.clock.now_ms(), "refused", problem.username,
            f"login from {problem.address}: {words_for(problem).what}",
        )  # fmt: skip
        return replies.referring(replies.LOGIN_REFUSED, problem.reference)

    async def _failed(self, problem: Problem) -> Reply:
        """Only a wrong answer waits: nobody is kept from logging in by what others try."""
        reply = self.refuse(problem)
        pause = self.throttle.failed(problem.address, problem.username, self.clock.monotonic())
        if pause:
            await asyncio.sleep(pause)
        if self.throttle.pause(problem.address, self.clock.monotonic()):
            return replies.referring(replies.LOGINS_FAILED, problem.reference)
        return reply

    def _send_away(self, problem: Problem) -> Reply:
        self.note(problem)
        self.metrics.logins["smtp", "throttled"] += 1
        return replies.referring(replies.LOGINS_FAILED, problem.reference)
