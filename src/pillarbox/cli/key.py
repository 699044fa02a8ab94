"""key: what programs show to the HTTP API"""

from __future__ import annotations

import os
from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.changes import ABOUT_UNCERTAIN, MODES, UNCERTAIN, named
from pillarbox.cli.client import segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column


@click.group(
    cls=Noun,
    examples=[
        ("key add shop-backend --app shop --may send", "for a program that only sends"),
        ("key list", "which there are, and when they were last used"),
    ],
)
def key() -> None:
    """What programs show to the HTTP API. A key is shown once; only its hash is kept."""


@examples(("key list", "which keys there are, and how each begins"))
@key.command("list")
@talks
def list_(call: Call) -> None:
    """All keys, by name."""
    with call.client() as client:
        items = client.items("/keys")

    def words() -> None:
        columns = [
            Column("name"),
            Column("begins", fixed=True),
            Column("app"),
            Column("may", fixed=True),
            Column("senders"),
            Column("last used", fixed=True),
        ]
        rows = [
            [
                each["name"],
                each["hint"],
                each["app"] or "all",
                ", ".join(each["verbs"]),
                ", ".join(each["allowed_senders"]) or "any",
                (each["used_at"] or "never")[:16].replace("T", " "),
            ]
            for each in items
        ]
        call.screen.table(columns, rows)

    call.result({"items": items, "next": None}, "name", words)


@examples(
    ("key add shop-backend --app shop --may send", "can hand over mail of one app, no more"),
    ("key add deploy --write-to ~/.pillarbox-key", "into a file only you can read"),
)
@key.command("add")
@click.argument("name")
@click.option("--app", metavar="NAME", help="Good for this app only. Default: for all.")
@click.option(
    "--may",
    "verbs",
    type=click.Choice(["send", "read", "manage"]),
    metavar="VERB",
    multiple=True,
    help="What it is good for: send, read, manage. Repeatable. Default: all three.",
)
@click.option(
    "--mode",
    type=MODES,
    metavar="MODE",
    help="off, sandbox or hold: stricter than the app's, never looser.",
)
@click.option("--uncertain", type=UNCERTAIN, metavar="WHAT", help=ABOUT_UNCERTAIN)
@click.option(
    "--allow-from",
    "allowed_senders",
    metavar="PATTERN",
    multiple=True,
    help="Allow only this author: a@example.com or *@example.com. Repeatable.",
)
@click.option(
    "--write-to", metavar="FILE", help="Write the key to a new file instead of showing it."
)
@talks
def add(call: Call, name: str, *, write_to: str | None, **values: Any) -> None:
    """A new key; shows it, once."""
    lists = {each: list(values.pop(each)) or None for each in ("verbs", "allowed_senders")}
    document = named({"name": name, **values, **lists})
    # Opened before the key exists: one that could not be written down would be lost.
    file = _new_file(write_to) if write_to else None
    try:
        with call.client() as client:
            made = client.post("/keys", document)
    except BaseException:
        if file is not None:
            os.close(file)
            os.unlink(os.path.expanduser(str(write_to)))
        raise
    if file is not None:
        with os.fdopen(file, "w") as stream:
            stream.write(made.pop("key") + "\n")

    def words() -> None:
        call.screen.say(f"Added the key {made['name']}.")
        if write_to:
            call.screen.say(f"It is in {write_to}; use it with --key-file {write_to}")
        else:
            call.screen.fields([("Key", made["key"])])
            call.screen.say("It is shown once; only its hash is kept.")

    call.result(made, "name", words)


@examples(("key remove shop-backend", "asks"), ("key remove shop-backend --yes", "does not"))
@key.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def remove(call: Call, name: str, *, yes: bool) -> None:
    """Remove a key; it is refused from now on."""
    call.ask_yes(f"Remove the key {name}? What uses it will be refused.", answered=yes)
    with call.client() as client:
        client.delete(f"/keys/{segment(name)}")
    call.talk(f"Removed the key {name}.")


def _new_file(path: str) -> int:
    try:
        return os.open(os.path.expanduser(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as wrong:
        raise WrongUsage(f"cannot write a new file {path}", detail=wrong.strerror) from wrong
