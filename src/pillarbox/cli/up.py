"""up: start here and now, make what is missing, show what happens"""

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
        ("up", "start in ./pillarbox-data; a busy port is replaced by the next free one"),
        ("up --data-dir /tmp/try --http-port 9000", "a second one, elsewhere"),
        ("up --set smtp.max_message_mb=50", "with a setting changed for this run"),
    ],
)
@starting_options
@prints
def up(call: Call, **options: Any) -> int:
    """Start here and now, and show what happens.

    The first start makes the data directory, an app in sandbox mode with a login and a key, and
    a certificate authority of its own. Nothing is sent out until an app is set to live.
    """
    return start(call, flags_of(**options), as_service=False, show_events=True)
