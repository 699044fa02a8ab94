"""connection problems at the terminal: what went wrong for a client, and what it should change"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.group import WholeNumber, examples
from pillarbox.cli.moments import since
from pillarbox.cli.options import talks
from pillarbox.cli.output import clean

_USUAL = 20


@examples(
    ("credential problems", "why clients could not hand in mail lately"),
    ("credential problems q6qd9xs7", "what is behind the reference a client was given"),
    ("credential problems --credential shop-web", "those of one login"),
)
@click.command("problems")
@click.argument("reference", required=False)
@click.option("--credential", metavar="NAME", help="Of this login only.")
@click.option(
    "--limit", type=WholeNumber(1, 500), default=_USUAL, metavar="N", help="At most so many."
)
@talks
def problems(call: Call, reference: str | None, credential: str | None, limit: int) -> None:
    """Why clients could not log in or hand in mail, newest first.

    A client hears the same whatever was wrong, with a reference (ref ...) that finds the reason here.
    """
    with call.client() as client:
        items = client.items(
            "/credentials/problems", limit=limit, reference=reference, credential=credential
        )

    def words() -> None:
        if not items:
            call.screen.say(_nothing(reference, credential))
        for number, each in enumerate(items):
            if number:
                call.screen.say()
            _print(call, each)

    call.result({"items": items, "next": None}, "reference", words)


def _print(call: Call, problem: dict[str, Any]) -> None:
    count = problem["count"]
    times = f"{count} times, last" if count > 1 else "Once,"
    began = f", first {since(problem['first_at'])}" if count > 1 else ""
    place = f" to port {problem['port']}" if problem["port"] else ""
    call.screen.say(call.screen.paint(clean(problem["what"]), "bold"))
    call.screen.say(
        f"  {times} {since(problem['last_at'])}{began}; "
        f"from {clean(problem['address']) or 'this machine'}{place}; ref {problem['reference']}"
    )
    call.screen.say(f"  {clean(problem['fix'])}")


def _nothing(reference: str | None, credential: str | None) -> str:
    if reference is not None:
        return (
            f"Nothing is known under {clean(reference)}. A problem is kept as long as history is; "
            "its reference is eight letters and digits, as in (ref q6qd9xs7)."
        )
    return f"No connection problems{f' of {clean(credential)}' if credential else ''}."
