"""domain: sending domains, the records they should have, and how those stand"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.changes import named
from pillarbox.cli.client import segment
from pillarbox.cli.domain_keys import add_key_verbs
from pillarbox.cli.errors import Exit
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as

_COLOURS: Final = {
    "ok": "green", "missing": "red", "wrong": "red", "spreading": "amber", "unknown": "grey",
}  # fmt: skip
_SHORT: Final = 60


@click.group(
    cls=Noun,
    examples=[
        ("domain add example.com", "claim it; shows the records to publish"),
        ("domain check example.com", "what every name server says of them"),
        ("domain rotate example.com", "new signing keys, without a gap"),
    ],
)
def domain() -> None:
    """Sending domains: proved by a record, owned by one account, signed for with DKIM."""


@examples(("domain list", "which there are, and how their records stand"))
@domain.command("list")
@talks
def list_(call: Call) -> None:
    """All sending domains, by name."""
    with call.client() as client:
        items = client.items("/domains")

    def words() -> None:
        if not items:
            call.screen.say("No sending domain yet. Add one:")
            call.screen.say(f"  {run_as()} domain add example.com")
            return
        columns = [
            Column("domain"),
            Column("proved", fixed=True),
            Column("dkim", fixed=True),
            Column("spf", fixed=True),
            Column("dmarc", fixed=True),
            Column("account"),
            Column("checked", fixed=True),
        ]
        rows = [
            [
                each["shown_as"],
                "yes" if each["proved"] else "no",
                *(each["records"].get(kind, "-") for kind in ("dkim", "spf", "dmarc")),
                each["account"],
                (each["checked_at"] or "never")[:16].replace("T", " "),
            ]
            for each in items
        ]
        call.screen.table(columns, rows, {"no": "red", **_COLOURS})

    call.result({"items": items, "next": None}, "name", words)


def _host_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--autoconfig/--no-autoconfig",
            default=None,
            help="Whether mail programs of its people find their settings by it.",
        ),
        click.option(
            "--tracking-host", metavar="HOST", help="Its own name in tracked links and images."
        ),
        click.option("--bounce-host", metavar="HOST", help="Its own name in return paths."),
        click.option(
            "--below/--not-below",
            "covers_below",
            default=None,
            help="Whether authors at names below it may use it. Default: they may.",
        ),
    ):
        function = option(function)
    return function


@examples(
    ("domain add example.com", "with an RSA and an Ed25519 key"),
    ("domain add example.com --tracking-host click.example.com", "and links of its own"),
)
@domain.command("add")
@click.argument("name")
@_host_options
@click.option("--account", metavar="NAME", help="Whose it is. Default: the first account's.")
@talks
def add(call: Call, name: str, **values: Any) -> None:
    """Claim a domain, and make keys for it. It counts once its record was found."""
    with call.client() as client:
        made = client.post("/domains", named({"name": name, **values}))

    def words() -> None:
        call.screen.say(f"Added {clean(made['shown_as'])}. Publish these records:")
        _say_records(call, made["records"], made["dns"])
        call.screen.say(f"Then: {run_as()} domain check {made['name']}")

    call.result(made, "name", words)


@examples(("domain show example.com", "its keys, and what was last found"))
@domain.command("show")
@click.argument("name")
@talks
def show(call: Call, name: str) -> None:
    """A domain, its keys, and what the last look at its records found."""
    with call.client() as client:
        found = client.get(f"/domains/{segment(name)}")
    call.result(found, "name", lambda: _say_domain(call, found))


@examples(
    ("domain set example.com --tracking-host click.example.com", "links bear its own name"),
    ("domain set example.com --not-below", "only authors at the domain itself"),
)
@domain.command("set")
@click.argument("name")
@_host_options
@talks
def set_(call: Call, name: str, **values: Any) -> None:
    """Change a domain; what is not named stays. An empty host name takes it away."""
    with call.client() as client:
        after = client.patch(f"/domains/{segment(name)}", named(values))
    call.result(after, "name", lambda: _say_domain(call, after))


@examples(
    ("domain records example.com", "what to enter at the provider"),
    ("domain records example.com --zone", "as lines of a zone file"),
    ("domain records example.com --terraform > mail.tf", "for those who keep records in files"),
)
@domain.command("records")
@click.argument("name")
@click.option("--zone", "form", flag_value="zone", help="As lines of a zone file.")
@click.option("--csv", "form", flag_value="csv", help="As a table for other programs.")
@click.option("--terraform", "form", flag_value="terraform", help="As a map of Terraform.")
@talks
def records(call: Call, name: str, form: str | None) -> None:
    """The records that a domain should have; nobody is asked whether they are there."""
    with call.client() as client:
        found = client.get(f"/domains/{segment(name)}/records")

    def words() -> None:
        if form is not None:
            for line in found[form]:
                call.screen.say(clean(line))
        else:
            _say_records(call, found["items"], found["dns"])

    call.result(found, "name", words)


@examples(
    ("domain check example.com", "ask every name server now"),
    ("domain check example.com --json", "with what each of them said"),
)
@domain.command("check")
@click.argument("name")
@talks
def check(call: Call, name: str) -> int:
    """Look at every record at every name server, now; say what is wrong, and act on what is right.

    The domain is proved once its record is found; a key signs once its own is. Exits with 6 while a
    record that is needed is not right.
    """
    with call.client() as client:
        found = client.post(f"/domains/{segment(name)}/check", {})
    call.result(found, "name", lambda: _say_domain(call, found))
    return Exit.DONE if found["checked"]["ready"] else Exit.FOUND_PROBLEMS


@examples(
    ("domain remove example.com", "asks for its name"),
    ("domain remove example.com --confirm example.com", "in a script"),
)
@domain.command("remove")
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The domain once more, so as not to be asked.")
@talks
def remove(call: Call, name: str, confirm: str | None) -> None:
    """Remove a domain with its keys. What waits leaves without their signatures."""
    with call.client() as client:
        found = client.get(f"/domains/{segment(name)}")
        call.ask_word(
            f"{found['name']} will be gone, with its keys",
            found["name"],
            answered=confirm == found["name"],
            flag=f"--confirm {found['name']}",
        )
        client.delete(f"/domains/{segment(name)}")
    call.talk(f"Removed the domain {found['name']}.")


add_key_verbs(domain)


def _say_domain(call: Call, found: dict[str, Any]) -> None:
    screen = call.screen
    screen.say(screen.paint(clean(found["shown_as"]), "bold"))
    screen.fields(
        [
            ("Account", found["account"]),
            ("Proved", (found["proved_at"] or "not yet")[:16].replace("T", " ")),
            ("Good for", "it and all below" if found["covers_below"] else "it alone"),
            ("Bounces", found["bounce_host"]),
            ("Tracking", _tracking(found)),
            ("Keys", ", ".join(f"{key['selector']} ({key['state']})" for key in found["keys"])),
        ]
    )
    checked = found["checked"]
    if checked is None:
        screen.say(f"Nobody has looked at its records: {run_as()} domain check {found['name']}")
        return
    screen.say()
    screen.table(
        [Column("record", fixed=True), Column("type", fixed=True), Column("name"),
         Column("state", fixed=True)],
        [[one["kind"], one["type"], one["name"], one["verdict"]] for one in checked["records"]],
        _COLOURS,
    )  # fmt: skip
    for one in checked["records"]:
        if one["verdict"] != "ok" or one["words"] != "Found.":
            _say_finding(call, one)


def _tracking(found: dict[str, Any]) -> str:
    host = str(found["tracking_host"])
    return host if found["tracking_found"] or not host else f"{host} (not used yet)"


def _say_finding(call: Call, one: dict[str, Any]) -> None:
    screen = call.screen
    screen.say()
    screen.say(f"{one['kind']} {clean(one['name'])}: {clean(one['words'])}")
    if one["verdict"] == "ok":
        return
    screen.fields([("Expected", one["value"]), *(("Found", text) for text in one["found"])])
    servers = one["name_servers"]
    if one["verdict"] == "spreading" or any(each["trouble"] for each in servers):
        screen.fields([(each["server"], _said(each)) for each in servers])
    if not one["needed"]:
        screen.say(f"  Recommended. {one['why']}")


def _said(each: dict[str, Any]) -> str:
    if each["trouble"]:
        return str(each["trouble"])
    said = " | ".join(text[:_SHORT] for text in each["found"]) or each["alias"] or "nothing"
    return f"{said} (TTL {each['ttl_seconds']})"


def _say_records(call: Call, items: list[dict[str, Any]], dns: dict[str, Any] | None) -> None:
    if dns is not None:
        call.screen.say()
        call.screen.say(clean(dns["hint"]))
    for one in items:
        call.screen.say()
        wish = "" if one["needed"] else ", recommended"
        call.screen.say(call.screen.paint(f"{one['kind']}{wish}", "bold"))
        entered = [("Enter", one["entry"])] if one["entry"] not in (None, one["name"]) else []
        call.screen.fields(
            [("Name", one["name"]), *entered, ("Type", one["type"]), ("Value", one["value"])]
        )
        call.screen.say(f"  {clean(one['why'])}")
    call.screen.say()
