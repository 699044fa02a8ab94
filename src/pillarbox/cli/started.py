"""the words of a start: where to connect, what is shown once, what to try"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pillarbox.cli.changes import ABOUT_MODE
from pillarbox.cli.output import clean, cut, run_as
from pillarbox.settings.process import ROLES
from pillarbox.terms.clock import from_ms

if TYPE_CHECKING:
    from pillarbox.observe.news import EventLine
    from pillarbox.wiring import Started

FIRST_RUN_FILE: Final = "first-run.txt"

_COLOURS: Final = {
    "kept": "blue",
    "handed over": "green",
    "delivered": "green",
    "retrying": "amber",
    "failing": "amber",
    "held": "violet",
    "uncertain": "amber",
    "refused": "red",
    "failed": "red",
    "expired": "red",
    "paused": "amber",
    "recovered": "green",
    "warning": "amber",
}
_WORD_WIDTH: Final = 11
_SUBJECT_WIDTH: Final = 20


def header(version: str, directory: Path, *, created: bool) -> str:
    """The very first line, known before anything is loaded."""
    return f"pillarbox {version}   data: {near(directory)}{' (created)' if created else ''}"


def block(started: Started, *, secrets: bool, place: str = "") -> Iterator[str]:
    """What follows the header when everything is ready.

    `secrets`: a person reads this, and what is shown once is shown now. `place` is what another
    command must be told to find this Pillarbox, such as ``--data-dir X``.
    """
    yield from (f"  {clean(note)}" for *_, note in started.smtp if note)
    if started.http_note:
        yield f"  {clean(started.http_note)}"
    yield ""
    first = started.created
    called = f"{run_as()}{' ' + place if place else ''}"
    yield from _among_nodes(started)
    yield from _http(started)
    if first and secrets and started.first_key:
        yield _field("Key", started.first_key.reveal())
        yield _field("", f"shown once, only its hash is kept; another: {called} key add NAME")
        yield ""
    yield from _smtp(started)
    if tracking := tracking_words(started.tracking_host, started.tracking):
        yield _field("Tracking", tracking)
    if first and started.first_username:
        yield _field("Username", started.first_username)
    if first and secrets and started.first_password:
        yield _field("Password", started.first_password.reveal())
        yield _field("", "shown once, only its hash is kept; another:")
        yield _field("", f"{called} credential rotate {started.first_username}")
    if first and started.ca_path:
        yield _field("CA", f"{near(Path(started.ca_path))}   to check our certificate against")
    if first:
        yield ""
    mode = started.mode
    yield _field("Mode", f"{mode.upper():<7}   {ABOUT_MODE.get(mode, '')}".rstrip())
    if started.unchecked:
        yield _field("WARNING", f"certificate not checked: {clean(', '.join(started.unchecked))}")
        yield _field("", f"check it: {called} server set NAME --verify")
    if not first:
        plural = "delivery waits" if started.waiting == 1 else "deliveries wait"
        yield _field("Queue", f"{started.waiting} {plural}")
        yield _field("Last mail", clean(started.last_message or "none yet"))
    yield ""
    if first:
        yield "Try it in another terminal:"
        yield f'  {run_as()} send --to you@example.com --subject "Hello"{" " + place if place else ""}'
        yield ""
    where = "in the database" if started.database else "on disk"
    yield f"Ready in {started.seconds:.1f} s. Ctrl-C stops; mail already accepted is safe {where}."


def tracking_words(host: str, places: Iterable[tuple[str, int, str]]) -> str:
    """Where tracked links lead and where that is answered; empty where nobody asked for either."""
    where = ", ".join(f"{place}:{port} ({security})" for place, port, security in places)
    if host and where:
        return f"{host}   answered at {where}"
    if host:
        return f"{host}   not answered here: tracking_host.listen is empty"
    return f"no host: set tracking.host   listens at {where}" if where else ""


def write_first_run(started: Started) -> Path:
    """Put what is shown once into a file only its owner can read; the path of it.

    For starts that nobody watches: what is printed there lives in logs for ever.
    """
    path = Path(started.data_dir) / FIRST_RUN_FILE
    lines = [
        *_http(started),
        _field("Key", started.first_key.reveal() if started.first_key else ""),
        *_smtp(started),
        _field("Username", started.first_username or ""),
        _field("Password", started.first_password.reveal() if started.first_password else ""),
        _field("CA", str(started.ca_path)),
    ]
    path.unlink(missing_ok=True)
    # Exclusive, so that a link somebody put there meanwhile is not followed.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(line.strip() for line in lines) + "\n")
    return path


def event_line(line: EventLine, *, columns: int | None = None) -> tuple[str, str, str, str]:
    """An event as time, word, the rest, and the colour of the word."""
    at = from_ms(line.at_ms).astimezone().strftime("%H:%M:%S")
    rest = f"{cut(clean(line.subject), _SUBJECT_WIDTH, middle=True):<{_SUBJECT_WIDTH}}  "
    text = rest + clean(line.text)
    if columns is not None:
        text = cut(text, columns)
    return at, f"{clean(line.word):<{_WORD_WIDTH}}", text.rstrip(), _COLOURS.get(line.word, "")


def near(path: Path) -> str:
    """A path as a person in this directory would write it."""
    try:
        return f"./{path.relative_to(Path.cwd())}"
    except ValueError:
        return str(path)


def _among_nodes(started: Started) -> Iterator[str]:
    """What tells this node from others; nothing where it is alone and does everything."""
    some = set(started.roles) != set(ROLES)
    if started.database:
        yield _field("Database", clean(started.database))
    if started.node and (started.database or some):
        roles = f"   {', '.join(started.roles)}" if some else ""
        yield _field("Node", f"{clean(started.node)}{roles}")


def _http(started: Started) -> Iterator[str]:
    if started.http_url:
        yield _field("HTTP API", f"{started.http_url}/pillarbox/v1")


def _smtp(started: Started) -> Iterator[str]:
    ports: dict[str, list[str]] = {}
    for host, port, security, _ in started.smtp:
        ports.setdefault(host, []).append(f"port {port} ({security})")
    for number, (host, words) in enumerate(ports.items()):
        shown = "all addresses" if host == "*" else host
        yield _field("" if number else "SMTP", "   ".join([shown, *words]))


def _field(name: str, value: str) -> str:
    return f"  {name:<10}  {value}".rstrip()
