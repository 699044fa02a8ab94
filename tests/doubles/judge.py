"""the judge: joins what clients saw, what the sink saw and what the ledger says

::

    verdict = judge(read_journal(clients), read_journal(sink))
    print(verdict)                             # numbers, never "passed"
    assert verdict.lost == 0 and verdict.phantoms == 0 and verdict.duplicates_unexplained == 0

or ``python -m tests.doubles.judge --clients FILE... --sink FILE... [--ledger FILE]``.

The unit is a pair of message id and recipient.

lost
    A client read a positive answer for it and the sink never took it; pairs whose recipient the
    sink refused for good (5xx) are counted as `refused_downstream` instead, and pairs of which
    the ledger says that they still wait as `waiting`.
phantom
    The sink took it though no client handed it over: no answer was positive for it and none is
    missing. A message with an empty return path and no id of ours is a notice, not a phantom.
duplicate
    A copy beyond the first. It is allowed where the transaction that carried an earlier copy was
    open when its connection was lost (`sink` says when that is): each such loss allows one copy
    more. Everything beyond that is unexplained.
mismatch
    The body that arrived is not the body that was handed over, octet for octet. Only where the
    client knew the body (SMTP) and the sink kept digests.

A ledger is a list of dicts, one per delivery: `message` (the id of the experiment, or the server's
own id as it stands in the reply to the client), `recipient`, `state`, and `uncertain` (true or a
count: it may have left before it was tried again). With it the judge also counts where the
server's account and the sink's differ.

A run without a fault proves nothing about faults: look at `connections_lost`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from tests.doubles.journal import Fact, read_journal

Pair = tuple[str, str]

DELIVERED_STATES = frozenset({"handed_over", "delivered", "bounced"})
WAITING_STATES = frozenset({"scheduled", "queued", "active", "deferred", "held"})
MAX_EXAMPLES = 10
_SERVER_ID = re.compile(r"\bmsg_[0-9A-Za-z]+")


@dataclass(slots=True)
class Verdict:
    """The numbers of one experiment; pairs of message and recipient unless named otherwise."""

    acknowledged: int = 0
    unanswered: int = 0
    refused: int = 0
    """Refused to the client and never acknowledged later."""
    delivered: int = 0
    """Taken by the sink at least once."""
    copies: int = 0
    """Taken by the sink, counting every copy."""
    lost: int = 0
    waiting: int = 0
    refused_downstream: int = 0
    phantoms: int = 0
    duplicates: int = 0
    duplicates_allowed: int = 0
    duplicates_unexplained: int = 0
    mismatches: int = 0
    """Copies whose body differs from what was handed over."""
    bodies_compared: int = 0
    bare_line_ends: int = 0
    """CR and LF outside CRLF, in all copies."""
    notices: int = 0
    """Messages with an empty return path and no id of ours."""
    connections_lost: int = 0
    """Connections of the server to the sink that ended without QUIT."""
    open_when_lost: int = 0
    """Pairs that were in doubt at those moments."""
    unanswered_when_lost: int = 0
    """Those of them that stood between the final dot and the sink's reply."""
    deferrals: int = 0
    """Answers of 4xx that the sink gave, to recipients and to final dots."""

    ledger_rows: int = 0
    ledger_missing: int = 0
    """Acknowledged, and the ledger does not know it."""
    ledger_lies: int = 0
    """The ledger says delivered and the sink never took it."""
    ledger_denials: int = 0
    """The sink took it and the ledger says neither delivered nor waiting."""
    ledger_unsettled: int = 0
    """The ledger says it still waits."""
    ledger_uncertain: int = 0
    duplicates_unnamed: int = 0
    """Came twice, and the ledger did not call it uncertain."""

    examples: dict[str, list[str]] = field(default_factory=dict)
    """Up to ten pairs for each number that ought to be 0."""

    def numbers(self) -> dict[str, int]:
        """All numbers by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "examples"}

    def __str__(self) -> str:
        lines = [f"{name:24} {number}" for name, number in self.numbers().items()]
        for name, pairs in self.examples.items():
            lines += [f"{name}: {pair}" for pair in pairs]
        return "\n".join(lines)

    def show(self, name: str, pairs: Iterable[object]) -> int:
        """Keep some of these as examples; how many there are."""
        listed = sorted(str(pair) for pair in pairs)
        if listed:
            self.examples[name] = listed[:MAX_EXAMPLES]
        return len(listed)


@dataclass(slots=True)
class _Clients:
    """What the clients' journals say, by pair."""

    acknowledged: set[Pair] = field(default_factory=set)
    unanswered: set[Pair] = field(default_factory=set)
    refused: set[Pair] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)
    server_ids: dict[str, str] = field(default_factory=dict)
    """Our id by the server's own."""

    @classmethod
    def read(cls, facts: Iterable[Fact]) -> _Clients:
        clients = cls()
        sets = {
            "acknowledged": clients.acknowledged,
            "unanswered": clients.unanswered,
            "refused": clients.refused,
        }
        for fact in facts:
            pairs = sets.get(fact["event"])
            if pairs is None:
                continue
            identity = fact["id"]
            pairs.update((identity, _fold(recipient)) for recipient in fact["recipients"])
            if fact.get("sha256"):
                clients.digests[identity] = fact["sha256"]
            if (found := _SERVER_ID.search(fact.get("reply") or "")) is not None:
                clients.server_ids[found.group()] = identity
        clients.unanswered -= clients.acknowledged
        clients.refused -= clients.acknowledged | clients.unanswered
        return clients


def judge(
    clients: Iterable[Fact], sink: Iterable[Fact], ledger: Iterable[Fact] | None = None
) -> Verdict:
    """Join the accounts. Facts may come in any order."""
    verdict = Verdict()
    said = _Clients.read(clients)
    copies: Counter[Pair] = Counter()
    opened: Counter[Pair] = Counter()
    refused_for_good: set[str] = set()
    for fact in sink:
        match fact["event"]:
            case "taken":
                _weigh(verdict, said, copies, fact)
            case "lost":
                verdict.connections_lost += 1
                for entry in fact["open"]:
                    opened.update((entry["id"], _fold(r)) for r in entry["recipients"])
                    if not entry["replied"]:
                        verdict.unanswered_when_lost += len(entry["recipients"])
            case "deferred":
                verdict.deferrals += 1
            case "refused" if fact["code"] < 500:
                verdict.deferrals += 1
            case "refused":
                refused_for_good.add(_fold(fact["recipient"]))
    rows = None if ledger is None else _read_ledger(ledger, said)
    waiting = {pair for pair, row in (rows or {}).items() if row["state"] in WAITING_STATES}

    verdict.acknowledged = len(said.acknowledged)
    verdict.unanswered = len(said.unanswered)
    verdict.refused = len(said.refused)
    verdict.copies = copies.total()
    verdict.delivered = len(copies)
    verdict.open_when_lost = opened.total()

    absent = said.acknowledged - copies.keys()
    refused_downstream = {pair for pair in absent if pair[1] in refused_for_good}
    verdict.refused_downstream = len(refused_downstream)
    verdict.waiting = len((absent - refused_downstream) & waiting)
    verdict.lost = verdict.show("lost", absent - refused_downstream - waiting)
    verdict.phantoms = verdict.show("phantoms", copies.keys() - said.acknowledged - said.unanswered)
    doubled = {pair: count - 1 for pair, count in copies.items() if count > 1}
    verdict.duplicates = sum(doubled.values())
    verdict.duplicates_allowed = sum(min(more, opened[pair]) for pair, more in doubled.items())
    verdict.duplicates_unexplained = verdict.duplicates - verdict.duplicates_allowed
    verdict.show(
        "duplicates_unexplained", (pair for pair, more in doubled.items() if more > opened[pair])
    )
    if rows is not None:
        _compare_ledger(verdict, said, copies, doubled, rows)
    return verdict


def _weigh(verdict: Verdict, said: _Clients, copies: Counter[Pair], fact: Fact) -> None:
    """One message the sink took."""
    identity = fact["id"]
    verdict.bare_line_ends += fact.get("bare") or 0
    if not fact["return_path"] and not any(
        (identity, _fold(r)) in pairs
        for pairs in (said.acknowledged, said.unanswered)
        for r in fact["recipients"]
    ):
        verdict.notices += 1
        return
    copies.update((identity, _fold(recipient)) for recipient in fact["recipients"])
    expected, found = said.digests.get(identity), fact.get("sha256")
    if expected is not None and found is not None:
        verdict.bodies_compared += 1
        if expected != found:
            verdict.mismatches += 1
            shown = verdict.examples.setdefault("mismatches", [])
            if len(shown) < MAX_EXAMPLES:
                shown.append(identity)


def _read_ledger(ledger: Iterable[Fact], said: _Clients) -> dict[Pair, Fact]:
    rows: dict[Pair, Fact] = {}
    for row in ledger:
        message = str(row["message"])
        rows[(said.server_ids.get(message, message), _fold(row["recipient"]))] = row
    return rows


def _compare_ledger(
    verdict: Verdict,
    said: _Clients,
    copies: Counter[Pair],
    doubled: dict[Pair, int],
    rows: dict[Pair, Fact],
) -> None:
    verdict.ledger_rows = len(rows)
    verdict.ledger_missing = verdict.show("ledger_missing", said.acknowledged - rows.keys())
    by_state: dict[str, set[Pair]] = defaultdict(set)
    for pair, row in rows.items():
        state = str(row["state"])
        kind = "delivered" if state in DELIVERED_STATES else "other"
        by_state["waiting" if state in WAITING_STATES else kind].add(pair)
    uncertain = {pair for pair, row in rows.items() if row.get("uncertain")}
    verdict.ledger_lies = verdict.show("ledger_lies", by_state["delivered"] - copies.keys())
    verdict.ledger_denials = verdict.show("ledger_denials", by_state["other"] & copies.keys())
    verdict.ledger_unsettled = len(by_state["waiting"])
    verdict.ledger_uncertain = len(uncertain)
    verdict.duplicates_unnamed = verdict.show("duplicates_unnamed", doubled.keys() - uncertain)


def _fold(recipient: str) -> str:
    """The domain's case means nothing; the local part's does."""
    local, at, domain = recipient.rpartition("@")
    return local + at + domain.lower()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description="join the journals", allow_abbrev=False)
    parser.add_argument("--clients", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--sink", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="a JSON list of deliveries")
    options = parser.parse_args(arguments)
    ledger = None if options.ledger is None else json.loads(options.ledger.read_bytes())
    verdict = judge(read_journal(*options.clients), read_journal(*options.sink), ledger)
    sys.stdout.write(f"{verdict}\n")


if __name__ == "__main__":
    main()
