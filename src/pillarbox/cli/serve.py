"""serve: start for production, on the ports of a mail server or not at all"""

from __future__ import annotations

from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.group import Verb
from pillarbox.cli.options import prints
from pillarbox.cli.starting import flags_of, start, starting_options


@click.command(
    cls=Verb,
    examples=[
        ("serve --config /etc/pillarbox/pillarbox.toml", "as a service runs it"),
        (
            "serve --smtp-port 2525 --smtps-port 2465 --bounce-port 2025",
            "on ports that need no privilege",
        ),
        ("config check", "what would keep it from starting"),
    ],
)
@starting_options
@click.option("--events", is_flag=True, help="Print one line per event, as up does.")
@prints
def serve(call: Call, *, events: bool, **options: Any) -> int:
    """Start for production: the ports of a mail server, on all addresses.

    These are 587 and 2525 (STARTTLS) and 465 (TLS) for whoever has a login, and 25 for mail that
    comes back, unless something else was set. A port that is taken is an error here, and events go
    to the log, not to the terminal. SIGHUP has the certificates read again.
    """
    return start(call, flags_of(**options), as_service=True, show_events=events)
