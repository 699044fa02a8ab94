"""store: a whole store, copied into another one or taken back into use"""

from __future__ import annotations

import json
import shlex
import sys
import time
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as
from pillarbox.storage.interface.copying import CopyReport, CopyStep
from pillarbox.storage.interface.store_url import StoreUrl, parse_store_url

_BAR_COLUMNS: Final = 24
_REDRAWN_SECONDS: Final = 0.1
_TOLD_SECONDS: Final = 0.5
_HERE: Final = "\r\x1b[K"


@click.group(
    cls=Noun,
    examples=[
        (
            "store copy ./pillarbox-data postgresql://pillarbox@db/pillarbox",
            "move to a database that several nodes share",
        ),
        ("store reopen", "use the old store again after all"),
    ],
)
def store() -> None:
    """A whole store: a data directory, or a PostgreSQL database.

    It is named by its directory, by sqlite:///DIR/pillarbox.db, or by postgresql://USER@HOST/NAME.
    A password belongs into PGPASSWORD or ~/.pgpass, not on a command line.
    """


@examples(
    ("store copy ./pillarbox-data postgresql://pillarbox@db/pillarbox", "all of it, verified"),
    ("store copy postgresql://pillarbox@db/pillarbox ./new-data", "and back"),
    ("store copy FROM TO --while-running", "the history ahead, so that the last run is short"),
)
@store.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--while-running",
    is_flag=True,
    help="Copy ahead from a store in use what never changes, and stop there. A later run without "
    "this compares it, copies the rest, and moves.",
)
@talks
def copy(call: Call, source: str, target: str, *, while_running: bool) -> None:
    """Move a store: schema, rows, bodies, secrets.

    Nobody may be using it meanwhile. Killed, the same command goes on where it ended. At the end
    every table is read on both sides and compared; then the source is marked as moved, and is not
    started any more. With --json every line is an object.
    """
    _ensure_local(call)
    ours, theirs = parse_store_url(source), parse_store_url(target)
    from pillarbox.wiring import run
    from pillarbox.wiring.stores import copy_store

    shown = _Shown(call)
    try:
        report = run(
            copy_store(
                ours, theirs, told=shown.told, while_running=while_running,
                key_dir=call.where.sources().data_dir(),
            )
        )  # fmt: skip
    finally:
        shown.end()
    if call.as_json:
        call.screen.say(json.dumps(_document(ours, theirs, report)))
    elif not call.quiet:
        _say(call, ours, theirs, report)


@examples(
    ("store reopen", "the store of the settings"),
    ("store reopen ./pillarbox-data --yes", "another one, without being asked"),
)
@store.command("reopen")
@click.argument("url", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def reopen(call: Call, url: str | None, *, yes: bool) -> None:
    """Use a store again that was copied elsewhere. What waited then would be sent twice."""
    _ensure_local(call)
    from pillarbox.settings import load
    from pillarbox.wiring import run
    from pillarbox.wiring.stores import reopen_store, store_of, where_moved

    meant = parse_store_url(url) if url else store_of(load(call.where.sources()))
    moved = run(where_moved(meant))
    if moved is not None:
        call.ask_yes(
            f"{meant.shown} was copied to {moved}. What waited here then waits there as well, and "
            "whatever of it has left from there would be sent a second time. Use this store again?",
            answered=yes,
        )
        moved = run(reopen_store(meant))
    document = {"store": meant.shown, "moved_to": moved, "reopened": moved is not None}

    def words() -> None:
        if moved is None:
            call.screen.say(f"{clean(meant.shown)} was not copied elsewhere; nothing to do.")
        else:
            call.screen.say(f"{clean(meant.shown)} can be started again.")
            call.screen.say(
                f"Do not start {clean(moved)} beside it: both would send the same mail."
            )

    call.result(document, "store", words)


class _Shown:
    """What is being done: a bar on a terminal, a line for each table elsewhere, or objects."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._draws = sys.stderr.isatty() and not (call.as_json or call.quiet)
        self._open = False
        self._next_at = 0.0
        self._last: tuple[str, str] = ("", "")

    def told(self, step: CopyStep) -> None:
        """Often the same but for a few rows; not all of it is shown."""
        now = time.monotonic()
        new = (step.doing, step.table) != self._last
        if not (step.done or new or now >= self._next_at):
            return
        self._last = (step.doing, step.table)
        if self._call.as_json:
            self._next_at = now + _TOLD_SECONDS
            self._call.screen.say(
                json.dumps(
                    {
                        "word": step.doing,
                        "table": step.table,
                        "rows": step.rows,
                        "share": round(step.share, 3),
                        "done": step.done,
                    }
                )
            )
        elif self._draws:
            self._next_at = now + _REDRAWN_SECONDS
            # A table without rows leaves no line behind.
            self._open = not step.done
            ended = "\n" if step.done and step.rows else ""
            sys.stderr.write(_HERE + (_line(step) if step.rows else "") + ended)
            sys.stderr.flush()
        elif step.done and step.rows and not self._call.quiet:
            self._call.screen.note(f"{step.doing:<10} {step.table:<12} {step.rows:>12,} rows")

    def end(self) -> None:
        """Leave a line that was begun."""
        if self._open:
            sys.stderr.write("\n")
            self._open = False


def _line(step: CopyStep) -> str:
    full = round(step.share * _BAR_COLUMNS)
    bar = "#" * full + "-" * (_BAR_COLUMNS - full)
    return f"{step.doing:<10} {step.table:<12} [{bar}] {step.share:>4.0%} {step.rows:>12,} rows"


def _ensure_local(call: Call) -> None:
    if call.where.server is not None:
        raise WrongUsage("this works on the store itself, not through a server")


def _document(source: StoreUrl, target: StoreUrl, report: CopyReport) -> dict[str, Any]:
    found = report.recovered
    return {
        "word": "finished",
        "source": source.shown,
        "target": target.shown,
        "complete": report.complete,
        "resumed": report.resumed,
        "secret_key": report.key,
        "recovered": {
            "released": found.released,
            "uncertain": found.uncertain,
            "held": found.held,
            "swept_uploads": found.swept_uploads,
        },
        "tables": [
            {"name": table.name, "rows": table.rows, "sha256": table.checksum}
            for table in report.tables
        ],
    }


def _say(call: Call, source: StoreUrl, target: StoreUrl, report: CopyReport) -> None:
    say = call.screen.say
    if not report.complete:
        say("What never changes was copied ahead; nothing was verified, and nothing has moved yet.")
        say("Next: stop Pillarbox, then run the same command without --while-running.")
        return
    columns = [Column("table", fixed=True), Column("rows", right=True, fixed=True)]
    columns.append(Column("sha-256, the same on both sides", middle=True))
    rows = [[each.name, f"{each.rows:,}", each.checksum] for each in report.tables if each.rows]
    call.screen.table(columns, rows)
    found = report.recovered
    if found.released:
        say(
            f"Before that {found.released} deliveries were freed that a dead process had; "
            f"{found.uncertain} of them may have left, {found.held} of these are held."
        )
    say(f"Moved to {clean(target.shown)}. {clean(source.shown)} is not started any more.")
    match report.key:
        case "copied":
            say("The key of the passwords, secret.key, was copied along.")
        case "needed":
            where = f" from {source.directory}" if source.directory is not None else ""
            say(
                f"The passwords of servers are sealed: every node needs the same secret.key{where} in "
                "its data directory,\nor PILLARBOX_SECRET_KEY_FILE that names it."
            )
    if target.directory is not None:
        say(f"Next: {run_as()} serve --data-dir {shlex.quote(clean(target.directory))}")
    else:
        say(f"Next: {run_as()} serve --database {shlex.quote(clean(target.shown))}")
