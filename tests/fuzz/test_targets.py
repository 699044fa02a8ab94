"""a target sees what it is there to see: with one thing broken in the product, its seeds no longer hold"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from pillarbox.message import bodies, css, features, hygiene, skeleton
from pillarbox.message.spot_memory import SpotMemory
from pillarbox.message.style_memory import StyleMemory
from pillarbox.net.budget import ContentShare
from pillarbox.net.smtp_server import SmtpServerProtocol
from pillarbox.protocol import client, dots, gate, path, proxy_header, server
from pillarbox.protocol.lines import LineBuffer
from pillarbox.protocol.pipeline import Pipeline
from pillarbox.protocol.reply import Reply, ReplyParser
from pillarbox.services.submission.session import SubmissionSession
from tests.fuzz.targets import NAMES, Target, connection, load

# Imported before anything is broken, or they would keep what is broken.
TARGETS: dict[str, Target] = {name: load(name) for name in NAMES}


@pytest.fixture(autouse=True)
def rooms_are_closed() -> Generator[None]:
    yield
    connection.close()


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Neither by what is broken, for whoever comes next, nor by what was whole, for what is broken."""
    monkeypatch.setattr(css, "MEMORY", StyleMemory())
    monkeypatch.setattr(features, "_SPOTS", SpotMemory())
    yield
    bodies._last.clear()
    skeleton._last.clear()


def fails(name: str) -> str:
    """How the first seed that no longer holds fails; empty where all hold."""
    target = TARGETS[name]
    for seed in target.seeds():
        try:
            target.run(seed)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


def nothing(*_: Any, **__: Any) -> None:
    return None


def true(*_: Any, **__: Any) -> bool:
    return True


def late_line(original: Callable[..., Any]) -> Callable[..., Any]:
    """Whole lines only where more follows: what comes depends on portions."""

    def line(self: LineBuffer, limit: int) -> str | None:
        return original(self, limit) if len(self) > 3 else None

    return line


def mended(original: Callable[..., Any]) -> Callable[..., Any]:
    """A session that makes two lines of a bare line feed."""

    def receive(self: Any, data: bytes) -> None:
        original(self, data.replace(b"\n", b"\r\n") if data == b"\n" else data)

    return receive


def leaking(original: Callable[..., Any]) -> Callable[..., Any]:
    """Who came is never counted out."""

    def release(self: Any) -> None:
        self._counted = False
        original(self)

    return release


def hasty(original: Callable[..., Any]) -> Callable[..., Any]:
    """A client that waits for no reply, though nobody offered PIPELINING."""

    def release(self: Pipeline, *, at_once: bool) -> None:
        original(self, at_once=True)

    return release


def wrong_class(original: Callable[..., Any]) -> Callable[..., Any]:
    def encode(self: Reply) -> bytes:
        return bytes(original(self)).replace(b"503 5.", b"503 4.")

    return encode


BROKEN: list[tuple[str, str, Any, str, Callable[[Any], Any]]] = [
    ("mail without permission", "session", gate.Gate, "mail", lambda _: nothing),
    ("a login in clear", "session", gate.Gate, "auth", lambda _: nothing),
    ("TLS inside a transaction", "session", gate.Gate, "starttls", lambda _: nothing),
    ("EHLO that forgets nothing", "session", gate.Gate, "secured", lambda _: nothing),
    ("bare line ends in content", "session", dots, "has_bare_line_end", lambda _: lambda _: False),
    ("commands that wait for more", "session", LineBuffer, "line", late_line),
    ("a bare line feed that is mended", "session", server.ServerSession, "receive", mended),
    (
        "errors that are not counted",
        "session",
        server.ServerSession,
        "_count_error",
        lambda _: nothing,
    ),
    ("a status of another class", "session", Reply, "encode", wrong_class),
    (
        "dots that are not doubled",
        "client",
        client,
        "stuff",
        lambda _: lambda content, plain: content + b".\r\n",
    ),
    ("replies that are never malformed", "client", ReplyParser, "_take", lambda _: nothing),
    ("all commands at once", "client", Pipeline, "release", hasty),
    ("a Bcc that stays", "header", hygiene, "_MATTERS", lambda _: hygiene._NO_FIELD),
    (
        "a line of a mailbox file that stays",
        "header",
        hygiene,
        "_behind_mailbox_line",
        lambda _: lambda _: 0,
    ),
    ("any xtext", "path", path, "decode_xtext", lambda _: lambda text: text + "\0"),
    ("any mailbox", "path", path, "_mailbox", lambda _: lambda text, _: text),
    ("blocks that stay", "connection", SubmissionSession, "_give_up", lambda _: nothing),
    ("an end nobody hears of", "connection", SmtpServerProtocol, "_release", lambda _: nothing),
    ("a client that is never counted out", "connection", SmtpServerProtocol, "_release", leaking),
    ("memory that is kept", "connection", ContentShare, "release", lambda _: nothing),
    ("an address of IPv4 in IPv6", "proxy", proxy_header, "_shown", lambda _: str),
    ("addresses that are cut short", "proxy", proxy_header, "_least", lambda _: lambda _: 0),
    (
        "equals signs that are not escaped",
        "features",
        bodies,
        "_quoted",
        lambda _: lambda text: text,
    ),
    (
        "a link that is lost",
        "features",
        features,
        "written",
        lambda original: lambda spot, _: (spot.value.start, spot.value.end, b"#"),
    ),
    (
        "styles in the wrong element",
        "styles",
        css,
        "_rewritten",
        lambda _: lambda document, start, end, style: [(start, end - 1, style)],
    ),
    ("a handler that raises", "connection", SubmissionSession, "_recipient", lambda _: None),
]


@pytest.mark.parametrize(
    ("name", "place", "attribute", "breaks"),
    [pytest.param(*case, id=what.replace(" ", "-")) for what, *case in BROKEN],
)
def test_what_is_broken_is_seen(
    name: str,
    place: Any,
    attribute: str,
    breaks: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, attribute, breaks(getattr(place, attribute)))
    assert fails(name)
