"""tls: what became of TLS with the hosts that mail goes to directly"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import segment
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean


@click.group(
    cls=Noun,
    examples=[
        ("tls policy example.com", "what mail to a domain is held to"),
        ("tls report", "what was counted today"),
        ("tls report --day 2026-11-05", "on another day"),
    ],
)
def tls() -> None:
    """TLS with the hosts that mail goes to directly: how often it was had, and why not."""


@examples(
    ("tls policy example.com", "what mail to a domain would be held to"),
    ("tls policy example.com --json", "with the TLSA records"),
)
@tls.command("policy")
@click.argument("domain")
@talks
def policy(call: Call, domain: str) -> None:
    """What is asked of the TLS of a domain's MX hosts, and because of which rule.

    Looked up now, as direct delivery does it: MTA-STS, and DANE where the resolver validates.
    """
    with call.client() as client:
        found = client.get(f"/tls/policies/{segment(domain)}")

    def words() -> None:
        if not found["items"]:
            call.screen.say(f"{clean(found['domain'])} has no MX hosts.")
        for each in found["items"]:
            call.screen.say(call.screen.paint(clean(each["host"]), "bold"))
            call.screen.say(f"  {_said(each)}")

    call.result(found, "host", words)


def _said(each: dict[str, Any]) -> str:
    said = clean(each["words"])
    return f"Gets no mail: {said}." if each["refused"] else f"Gets mail {said}."


@examples(
    ("tls report", "today's sessions, by domain"),
    ("tls report --day 2026-11-05 --domain example.com", "one day, one domain"),
    ("tls report --json", "for a program"),
)
@tls.command("report")
@click.option("--day", metavar="DATE", help="A day in UTC, as 2026-11-05; left out, today.")
@click.option("--domain", metavar="DOMAIN", help="Of this domain only.")
@talks
def report(call: Call, day: str | None, domain: str | None) -> None:
    """What became of sessions with domains that ask for reports (TLS-RPT), counted by the day.

    Each of these domains is sent its report when the day is over. Sessions with other domains are
    not counted. What is shown is kept for two weeks.
    """
    with call.client() as client:
        found = client.get("/tls/report", day=day, domain=domain)

    def words() -> None:
        if not found["items"]:
            call.screen.say(_nothing(found["day"], domain))
            return
        call.screen.table(
            (
                Column("domain"),
                Column("policy"),
                Column("host"),
                Column("result"),
                Column("sessions", right=True),
            ),
            [_row(one) for one in found["items"]],
        )

    call.result(found, "domain", words)


def _row(one: dict[str, Any]) -> list[Any]:
    return [
        clean(one["domain"]), one["policy"], clean(one["host"]), one["result"],
        str(one["sessions"]),
    ]  # fmt: skip


def _nothing(day: str, domain: str | None) -> str:
    whose = f" with {clean(domain)}" if domain else ""
    return f"No sessions{whose} were counted on {day}. Only those of domains that ask for it are."
