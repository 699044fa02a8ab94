"""access tokens of servers: kept in memory, renewed before they end, asked for once at a time"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Final, TypeVar

from pillarbox.net.errors import Broken, LoginFailed
from pillarbox.net.token_endpoint import GivenToken, NoToken, ask_token
from pillarbox.net.web_client import WebClient
from pillarbox.observe.log import logger
from pillarbox.policy.draw import fraction
from pillarbox.policy.server import Server
from pillarbox.policy.token_refusals import advice_on_login
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret

T = TypeVar("T")
Keep = Callable[[Server, Collection[Secret | None], Secret], Awaitable[None]]
"""Stores the last for a server, in place of any of those between."""

_ASK_SECONDS: Final = 10.0
_AHEAD_SHARE: Final = 0.1
_MOST_AHEAD_SECONDS: Final = 300.0
_MOST_SERVERS: Final = 4096
_REFUSED: Final = 5

_log = logger("net")


class _Held:
    """What is held for one server as it was configured when its token was asked for."""

    __slots__ = (
        "asking",
        "ends",
        "facts",
        "given_refresh",
        "refresh",
        "renew_from",
        "rest_until",
        "token",
        "why",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self.facts = (server.oauth, server.client_secret)
        self.given_refresh = server.refresh_token
        self.refresh = server.refresh_token
        """The newest; the server's own until it was replaced."""
        self.token: Secret | None = None
        self.ends = 0.0
        self.renew_from = 0.0
        self.asking: asyncio.Task[GivenToken] | None = None
        self.rest_until = 0.0
        self.why: NoToken | None = None
        """What the endpoint said when it asked to be left alone."""

    def fits(self, server: Server) -> bool:
        """Whether it is for the server as it is configured now."""
        return self.facts == (server.oauth, server.client_secret) and (
            server.refresh_token in (self.given_refresh, self.refresh)
        )


class AccessTokens:
    """Logs in by tokens. Times are monotonic; tokens do not outlive the process."""

    def __init__(
        self, web: WebClient, clock: Clock, keep: Keep, *, ask_seconds: float = _ASK_SECONDS
    ) -> None:
        """`keep` hears of a refresh token that an endpoint gave in place of the old one."""
        self._web = web
        self._clock = clock
        self._keep = keep
        self._ask_seconds = ask_seconds
        self._held: dict[ObjectId, _Held] = {}
        self._draws = 0

    async def login(self, server: Server, attempt: Callable[[Secret], Awaitable[T]]) -> T:
        """Make a login attempt with a token.

        A token that was kept and is refused is thrown away, and the attempt made once more with a
        fresh one. Raises `LoginFailed`, and what the attempt raises for other reasons.
        """
        token, kept = await self.token(server)
        try:
            return await attempt(token)
        except Broken as broken:
            if not _refused(broken):
                raise
            self.forget(server, token)
            if not kept:
                raise self._explained(broken) from broken
        token, _ = await self.token(server)
        try:
            return await attempt(token)
        except Broken as broken:
            if not _refused(broken):
                raise
            self.forget(server, token)
            raise self._explained(broken) from broken

    async def token(self, server: Server) -> tuple[Secret, bool]:
        """A token, and whether it was kept from before. Raises `LoginFailed`.

        One that is about to end still serves where no new one can be had just now.
        """
        held = self._held.get(server.id)
        if held is None or not held.fits(server):
            held = self._held[server.id] = _Held(server)
            while len(self._held) > _MOST_SERVERS:
                self._held.pop(next(iter(self._held)))
        now = self._clock.monotonic()
        if held.token is not None and now < held.renew_from:
            return held.token, True
        if held.why is not None and now < held.rest_until:
            if held.token is not None and now < held.ends:
                return held.token, True
            raise NoToken(held.why.words, lasting=held.why.lasting)
        if held.asking is None:
            held.asking = asyncio.get_running_loop().create_task(self._ask(server, held))
            held.asking.add_done_callback(lambda task: _over(held, task))
        try:
            # Whoever waits may be given up; the others, and the answer, are not.
            given = await asyncio.shield(held.asking)
        except NoToken as error:
            if held.token is not None and self._clock.monotonic() < held.ends:
                return held.token, True
            raise NoToken(error.words, lasting=error.lasting) from error
        return given.token, False

    def forget(self, server: Server, token: Secret) -> None:
        """A token was refused: do not use it again."""
        held = self._held.get(server.id)
        if held is not None and held.token == token:
            held.token = None

    async def close(self) -> None:
        """Give up what is being asked, and the connections to where it is asked."""
        asking = [held.asking for held in self._held.values() if held.asking is not None]
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)
        await self._web.close()

    async def _ask(self, server: Server, held: _Held) -> GivenToken:
        try:
            given = await ask_token(self._web, server, held.refresh, seconds=self._ask_seconds)
        except NoToken as error:
            if error.pause_seconds:
                held.why = error
                held.rest_until = self._clock.monotonic() + error.pause_seconds
            raise
        now = self._clock.monotonic()
        held.why = None
        held.token = given.token
        held.ends = now + given.lifetime_seconds
        # Not to the second: the tokens of servers that were started together would be renewed
        # together for ever.
        self._draws += 1
        spread = 1.0 + fraction(int.from_bytes(server.id, "big"), self._draws)
        ahead = min(given.lifetime_seconds * _AHEAD_SHARE, _MOST_AHEAD_SECONDS) * spread
        held.renew_from = held.ends - ahead
        if given.refresh_token is not None and given.refresh_token != held.refresh:
            before = (held.given_refresh, held.refresh, server.refresh_token)
            held.refresh = given.refresh_token
            try:
                await self._keep(server, before, given.refresh_token)
            except Exception as error:
                # The old one often goes on to work, and the new one is in memory: mail goes on.
                _log.error(
                    "token.not_kept", server=server.name, reason=type(error).__name__,
                    words="a new refresh token could not be stored; it is lost with a restart",
                )  # fmt: skip
        return given

    def _explained(self, broken: Broken) -> LoginFailed:
        reply = broken.reply
        assert reply is not None
        advice = advice_on_login(reply, token=True)
        words = f"did not accept the access token: {advice or broken.words}"
        failed = LoginFailed(words, reply, lasting=True)
        failed.dialogue = broken.dialogue
        return failed


def _refused(broken: Broken) -> bool:
    return broken.stage == "auth" and broken.reply is not None and broken.reply.severity == _REFUSED


def _over(held: _Held, task: asyncio.Task[GivenToken]) -> None:
    held.asking = None
    with suppress(asyncio.CancelledError):
        task.exception()  # looked at, though nobody may wait for it any more
