"""starting a Pillarbox in this process, and telling the terminal what happens in it"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from pillarbox import __version__
from pillarbox.cli.call import Call
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Option
from pillarbox.cli.output import clean
from pillarbox.cli.started import block, event_line, header, near, write_first_run
from pillarbox.terms.clock import format_instant

if TYPE_CHECKING:
    from pillarbox.observe.news import EventLine
    from pillarbox.wiring import Started

_PORTS: Final = "Ports"
_CLUSTER: Final = "Several nodes"
_EVERYWHERE: Final = ("0.0.0.0", "::", "*")


def starting_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of whatever starts a Pillarbox."""
    for option in reversed(
        (
            click.option(
                "--data-dir",
                cls=Option,
                metavar="DIR",
                help="Where everything is kept. Default: ./pillarbox-data, or what settings say.",
            ),
            click.option(
                "--config",
                "config_file",
                cls=Option,
                metavar="FILE",
                envvar="PILLARBOX_CONFIG",
                help="A file of settings, stronger than ./pillarbox.toml.",
            ),
            click.option(
                "--database",
                cls=Option,
                section=_CLUSTER,
                metavar="URL",
                help="A PostgreSQL that several nodes may share, as postgresql://USER@HOST/NAME. "
                "Passwords belong into PILLARBOX_DATABASE_URL, not on a command line.",
            ),
            click.option(
                "--node",
                cls=Option,
                section=_CLUSTER,
                metavar="NAME",
                help="What this node is called among those of its database. Default: the machine's name.",
            ),
            click.option(
                "--roles",
                cls=Option,
                section=_CLUSTER,
                metavar="LIST",
                help="What it does, out of smtp,http,deliver,bounces,webhooks,upkeep. Default: all.",
            ),
            click.option(
                "--set",
                "assignments",
                cls=Option,
                metavar="KEY=VALUE",
                multiple=True,
                help="Any setting, as in --set smtp.max_message_mb=50. May be repeated.",
            ),
            click.option(
                "--listen",
                cls=Option,
                section=_PORTS,
                metavar="ADDRESS",
                help="Address for SMTP and HTTP; * is every one. Default: 127.0.0.1, this machine "
                "only, and under serve * for SMTP.",
            ),
            click.option(
                "--smtp-port",
                cls=Option,
                section=_PORTS,
                metavar="PORT",
                multiple=True,
                help="SMTP with STARTTLS. May be repeated. Default: 2525; under serve 587 and 2525.",
            ),
            click.option(
                "--smtps-port",
                cls=Option,
                section=_PORTS,
                metavar="PORT",
                multiple=True,
                help="SMTP with TLS from the first byte. May be repeated. Default: 2465; under serve "
                "465.",
            ),
            click.option(
                "--bounce-port",
                cls=Option,
                section=_PORTS,
                metavar="PORT",
                multiple=True,
                help="SMTP for mail that comes back, without login. May be repeated; '' opens none. "
                "Default: none; under serve 25.",
            ),
            click.option(
                "--http-port",
                cls=Option,
                section=_PORTS,
                metavar="PORT",
                help="The HTTP API. Default: 8480.",
            ),
            click.option(
                "--json", "as_json", cls=Option, is_flag=True, help="One JSON object per line."
            ),
            click.option("--no-color", cls=Option, is_flag=True, help="No colours."),
        )
    ):
        function = option(function)
    return function


def flags_of(
    *,
    assignments: tuple[str, ...] = (),
    listen: str | None = None,
    smtp_port: tuple[str, ...] = (),
    smtps_port: tuple[str, ...] = (),
    bounce_port: tuple[str, ...] = (),
    http_port: str | None = None,
    database: str | None = None,
    node: str | None = None,
    roles: str | None = None,
) -> dict[str, str]:
    """The settings that a command line has set. Raises `WrongUsage` for a --set without a value."""
    said: dict[str, str] = {}
    if listen is not None:
        said |= {"smtp.listen": listen, "http.listen": listen}
    if smtp_port:
        said["smtp.starttls_ports"] = ",".join(smtp_port)
    if smtps_port:
        said["smtp.tls_ports"] = ",".join(smtps_port)
    if bounce_port:
        said["smtp.bounce_ports"] = ",".join(bounce_port)
    if http_port is not None:
        said["http.port"] = http_port
    for key, value in (("database_url", database), ("node", node), ("roles", roles)):
        if value is not None:
            said[key] = value
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise WrongUsage(f"--set {clean(assignment)} has no value", fix="write --set KEY=VALUE")
        said[key.strip()] = text
    return said


def start(call: Call, flags: dict[str, str], *, as_service: bool, show_events: bool) -> int:
    """Run until stopped; the exit code. Raises `InvalidSettings` and whatever a start may raise.

    A service opens the ports of a mail server, exactly these, and obeys a service manager. What is
    no service takes the next port where one is busy.
    """
    sources = call.where.sources(flags)
    directory = sources.data_dir()
    created = not directory.is_dir() or not any(directory.iterdir())
    if not call.as_json:
        # Said before anything heavy is loaded: people should see at once that it begins.
        call.screen.say(header(__version__, directory, created=created))
    from pillarbox.settings import as_served, load, mail_variables

    settings = load(as_served(sources) if as_service else sources)
    variables = mail_variables(os.environ, settings.data_dir)
    settings = dataclasses.replace(settings, mail_variables=variables)
    if settings.http.listen in _EVERYWHERE:
        call.screen.note(
            f"note: {settings.http.listen} means that every network reaches the HTTP port, which is "
            "not encrypted; put a proxy with TLS before it"
        )
    from pillarbox.net.systemd import ServiceManager
    from pillarbox.observe.log import configure
    from pillarbox.wiring import run, serve

    # What happens has its own lines on the terminal; there the log adds only what is broken.
    quieter = show_events and settings.log.level == "info"
    log = dataclasses.replace(settings.log, level="error") if quieter else settings.log
    configure(sys.stderr, log, colour=call.screen.wants_colour(sys.stderr))
    told = _Terminal(call)
    code = run(
        serve(
            settings,
            started=told.started,
            line=told.line if show_events else None,
            take_next_port=not as_service,
            manager=ServiceManager.take_from(os.environ) if as_service else None,
        )
    )
    call.talk("Stopped.")
    return code


class _Terminal:
    """What a running Pillarbox says to whoever watches it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._screen = call.screen

    def started(self, started: Started) -> None:
        """Everything is ready."""
        watched = self._screen.is_terminal and not self._call.as_json
        hidden = started.first_password is not None and not watched
        secret_file = write_first_run(started) if hidden else None
        if self._call.as_json:
            self._print_object(
                word="started",
                version=started.version,
                data_dir=str(started.data_dir),
                created=started.created,
                http_url=started.http_url,
                smtp=[
                    {"host": host, "port": port, "security": security}
                    for host, port, security, _ in started.smtp
                ],
                mode=started.mode,
                database=started.database or None,
                node=started.node,
                roles=list(started.roles),
                secrets_file=str(secret_file) if secret_file else None,
            )
            return
        directory = self._call.where.data_dir
        place = f"--data-dir {shlex.quote(directory)}" if directory else ""
        lines = block(started, secrets=watched, place=place)
        for text in lines:
            self._screen.say(text)
        if secret_file:
            self._screen.say(
                f"Key and password are in {near(secret_file)} (only you can read it); "
                "remove it when you have them."
            )
        self._screen.say()

    def line(self, line: EventLine) -> None:
        """Something happened."""
        if self._call.as_json:
            at = format_instant(line.at_ms)
            self._print_object(word=line.word, at=at, subject=line.subject, text=line.text)
            return
        at, word, rest, colour = event_line(line)
        painted = self._screen.paint(word, colour) if colour else word
        self._screen.say(f"{at}  {painted}  {rest}".rstrip())

    def _print_object(self, **members: Any) -> None:
        self._screen.say(json.dumps(members))
