"""serve: start for production, on the ports that were set or not at all"""

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
        ("serve --smtp-port 587 --smtps-port 465 --listen 0.0.0.0", "on the usual ports"),
        ("config check", "what would keep it from starting"),
    ],
)
@starting_options
@click.option("--events", is_flag=True, help="Print one line per event, as up does.")
@prints
def serve(call: Call, *, events: bool, **options: Any) -> int:
    """Start for production: ports as told or not at all.

    A port that is taken is an error here, and events go to the log, not to the terminal.
    """
    return start(call, flags_of(**options), take_next_port=False, show_events=events)
