"""a server tried out: every step to it, then a test mail; what comes of it enables or disables it"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from pillarbox.message.compose import Composition, Mailbox, compose
from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.net.envelope import EnvelopeWords
from pillarbox.net.errors import Broken, TlsFilesUnusable
from pillarbox.net.smtp_client import Connection
from pillarbox.observe.log import logger
from pillarbox.observe.news import News
from pillarbox.policy.checkup import (
    Report,
    Result,
    Step,
    StepName,
    refused_sender,
    senders_for,
    sentence_of,
)
from pillarbox.policy.directory import App
from pillarbox.policy.events import CheckFacts, SwitchFacts
from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import Outcome, from_recipients, from_reply, from_unsuitable
from pillarbox.policy.routing import ACTIVE, DISABLED
from pillarbox.policy.server import Kind, Server
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.services.delivery.circuits import Circuits
from pillarbox.services.delivery.line import Lines
from pillarbox.services.delivery.trail import StepTold, Trail
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import NotFound
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import format_object_id, new_object_id

_log = logger("delivery")

HostsOf = Callable[[Server, str], Awaitable[Sequence[Server]]]
"""For a direct way and a recipient's domain its MX hosts, each as a server, the best first. Raises
`Broken` where there are none.
"""

_AT_ONCE: Final = 8
"""Checks; each is a connection that somebody outside may have asked for."""
_CROWDED: Final = f"{_AT_ONCE} checks are under way already. Try again in a minute."
_MOST_HOSTS: Final = 6
_DONE: Final = 2


class Checker:
    """Checks servers, over the same lines as mail."""

    def __init__(
        self,
        lines: Lines,
        directory: DirectoryStore,
        circuits: Circuits,
        clock: Clock,
        news: News,
        *,
        hostname: str,
        seconds: float,
        hosts_of: HostsOf | None = None,
    ) -> None:
        """No check takes longer than `seconds`. Without `hosts_of` direct ways are not checked."""
        self._lines = lines
        self._directory = directory
        self._circuits = circuits
        self._clock = clock
        self._news = news
        self._hostname = hostname
        self._seconds = seconds
        self._hosts_of = hosts_of
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def check(
        self,
        server: Server,
        app: App,
        *,
        mail: bool = True,
        sender: str | None = None,
        told: StepTold | None = None,
    ) -> Report:
        """Try a server out. With `mail` a test mail goes to the app's test address, also in the
        sandbox, and the server is enabled or disabled by what comes of it. Without, the check ends
        before MAIL and changes nothing.

        `sender` is the return path and author to try; otherwise those that delivery would use. A
        server that refuses the one that was asked for stays as it is. `told` hears of each step when
        it was made; a later one of the same name takes its place.
        Raises `StorageTrouble` where the result cannot be stored.
        """
        recipient = app.test_address if mail else ""
        standing = Report(False, "", status=server.status, mail=mail, recipient=recipient)
        if server.kind is Kind.DIRECT and self._hosts_of is None:
            return replace(standing, sentence="Direct ways cannot be checked here.")
        if self._room.locked():
            # Nobody waits: a check that had to would be taken for one that found a slow server.
            return replace(standing, sentence=_CROWDED)
        trail = Trail(server, self._clock, told)
        trial = _Trial(trail, app, recipient, sender, mail=mail)
        try:
            async with self._room, asyncio.timeout(self._seconds):
                await self._walk(trial)
        except TimeoutError:
            trail.gave_up(self._seconds)
        except TlsFilesUnusable as error:
            trail.unusable(error)
        report = replace(
            standing,
            ok=not trail.failed,
            sentence=sentence_of(server, trail.steps, recipient),
            steps=tuple(trail.steps),
            sender=trial.sender,
            offers=trial.offers,
        )
        if not mail or trial.ours:
            return report
        return await self._judge(server, report)

    # --- the way there ------------------------------------------------------------------------

    async def _walk(self, trial: _Trial) -> None:
        trail = trial.trail
        if trial.mail and not trial.recipient:
            trial.ours = True
        if trail.server.kind is Kind.DIRECT and not trial.app.test_address:
            trail.add(_no_hosts(trial.app))
            return
        try:
            connection = await self._open(trial)
        except Broken as broken:
            trail.broke(broken)
            return
        trail.opened()
        trial.offers = connection.facts.extensions
        try:
            if trial.ours:
                trail.add(_no_test_address(trial.app))
            elif trial.mail:
                await self._send(trial, connection)
            await connection.quit()
        except Broken as broken:
            trail.broke(broken)
        finally:
            connection.close()

    async def _open(self, trial: _Trial) -> Connection:
        trail = trial.trail
        if trail.server.kind is not Kind.DIRECT or self._hosts_of is None:
            return await self._lines.open(trail.server, trail.passed)
        # Also without mail: somebody's hosts must be met.
        domain = trial.app.test_address.rpartition("@")[2]
        hosts = (await self._hosts_of(trail.server, domain))[:_MOST_HOSTS]
        for number, host in enumerate(hosts):
            trail.server = host
            try:
                return await self._lines.open(host, trail.passed)
            except Broken as broken:
                if number == len(hosts) - 1:
                    raise
                words = f"{host.label}: {broken.words}"
                trail.steps.clear()
                trail.add(Step(StepName.NAME, Result.WARN, words, trail.elapsed_ms()))
        raise Broken("connect", f"{domain} has no host that takes mail")

    # --- the mail -----------------------------------------------------------------------------

    async def _send(self, trial: _Trial, connection: Connection) -> None:
        trail = trial.trail
        wished = trial.sender
        senders = (wished,) if wished else senders_for(trail.server, trial.app, trial.recipient)
        for number, sender in enumerate(senders):
            trial.sender = sender
            outcome = await self._transaction(trial, connection)
            if outcome is None:
                return
            following = senders[number + 1 : number + 2]
            if following and outcome.category == Category.SENDER_REFUSED and connection.usable:
                trail.add(refused_sender(sender, outcome, following[0], trail.elapsed_ms()))
                continue
            # Somebody's question about an address is no reason to leave the server alone.
            trial.ours = bool(wished) and outcome.category == Category.SENDER_REFUSED
            trail.ended(outcome)
            return

    async def _transaction(self, trial: _Trial, connection: Connection) -> Outcome | None:
        """The test mail, in a transaction as delivery makes them; None where it was taken.

        What a server thinks of a sender many say only when they hear the recipient, so a MAIL that
        is taken back would not tell.
        """
        trail, sender, recipient = trial.trail, trial.sender, trial.recipient
        try:
            content = self._compose(trial)
            utf8 = not (sender + recipient).isascii()
            words = EnvelopeWords(sender, [recipient], len(content), smtputf8=utf8)
            answered = await connection.envelope(words)
        except (LocalProtocolError, InvalidHeaderValue) as error:
            return from_unsuitable(f"cannot be told of this mail: {error.sentence}")
        if answered.mail.severity != _DONE:
            return from_reply(Stage.MAIL, answered.mail)
        refused = from_recipients(answered.recipients)[0]
        if refused is not None:
            return refused
        trail.went(StepName.SENDER, f"{sender} accepted")
        if not answered.ready:
            return from_reply(Stage.DATA, answered.data or answered.mail)
        reply = await connection.content(content)
        outcome = from_reply(Stage.VERDICT, reply)
        if not outcome.taken:
            return outcome
        trail.went(StepName.MAIL, f"to {recipient}: {reply}")
        return None

    def _compose(self, trial: _Trial) -> bytes:
        server = trial.trail.server
        text = (
            f"This is the test mail of a check. It went out through {server.label}, a server of\n"
            f"the app {trial.app.name}; since you read it, mail goes through there.\n"
        )
        identity = format_object_id("chk", new_object_id())
        return compose(
            Composition(
                message_id=f"{identity}@{self._hostname}",
                at=self._clock.now_ms(),
                author=Mailbox(trial.app.from_name or server.from_name, trial.sender),
                to=(Mailbox("", trial.recipient),),
                subject=f"Test of the server {server.label}",
                text=text,
                headers=(("Auto-Submitted", "auto-generated"),),
            )
        )

    # --- what comes of it ---------------------------------------------------------------------

    async def _judge(self, server: Server, report: Report) -> Report:
        """Enable or disable the server, unless it was changed while it was being tried."""
        status = ACTIVE if report.ok else DISABLED
        now_ms = self._clock.now_ms()
        try:
            found = await self._directory.server(server.id)
            judged = found
            if found.modified_at == server.modified_at:
                errors = 0 if report.ok else found.errors
                moved = now_ms if status != found.status else found.modified_at
                judged = replace(found, status=status, errors=errors, modified_at=moved)
            steps = tuple(
                (s.name.value, s.result.value, s.milliseconds, s.words) for s in report.steps
            )
            kind = "server.enabled" if judged.status == ACTIVE else "server.disabled"
            changed = judged.status != found.status
            switch = (kind, SwitchFacts(server.id, server.name, "check", report.sentence))
            told = CheckFacts(server.id, server.name, report.ok, report.sentence, steps)
            await self._directory.judge_server(
                judged, now_ms, [("server.checked", told), *([switch] if changed else [])]
            )
        except NotFound:
            return report
        if report.ok and server.kind is not Kind.DIRECT:
            self._circuits.succeeded(judged)
        note = _log.info if report.ok else _log.warning
        note("server.checked", server=server.name, ok=report.ok, words=report.sentence)
        self._news.tell(now_ms, "checked", server.name, report.sentence)
        return replace(report, status=judged.status, changed=changed)


class _Trial:
    """One check on its way."""

    __slots__ = ("app", "mail", "offers", "ours", "recipient", "sender", "trail")

    def __init__(
        self, trail: Trail, app: App, recipient: str, sender: str | None, *, mail: bool
    ) -> None:
        self.trail = trail
        self.app = app
        self.recipient = recipient
        self.sender = sender or ""
        self.mail = mail
        self.offers: tuple[str, ...] = ()
        self.ours = False
        """Whether what keeps the mail from being sent is no fault of the server's."""


def _no_hosts(app: App) -> Step:
    return Step(
        StepName.NAME, Result.FAILED, f"the app {app.name} has no test address", 0,
        "A direct way is tried at the hosts of that address. The server stays as it is.",
        f"pillarbox app set {app.name} --test-address you@example.com",
    )  # fmt: skip


def _no_test_address(app: App) -> Step:
    return Step(
        StepName.MAIL, Result.FAILED, f"the app {app.name} has no test address", 0,
        "There is nobody to send the test mail to. The server stays as it is.",
        f"pillarbox app set {app.name} --test-address you@example.com; or check with --no-mail",
    )  # fmt: skip
