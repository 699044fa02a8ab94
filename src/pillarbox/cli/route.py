"""route: rules for mail that takes a way of its own, and where mail would go"""

from __future__ import annotations

from typing import Any, Final

import click

from pillarbox.cli.app import the_app
from pillarbox.cli.call import Call
from pillarbox.cli.client import segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Noun, WholeNumber, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as

_APP_HELP: Final = "Its app; not needed where there is only one."
STAND_COLOURS: Final = {
    "took": "green",
    "next": "green",
    "later": "blue",
    "tried": "amber",
    "paused": "amber",
    "disabled": "red",
}


@click.group(
    cls=Noun,
    examples=[
        ("route add mailgun --domain example.org", "mail to example.org takes mailgun only"),
        ("route list", "the first that fits holds"),
        ("route test --from billing@shop.example --to you@example.org", "nothing is sent"),
    ],
)
def route() -> None:
    """Rules of an app: which mail takes a way of its own instead of the app's order."""


@examples(("route list", "in the order in which they are tried"))
@route.command("list")
@click.option("--app", metavar="NAME", help=_APP_HELP)
@talks
def list_(call: Call, app: str | None) -> None:
    """The rules of an app."""
    with call.client() as client:
        found = client.get(f"/apps/{segment(the_app(client, app))}/routes")
    call.result(found, "number", lambda: _print_rules(call, found))


@examples(
    ("route add mailgun --domain example.org", "all mail to example.org"),
    ("route add invoices --sender billing@shop.example", "all mail of one author"),
    ("route add direct --domain .example.net --at 1", "to all below example.net; tried first"),
)
@route.command("add")
@click.argument("way", metavar="SERVER")
@click.option(
    "--domain",
    "recipient_domain",
    metavar="DOMAIN",
    help="For mail to this domain; with a dot before it, to all below.",
)
@click.option("--sender", metavar="ADDRESS", help="For mail of this author, or of a domain.")
@click.option("--at", type=WholeNumber(1), metavar="N", help="Its number. Default: the last.")
@click.option("--app", metavar="NAME", help=_APP_HELP)
@talks
def add(call: Call, *, way: str, app: str | None, **values: Any) -> None:
    """A rule: such mail takes that server, and no other.

    While the server is disabled such mail waits. It holds for mail that comes from now on; what
    waits already is sent there with queue move.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if not {"recipient_domain", "sender"} & given.keys():
        raise WrongUsage(
            "a rule says for which mail it holds",
            fix="add --domain DOMAIN, --sender ADDRESS or both",
        )
    with call.client() as client:
        found = client.post(
            f"/apps/{segment(the_app(client, app))}/routes", {"server": way} | given
        )
    call.result(found, "number", lambda: _print_rules(call, found))


@examples(("route remove 2", "those behind it move up"))
@route.command("remove")
@click.argument("number", type=WholeNumber(1), metavar="N")
@click.option("--app", metavar="NAME", help=_APP_HELP)
@talks
def remove(call: Call, *, number: int, app: str | None) -> None:
    """Take a rule away. What waits because of it still takes that way; see queue move."""
    with call.client() as client:
        client.delete(f"/apps/{segment(the_app(client, app))}/routes/{number}")
    call.talk(f"Removed rule {number}.")


@examples(
    ("route test --to you@example.org", "whoever the author is"),
    ("route test --from billing@shop.example --to you@example.org", ""),
)
@route.command("test")
@click.option("--from", "sender", default="", metavar="ADDRESS", help="The author.")
@click.option("--to", "recipient", required=True, metavar="ADDRESS", help="The recipient.")
@click.option("--app", metavar="NAME", help=_APP_HELP)
@talks
def test(call: Call, *, app: str | None, **letter: str) -> None:
    """Where would this mail go, and why? Nothing is sent."""
    with call.client() as client:
        found = client.post(f"/apps/{segment(the_app(client, app))}/routes/test", letter)

    def words() -> None:
        call.screen.say(clean(found["why"]))
        print_ways(call, found["ways"])

    call.result(found, "rule", words)


def print_ways(call: Call, ways: list[dict[str, Any]]) -> None:
    """Each way of an app, and its part."""
    for each in ways:
        word = each["stand"].replace("_", " ")
        stand = call.screen.paint(f"{word:<10}", STAND_COLOURS.get(each["stand"], "bold"))
        call.screen.say(f"  {stand}  {clean(each['words'])}")


def _print_rules(call: Call, found: dict[str, Any]) -> None:
    if not found["items"]:
        call.screen.say(f"{clean(found['app'])} has no rules: all its mail takes its order.")
        call.screen.say(f"Next: {run_as()} route add SERVER --domain DOMAIN")
        return
    columns = [
        Column("rule", right=True, fixed=True),
        Column("from"),
        Column("to"),
        Column("by"),
    ]
    rows = [
        [
            each["number"],
            each["sender"] or "anybody",
            each["recipient_domain"] or "anywhere",
            each["server_name"] or "gone",
        ]
        for each in found["items"]
    ]
    call.screen.table(columns, rows)
