"""credential: the SMTP logins of an app"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.allowances import allowance_options, password_style, take_allowances
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
    sender_options,
    take_senders,
)
from pillarbox.cli.client import Client, segment
from pillarbox.cli.connecting import connecting_options, show_connection
from pillarbox.cli.connection_problems import problems
from pillarbox.cli.features import feature_options, take_features
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.login import FLAG_COLOURS, flag_words, login_fields, print_login
from pillarbox.cli.moments import at, since
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as
from pillarbox.terms.clock import parse_duration


@click.group(
    cls=Noun,
    examples=[
        ("credential add shop-web", "a new login for the only app there is"),
        ("credential rotate shop-web --overlap 24h", "a new password; the old one works on"),
        ("credential problems", "why clients could not hand in mail"),
    ],
)
def credential() -> None:
    """The SMTP logins of an app. A password is shown once; only its hash is kept."""


def credential_options(function: Any) -> Any:
    """What can be said about a credential."""
    for option in (
        click.option("--uncertain", type=UNCERTAIN, metavar="WHAT", help=ABOUT_UNCERTAIN),
        click.option("--kind", type=KINDS, metavar="KIND", help=ABOUT_KIND),
    ):
        function = option(function)
    return allowance_options(feature_options(sender_options(function)))


@examples(("credential list", "who may log in, when they last did, and what is worth a look"))
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
            Column("notes"),
        ]
        rows = [
            [
                each["name"],
                each["username"],
                each["app"],
                (each["mode"] or "as app") if each["active"] else "disabled",
                ", ".join(each["allowed_senders"]) or "any",
                at(each["used_at"]) or "never",
                flag_words(each),
            ]
            for each in items
        ]
        call.screen.table(columns, rows, {**MODE_COLOURS, **FLAG_COLOURS, "disabled": "red"})

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
    """One login, and what it will do; nothing of its password. With --for: how a program uses it."""
    if show_connection(call, name, **connecting):
        return
    with call.client() as client:
        found = client.get(f"/credentials/{segment(name)}")

    def words() -> None:
        call.screen.say(call.screen.paint(clean(found["name"]), "bold"))
        call.screen.say(clean(found["summary"]))
        call.screen.fields(login_fields(found))

    call.result(found, "name", words)


@examples(
    ("credential add shop-web", "for the only app there is"),
    ('credential add shop-web --app shop --allow-from "*@example.com"', "with one author domain"),
    ("credential add shop-web --trackclicks --limit 500/hour --expires 90d", "with more to it"),
    ("credential add old-mta --kind relay", "for a mail server that passes mail on"),
)
@credential.command("add")
@click.argument("name")
@click.option("--app", metavar="NAME", help="Its app; not needed where there is only one.")
@click.option(
    "--username", metavar="NAME", help="The name to log in with. Default: the credential's."
)
@click.option(
    "--mode",
    type=MODES,
    metavar="MODE",
    help="off, sandbox or hold: stricter than its app's, never looser.",
)
@password_style
@credential_options
@talks
def add(call: Call, name: str, **values: Any) -> None:
    """A new login; prints its password, once."""
    said = take_allowances(values)
    document = {**named(take_features(take_senders(values))), **said}
    with call.client() as client:
        made = client.post("/credentials", {"name": name, **document})
        status = client.get("/status")

    def words() -> None:
        call.screen.say(f"Added the credential {made['name']} to the app {made['app']}.")
        call.screen.say(clean(made["summary"]))
        print_login(call, made, status)

    call.result(made, "name", words)


@examples(
    ("credential set first-app --allow-from app@example.com", "one more author"),
    ("credential set first-app --limit 500/hour --over-limit hold", "hold what is beyond it"),
    ("credential set first-app --no-trackopens", "no open tracking, whatever its app says"),
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
@credential_options
@talks
def set_(call: Call, name: str, *, rename: str | None, mode: str | None, **values: Any) -> None:
    """Change a login; what is not named stays as it is. It holds from the next message on."""
    with call.client() as client:
        before = client.get(f"/credentials/{segment(name)}")
        said = take_allowances(values, before)
        changes = take_features(take_senders(values, before["allowed_senders"]))
        document = {**named({**changes, "name": rename}), **said}
        if mode is not None:
            document["mode"] = None if mode == "as-app" else mode
        after = client.patch(f"/credentials/{segment(before['id'])}", document)
    told = describe(before, after)

    def words() -> None:
        call.screen.say(f"{after['name']}: {told or 'nothing changed'}")
        if told:
            call.screen.say(clean(after["summary"]))

    call.result(after, "name", words)


@examples(
    ("credential rotate first-app", "the old password fails from now on"),
    (
        "credential rotate first-app --overlap 24h",
        "both work for a day; show says who uses the old",
    ),
    ("credential rotate first-app --username", "another user name as well"),
)
@credential.command("rotate")
@click.argument("name")
@click.option(
    "--overlap",
    metavar="SPAN",
    help="So long the old login works too, up to 7d. Default: not at all.",
)
@click.option("--username", is_flag=True, help="Make another user name as well.")
@password_style
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def rotate(
    call: Call, name: str, *, overlap: str | None, username: bool, password_style: str, yes: bool
) -> None:
    """A new password; the old one fails at once, or when the overlap is over.

    One old password is kept: rotating again during an overlap ends the one before.
    """
    seconds = int(parse_duration(overlap)) if overlap is not None else 0
    wish = {"overlap_seconds": seconds, "username": username, "password_style": password_style}
    with call.client() as client:
        found = client.get(f"/credentials/{segment(name)}")
        if not seconds:
            call.ask_yes(
                f"The old password of {found['name']} will fail at once. Go on?", answered=yes
            )
        elif found["former"]:
            call.ask_yes(_about_former(found), answered=yes)
        made = client.post(f"/credentials/{segment(found['id'])}/rotate", wish)
        status = client.get("/status")

    def words() -> None:
        call.screen.say(f"{made['name']} has a new password.")
        if made["former"]:
            call.screen.say(f"The old one works until {at(made['former']['until'])}.")
        if made["ended"]:
            call.screen.say("The one before it fails from now on.")
        print_login(call, made, status)

    call.result(made, "name", words)


@examples(("credential disable shop-web", "its logins are refused from now on"))
@credential.command("disable")
@click.argument("name")
@talks
def disable(call: Call, name: str) -> None:
    """Refuse a login until it is enabled again, also over connections that are open."""
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


credential.add_command(problems)


def _switch(call: Call, name: str, *, active: bool) -> dict[str, Any]:
    with call.client() as client:
        return _patched(client, name, {"active": active})


def _patched(client: Client, name: str, document: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.patch(f"/credentials/{segment(name)}", document)
    return answer


def _about_former(found: dict[str, Any]) -> str:
    """What ends when a login is rotated once more."""
    former = found["former"]
    use = former["last_use"]
    seen = f"last used {since(use['at'])} from {use['address']}" if use else "not used since"
    return (
        f"{found['name']} was rotated before; what it had then still works, {seen}, and will fail "
        "at once. Go on?"
    )
