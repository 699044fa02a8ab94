"""the steps of a check as they are made, each with its time"""

from __future__ import annotations

from collections.abc import Callable

from pillarbox.net.errors import Broken, LoginFailed, TlsFilesUnusable
from pillarbox.net.progress import Progress
from pillarbox.policy.checkup import (
    Result,
    Step,
    StepName,
    clear_step,
    days_left,
    failing_step,
    login_step,
    plan,
    shortened,
    tls_step,
)
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import (
    Outcome,
    from_broken,
    from_login_failed,
    from_reply,
    read_stage,
)
from pillarbox.policy.remedy import failed_step
from pillarbox.policy.server import Encryption, Server
from pillarbox.terms.clock import Clock

_REFUSED = 4

StepTold = Callable[[Step], None]
"""Hears of each step when it was made."""


class Trail:
    """What was done so far, and what is being done."""

    def __init__(self, server: Server, clock: Clock, told: StepTold | None = None) -> None:
        """Begins now; `told` hears of each step. `server` may be set to another one, where one way
        has several hosts.
        """
        self.server = server
        self.steps: list[Step] = []
        self._clock = clock
        self._told = told
        self._since = clock.monotonic()

    @property
    def failed(self) -> bool:
        """Whether a step ended the check."""
        return any(step.result is Result.FAILED for step in self.steps)

    def add(self, step: Step) -> None:
        """A step is behind us; the time of the next one begins."""
        self.steps.append(step)
        self._since = self._clock.monotonic()
        if self._told is not None:
            self._told(step)

    def went(self, name: StepName, words: str) -> None:
        """A step went well."""
        self.add(Step(name, Result.OK, shortened(words), self.elapsed_ms()))

    def elapsed_ms(self) -> int:
        """Since the last step."""
        return round((self._clock.monotonic() - self._since) * 1000)

    def passed(self, progress: Progress) -> None:
        """Hear of a stage of opening the connection."""
        match progress.stage:
            case "resolve":
                self.went(StepName.NAME, progress.words)
            case "connect":
                self.went(StepName.CONNECT, progress.words)
            case "banner":
                self.went(StepName.GREETING, progress.words)
                if self.server.encryption is Encryption.NONE:
                    self.add(clear_step(self.server))
            case "starttls":
                self._secured(progress)
            case "auth":
                self.add(login_step(progress.words, self.elapsed_ms()))

    def opened(self) -> None:
        """The connection stands: what was not done until now nobody wanted, or the host has not."""
        if StepName.TLS not in self._behind():
            self.add(clear_step(self.server))
        if StepName.LOGIN not in self._behind():
            self.add(login_step("", 0))

    def broke(self, broken: Broken) -> None:
        """The connection ended, and with it the check."""
        stage = read_stage(broken.stage)
        if isinstance(broken, LoginFailed):
            self.ended(from_login_failed(broken.words, broken.reply, lasting=broken.lasting))
        elif broken.reply is not None and broken.reply.severity >= _REFUSED:
            self.ended(from_reply(stage, broken.reply))
        else:
            self.ended(from_broken(stage, broken.words, broken.after_dot))

    def ended(self, outcome: Outcome) -> None:
        """A step came to `outcome`, and the check ends."""
        name = failing_step(outcome, self._behind())
        # A sender that seemed accepted may be refused with the recipient or the content.
        self.steps = [step for step in self.steps if step.name is not name or step.why]
        self.add(failed_step(name, outcome, self.server, self.elapsed_ms()))

    def gave_up(self, seconds: float) -> None:
        """The time of the whole check is over."""
        behind = self._behind()
        name = next((each for each in plan(self.server) if each not in behind), StepName.MAIL)
        words = f"{self.server.label} was given up: the check had taken {seconds:g} seconds"
        why = "The server answers too slowly, or a firewall on the way swallows what is sent."
        self.add(Step(name, Result.FAILED, words, self.elapsed_ms(), why, "Check again later."))

    def unusable(self, error: TlsFilesUnusable) -> None:
        """A file that the settings name cannot be used."""
        outcome = from_broken(Stage.STARTTLS, error.sentence)
        step = failed_step(StepName.TLS, outcome, self.server, 0)
        self.add(Step(step.name, step.result, error.sentence, 0, "", error.fix or step.fix))

    def _secured(self, progress: Progress) -> None:
        certificate = progress.certificate
        left = None
        if certificate is not None:
            left = days_left(certificate.ends_at, self._clock.now_ms())
        self.add(
            tls_step(
                self.server,
                progress.words,
                self.elapsed_ms(),
                days_left=left,
                for_its_name=certificate is not None and certificate.is_for(self.server.host),
            )
        )

    def _behind(self) -> set[StepName]:
        return {step.name for step in self.steps}
