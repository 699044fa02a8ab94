"""a reply or a broken line becomes an Outcome, and says whom it is about

The rule behind the table: only a server that works, knows us and speaks about a recipient or about
the message may end a delivery. Everything before MAIL concerns server and operator, so another
server is tried and the recipient waits. A doubt becomes a deferral. One thing is never repeated at
once: content whose final dot was already on its way (RFC 5321 §4.5.3.2.6, RFC 1047).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from pillarbox.policy.delivery import TAKEN, State
from pillarbox.policy.meaning import PHRASES, Category, Stage, meaning_of
from pillarbox.protocol.reply import Reply

__all__ = [
    "SPECIAL",
    "TABLE",
    "Blame",
    "Category",
    "Cell",
    "Mishap",
    "Outcome",
    "Stage",
    "from_broken",
    "from_caller_told",
    "from_limit",
    "from_login_failed",
    "from_recipients",
    "from_reply",
    "from_trouble",
    "from_unsuitable",
    "read_stage",
]

_WORDS_CHARACTERS: Final = 400
_CLOSING: Final = 421
_TRANSACTION: Final = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.VERDICT})


class Blame(StrEnum):
    """Whom an outcome is about."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    SERVER = "server"
    LINK = "link"
    US = "us"
    NOBODY = "nobody"
    """It went well."""


class Mishap(StrEnum):
    """How an attempt can stop short."""

    TEMPORARY = "4xx"
    PERMANENT = "5xx"
    CLOSING = "421"
    DROP = "drop"
    TIMEOUT = "timeout"
    GARBAGE = "garbage"


class Cell(NamedTuple):
    """What a mishap at a stage means for every recipient it concerns."""

    state: State
    category: Category
    blame: Blame
    next_host: bool
    """Whether another server may be tried at once, within the same attempt."""
    detail: str
    """Subject and detail of the enhanced status where the server gave none (RFC 3463)."""
    maybe_delivered: bool = False
    same_host: bool = False
    """Whether the same server may be asked again at once, for the recipients left over."""


class Outcome(Struct, frozen=True, gc=False):
    """What became of one recipient in one attempt, as far as this server is concerned.

    `state` is what it comes to if no other server takes it; with `next_host` one may be asked.
    `words` end a sentence that begins with the server's name.
    """

    state: State
    category: str
    reply: Reply | None
    words: str
    blame: Blame
    maybe_delivered: bool = False
    next_host: bool = False
    same_host: bool = False
    stage: Stage = Stage.VERDICT
    detail: str = "0.0"

    @property
    def taken(self) -> bool:
        """Whether the next hop answers for the recipient now."""
        return self.state in TAKEN

    @property
    def server_at_fault(self) -> bool:
        """Whether it counts against the server: its errors, its circuit, its window."""
        return self.blame is Blame.SERVER or self.blame is Blame.LINK

    @property
    def closes(self) -> bool:
        """Whether the connection is of no more use: broken, ended over garbage, or by a 421."""
        if self.reply is None:
            return self.server_at_fault
        return self.blame is Blame.LINK or self.reply.code == _CLOSING

    @property
    def code(self) -> int:
        """The reply code, 0 where there was no reply."""
        return 0 if self.reply is None else self.reply.code

    @property
    def status(self) -> str:
        """The server's enhanced status, or the one that fits best."""
        if self.reply is not None and self.reply.status:
            return self.reply.status
        severity = 2 if self.taken else 5 if self.state is State.FAILED else 4
        return f"{severity}.{self.detail}"

    @property
    def text(self) -> str:
        """What the server said, in one line."""
        return "" if self.reply is None else " ".join(self.reply.lines)


def _later(category: Category, blame: Blame, detail: str, *, next_host: bool = True) -> Cell:
    return Cell(State.DEFERRED, category, blame, next_host, detail)


def _never(category: Category, blame: Blame, detail: str) -> Cell:
    return Cell(State.FAILED, category, blame, False, detail)


_BUSY: Final = _later(Category.BUSY, Blame.SERVER, "3.2")
_REFUSES_US: Final = _later(Category.REFUSES_US, Blame.SERVER, "7.0")
_LOST: Final = _later(Category.CONNECTION_LOST, Blame.LINK, "4.2")
_UNREACHABLE: Final = _later(Category.UNREACHABLE, Blame.LINK, "4.1")
_NO_ANSWER: Final = _later(Category.NO_ANSWER, Blame.LINK, "4.2")
_GARBAGE: Final = _later(Category.GARBAGE, Blame.SERVER, "5.0")
_TLS_FAILED: Final = _later(Category.TLS_FAILED, Blame.SERVER, "7.0")
_TLS_LOST: Final = _later(Category.TLS_FAILED, Blame.LINK, "7.0")
_LOGIN_UNAVAILABLE: Final = _later(Category.LOGIN_UNAVAILABLE, Blame.SERVER, "7.0")
_LOGIN_REFUSED: Final = _later(Category.LOGIN_REFUSED, Blame.SERVER, "7.8")
_SENDER_REFUSED: Final = _never(Category.SENDER_REFUSED, Blame.MESSAGE, "1.0")
_RECIPIENT_DEFERRED: Final = _later(Category.RECIPIENT_DEFERRED, Blame.RECIPIENT, "2.0")
_RECIPIENT_REFUSED: Final = _never(Category.RECIPIENT_REFUSED, Blame.RECIPIENT, "0.0")
_CONTENT_REFUSED: Final = _never(Category.CONTENT_REFUSED, Blame.MESSAGE, "6.0")
_UNCERTAIN: Final = Cell(
    State.DEFERRED, Category.UNCERTAIN, Blame.LINK, False, "4.2", maybe_delivered=True
)

_ROWS: Final[dict[Stage, tuple[Cell, Cell, Cell, Cell, Cell, Cell]]] = {
    # in the order of Mishap: 4xx, 5xx, 421, drop, timeout, garbage
    Stage.CONNECT: (_BUSY, _REFUSES_US, _BUSY, _UNREACHABLE, _UNREACHABLE, _GARBAGE),
    Stage.BANNER: (_BUSY, _REFUSES_US, _BUSY, _LOST, _NO_ANSWER, _GARBAGE),
    Stage.EHLO: (_BUSY, _REFUSES_US, _BUSY, _LOST, _NO_ANSWER, _GARBAGE),
    Stage.STARTTLS: (_TLS_FAILED, _TLS_FAILED, _BUSY, _TLS_LOST, _TLS_LOST, _TLS_FAILED),
    Stage.AUTH: (_LOGIN_UNAVAILABLE, _LOGIN_REFUSED, _BUSY, _LOST, _NO_ANSWER, _GARBAGE),
    Stage.MAIL: (_BUSY, _SENDER_REFUSED, _BUSY, _LOST, _NO_ANSWER, _GARBAGE),
    Stage.RCPT: (_RECIPIENT_DEFERRED, _RECIPIENT_REFUSED, _BUSY, _LOST, _NO_ANSWER, _GARBAGE),
    Stage.DATA: (_BUSY, _CONTENT_REFUSED, _BUSY, _LOST, _NO_ANSWER, _GARBAGE),
    Stage.VERDICT: (_BUSY, _CONTENT_REFUSED, _BUSY, _UNCERTAIN, _UNCERTAIN, _UNCERTAIN),
}
TABLE: Final[dict[tuple[Stage, Mishap], Cell]] = {
    (stage, mishap): cell
    for stage, row in _ROWS.items()
    for mishap, cell in zip(Mishap, row, strict=True)
}
"""Every stage and every mishap; what a rule of `policy.meaning` knows better is in `SPECIAL`."""

SPECIAL: Final[dict[Category, Cell]] = {
    Category.LOGIN_REQUIRED: _later(Category.LOGIN_REQUIRED, Blame.SERVER, "7.0"),
    Category.RELAY_DENIED: _later(Category.RELAY_DENIED, Blame.SERVER, "7.1"),
    Category.CONFUSED: _later(Category.CONFUSED, Blame.SERVER, "5.1"),
    Category.OUT_OF_ORDER: _later(Category.OUT_OF_ORDER, Blame.SERVER, "3.5"),
    Category.REFUSES_US: _REFUSES_US,
    Category.SENDER_REFUSED: _SENDER_REFUSED,
    Category.SENDER_DEFERRED: _later(Category.SENDER_DEFERRED, Blame.MESSAGE, "1.8"),
    Category.GREYLISTED: _later(Category.GREYLISTED, Blame.RECIPIENT, "7.1"),
    Category.RATE_LIMITED: _later(Category.RATE_LIMITED, Blame.SERVER, "7.0"),
    Category.QUOTA_REACHED: _later(Category.QUOTA_REACHED, Blame.SERVER, "7.0"),
    Category.NO_ROOM: _later(Category.NO_ROOM, Blame.SERVER, "3.1"),
    Category.BUSY: _BUSY,
    Category.CONTENT_DEFERRED: _later(Category.CONTENT_DEFERRED, Blame.MESSAGE, "7.0"),
    Category.TOO_MANY_RECIPIENTS: Cell(
        State.DEFERRED, Category.TOO_MANY_RECIPIENTS, Blame.US, True, "5.3", same_host=True
    ),
}
"""Replies whose words say more than their code, and change what is done."""

_STAGE_NAMES: Final = {
    **{stage.value: stage for stage in Stage},
    "tls": Stage.STARTTLS,
    "handshake": Stage.STARTTLS,
    "login": Stage.AUTH,
    "envelope": Stage.MAIL,
    "content": Stage.DATA,
    "quit": Stage.VERDICT,
}
_TIMEOUT_WORDS: Final = ("timed out", "timeout", "time-out", "in time", "too slow", "stalled")


def read_stage(name: str) -> Stage:
    """The stage a driver names, in its own words; what is unknown lies before the envelope."""
    return _STAGE_NAMES.get(name, Stage.CONNECT)


def from_reply(
    stage: Stage, reply: Reply, *, failover: bool = False, direct: bool = False
) -> Outcome:
    """What a reply that ends the matter at `stage` means. Total: never raises.

    A 2xx is a success at the verdict only. Anywhere else it ends nothing: a reply given here that is
    neither 4xx nor 5xx counts as garbage. `failover` is the app's wish to try its next server
    after a refusal of the return path; `direct` says that the server is the recipient's own.
    """
    if reply.code // 100 == 2 and stage is Stage.VERDICT:
        state = State.DELIVERED if direct else State.HANDED_OVER
        return Outcome(state, Category.TAKEN, reply, PHRASES[Category.TAKEN], Blame.NOBODY)
    mishap = _mishap(reply.code)
    cell = TABLE[stage, mishap]
    category = meaning_of(stage, reply) or cell.category
    if mishap is not Mishap.CLOSING and stage in _TRANSACTION:
        cell = SPECIAL.get(category, cell)
    outcome = _outcome(cell, stage, category, PHRASES[category], reply)
    if failover and cell is _SENDER_REFUSED:
        outcome = replace(outcome, next_host=True)
    return outcome


def from_recipients(
    replies: Sequence[Reply], *, failover: bool = False
) -> tuple[Outcome | None, ...]:
    """What the replies to all RCPT of one transaction mean, in order; None for those accepted.

    A server that denies relaying does not know us, or does not serve this way out; no recipient can
    help that, whether or not others were accepted beside him.
    """
    return tuple(
        None if reply.code // 100 == 2 else from_reply(Stage.RCPT, reply, failover=failover)
        for reply in replies
    )


def from_broken(
    stage: Stage | str,
    error_words: str,
    maybe_delivered: bool | None = None,
    *,
    mishap: Mishap | None = None,
) -> Outcome:
    """What a connection that was refused, went away or stalled means for those not yet settled.

    `maybe_delivered` says whether the final dot was on its way; left out, the stage says it. The
    mishap is told from the words when it is not given; no decision depends on it.
    """
    where = stage if isinstance(stage, Stage) else read_stage(stage)
    if maybe_delivered:
        where = Stage.VERDICT
    elif maybe_delivered is False and where is Stage.VERDICT:
        where = Stage.DATA
    if mishap is None:
        lower = error_words.lower()
        timed_out = any(words in lower for words in _TIMEOUT_WORDS)
        mishap = Mishap.TIMEOUT if timed_out else Mishap.DROP
    cell = TABLE[where, mishap]
    words = PHRASES[cell.category]
    if error_words:
        words = f"{words}: {error_words}"
    return _outcome(cell, where, cell.category, words, None)


def from_login_failed(words: str, reply: Reply | None, *, lasting: bool) -> Outcome:
    """No login could be made. Nobody's mail is to blame for it; `lasting` says that it stays so until
    a person has changed something.
    """
    cell = TABLE[Stage.AUTH, Mishap.PERMANENT if lasting else Mishap.TEMPORARY]
    return _outcome(cell, Stage.AUTH, cell.category, words or PHRASES[cell.category], reply)


def from_trouble(words: str, *, stage: Stage = Stage.CONNECT) -> Outcome:
    """Our own trouble: whatever it was, the recipient is tried again later."""
    cell = _later(Category.OUR_TROUBLE, Blame.US, "3.0", next_host=False)
    return _outcome(cell, stage, cell.category, words or PHRASES[cell.category], None)


def from_limit() -> Outcome:
    """A limit lets some recipients go to a server now, and the others, whom this is about, later."""
    cell = _later(Category.LIMIT_REACHED, Blame.US, "3.2")._replace(same_host=True)
    return _outcome(cell, Stage.CONNECT, cell.category, PHRASES[cell.category], None)


def from_caller_told(*, maybe_delivered: bool = False) -> Outcome:
    """The waiting caller was told that it failed, so nothing leaves any more."""
    cell = _never(Category.CALLER_TOLD, Blame.US, "4.7")._replace(maybe_delivered=maybe_delivered)
    return _outcome(cell, Stage.CONNECT, cell.category, PHRASES[cell.category], None)


def from_unsuitable(words: str, *, detail: str = "6.3") -> Outcome:
    """The message cannot be brought into a form this server takes; perhaps another one takes it.

    `detail` is the subject and detail of the enhanced status, such as ``6.7`` (RFC 6531 §4.4).
    """
    cell = _never(Category.UNSUITABLE, Blame.MESSAGE, detail)._replace(next_host=True)
    return _outcome(cell, Stage.MAIL, cell.category, words or PHRASES[cell.category], None)


def _mishap(code: int) -> Mishap:
    if code == _CLOSING:
        return Mishap.CLOSING
    return {4: Mishap.TEMPORARY, 5: Mishap.PERMANENT}.get(code // 100, Mishap.GARBAGE)


def _outcome(
    cell: Cell, stage: Stage, category: Category, words: str, reply: Reply | None
) -> Outcome:
    return Outcome(
        cell.state,
        category,
        reply,
        _printable(words),
        cell.blame,
        cell.maybe_delivered,
        cell.next_host,
        cell.same_host,
        stage,
        cell.detail,
    )


def _printable(words: str) -> str:
    """Without what steers a terminal or breaks a line: errors of libraries quote what peers said."""
    clean = words if words.isprintable() else "".join(c if c.isprintable() else " " for c in words)
    return clean if len(clean) <= _WORDS_CHARACTERS else clean[:_WORDS_CHARACTERS] + "..."
