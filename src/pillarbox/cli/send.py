"""send: hand over a message"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any, Final

import click

from pillarbox.cli.app import the_app
from pillarbox.cli.call import Call
from pillarbox.cli.changes import named
from pillarbox.cli.client import Client, segment
from pillarbox.cli.errors import ApiProblem, Unreadable, WrongUsage
from pillarbox.cli.group import Verb
from pillarbox.cli.options import talks
from pillarbox.cli.output import clean, run_as
from pillarbox.cli.queue import word_of

_FORBIDDEN: Final = 403
_TEXT: Final = "This message was made by pillarbox send.\n"
_SAID: Final = {
    "sandboxed": "Kept in the sandbox.",
    "held": "Held until somebody releases it.",
    "queued": "Taken; it is on its way.",
    "scheduled": "Taken; it waits for its time.",
    "suppressed": "Taken, but not tried: the address is suppressed.",
}

_WAITS: Final = "Taken; it waits on disk."


@click.command(
    cls=Verb,
    examples=[
        ("send --to you@example.com", "a message with a text of its own"),
        ('send --to you@example.com --subject "Hello" --text "How are you?"', "yours"),
        ("send --to you@example.com --subject Report --text - < report.txt", "from a pipe"),
        ("send --to you@example.com --file message.eml", "a whole message, as it is"),
    ],
)
@click.option("--to", multiple=True, metavar="ADDRESS", help="A recipient. Repeatable.")
@click.option("--from", "author", metavar="ADDRESS", help="Author. Default: the app's own.")
@click.option("--subject", help="Default: Hello from Pillarbox.")
@click.option("--text", help="The text; - reads it from standard input.")
@click.option("--html", help="The HTML; - reads it from standard input.")
@click.option(
    "--file", metavar="FILE", help="A whole message as it is (RFC 5322); - for standard input."
)
@click.option("--app", metavar="NAME", help="Its app; not needed where there is only one.")
@talks
def send(
    call: Call,
    *,
    to: tuple[str, ...],
    author: str | None,
    app: str | None,
    file: str | None,
    **parts: str | None,
) -> None:
    """Hand over a message, and say what became of it at the door.

    Whether it leaves is decided by the mode of its app: sandbox keeps it, live sends it.
    """
    recipients = list(to) or [call.ask_text("To", "--to ADDRESS")]
    document: dict[str, Any] = {"to": recipients, **named({"from": author, "app": app})}
    if file is not None:
        if any(parts.values()):
            raise WrongUsage("--file is a whole message; leave out --subject, --text and --html")
        document["raw_base64"] = base64.b64encode(_read_file(file)).decode()
    else:
        document |= _composed(parts)
    with call.client() as client:
        facts = _facts(client, app)
        if author is None and file is None and facts and not facts["from_address"]:
            document["from"] = f"pillarbox@{facts['hostname']}"
        answer = client.post("/messages", document)
        waits = client.offline
    call.result(
        answer,
        "id",
        lambda: _print(call, answer, facts, subject=document.get("subject", ""), waits=waits),
    )


def _composed(parts: dict[str, str | None]) -> dict[str, Any]:
    text, html = parts["text"], parts["html"]
    if text == "-" and html == "-":
        raise WrongUsage("only one of --text and --html can come from standard input")
    if text == "-":
        text = sys.stdin.read()
    elif html == "-":
        html = sys.stdin.read()
    if text is None and html is None:
        text = _TEXT
    subject = parts["subject"]
    return named(
        {
            "subject": "Hello from Pillarbox" if subject is None else subject,
            "text": text,
            "html": html,
        }
    )


def _read_file(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as wrong:
        raise Unreadable(file, wrong) from wrong


def _facts(client: Client, app: str | None) -> dict[str, Any] | None:
    """The app and the hostname; None for a key that may send but not look."""
    try:
        found = client.get(f"/apps/{segment(the_app(client, app))}")
        return {**found, "hostname": client.get("/status")["hostname"]}
    except ApiProblem as problem:
        if problem.status != _FORBIDDEN:
            raise
        return None


def _print(
    call: Call,
    answer: dict[str, Any],
    facts: dict[str, Any] | None,
    *,
    subject: str,
    waits: bool,
) -> None:
    status = answer["status"]
    idle = waits and status == "queued"
    call.screen.say(_WAITS if idle else _SAID.get(status, f"{word_of(status)}."))
    quoted = f'   "{clean(subject)}"' if subject else ""
    for delivery in answer["deliveries"]:
        state = delivery["state"]
        mark = f"   {word_of(state).lower()}" if state != status else ""
        call.screen.say(f"  {clean(answer['id'])}   {clean(delivery['recipient'])}{quoted}{mark}")
    if idle:
        call.screen.say(f"No Pillarbox runs here; {run_as()} up starts one.")
    next_steps = [f"{run_as()} message show {clean(answer['id'])}"]
    if status == "sandboxed" and facts:
        next_steps.append(f"{run_as()} app set {facts['name']} --mode live   (to send for real)")
    if status == "held":
        next_steps.append(f"{run_as()} queue release {clean(answer['id'])}")
    for number, step in enumerate(next_steps):
        call.screen.say(f"{'      ' if number else 'Next: '}{step}")
