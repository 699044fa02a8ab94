"""migrate: the schema of the store, brought up to date or only looked at"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Verb
from pillarbox.cli.options import talks
from pillarbox.cli.output import clean
from pillarbox.storage.interface.migrating import Half, Migrated


@click.command(
    cls=Verb,
    examples=[
        ("migrate --plan", "what would run, without changing anything"),
        ("migrate", "before the nodes of a database are replaced, and again when all are"),
    ],
)
@click.option("--plan", is_flag=True, help="Only say what would run.")
@talks
def migrate(call: Call, *, plan: bool) -> None:
    """Bring the schema of the store up to date.

    A start does that too, but for what older nodes of the same database would not survive: that runs
    only here, and only when no older node is alive.
    """
    if call.where.server is not None:
        raise WrongUsage("this works on the store itself, not through a server")
    from pillarbox.settings import load
    from pillarbox.wiring import run
    from pillarbox.wiring.stores import migrate_store, store_of

    settings = load(call.where.sources())
    done = run(migrate_store(store_of(settings), plan=plan))
    document: dict[str, Any] = {
        "store": done.store,
        "exists": done.exists,
        "schema": done.schema,
        "plan": plan,
        "items": [_document(half) for half in done.ran],
        "held_back": [
            {**_document(each.half), "nodes": list(each.nodes)} for each in done.held_back
        ],
    }
    call.result(document, "name", lambda: _say(call, done, plan=plan))


def _say(call: Call, done: Migrated, *, plan: bool) -> None:
    say = call.screen.say
    if not done.exists and plan:
        say(f"{clean(done.store)} does not exist yet.")
    if done.ran:
        say("Would run:" if plan else "Ran:")
        for half in done.ran:
            say(f"  {_line(half)}")
    if done.held_back:
        say("Has to wait:")
        for each in done.held_back:
            older = ", ".join(map(clean, each.nodes))
            say(f"  {_line(each.half)}   an older Pillarbox runs on {older}")
        say("When no older node is left: pillarbox migrate")
    if not done.ran and not done.held_back:
        say(f"Nothing to do: the schema is {done.schema}.")
    elif plan:
        say("Nothing was changed.")


def _line(half: Half) -> str:
    return f"{half.number:04} {half.name:<16} {half.half}"


def _document(half: Half) -> dict[str, Any]:
    return {"number": half.number, "name": half.name, "half": half.half}
