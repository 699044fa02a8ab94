"""credential: the SMTP logins of an app"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.changes import (
    ABOUT_KIND,
    ABOUT_UNCERTAIN,
    KINDS,
    MODE_COLOURS,
    MODES,
    UNCERTAIN,
    describe,
    named,
    option_option,
    sender_options,
    take_options,
    take_senders,
)
from pillarbox.cli.client import Client, segment
from pillarbox.cli.connecting import connecting_options, pointer_to_recipes, show_connection
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, run_as


@click.group(
    cls=Noun,
    examples=[
        ("credential add shop-web", "a new login for the only app there is"),
        ("credential rotate shop-web", "a new password"),
    ],
)
def credential() -> None:
    """The SMTP logins of an app. A password is shown once; only its hash is kept."""


def credential_options(function: Any) -> Any:
    """What can be said about a credential."""
    for option in reversed(
        (
            click.option(
                "--mode",
                type=MODES,
                metavar="MODE",
                help="off, sandbox or hold: stricter than its app's, never looser.",
            ),
            click.option("--kind", type=KINDS, metavar="KIND", help=ABOUT_KIND),
            click.option("--uncertain", type=UNCERTAIN, metavar="WHAT", help=ABOUT_UNCERTAIN),
        )
    ):
        function = option(function)
    return option_option(sender_options(function))


@examples(("credential list", "who may log in, and when they last did"))
@credential.command("list")
@click.option("--app", metavar="NAME", help="Of this app only.")
@talks
def list_(call: Call, app: str | None) -> None:
    """All logins, by name."""
    with call.client() as client:
        items = client.items("/credentials", app=app)

    def words() -> None:
        columns = [
            Column("name"),
            Column("username"),
            Column("app"),
            Column("mode", fixed=True),
            Column("senders"),
            Column("last used", fixed=True),
        ]
        rows = [
            [
                each["name"],
                each["username"],
                each["app"],
                (each["mode"] or "as app") if each["active"] else "disabled",
                ", ".join(each["allowed_senders"]) or "any",
                _day(each["used_at"]),
            ]
            for each in items
        ]
        call.screen.table(columns, rows, {**MODE_COLOURS, "disabled": "red"})

    call.result({"items": items, "next": None}, "name", words)


@examples(
    ("credential show first-app", "by name or user name"),
    ("credential show first-app --for django", "how a program is connected, ready to paste"),
    ("credential show first-app --for env --quiet > .env", "nothing but the text"),
)
@credential.command("show")
@click.argument("name")
@connecting_options
@talks
def show(call: Call, name: str, **connecting: Any) -> None:
    """One login; nothing of its password. With --for: how a program uses it."""
    if show_connection(call, name, **connecting):
        return
    with call.client() as client:
        found = client.get(f"/credentials/{segment(name)}")

    def words() -> None:
        call.screen.say(call.screen.paint(found["name"], "bold"))
        call.screen.fields(
            [
                ("Username", found["username"]),
                ("App", found["app"]),
                ("Active", "" if found["active"] else "no"),
                ("Mode", found["mode"] or "as its app"),
                ("Kind", found["kind"]),
                ("Allowed senders", ", ".join(found["allowed_senders"]) or "any"),
                ("Options", ", ".join(f"{k}={v}" for k, v in found["options"].items())),
                ("When uncertain", found["uncertain"]),
                ("Last used", found["used_at"] or "never"),
                ("Id", found["id"]),
                ("Made", found["created_at"]),
            ]
        )

    call.result(found, "name", words)


@examples(
    ("credential add shop-web", "for the only app there is"),
    ('credential add shop-web --app shop --allow-from "*@example.com"', "with one author domain"),
    ("credential add old-mta --kind relay", "for a mail server that passes mail on"),
)
@credential.command("add")
@click.argument("name")
@click.option("--app", metavar="NAME", help="Its app; not needed where there is only one.")
@click.option(
    "--username", metavar="NAME", help="The name to log in with. Default: the credential's."
)
@credential_options
@talks
def add(call: Call, name: str, **values: Any) -> None:
    """A new login; prints its password, once."""
    document = named(take_options(take_senders(values)))
    with call.client() as client:
        made = client.post("/credentials", {"name": name, **document})
        status = client.get("/status")

    def words() -> None:
        call.screen.say(f"Added the credential {made['name']} to the app {made['app']}.")
        _print_login(call, made, status)

    call.result(made, "name", words)


@examples(
    ("credential set first-app --allow-from app@example.com", "one more author"),
    ("credential set first-app --mode sandbox", "keep its mail here, whatever its app does"),
    ("credential set first-app --mode as-app", "let the app decide again"),
)
@credential.command("set")
@click.argument("name")
@click.option("--rename", metavar="NAME", help="Give it another name; the user name stays.")
@click.option("--username", metavar="NAME", help="Another name to log in with.")
@click.option(
    "--mode",
    type=click.Choice(["off", "sandbox", "hold", "live", "as-app"]),
    metavar="MODE",
    help="off, sandbox or hold: stricter than its app's; as-app leaves it to the app.",
)
@click.option("--kind", type=KINDS, metavar="KIND", help=ABOUT_KIND)
@click.option("--uncertain", type=UNCERTAIN, metavar="WHAT", help=ABOUT_UNCERTAIN)
@option_option
@sender_options
@talks
def set_(call: Call, name: str, *, rename: str | None, mode: str | None, **values: Any) -> None:
    """Change a login; what is not named stays as it is."""
    with call.client() as client:
        before = client.get(f"/credentials/{segment(name)}")
        changes = take_options(take_senders(values, before["allowed_senders"]), before["options"])
        document = named({**changes, "name": rename})
        if mode is not None:
            document["mode"] = None if mode == "as-app" else mode
        after = client.patch(f"/credentials/{segment(before['id'])}", document)
    told = describe(before, after)
    call.result(
        after, "name", lambda: call.screen.say(f"{after['name']}: {told or 'nothing changed'}")
    )


@examples(("credential rotate first-app", "the old password fails from now on"))
@credential.command("rotate")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def rotate(call: Call, name: str, *, yes: bool) -> None:
    """A new password; the old one fails at once."""
    with call.client() as client:
        found = client.get(f"/credentials/{segment(name)}")
        call.ask_yes(f"The old password of {found['name']} will fail at once. Go on?", answered=yes)
        made = client.post(f"/credentials/{segment(found['id'])}/rotate")
        status = client.get("/status")

    def words() -> None:
        call.screen.say(f"{made['name']} has a new password.")
        _print_login(call, made, status)

    call.result(made, "name", words)


@examples(("credential disable shop-web", "its logins are refused from now on"))
@credential.command("disable")
@click.argument("name")
@talks
def disable(call: Call, name: str) -> None:
    """Refuse a login until it is enabled again."""
    after = _switch(call, name, active=False)

    def words() -> None:
        call.screen.say(f"{after['name']} cannot log in any more; what it handed over stays.")
        call.screen.say(f"Back: {run_as()} credential enable {after['name']}")

    call.result(after, "name", words)


@examples(("credential enable shop-web", "with the password it had"))
@credential.command("enable")
@click.argument("name")
@talks
def enable(call: Call, name: str) -> None:
    """Let a disabled login in again."""
    after = _switch(call, name, active=True)
    call.result(after, "name", lambda: call.screen.say(f"{after['name']} can log in again."))


@examples(
    ("credential remove shop-web", "asks"),
    ("credential remove shop-web --yes", "does not"),
)
@credential.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def remove(call: Call, name: str, *, yes: bool) -> None:
    """Remove a login; what it handed over stays."""
    with call.client() as client:
        found = client.get(f"/credentials/{segment(name)}")
        call.ask_yes(f"Remove the credential {found['name']} of {found['app']}?", answered=yes)
        client.delete(f"/credentials/{segment(found['id'])}")
    call.talk(f"Removed the credential {found['name']}.")


def _switch(call: Call, name: str, *, active: bool) -> dict[str, Any]:
    with call.client() as client:
        return _patched(client, name, {"active": active})


def _patched(client: Client, name: str, document: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.patch(f"/credentials/{segment(name)}", document)
    return answer


def _print_login(call: Call, made: dict[str, Any], status: dict[str, Any]) -> None:
    ports = [
        f"{each['host']} port {each['port']} ({each['security']})"
        for each in status.get("listeners", ())
    ]
    call.screen.fields(
        [
            ("SMTP", ", ".join(ports)),
            ("Username", made["username"]),
            ("Password", made["password"]),
            ("CA", status.get("ca_path")),
        ]
    )
    call.screen.say("The password is shown once; only its hash is kept.")
    call.screen.say(pointer_to_recipes(made["name"]))


def _day(instant: str | None) -> str:
    return instant[:16].replace("T", " ") if instant else "never"
