"""server: the SMTP servers an app sends through, in their order"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.checking import check, presets
from pillarbox.cli.client import Client, segment
from pillarbox.cli.consent import authorize
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as
from pillarbox.cli.server_oauth import login_of, oauth_lines
from pillarbox.cli.server_options import limits_of, of_app, place_of, protection_of
from pillarbox.cli.server_setup import add, set_
from pillarbox.cli.server_standing import (
    STATUS_COLOURS,
    paused_hint,
    standing_fields,
    status_cell,
    used_cell,
)


@click.group(
    cls=Noun,
    examples=[
        ("server add mycompany --host smtp.example.com --username me", "asks for the password"),
        ("server check mycompany", "every step to it, and a test mail"),
        ("server list", "in the order in which they are tried"),
        ("server disable mycompany", "the others take over"),
    ],
)
def server() -> None:
    """The SMTP servers an app sends through: the lowest priority first, the others after it."""


@examples(
    ("server list", "of all apps"),
    ("server list --app shop", "in the order in which they are tried"),
)
@server.command("list")
@click.option("--app", metavar="NAME", help="Of this app only.")
@talks
def list_(call: Call, app: str | None) -> None:
    """Servers in their order."""
    with call.client() as client:
        apps = [app] if app else [each["name"] for each in client.items("/apps")]
        items = [each for name in apps for each in client.items(f"/apps/{segment(name)}/servers")]

    def words() -> None:
        if not items:
            call.screen.say("No servers yet, so nothing can be sent out.")
            call.screen.say(f"Next: {run_as()} server add NAME --host HOST --username USER")
            return
        columns = [
            Column("app"),
            Column("prio", right=True, fixed=True),
            Column("name"),
            Column("host"),
            Column("encryption", fixed=True),
            Column("status", fixed=True),
            Column("errors", right=True, fixed=True),
            Column("used", right=True, fixed=True),
        ]
        rows = [
            [
                each["app"],
                each["priority"],
                each["name"],
                place_of(each),
                protection_of(each),
                status_cell(each),
                each["errors"] or "",
                used_cell(each),
            ]
            for each in items
        ]
        call.screen.table(columns, rows, STATUS_COLOURS)

    call.result({"items": items, "next": None}, "name", words)


@examples(("server show mycompany", "everything about it"))
@server.command("show")
@click.argument("name")
@of_app
@talks
def show(call: Call, name: str, app: str | None) -> None:
    """One server."""
    with call.client() as client:
        found = client.get(f"/servers/{segment(name)}", app=app)

    def words() -> None:
        call.screen.say(call.screen.paint(clean(found["name"]), "bold"))
        for warning in found["warnings"]:
            call.screen.say(call.screen.paint(f"  WARNING: {clean(warning)}", "red"))
        call.screen.fields(
            [
                *_standing(found),
                *standing_fields(found),
                *_line(found),
                *_senders(found),
                *_origin(found),
            ]
        )

    call.result(found, "name", words)


server.add_command(add)
server.add_command(set_)
server.add_command(check)
server.add_command(authorize)


@examples(("server enable mycompany", "use it again"))
@server.command("enable")
@click.argument("name")
@of_app
@talks
def enable(call: Call, name: str, app: str | None) -> None:
    """Use a server again."""
    with call.client() as client:
        after = _switch(client, name, app, "enable")
        after = client.get(f"/servers/{segment(after['id'])}")

    def words() -> None:
        if hint := paused_hint(after):
            call.screen.say(f"{after['name']} is enabled. {hint}")
        else:
            call.screen.say(f"{after['name']} is used again.")

    call.result(after, "name", words)


@examples(("server disable mycompany", "until somebody enables it"))
@server.command("disable")
@click.argument("name")
@of_app
@talks
def disable(call: Call, name: str, app: str | None) -> None:
    """Leave a server alone; the app's other servers take over."""
    with call.client() as client:
        after = _switch(client, name, app, "disable")

    def words() -> None:
        call.screen.say(f"{after['name']} is not used any more.")
        call.screen.say(f"Back: {run_as()} server enable {after['name']}")

    call.result(after, "name", words)


@examples(("server remove mycompany", "asks"), ("server remove mycompany --yes", "does not"))
@server.command("remove")
@click.argument("name")
@of_app
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def remove(call: Call, name: str, *, app: str | None, yes: bool) -> None:
    """Remove a server. What waits is delivered by the app's other servers."""
    with call.client() as client:
        found = client.get(f"/servers/{segment(name)}", app=app)
        call.ask_yes(f"Remove {found['name']} ({found['host']})?", answered=yes)
        client.delete(f"/servers/{segment(found['id'])}")
    call.talk(f"Removed the server {found['name']}.")


def _switch(client: Client, name: str, app: str | None, verb: str) -> dict[str, Any]:
    found = client.get(f"/servers/{segment(name)}", app=app)
    answer: dict[str, Any] = client.post(f"/servers/{segment(found['id'])}/{verb}")
    return answer


def _standing(found: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        ("App", found["app"]),
        ("Status", "active" if found["enabled"] else "disabled"),
        ("Errors in a row", found["errors"] or ""),
        ("Priority", str(found["priority"])),
        ("Weight", found["weight"]),
        ("Connections", f"at most {found['max_connections']}"),
        ("Recipients", f"at most {limits}" if (limits := limits_of(found)) else ""),
    ]


def _line(found: dict[str, Any]) -> list[tuple[str, object]]:
    """How it is reached; of a direct way only what it has."""
    ours: list[tuple[str, object]] = [
        ("EHLO name", found["hello_name"]),
        ("Connects from", found["local_address"]),
    ]
    if found["kind"] == "direct":
        return [("Leads to", place_of(found)), *ours]
    unchecked = found["encryption"] != "none" and not found["verify"] and not found["pin"]
    return [
        ("Service", found["preset"]),
        ("Address", place_of(found)),
        ("Encryption", found["encryption"]),
        ("Certificate", "NOT CHECKED" if unchecked else ""),
        ("Authority", found["ca_file"]),
        ("Public key", found["pin"]),
        *ours,
        ("Login", login_of(found)),
        *oauth_lines(found),
    ]


def _senders(found: dict[str, Any]) -> list[tuple[str, object]]:
    if found["kind"] == "direct":
        return []
    stands_in = "always" if found["sender_rule"] == "always" else "where the author is refused"
    default = " ".join(filter(None, (found["from_name"], found["from_address"])))
    return [
        ("Sends as", ", ".join(found["allowed_senders"]) or "any author"),
        ("Default sender", f"{default}, {stands_in}" if default else ""),
    ]


def _origin(found: dict[str, Any]) -> list[tuple[str, object]]:
    return [("Id", found["id"]), ("Made", found["created_at"]), ("Changed", found["modified_at"])]


server.add_command(presets)
