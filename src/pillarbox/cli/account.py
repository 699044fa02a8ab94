"""account: whose mail it is, and whether any of it is taken"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client, segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, run_as

_contact = click.option(
    "--contact", metavar="TEXT", help="Whom to ask for permission; clients without it are told."
)


@click.group(
    cls=Noun,
    examples=[
        ("account suspend --contact ops@example.com", "take no more mail, and say whom to ask"),
        ("account permit", "take it again"),
    ],
)
def account() -> None:
    """Whose mail it is. One account is there from the start; it may send."""


@examples(("account list", "all accounts, and whether they may send"))
@account.command("list")
@talks
def list_(call: Call) -> None:
    """All accounts, oldest first."""
    with call.client() as client:
        items = client.items("/accounts")

    def words() -> None:
        columns = [Column("name"), Column("may send", fixed=True), Column("contact")]
        rows = [
            [each["name"], "yes" if each["may_send"] else "no", each["contact"]] for each in items
        ]
        call.screen.table(columns, rows, {"no": "red"})

    call.result({"items": items, "next": None}, "name", words)


@examples(("account show", "the only one there is"))
@account.command("show")
@click.argument("name", required=False)
@talks
def show(call: Call, name: str | None) -> None:
    """One account; its name may be left out where there is only one."""
    with call.client() as client:
        found = client.get(f"/accounts/{segment(_named(client, name))}")

    def words() -> None:
        call.screen.say(call.screen.paint(found["name"], "bold"))
        call.screen.fields(
            [
                ("May send", "yes" if found["may_send"] else "no"),
                ("Authors", "of its sending domains" if found["enforces_domains"] else "any"),
                ("Contact", found["contact"]),
                ("Id", found["id"]),
            ]
        )

    call.result(found, "name", words)


@examples(("account permit", "its mail is taken again"))
@account.command("permit")
@click.argument("name", required=False)
@_contact
@talks
def permit(call: Call, name: str | None, contact: str | None) -> None:
    """Let an account send."""
    after = _change(call, name, contact, may_send=True)
    call.result(after, "name", lambda: call.screen.say(f"{after['name']} may send."))


@examples(
    ("account suspend --contact ops@example.com", "the only one there is"),
    ("account suspend shop", "one of several"),
)
@account.command("suspend")
@click.argument("name", required=False)
@_contact
@talks
def suspend(call: Call, name: str | None, contact: str | None) -> None:
    """Take no more mail of an account, also over connections that are open.

    What was taken before is delivered.
    """
    after = _change(call, name, contact, may_send=False)

    def words() -> None:
        whom = after["contact"] or "the operator of this service"
        call.screen.say(f"{after['name']} may not send. Its clients are told to contact {whom}.")
        call.screen.say(f"Back: {run_as()} account permit {after['name']}")

    call.result(after, "name", words)


@examples(
    ("account set --enforce-domains", "authors must be at a proved sending domain"),
    ("account set shop --any-domain", "any author again"),
)
@account.command("set")
@click.argument("name", required=False)
@click.option(
    "--enforce-domains/--any-domain",
    "enforces_domains",
    default=None,
    help="Whether mail is taken only of authors at the account's sending domains.",
)
@_contact
@talks
def set_(
    call: Call, name: str | None, *, enforces_domains: bool | None, contact: str | None
) -> None:
    """Change an account; what is not named stays as it is."""
    after = _change(call, name, contact, enforces_domains=enforces_domains)

    def words() -> None:
        whose = "at its sending domains only" if after["enforces_domains"] else "at any domain"
        call.screen.say(f"{after['name']} takes mail of authors {whose}.")

    call.result(after, "name", words)


def _change(
    call: Call, name: str | None, contact: str | None, **changes: bool | None
) -> dict[str, Any]:
    document: dict[str, Any] = {each: v for each, v in changes.items() if v is not None}
    if contact is not None:
        document["contact"] = contact
    with call.client() as client:
        found = _named(client, name)
        after: dict[str, Any] = client.patch(f"/accounts/{segment(found)}", document)
    return after


def _named(client: Client, name: str | None) -> str:
    """The account that was named, or the only one there is."""
    if name is not None:
        return name
    names = [str(each["name"]) for each in client.items("/accounts")]
    if len(names) != 1:
        raise WrongUsage("there are several accounts", fix=f"name one of: {', '.join(names)}")
    return names[0]
