"""server check and presets: a server tried out step by step; the services that are known"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import segment
from pillarbox.cli.errors import ApiProblem, Exit
from pillarbox.cli.group import Verb, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, format_bytes, run_as
from pillarbox.cli.server_options import limits_of, of_app, place_of

_COLOURS: Final = {"ok": "green", "warn": "amber", "failed": "red"}
_SHOWN: Final = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "REQUIRETLS")
_INDENT: Final = " " * 10


@examples(
    ("server check mycompany", "every step, then a mail to the app's test address"),
    ("server check mycompany --no-mail", "sends nothing and changes nothing"),
    ("server check mycompany --from you@example.com", "whether it takes this sender"),
)
@click.command("check", cls=Verb)
@click.argument("name")
@of_app
@click.option("--mail/--no-mail", default=True, help="Whether to send a test mail. Default: yes.")
@click.option(
    "--from", "sender", metavar="ADDRESS", help="Its sender. Default: the app's or the server's."
)
@talks
def check(call: Call, name: str, *, app: str | None, mail: bool, sender: str | None) -> int:
    """Try a server out: name, connection, TLS, login, sender, a test mail; each in words.

    A server that works is enabled by this, one that fails is disabled; the mail is sent also where
    the app is in the sandbox. With --no-mail nothing is sent and nothing changes.
    """
    with call.client() as client:
        found = client.get(f"/servers/{segment(name)}", app=app)
    return check_now(call, found, mail=mail, sender=sender)


def check_now(call: Call, server: dict[str, Any], *, mail: bool, sender: str | None = None) -> int:
    """Check a server and print what came of it; the exit code that follows."""
    document: dict[str, Any] = {"mail": mail}
    if sender is not None:
        document["from"] = sender
    call.talk(f"Checking {clean(server['name'])} ({place_of(server)})"
              f"{'' if mail else ' without sending anything'}")  # fmt: skip
    live = not (call.as_json or call.quiet)
    told = 0
    report: dict[str, Any] = {}
    with call.client() as client:
        for item in client.follow(f"/servers/{segment(server['id'])}/check", document):
            if "error" in item:
                raise ApiProblem(500, {"detail": item["error"]})
            if live and "step" in item:
                _print_step(call, item["step"])
                told += 1
            report = item.get("report", report)
    if not report:
        raise ApiProblem(502, {"detail": "the check was broken off before its end"})
    call.result(report, "status", lambda: _print(call, report, report["steps"] if not told else ()))
    return Exit.DONE if report["ok"] else Exit.FOUND_PROBLEMS


@examples(("server presets", "then: server add --preset gmail --username me@gmail.com"))
@click.command("presets", cls=Verb)
@talks
def presets(call: Call) -> None:
    """Services whose servers are known, with their limits and the password they want."""
    with call.client() as client:
        items = client.items("/presets")

    def words() -> None:
        rows = [
            [
                each["name"],
                each["caption"],
                each["host"] or ", ".join(each["regions"]),
                limits_of(each) or "by account",
                each["password"],
            ]
            for each in items
        ]
        columns = [
            Column("name", fixed=True),
            Column("service"),
            Column("host or regions"),
            Column("recipients"),
            Column("password"),
        ]
        call.screen.table(columns, rows)

    call.result({"items": items, "next": None}, "name", words)


def _print_step(call: Call, step: dict[str, Any]) -> None:
    screen = call.screen
    result = screen.paint(f"{clean(step['result']):<6}", _COLOURS.get(step["result"], ""))
    name = "TLS" if step["name"] == "tls" else step["name"]
    took = f" ({step['milliseconds']} ms)" if step["milliseconds"] else ""
    screen.say(f"  {result}  {clean(name):<9} {clean(step['words'])}{took}")
    if step["why"]:
        screen.say(f"{_INDENT}Why: {clean(step['why'])}")
    if step["fix"]:
        screen.say(f"{_INDENT}Fix: {clean(step['fix'])}")


def _print(call: Call, report: dict[str, Any], steps: Sequence[dict[str, Any]]) -> None:
    """What came of it; `steps` are those that were not told as they were made."""
    screen = call.screen
    for step in steps:
        _print_step(call, step)
    if offers := _offers(report["offers"]):
        screen.say(f"  {'':<6}  {'offers':<9} {offers}")
    if report["ok"] or not report["steps"]:
        screen.say(clean(report["sentence"]))
    if report["changed"]:
        state = "is used again" if report["enabled"] else "is not used until a check goes well"
        screen.say(f"{clean(report['server'])} {state}.")
    elif not report["enabled"]:
        name = clean(report["server"])
        screen.say(f"{name} is disabled. Use it again: {run_as()} server enable {name}")


def _offers(extensions: list[str]) -> str:
    """What is worth knowing of what the server offers."""
    told = []
    for line in extensions:
        name, _, rest = line.partition(" ")
        if name.upper() == "SIZE" and rest.isdecimal() and int(rest):
            told.append(f"SIZE {format_bytes(int(rest))}")
        elif name.upper() in _SHOWN:
            told.append(name.upper())
    return clean(", ".join(told))
