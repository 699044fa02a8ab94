"""the walk along next hops, I/O-free: next_host(), record()

The caller asks for a server, tries it, and records what became of whom; the walk knows who is
settled, who goes on to the next server, and what it comes to when there is none left::

    walk = HostWalk(servers, recipients)
    while (server := walk.next_host()) is not None:
        ...one transaction with `walk.open`...
        walk.record(server, outcome, those_it_concerns)
    endings = walk.endings()
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from msgspec.structs import replace

from pillarbox.policy.delivery import State
from pillarbox.policy.meaning import PHRASES, Category, Stage
from pillarbox.policy.outcome import Blame, Outcome, from_broken
from pillarbox.policy.server import Server

RecipientT = TypeVar("RecipientT", bound=Hashable)

_WORDS_CHARACTERS: Final = 600
_REPLY_CHARACTERS: Final = 120
_INFORMATIVE: Final = (Blame.RECIPIENT, Blame.MESSAGE, Blame.SERVER, Blame.LINK, Blame.US)
"""Of several reasons to wait, the one told is about whom stands first here."""

_NOT_ASKED: Final = (Category.PAUSED.value, Category.LIMIT_REACHED.value)
"""Of a server that was left out."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What a walk came to for one recipient. `server` gave the outcome, None where none did."""

    outcome: Outcome
    server: Server | None
    tried: int
    """How many servers were asked about this recipient."""


class HostWalk(Generic[RecipientT]):
    """One attempt's way along the servers, for the recipients of one transaction."""

    def __init__(self, servers: Sequence[Server], recipients: Iterable[RecipientT] = ()) -> None:
        """`servers` in the order in which they are to be tried."""
        self._servers = list(servers)
        self._place = 0
        self._current: Server | None = None
        self._progress = False
        self._again = False
        self._passed: list[tuple[Server, Outcome]] = []
        self._settled: dict[RecipientT, Ending] = {}
        self._tried: dict[RecipientT, list[tuple[Server, Outcome]]] = {
            recipient: [] for recipient in recipients
        }

    @property
    def open(self) -> tuple[RecipientT, ...]:
        """The recipients not settled yet, in the order given."""
        return tuple(recipient for recipient in self._tried if recipient not in self._settled)

    @property
    def goes_on(self) -> bool:
        """Whether there are servers behind the one to try now."""
        return self._place < len(self._servers)

    def next_host(self) -> Server | None:
        """The server to try now; None when everybody is settled or no server is left.

        The one just tried comes again where it took some recipients and has only too many of them.
        """
        if self._tried and len(self._settled) == len(self._tried):
            return None
        if self._again and self._progress:
            self._again = self._progress = False
            return self._current
        self._again = self._progress = False
        if self._place >= len(self._servers):
            self._current = None
            return None
        self._current = self._servers[self._place]
        self._place += 1
        return self._current

    @property
    def coming(self) -> Sequence[Server]:
        """The servers not tried yet, in their order."""
        return self._servers[self._place :]

    def pass_by(self, server: Server, words: str = "", category: str = Category.PAUSED) -> None:
        """Note that a server was left out, its circuit being open or a limit of it reached."""
        outcome = Outcome(
            State.DEFERRED,
            category,
            None,
            words or PHRASES[Category.PAUSED],
            Blame.SERVER,
            next_host=True,
            stage=Stage.CONNECT,
            detail="4.1",
        )
        self._passed.append((server, outcome))

    def record(
        self,
        server: Server,
        outcome: Outcome,
        recipients: Iterable[RecipientT] | None = None,
    ) -> None:
        """Note what became of `recipients` (all that are open) at a server.

        Who is settled stays so: what is recorded about them later changes nothing.
        """
        concerned = self.open if recipients is None else tuple(recipients)
        for recipient in concerned:
            if recipient in self._settled:
                continue
            tries = self._tried.setdefault(recipient, [])
            tries.append((server, outcome))
            if outcome.next_host and not outcome.taken and not outcome.maybe_delivered:
                self._again = self._again or outcome.same_host
                continue
            self._progress = self._progress or outcome.taken
            self._settled[recipient] = Ending(outcome, server, _servers_in(tries))

    def last(self, recipient: RecipientT) -> Outcome | None:
        """What became of a recipient at the server asked last; None where none was asked."""
        tries = self._tried.get(recipient)
        return tries[-1][1] if tries else None

    def endings(self) -> dict[RecipientT, Ending]:
        """What it came to for everybody, in the order given. Call it when the walk is over."""
        return {
            recipient: self._settled.get(recipient) or self._left_over(tries)
            for recipient, tries in self._tried.items()
        }

    def _left_over(self, tries: Sequence[tuple[Server, Outcome]]) -> Ending:
        everything = [*self._passed, *tries]
        if not everything:
            return Ending(_no_route(), None, 0)
        # Only where each of them said no for good is it one: a server that did not work might have
        # said yes, so its silence is a reason to wait.
        waiting = [one for one in everything if one[1].state is not State.FAILED]
        server, outcome = min(waiting or everything, key=_how_informative)
        return Ending(
            replace(outcome, words=_words(everything), next_host=False, same_host=False),
            None if outcome.category in _NOT_ASKED else server,
            _servers_in(tries),
        )


def unasked(fault: Outcome) -> Outcome:
    """What a fault means for those who were still to be named when the connection ended: nothing of
    theirs can have arrived, however much of the others' had.
    """
    if not fault.maybe_delivered:
        return fault
    return from_broken(Stage.MAIL, "", False)


def describe(server: Server, outcome: Outcome) -> str:
    """One server's answer as part of a sentence: its name, what it did, what it said."""
    said = f"{outcome.reply.code} {outcome.status} {outcome.text}" if outcome.reply else ""
    if len(said) > _REPLY_CHARACTERS:
        said = said[:_REPLY_CHARACTERS] + "..."
    clean = "".join(c if c.isprintable() else " " for c in said)
    return f"{server.name or server.host} {outcome.words}" + (f" ({clean})" if clean else "")


def _words(tries: Sequence[tuple[Server, Outcome]]) -> str:
    text = "; ".join(describe(server, outcome) for server, outcome in tries)
    return text if len(text) <= _WORDS_CHARACTERS else text[:_WORDS_CHARACTERS] + "..."


def _how_informative(one: tuple[Server, Outcome]) -> tuple[bool, int]:
    _, outcome = one
    return outcome.category in _NOT_ASKED, _INFORMATIVE.index(outcome.blame)


def _servers_in(tries: Sequence[tuple[Server, Outcome]]) -> int:
    return len({server.id for server, _ in tries})


def _no_route() -> Outcome:
    return Outcome(
        State.DEFERRED,
        Category.NO_ROUTE,
        None,
        "the app " + PHRASES[Category.NO_ROUTE],
        Blame.US,
        stage=Stage.CONNECT,
        detail="4.4",
    )
