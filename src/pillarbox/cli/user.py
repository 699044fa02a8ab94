"""user: people who sign in with a password"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.changes import describe, named
from pillarbox.cli.client import segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.moments import at
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, run_as
from pillarbox.terms.secret import Secret

_ROLES = click.Choice(["owner", "admin", "member"])
_ABOUT_ROLE = (
    "owner or admin: changes apps and servers, and sees the servers' passwords. member: looks."
)
_password_file = click.option(
    "--password-file",
    metavar="FILE",
    help="File with the password; - reads it from standard input. Otherwise it is asked for.",
)


@click.group(
    cls=Noun,
    examples=[
        ("user add ann@example.com", "asks for the password; the first user is an owner"),
        ("user logout ann@example.com", "whatever she was given to sign in with ends"),
    ],
)
def user() -> None:
    """People who sign in with a password, to the server API. None is there from the start."""


@examples(("user list", "who can sign in, and when they last did"))
@user.command("list")
@talks
def list_(call: Call) -> None:
    """All users, by e-mail address."""
    with call.client() as client:
        items = client.items("/users")

    def words() -> None:
        if not items:
            call.screen.say("No users yet; nothing but the server API needs one.")
            call.screen.say(f"Next: {run_as()} user add EMAIL")
            return
        columns = [
            Column("email"),
            Column("name"),
            Column("role", fixed=True),
            Column("account"),
            Column("signed in", fixed=True),
        ]
        rows = [
            [
                each["email"],
                each["name"],
                each["role"] if each["active"] else "disabled",
                each["account"],
                at(each["used_at"]) or "never",
            ]
            for each in items
        ]
        call.screen.table(columns, rows, {"disabled": "red"})

    call.result({"items": items, "next": None}, "email", words)


@examples(
    ("user add ann@example.com", "asks for the password, unseen"),
    ("user add bob@example.com --role admin --password-file -", "from standard input"),
)
@user.command("add")
@click.argument("email")
@click.option("--name", metavar="TEXT", help="What the person is called.")
@click.option(
    "--role",
    type=_ROLES,
    metavar="ROLE",
    help=f"{_ABOUT_ROLE} Default: owner for the first, then member.",
)
@click.option("--account", metavar="NAME", help="Whose user; not needed where there is only one.")
@_password_file
@talks
def add(call: Call, email: str, *, password_file: str | None, **values: Any) -> None:
    """A new user."""
    secret = _chosen(call, password_file)
    document = {"email": email, "password": secret.reveal(), **named(values)}
    with call.client() as client:
        made = client.post("/users", document)

    def words() -> None:
        call.screen.say(f"Added the user {made['email']}, {_article(made['role'])}.")

    call.result(made, "email", words)


@examples(
    ("user set bob@example.com --role admin", "may change apps and servers"),
    ("user set bob@example.com --disable", "signs him out, and does not let him in again"),
)
@user.command("set")
@click.argument("email")
@click.option("--email", "new_email", metavar="ADDRESS", help="Another address to sign in with.")
@click.option("--name", metavar="TEXT", help="What the person is called.")
@click.option("--role", type=_ROLES, metavar="ROLE", help=_ABOUT_ROLE)
@click.option("--enable/--disable", "active", default=None, help="Whether they may sign in.")
@talks
def set_(call: Call, email: str, *, new_email: str | None, **values: Any) -> None:
    """Change a user."""
    document = named({"email": new_email, **values})
    if not document:
        raise WrongUsage("nothing to change was named", fix=f"{run_as()} user set --help")
    with call.client() as client:
        before = client.get(f"/users/{segment(email)}")
        after = client.patch(f"/users/{before['id']}", document)
    told = describe(before, after) or "nothing changed"
    call.result(after, "email", lambda: call.screen.say(f"{after['email']}: {told}."))


@examples(("user password ann@example.com", "asks for it, unseen; signs her out everywhere"))
@user.command("password")
@click.argument("email")
@_password_file
@talks
def password(call: Call, email: str, password_file: str | None) -> None:
    """A new password. Whoever signed in with the one before is signed out."""
    secret = _chosen(call, password_file)
    with call.client() as client:
        after = client.post(f"/users/{segment(email)}/password", {"password": secret.reveal()})
    call.result(after, "email", lambda: call.screen.say(f"{after['email']} has a new password."))


@examples(("user logout ann@example.com", "every token of hers ends at once"))
@user.command("logout")
@click.argument("email")
@talks
def logout(call: Call, email: str) -> None:
    """Sign a user out everywhere; they may sign in again."""
    with call.client() as client:
        done = client.post(f"/users/{segment(email)}/logout")

    def words() -> None:
        count = done["signed_out"]
        call.screen.say(f"Ended {count} token{'' if count == 1 else 's'} of {email}.")

    call.result(done, "signed_out", words)


@examples(
    ("user remove bob@example.com", "asks"), ("user remove bob@example.com --yes", "does not")
)
@user.command("remove")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def remove(call: Call, email: str, *, yes: bool) -> None:
    """Remove a user, and sign them out."""
    call.ask_yes(f"Remove the user {email}? They cannot sign in any more.", answered=yes)
    with call.client() as client:
        client.delete(f"/users/{segment(email)}")
    call.talk(f"Removed the user {email}.")


def _chosen(call: Call, password_file: str | None) -> Secret:
    secret = call.secret("Password", password_file)
    if secret is None:
        raise WrongUsage("password is missing", fix="add --password-file FILE")
    return secret


def _article(role: str) -> str:
    return f"{'a' if role == 'member' else 'an'} {role}"
