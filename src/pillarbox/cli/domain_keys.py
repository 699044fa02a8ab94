"""the verbs about the signing keys of a sending domain"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.changes import named
from pillarbox.cli.client import segment
from pillarbox.cli.errors import Unreadable
from pillarbox.cli.group import examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, run_as

_MOST_OCTETS = 16_384


def add_key_verbs(domain: click.Group) -> None:
    """Give the noun its verbs about keys."""
    for command in (keys, rotate, import_key, activate, retire, revoke, remove_key):
        domain.add_command(command)


@examples(("domain keys example.com", "which there are, and what each is doing"))
@click.command("keys")
@click.argument("name")
@talks
def keys(call: Call, name: str) -> None:
    """A domain's signing keys. Their private halves are never shown."""
    with call.client() as client:
        items = client.items(f"/domains/{segment(name)}/keys")
    call.result({"items": items, "next": None}, "selector", lambda: _say_keys(call, items))


@examples(("domain rotate example.com", "the old keys sign on until the new ones can"))
@click.command("rotate")
@click.argument("name")
@talks
def rotate(call: Call, name: str) -> None:
    """Make a successor for each key that signs.

    Publish the records shown. The new keys take over by themselves, a day after their records were
    found everywhere; the old ones go on signing the mail that was taken before.
    """
    with call.client() as client:
        made = client.post(f"/domains/{segment(name)}/rotate", {})

    def words() -> None:
        if not made["items"]:
            call.screen.say(
                "Nothing to rotate: no key signs yet. Those that wait are to be published:"
            )
            call.screen.say(f"  {run_as()} domain records {name}")
            return
        for each in made["items"]:
            host = f"{each['selector']}._domainkey.{name}"
            call.screen.fields([("Name", host), ("Type", "TXT"), ("Value", each["record"])])
            call.screen.say()
        call.screen.say(f"Publish these, then: {run_as()} domain check {name}")

    call.result(made, "selector", words)


@examples(
    ("domain import-key example.com mail2024 --pem mail2024.pem", "go on with a key of your own"),
    ("domain import-key example.com mail2024 --pem - < mail2024.pem", "from standard input"),
)
@click.command("import-key")
@click.argument("name")
@click.argument("selector")
@click.option(
    "--pem",
    required=True,
    metavar="FILE",
    help="The private key in PEM, without a passphrase; - reads standard input.",
)
@talks
def import_key(call: Call, name: str, selector: str, pem: str) -> None:
    """Bring a signing key that was used elsewhere, with its selector.

    It signs when a check has found its record.
    """
    document = {"selector": selector, "private_key": _read(pem)}
    with call.client() as client:
        made = client.post(f"/domains/{segment(name)}/keys", named(document))

    def words() -> None:
        call.screen.say(f"Imported the {made['algorithm']} key {made['selector']}.")
        call.screen.say(f"It signs when its record was found: {run_as()} domain check {name}")

    call.result(made, "selector", words)


@examples(
    ("domain activate-key example.com pb2611r-3f9a", "in place of the one that signs now"),
    ("domain activate-key example.com pb2611r-3f9a --anyway", "though its record was not found"),
)
@click.command("activate-key")
@click.argument("name")
@click.argument("selector")
@click.option("--anyway", is_flag=True, help="Also where its record was not found.")
@talks
def activate(call: Call, name: str, selector: str, *, anyway: bool) -> None:
    """Let a key sign new mail now; the one of its kind that did so is retired."""
    _act(call, name, selector, "activate", {"anyway": anyway})


@examples(("domain retire-key example.com pb2611r-3f9a", "sign no new mail with it"))
@click.command("retire-key")
@click.argument("name")
@click.argument("selector")
@talks
def retire(call: Call, name: str, selector: str) -> None:
    """Sign no new mail with a key; mail that was taken before still is."""
    _act(call, name, selector, "retire", {})


@examples(
    ("domain revoke-key example.com pb2611r-3f9a", "asks"),
    ("domain revoke-key example.com pb2611r-3f9a --yes", "does not"),
)
@click.command("revoke-key")
@click.argument("name")
@click.argument("selector")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def revoke(call: Call, name: str, selector: str, *, yes: bool) -> None:
    """Never sign with a key again, not even mail that waits. For keys that others may know."""
    call.ask_yes(f"Revoke {selector}? Mail that waits leaves without its signature.", answered=yes)
    _act(call, name, selector, "revoke", {})
    call.talk(f"Empty its record: {run_as()} domain records {name}")


@examples(("domain remove-key example.com pb2611r-3f9a", "once nothing needs it"))
@click.command("remove-key")
@click.argument("name")
@click.argument("selector")
@talks
def remove_key(call: Call, name: str, selector: str) -> None:
    """Remove a key for good. Refused while it signs, or mail waits that it may have to sign."""
    with call.client() as client:
        client.delete(f"/domains/{segment(name)}/keys/{segment(selector)}")
    call.talk(f"Removed the key {selector}.")


def _read(file: str) -> str:
    """The text of a file, or of standard input where its name is ``-``."""
    try:
        if file == "-":
            return sys.stdin.read(_MOST_OCTETS)
        with Path(file).open() as stream:
            return stream.read(_MOST_OCTETS)
    except (OSError, UnicodeDecodeError) as wrong:
        raise Unreadable(file, wrong) from wrong


def _act(call: Call, name: str, selector: str, act: str, document: dict[str, Any]) -> None:
    with call.client() as client:
        path = f"/domains/{segment(name)}/keys/{segment(selector)}/{act}"
        after = client.post(path, document)
    call.result(after, "selector", lambda: _say_keys(call, after["items"]))


def _say_keys(call: Call, items: list[dict[str, Any]]) -> None:
    columns = [
        Column("selector", fixed=True),
        Column("kind", fixed=True),
        Column("state", fixed=True),
        Column("record found", fixed=True),
        Column("signs since", fixed=True),
    ]
    rows = [
        [
            each["selector"],
            each["algorithm"],
            each["state"],
            _day(each["found_at"]),
            _day(each["active_at"]),
        ]
        for each in items
    ]
    call.screen.table(columns, rows, {"active": "green", "pending": "amber", "revoked": "red"})


def _day(instant: str | None) -> str:
    return (instant or "-")[:16].replace("T", " ")
