"""status: is it running, what waits, what goes wrong"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.changes import MODE_COLOURS
from pillarbox.cli.errors import Exit
from pillarbox.cli.group import Verb
from pillarbox.cli.moments import ago, since
from pillarbox.cli.node import roles_of
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, format_bytes, run_as
from pillarbox.cli.started import tracking_words
from pillarbox.terms.clock import format_duration

_SHOWN_LANES: Final = 5


@click.command(
    cls=Verb,
    examples=[("status", "what a person wants to know first"), ("status --json", "for monitoring")],
)
@talks
def status(call: Call) -> int:
    """Is it running, what waits, what goes wrong.

    The exit code is 0 where it runs and takes mail, 6 where it takes none, also because it is
    drained, 7 where none runs.
    """
    with call.client() as client:
        found = client.get("/status")
        running = not client.offline
    found["running"] = running
    call.result(found, "version", lambda: _print(call, found, running=running))
    if not running:
        return Exit.UNREACHABLE
    draining = bool(found["node"] and found["node"]["draining"])
    takes_mail = found["storage"]["writable"] and not draining
    return Exit.DONE if takes_mail else Exit.FOUND_PROBLEMS


def _print(call: Call, found: dict[str, Any], *, running: bool) -> None:
    screen = call.screen
    if running:
        uptime = format_duration(found["uptime_seconds"]) if found["uptime_seconds"] else "0s"
        screen.say(f"pillarbox {clean(found['version'])} has been running for {uptime}.")
    else:
        screen.say(f"Not running. This is what lies on disk; {run_as()} up starts it.")
    queue, storage, last = found["queue"], found["storage"], found["last_message"]
    free = storage["free_bytes"]
    screen.fields(
        [
            ("Node", _node(found["node"], running=running) if found["node"] else ""),
            ("SMTP", ", ".join(_ports(found)) if running else ""),
            ("Tracking", tracking_words(*_tracking(found)) if running else ""),
            ("Waiting", f"{queue['waiting']}{_details(queue)}"),
            ("Paused", _paused(queue.get("paused_lanes", ()))),
            ("Last mail", f'{since(last["at"])}, "{last["subject"]}"' if last else "none yet"),
            ("Storage", "takes mail" if storage["writable"] else f"NO MAIL: {storage['trouble']}"),
            ("Free space", format_bytes(free) if free is not None else ""),
        ]
    )
    screen.say()
    rows = [
        [each["name"], each["mode"] if each["active"] else "inactive", each["route"]]
        for each in found["apps"]
    ]
    screen.table([Column("app"), Column("mode", fixed=True), Column("way out")], rows, MODE_COLOURS)


def _node(node: dict[str, Any], *, running: bool) -> str:
    """Its name; then what is not as everybody expects."""
    parts = [node["name"]]
    if running and (roles := roles_of(node)) != "all":
        parts.append(f"for {roles}")
    if node["draining"]:
        parts.append(f"{node['state']}: accepts nothing more" if running else "will accept nothing")
    if node["nodes_alive"] > 1:
        parts.append(f"one of {node['nodes_alive']} that live")
    return ", ".join(parts)


def _ports(found: dict[str, Any]) -> Iterator[str]:
    listeners = found["listeners"]
    for each in listeners:
        yield f"{each['host']}:{each['port']} ({each['security']})"
    for each in found.get("bounce_listeners", ()):
        if each not in listeners:
            yield f"{each['host']}:{each['port']} (bounces)"


def _tracking(found: dict[str, Any]) -> tuple[str, list[tuple[str, int, str]]]:
    known = found.get("tracking_host") or {"host": "", "listeners": ()}
    places = [(each["host"], each["port"], each["security"]) for each in known["listeners"]]
    return clean(known["host"]), places


def _paused(lanes: Sequence[int]) -> str:
    if not lanes:
        return ""
    numbers = ", ".join(map(str, lanes[:_SHOWN_LANES])) + (", ..." * (len(lanes) > _SHOWN_LANES))
    return f"lane{'s' * (len(lanes) > 1)} {numbers}; {run_as()} queue resume LANE"


def _details(queue: dict[str, Any]) -> str:
    parts = [f"{queue[name]} {word}" for name, word in (("held", "held"), ("active", "sending"))
             if queue[name]]  # fmt: skip
    if queue["oldest_at"]:
        parts.append(f"the oldest {ago(queue['oldest_at'])}")
    return f" ({', '.join(parts)})" if parts else ""
