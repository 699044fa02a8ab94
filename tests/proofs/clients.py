"""whatever fourteen mail clients put on the wire arrives at the app's server, octet for octet

Each client hands over every letter that it can send, by STARTTLS and by TLS from the first byte,
with a login whose name is an address and whose password has blanks. It does so twice: once to a
recorder, which shows that it puts on the wire what it says it does, and once to a Pillarbox, on
SQLite and then on PostgreSQL. What arrives at the app's server is compared with that. Accounted for
is what may be different, and nothing else may be: our Received field, in its one form; Bcc and
option fields, gone; Date and Message-ID where there were none.

The letters: plain text; text without Date and Message-ID; 8-bit content; addresses that need
SMTPUTF8; an attachment of 10 MB; 50 recipients; 200 KB of lines of dots.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.doubles.postgres import PostgresServer
from tests.e2e.zoo.letters import ATTACHMENT_BYTES, DOTS, MANY
from tests.e2e.zoo.matrix import CLIENTS, SMALL, Cell, Kind, all_of, dots_of, hand_over
from tests.e2e.zoo.stage import Stage, stage

NEEDS = (*dict.fromkeys(name for kind in CLIENTS for name in kind.needs), "postgres")

_AT_ONCE: Final = 3
"""So many clients hand over at a time: most of it is waiting for programs to start."""


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is compared."""
    plan = SMALL if size == "small" else {kind: all_of(kind) for kind in CLIENTS}
    engines = ("sqlite",) if size == "small" else ("sqlite", "postgres")
    return asyncio.run(_prove(plan, engines, in_full=size != "small"))


async def _prove(
    plan: Mapping[Kind, tuple[Cell, ...]], engines: tuple[str, ...], *, in_full: bool
) -> dict[str, object]:
    found: dict[str, object] = {}
    versions = {kind.name: kind.version() for kind in plan}
    for engine in engines:
        # A short path: it holds a socket of PostgreSQL. And one that its user may enter.
        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            Path(folder).chmod(0o755)
            if engine == "postgres":
                with PostgresServer(Path(folder) / "pg") as server:
                    versions["postgresql"] = server.version()
                    counts = await _round(plan, Path(folder), server.database("zoo"), {})
            else:
                recorded = plan if in_full else {kind: dots_of(plan[kind]) for kind in plan}
                counts = await _round(plan, Path(folder), "", recorded)
        found[engine] = counts
    cells = [cell for kind in plan for cell in plan[kind]]
    return {
        "clients": len(plan),
        **found,
        "letters": dict(Counter(letter for letter, _ in cells)),
        "ways_in": dict(Counter(security for _, security in cells)),
        "by_client": {
            kind.name: " ".join(dict.fromkeys(k for k, _ in plan[kind])) for kind in plan
        },
        "parameters": {
            "attachment_bytes": ATTACHMENT_BYTES,
            "recipients_of_many": MANY,
            "bytes_of_dots": len(DOTS),
        },
        "versions": versions,
    }


async def _round(
    plan: Mapping[Kind, tuple[Cell, ...]],
    folder: Path,
    database: str,
    recorded: Mapping[Kind, tuple[Cell, ...]],
) -> dict[str, int]:
    """All clients against one Pillarbox; what was counted. Raises AssertionError."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(place: Stage, kind: Kind) -> list[str]:
        home = folder / kind.name
        home.mkdir()
        client = kind(home)
        async with turns, client.running:
            wrong = await hand_over(place, client, plan[kind], recorded=recorded.get(kind, ()))
        print(f"{kind.name}: {len(plan[kind])} letters, {len(wrong)} wrong", file=sys.stderr)
        return wrong

    async with stage(folder, database) as place:
        wrong = [each for of in await asyncio.gather(*(one(place, k) for k in plan)) for each in of]
        assert not wrong, f"{len(wrong)} of {sum(map(len, plan.values()))}:\n" + "\n".join(wrong)
        return dict(place.counts)
