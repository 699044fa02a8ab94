"""message: what was handed over, and what became of it"""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import segment
from pillarbox.cli.group import Noun, WholeNumber, examples
from pillarbox.cli.moments import at
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, format_bytes
from pillarbox.cli.preview import preview
from pillarbox.cli.queue import STATE_COLOURS
from pillarbox.cli.route import print_ways
from pillarbox.policy.delivery import State

_STATES: Final = click.Choice([state.value for state in State])


@click.group(
    cls=Noun,
    examples=[
        ("message list --state failed", "what was refused"),
        ("message show msg_0A1B2C3D4E5F", "what became of every recipient"),
        ("message explain msg_0A1B2C3D4E5F", "why it waits, and what comes next"),
        ("message preview letter.eml --track-clicks", "what would be done to it"),
    ],
)
def message() -> None:
    """What was handed over, and what became of every recipient."""


@examples(
    ("message list", "the newest"),
    ("message list --recipient you@example.com", "all to one address"),
    ("message list --state deferred --since 24h", "what is late today"),
)
@message.command("list")
@click.option("--app", metavar="NAME", help="Of this app only.")
@click.option(
    "--state",
    type=_STATES,
    metavar="STATE",
    help=f"With a recipient in this state: {', '.join(_STATES.choices)}.",
)
@click.option("--recipient", metavar="ADDRESS", help="To this address.")
@click.option("--since", metavar="WHEN", help="Not older than 24h, 7d or 2026-11-05T10:00:00Z.")
@click.option(
    "--limit", type=WholeNumber(1), metavar="N", default=25, help="At most so many. Default: 25."
)
@talks
def list_(call: Call, *, limit: int, **wanted: str | None) -> None:
    """Messages, newest first."""
    with call.client() as client:
        items = client.items("/messages", limit=limit, cursor="before", **wanted)

    def words() -> None:
        if not items:
            fitting = " that fits" if any(wanted.values()) else " yet"
            call.screen.say(f"No message{fitting}.")
            return
        columns = [
            Column("message", middle=True),
            Column("at", fixed=True),
            Column("state", fixed=True),
            Column("to"),
            Column("subject"),
        ]
        rows = [
            [
                each["id"],
                at(each["accepted_at"]),
                _standing(each),
                _recipients(each),
                each["subject"],
            ]
            for each in items
        ]
        call.screen.table(columns, rows, STATE_COLOURS)

    call.result({"items": items, "next": None}, "id", words)


@examples(
    ("message show msg_0A1B2C3D4E5F", "every recipient, why, and what comes next"),
    ("message show msg_0A1B2C3D4E5F --dialogue", "with what was said to the servers"),
)
@message.command("show")
@click.argument("id_", metavar="ID")
@click.option("--dialogue", is_flag=True, help="Also the conversation of every attempt.")
@talks
def show(call: Call, id_: str, *, dialogue: bool) -> None:
    """One message: how each recipient stands, why, what comes next."""
    with call.client() as client:
        found = client.get(f"/messages/{segment(id_)}")
    call.result(found, "id", lambda: _print_message(call, found, dialogue=dialogue))


@examples(("message explain msg_0A1B2C3D4E5F", "each recipient: which way, why, until when, then"))
@message.command("explain")
@click.argument("id_", metavar="ID")
@talks
def explain(call: Call, id_: str) -> None:
    """Which ways were considered, which was chosen and why, what it waits for, what comes next."""
    with call.client() as client:
        found = client.get(f"/messages/{segment(id_)}/explain")
    call.result(found, "message", lambda: _print_explained(call, found))


@examples(
    ("message raw msg_0A1B2C3D4E5F", "read it"),
    ("message raw msg_0A1B2C3D4E5F > message.eml", "keep it, byte for byte"),
)
@message.command("raw")
@click.argument("id_", metavar="ID")
@talks
def raw(call: Call, id_: str) -> None:
    """The content as it is stored.

    A terminal gets it without its control characters, a file or pipe byte for byte.
    """
    with call.client() as client:
        content = client.raw(f"/messages/{segment(id_)}/raw")
    if call.screen.is_terminal:
        for line in content.decode("utf-8", "replace").splitlines():
            call.screen.say(clean(line))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


message.add_command(preview)


def _print_message(call: Call, found: dict[str, Any], *, dialogue: bool) -> None:
    screen = call.screen
    submitter, origin = found["submitter"], found["origin"]
    screen.say(screen.paint(clean(found["subject"]) or "(no subject)", "bold"))
    screen.fields(
        [
            ("Id", found["id"]),
            ("From", found["from"]),
            ("Return path", found["return_path"] or "none (a notice)"),
            ("App", f"{found['app']} ({found['mode']})"),
            ("Came", f"{at(found['accepted_at'])} {_porch(submitter, origin)}"),
            ("Size", format_bytes(found["size_bytes"])),
            ("Options", _options(found)),
            ("Message-ID", found["message_id"]),
        ]
    )
    for delivery in found["deliveries"]:
        screen.say()
        word = clean(delivery["word"])
        painted = screen.paint(word, STATE_COLOURS.get(word, "bold"))
        screen.say(f"{painted}  {clean(delivery['recipient'])}   {clean(delivery['id'])}")
        told = delivery.get("explanation", {})
        for name in ("why", "next", "advice"):
            if told.get(name):
                screen.say(f"  {clean(told[name])}")
        if not any(told.get(name) for name in ("why", "next", "advice")) and told.get("about"):
            screen.say(f"  {clean(told['about'])}")
        for event in delivery.get("history", ()):
            _print_event(call, event, dialogue=dialogue)
        for event in delivery.get("visits", ()):
            _print_event(call, event, dialogue=False)


def _print_explained(call: Call, found: dict[str, Any]) -> None:
    screen = call.screen
    screen.say(screen.paint(clean(found["subject"]) or "(no subject)", "bold"))
    for each in found["recipients"]:
        screen.say()
        word = clean(each["word"])
        painted = screen.paint(word, STATE_COLOURS.get(word, "bold"))
        screen.say(f"{painted}  {clean(each['recipient'])}   {clean(each['delivery'])}")
        screen.say(f"  {clean(each['text'])}")
        if each["chosen"]:
            screen.say(f"  Way: {clean(each['chosen'])}")
        print_ways(call, each["ways"])
        for event in each["history"]:
            screen.say(f"  {at(event['at'])}  {clean(event['words'])}")
    if found["more"]:
        screen.say(f"and {found['more']} more recipients; message show has them all")


def _print_event(call: Call, event: dict[str, Any], *, dialogue: bool) -> None:
    facts = event["facts"]
    verb = clean(event["kind"]).rpartition(".")[2].replace("_", " ")
    call.screen.say(f"  {at(event['at'])}  {verb:<12}  {_words(event)}".rstrip())
    if dialogue:
        for line in facts.get("dialogue", ()):
            call.screen.say(f"      {line['ms']:>7} ms  {clean(line['line'])}")


def _words(event: dict[str, Any]) -> str:
    """What an event says beyond its name."""
    facts = event["facts"]
    if facts.get("verdict"):
        return clean(event["words"])
    said = facts.get("words") or facts.get("reason") or " ".join(facts.get("remarks", ()))
    if not said and facts.get("code"):
        said = " ".join(str(facts[name]) for name in ("code", "status", "text") if facts.get(name))
    by = f"by {facts['by']}" if facts.get("by") else ""
    number = f"attempt {facts['number']}" if facts.get("number") else ""
    return clean(": ".join(part for part in (number, said, by) if part))


def _porch(submitter: dict[str, Any], origin: dict[str, Any]) -> str:
    by = f"by {submitter['name']}" if submitter["name"] else f"by the {submitter['kind']}"
    over = f"over {origin['protocol']}" if origin["protocol"] else ""
    where = f"from {origin['address']}" if origin["address"] else ""
    return " ".join(part for part in (by, over, where) if part)


def _standing(item: dict[str, Any]) -> str:
    """The word for a message; of several recipients, how many stand like that."""
    count = item["states"].get(item["status"], 0)
    total = item["recipient_count"]
    return str(item["word"]) if count == total else f"{item['word']} {count}/{total}"


def _recipients(item: dict[str, Any]) -> str:
    shown = item["recipients"][0] if item["recipients"] else ""
    more = item["recipient_count"] - 1
    return f"{shown} +{more}" if more > 0 else str(shown)


def _options(found: dict[str, Any]) -> str:
    origins = found["option_origins"]
    return ", ".join(f"{k}={v} (by the {origins[k]})" for k, v in found["options"].items())
