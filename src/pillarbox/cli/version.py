"""which version this is, and on what it runs"""

from __future__ import annotations

import platform

import click

from pillarbox import __version__
from pillarbox.cli.call import Call
from pillarbox.cli.group import Verb
from pillarbox.cli.options import output_options, prints


@click.command(cls=Verb, examples=[("version", ""), ("version --json", "for a report")])
@output_options
@prints
def version(call: Call) -> None:
    """Which version this is."""
    found = {"version": __version__, "python": platform.python_version(), "os": platform.system()}
    call.result(
        found,
        "version",
        lambda: call.screen.say(
            f"pillarbox {found['version']}   Python {found['python']}   {found['os']}"
        ),
    )
