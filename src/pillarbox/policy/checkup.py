"""what a server's check consists of: its steps, what each failure means, and the words for both"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

from pillarbox.policy.authority import is_allowed
from pillarbox.policy.directory import App
from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Encryption, Kind, SenderRule, Server
from pillarbox.terms.address import InvalidAddress, parse_address

_SOON_DAYS: Final = 14
_DAY_MS: Final = 86_400_000
_WORDS_CHARACTERS: Final = 300


class StepName(StrEnum):
    """The steps, in the order in which most servers are met; TLS from the start precedes greeting."""

    NAME = "name"
    CONNECT = "connect"
    GREETING = "greeting"
    TLS = "tls"
    LOGIN = "login"
    SENDER = "sender"
    MAIL = "mail"


class Result(StrEnum):
    """How a step went."""

    OK = "ok"
    WARN = "warn"
    """It went, and there is something to be said about it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was made. `why` and `fix` are for those that failed or warn."""

    name: StepName
    result: Result
    words: str
    milliseconds: int = 0
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a check."""

    ok: bool
    sentence: str
    """All of it in one line, for whoever reads no further."""
    steps: tuple[Step, ...] = ()
    status: str = "A"
    """The server's, after the check."""
    changed: bool = False
    """Whether the check enabled or disabled it."""
    mail: bool = False
    """Whether a test mail was wanted."""
    sender: str = ""
    recipient: str = ""
    offers: tuple[str, ...] = ()
    """The extensions the server offers."""


STEP_OF: Final[dict[Stage, StepName]] = {
    Stage.CONNECT: StepName.CONNECT,
    Stage.BANNER: StepName.GREETING,
    Stage.EHLO: StepName.GREETING,
    Stage.STARTTLS: StepName.TLS,
    Stage.AUTH: StepName.LOGIN,
    Stage.MAIL: StepName.SENDER,
    Stage.RCPT: StepName.MAIL,
    Stage.DATA: StepName.MAIL,
    Stage.VERDICT: StepName.MAIL,
}


def plan(server: Server) -> tuple[StepName, ...]:
    """The steps of a server, in their order."""
    first = (StepName.NAME, StepName.CONNECT)
    if server.encryption is Encryption.TLS:
        met = (StepName.TLS, StepName.GREETING)
    else:
        met = (StepName.GREETING, StepName.TLS)
    return (*first, *met, StepName.LOGIN, StepName.SENDER, StepName.MAIL)


def failing_step(outcome: Outcome, behind: Collection[StepName]) -> StepName:
    """The step an outcome ends, with those that are `behind` us.

    A sender is often judged only when the recipient has been said, or with the content.
    """
    if outcome.category == Category.SENDER_REFUSED:
        return StepName.SENDER
    step = STEP_OF[outcome.stage]
    return StepName.NAME if step is StepName.CONNECT and step.NAME not in behind else step


def tls_step(
    server: Server,
    version: str,
    milliseconds: int,
    *,
    days_left: int | None = None,
    for_its_name: bool = False,
) -> Step:
    """What is to be said about an encrypted connection; days None where no certificate was read."""
    said = [version.replace("TLSv", "TLS ")]
    if days_left is not None:
        said.append(f"certificate valid {days_left} days")
        said.append("matches name" if for_its_name else "issued for another name")
    if is_unchecked(server):
        return Step(
            StepName.TLS, Result.WARN, f"{', '.join(said)}; NOT CHECKED", milliseconds,
            "The certificate is not checked, so anybody in between could read login and mail.",
            f"pillarbox server set {server.name} --verify, with --ca-file for an authority of your own",
        )  # fmt: skip
    if days_left is not None and days_left < _SOON_DAYS:
        return Step(
            StepName.TLS, Result.WARN, ", ".join(said), milliseconds,
            "When the certificate has expired no mail goes through this server.",
            "Tell its keeper to renew it.",
        )  # fmt: skip
    return Step(StepName.TLS, Result.OK, ", ".join(said), milliseconds)


def clear_step(server: Server) -> Step:
    """What is to be said about a connection that is not encrypted."""
    if _is_here(server):
        return Step(StepName.TLS, Result.OK, "not encrypted, and does not leave this machine")
    if server.is_mx_host:
        why = "The recipient's host does not encrypt, or could not; nothing demands it."
        return Step(StepName.TLS, Result.WARN, "not encrypted", 0, why, "Nothing on our side.")
    what = "login and mail" if server.username and server.auth else "mail"
    return Step(
        StepName.TLS,
        Result.WARN,
        "not encrypted",
        0,
        f"Anybody in between can read {what}.",
        f"pillarbox server set {server.name} --encryption starttls, where the server offers it",
    )


def is_unchecked(server: Server) -> bool:
    """Whether it encrypts, and nobody looks with whom."""
    encrypts = server.kind is Kind.SMTP and server.encryption is not Encryption.NONE
    return encrypts and not server.verify and not server.pin


def warnings_of(server: Server) -> tuple[str, ...]:
    """What whoever looks at a server should know, in sentences."""
    if server.kind is Kind.DIRECT:
        return ()
    if server.encryption is Encryption.NONE and not _is_here(server):
        what = "Login and mail" if server.username and server.auth else "Mail"
        return (f"{what} can be read by anybody in between: the connection is not encrypted.",)
    if is_unchecked(server):
        return ("The certificate is not checked: anybody in between could read login and mail.",)
    return ()


def login_step(mechanism: str, milliseconds: int) -> Step:
    """A login that went, or that nobody wants; then there is no mechanism."""
    words = f"{mechanism} accepted" if mechanism else "none is set up"
    return Step(StepName.LOGIN, Result.OK, words, milliseconds)


def days_left(ends_at: int, now_ms: int) -> int:
    """Whole days until then, in UTC milliseconds; 0 on the last."""
    return max(0, (ends_at - now_ms) // _DAY_MS)


def senders_for(server: Server, app: App, recipient: str) -> tuple[str, ...]:
    """The senders a test mail is tried with, one after the other: as delivery would choose them.

    Where nobody has set any it is the login, if that is an address, or the test address itself.
    """
    default = server.from_address
    own = app.from_address
    if server.sender_rule is SenderRule.ALWAYS and default:
        own = ""
    elif default and server.allowed_senders and not is_allowed(server.allowed_senders, own):
        own = ""
    chosen = tuple(dict.fromkeys(filter(None, (own, default))))
    if chosen:
        return chosen
    return (server.username,) if _is_address(server.username) else (recipient,)


def refused_sender(sender: str, outcome: Outcome, following: str, milliseconds: int) -> Step:
    """A sender that was refused where another one is tried next."""
    return Step(
        StepName.SENDER, Result.WARN,
        shortened(f"{sender} was refused: {outcome.code} {outcome.text}"), milliseconds,
        "The server lets this login send as certain addresses only.",
        f"Nothing: mail goes out as {following} where that happens.",
    )  # fmt: skip


def sentence_of(server: Server, steps: Sequence[Step], recipient: str) -> str:
    """All of a check in one line; `recipient` is empty where no mail was sent."""
    wrong = next((step for step in steps if step.result is Result.FAILED), None)
    if wrong is not None:
        return f"{wrong.name}: {wrong.words}"
    if recipient:
        return f"{server.label} works: it took a test mail to {recipient}."
    return f"{server.label} can be reached and lets us in. No mail was sent."


def shortened(words: str) -> str:
    """One line of bounded length."""
    line = " ".join(words.split())
    return line if len(line) <= _WORDS_CHARACTERS else line[:_WORDS_CHARACTERS] + "..."


def _is_address(text: str) -> bool:
    try:
        return bool(parse_address(text))
    except InvalidAddress:
        return False


def _is_here(server: Server) -> bool:
    """Whether it is on this machine, where nobody is in between."""
    try:
        return ip_address(server.host).is_loopback
    except ValueError:
        return server.host == "localhost"
