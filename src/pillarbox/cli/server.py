"""server: the SMTP servers an app sends through, in their order"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.app import the_app
from pillarbox.cli.call import Call
from pillarbox.cli.changes import describe, named
from pillarbox.cli.client import Client, segment
from pillarbox.cli.group import Noun, Option, WholeNumber, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, run_as
from pillarbox.cli.server_standing import (
    STATUS_COLOURS,
    standing_fields,
    status_cell,
    used_cell,
)

_LOGIN = "Login at the server"


@click.group(
    cls=Noun,
    examples=[
        ("server add mycompany --host smtp.example.com --username me", "asks for the password"),
        ("server list", "in the order in which they are tried"),
        ("server disable mycompany", "the others take over"),
    ],
)
def server() -> None:
    """The SMTP servers an app sends through: the lowest priority first, the others after it."""


def server_options(function: Any) -> Any:
    """What can be said about a server."""
    for option in reversed(
        (
            click.option("--host", metavar="HOST", help="Its name or address."),
            click.option(
                "--port",
                type=WholeNumber(1, 65535),
                metavar="PORT",
                help="Default: 587; with tls 465, with none 25.",
            ),
            click.option(
                "--encryption",
                type=click.Choice(["starttls", "tls", "none"]),
                metavar="HOW",
                help="Protection of the connection: starttls (default), tls or none.",
            ),
            click.option(
                "--verify/--no-verify",
                default=None,
                help="Whether its certificate must be valid. Default: yes.",
            ),
            click.option("--ca-file", metavar="FILE", help="Authority its certificate is from."),
            click.option(
                "--priority",
                type=WholeNumber(0, 1_000_000),
                metavar="N",
                help="0 is tried first. Default: 10.",
            ),
            click.option(
                "--weight",
                type=WholeNumber(0, 1_000_000),
                metavar="N",
                help="Share among those of equal priority. Default: 1.",
            ),
            click.option(
                "--max-connections",
                type=WholeNumber(1, 1000),
                metavar="N",
                help="At once. Default: 20.",
            ),
            click.option(
                "--from-address",
                metavar="ADDRESS",
                help="Author where this server does not take the message's own.",
            ),
            click.option("--from-name", metavar="NAME", help="The name beside it."),
            click.option(
                "--username", cls=Option, section=_LOGIN, metavar="NAME", help="User name there."
            ),
            click.option(
                "--password-file",
                cls=Option,
                section=_LOGIN,
                metavar="FILE",
                help="File with the password; - reads it from standard input.",
            ),
        )
    ):
        function = option(function)
    return function


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
                f"{each['host']}:{each['port']}",
                each["encryption"],
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
@click.option("--app", metavar="NAME", help="Its app, where several have a server of this name.")
@talks
def show(call: Call, name: str, app: str | None) -> None:
    """One server."""
    with call.client() as client:
        found = client.get(f"/servers/{segment(name)}", app=app)

    def words() -> None:
        call.screen.say(call.screen.paint(found["name"], "bold"))
        login = f"{found['username']}, {'with' if found['password_set'] else 'without'} a password"
        call.screen.fields(
            [
                ("App", found["app"]),
                ("Status", "active" if found["enabled"] else "disabled"),
                ("Errors in a row", found["errors"] or ""),
                *standing_fields(found),
                ("Address", f"{found['host']}:{found['port']}"),
                ("Encryption", found["encryption"]),
                ("Certificate", "" if found["verify"] else "NOT CHECKED"),
                ("Authority", found["ca_file"]),
                ("Login", login if found["username"] else "none"),
                ("Priority", str(found["priority"])),
                ("Weight", found["weight"]),
                ("Connections", f"at most {found['max_connections']}"),
                ("From", " ".join(filter(None, (found["from_name"], found["from_address"])))),
                ("Id", found["id"]),
                ("Made", found["created_at"]),
                ("Changed", found["modified_at"]),
            ]
        )

    call.result(found, "name", words)


@examples(
    ("server add mycompany --host smtp.example.com --username relay@example.com",
     "asks for the password, unseen"),
    ("server add backup --host 192.0.2.7 --port 25 --encryption none --priority 20",
     "a second way out, tried when the first fails"),
    ("server add ses --host smtp.example.com --username AKIA --password-file -",
     "the password from standard input"),
)  # fmt: skip
@server.command("add")
@click.argument("name", required=False)
@click.option("--app", metavar="NAME", help="Its app; not needed where there is only one.")
@server_options
@talks
def add(
    call: Call, name: str | None, app: str | None, password_file: str | None, **values: Any
) -> None:
    """A new server for an app. Nothing is sent by this."""
    if values["host"] is None:
        values["host"] = call.ask_text("Host", "--host HOST")
    if values["username"] is None and password_file is None and call.screen.may_ask:
        values["username"] = (
            click.prompt("Username (empty: none)", default="", show_default=False, err=True) or None
        )
    document = named({**values, "name": name})
    if values["username"]:
        secret = call.secret("Password", password_file)
        document["password"] = secret.reveal() if secret else None
    with call.client() as client:
        target = the_app(client, app)
        made = client.post(f"/apps/{segment(target)}/servers", document)
        mode = client.get(f"/apps/{segment(target)}")["mode"]

    def words() -> None:
        call.screen.say(
            f"Added the server {made['name']} ({made['host']}:{made['port']}, "
            f"{made['encryption']}) to {made['app']}, priority {made['priority']}."
        )
        if mode != "live":
            call.screen.say("Nothing is sent yet. To send real mail:")
            call.screen.say(f"  {run_as()} app set {made['app']} --mode live")

    call.result(made, "name", words)


@examples(
    ("server set mycompany --priority 0", "try it first"),
    ("server set mycompany --ask-password", "a new password"),
)
@server.command("set")
@click.argument("name")
@click.option("--app", metavar="NAME", help="Its app, where several have a server of this name.")
@click.option("--rename", metavar="NAME", help="Give it another name.")
@server_options
@click.option("--ask-password", cls=Option, section=_LOGIN, is_flag=True, help="Ask for it.")
@click.option("--forget-password", cls=Option, section=_LOGIN, is_flag=True, help="Take it away.")
@talks
def set_(
    call: Call,
    name: str,
    *,
    app: str | None,
    rename: str | None,
    password_file: str | None,
    ask_password: bool,
    forget_password: bool,
    **values: Any,
) -> None:
    """Change a server; what is not named stays as it is."""
    document = named({**values, "name": rename})
    if password_file is not None or ask_password:
        secret = call.secret("Password", password_file)
        document["password"] = secret.reveal() if secret else None
    elif forget_password:
        document["password"] = None
    with call.client() as client:
        before = client.get(f"/servers/{segment(name)}", app=app)
        after = client.patch(f"/servers/{segment(before['id'])}", document)
    told = describe(before, after)
    if document.get("password"):
        told = ", ".join(filter(None, (told, "a new password")))

    call.result(
        after, "name", lambda: call.screen.say(f"{after['name']}: {told or 'nothing changed'}")
    )


@examples(("server enable mycompany", "use it again"))
@server.command("enable")
@click.argument("name")
@click.option("--app", metavar="NAME", help="Its app, where several have a server of this name.")
@talks
def enable(call: Call, name: str, app: str | None) -> None:
    """Use a server again."""
    with call.client() as client:
        after = _switch(client, name, app, "enable")
    call.result(after, "name", lambda: call.screen.say(f"{after['name']} is used again."))


@examples(("server disable mycompany", "until somebody enables it"))
@server.command("disable")
@click.argument("name")
@click.option("--app", metavar="NAME", help="Its app, where several have a server of this name.")
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
@click.option("--app", metavar="NAME", help="Its app, where several have a server of this name.")
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
