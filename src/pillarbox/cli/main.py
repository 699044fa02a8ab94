"""where the program begins: a line of arguments in, an exit code out"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from pillarbox.cli.errors import Exit, WrongUsage, exit_code_of, print_error
from pillarbox.cli.group import LazyNoun
from pillarbox.cli.options import place_options
from pillarbox.cli.output import run_as
from pillarbox.terms.errors import PillarboxError

COMMANDS: Final = {
    "up": ("pillarbox.cli.up:up", "Start here and now, and show what happens."),
    "send": ("pillarbox.cli.send:send", "Hand over a message."),
    "status": ("pillarbox.cli.status:status", "Is it running, what waits, what goes wrong."),
    "message": ("pillarbox.cli.message:message", "What became of a message."),
    "queue": ("pillarbox.cli.queue:queue", "What waits, and making it go, stay or end."),
    "account": ("pillarbox.cli.account:account", "Whose mail it is, and whether it is taken."),
    "app": ("pillarbox.cli.app:app", "Sending contexts: mode and sender defaults."),
    "domain": ("pillarbox.cli.domain:domain", "Sending domains: their records and signing keys."),
    "server": ("pillarbox.cli.server:server", "The SMTP servers an app sends through."),
    "route": ("pillarbox.cli.route:route", "Which mail takes a server of its own."),
    "credential": ("pillarbox.cli.credential:credential", "The SMTP logins of an app."),
    "key": ("pillarbox.cli.key:key", "What programs show to the HTTP API."),
    "tls": ("pillarbox.cli.tls:tls", "What became of TLS with the hosts of recipients."),
    "tracking": ("pillarbox.cli.tracking:tracking", "The keys that tracked links are signed with."),
    "certificate": (
        "pillarbox.cli.certificate:certificate",
        "Certificates of our host names, from an authority.",
    ),
    "user": ("pillarbox.cli.user:user", "People who sign in with a password."),
    "node": ("pillarbox.cli.node:node", "The nodes that share a database, and draining one."),
    "store": ("pillarbox.cli.store:store", "A whole store, moved to another place."),
    "migrate": ("pillarbox.cli.migrate:migrate", "The schema of the store, brought up to date."),
    "config": ("pillarbox.cli.config:config", "What is set, where, and what it means."),
    "serve": ("pillarbox.cli.serve:serve", "Start for production: ports as told or not at all."),
    "version": ("pillarbox.cli.version:version", "Which version this is."),
}
"""Names as they are typed, where they live, and their line in the help."""


@click.group(
    cls=LazyNoun,
    modules=COMMANDS,
    invoke_without_command=True,
    examples=[
        ("up", "start, in ./pillarbox-data; nothing is sent out yet"),
        ('send --to you@example.com --subject "Hello"', "hand over a first message"),
        ("message list", "see what became of it"),
        ("server add --help", "connect a real way out"),
    ],
)
@place_options
@click.option("--no-color", is_flag=True, help="No colours; NO_COLOR=1 says the same.")
@click.option("--version", is_flag=True, help="Print the version and leave.")
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """A mail relay that takes responsibility for every message.

    Applications hand it mail over SMTP or HTTP. It delivers through the servers you choose, and
    tells what became of every single recipient.
    """
    if options["version"]:
        from pillarbox import __version__

        click.echo(f"pillarbox {__version__}")
        ctx.exit(0)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit code. Prints every error in the shape it has here."""
    as_json = "--json" in arguments
    try:
        answer = cli.main(list(arguments), prog_name=run_as(), standalone_mode=False)
        return answer if isinstance(answer, int) else Exit.DONE
    except click.UsageError as wrong:
        path = wrong.ctx.command_path if wrong.ctx else run_as()
        error = WrongUsage(_sentence(wrong), fix=f"{path} --help")
        print_error(error, as_json=as_json)
        return Exit.USAGE
    except PillarboxError as error:
        print_error(error, as_json=as_json)
        return exit_code_of(error)
    except (click.Abort, KeyboardInterrupt):
        print(file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception as unexpected:  # the last boundary: whatever it is, people get one sentence
        import traceback

        traceback.print_exc()
        print_error(
            PillarboxError(
                "something went wrong inside Pillarbox",
                detail=f"{type(unexpected).__name__}: {unexpected}",
            ),
            as_json=as_json,
        )
        return Exit.FAILED


def main() -> None:
    """The console script ``pillarbox``."""
    sys.exit(run(sys.argv[1:]))


def _sentence(wrong: click.UsageError) -> str:
    """click's words, in the way all our sentences are written."""
    message = wrong.format_message().strip().rstrip(".")
    return message[:1].lower() + message[1:]
