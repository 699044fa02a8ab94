"""what holds for every conversation a server session had, whoever spoke and whatever was said

Read off what happened, without knowing what should have: a second opinion beside the reference.
"""

from __future__ import annotations

import re
from typing import Final

from pillarbox.protocol.events import (
    ContentReceived,
    LoginReceived,
    MailReceived,
    Misbehaved,
    RecipientReceived,
    ServerEvent,
    SessionEnded,
    TlsWanted,
    TransactionReset,
)
from tests.fuzz.reference import Reference
from tests.fuzz.scripted import Played

LAWFUL: Final = frozenset(
    {
        "214 2.0.0", "220", "220 2.0.0", "221 2.0.0", "235 2.7.0", "250", "250 2.0.0", "250 2.1.0",
        "250 2.1.5", "252 2.0.0", "334", "354", "421 4.3.2", "421 4.7.0", "451 4.3.0", "452 4.5.3",
        "454 4.7.0", "500 5.5.1", "500 5.5.6", "501 5.1.3", "501 5.1.7", "501 5.5.2", "501 5.5.4",
        "501 5.7.0", "502 5.5.1", "503 5.5.1", "504 5.5.4", "530 5.7.0", "535 5.7.8", "538 5.7.11",
        "550 5.1.1", "550 5.5.2", "550 5.7.1", "552 5.3.4", "553 5.6.7", "554 5.5.1", "554 5.6.0",
        "555 5.5.4",
    }
)  # fmt: skip
"""Every reply there is, by code and enhanced status, those of the script included."""

_LINE: Final = re.compile(rb"([2-5]\d\d)([ -])((?:([245])\.\d{1,3}\.\d{1,3} )?)[\x20-\x7e]*\r\n")


def codes(said: bytes) -> list[str]:
    """Code and status of every reply, and nothing between them but replies."""
    found: list[str] = []
    at, before = 0, b""
    while at < len(said):
        line = _LINE.match(said, at)
        assert line is not None, f"no reply: {said[at : at + 80]!r}"
        assert len(line[0]) <= 512, "RFC 5321 §4.5.3.1.5"
        assert not line[4] or line[4] == line[1][:1], (
            "the class of the status is another (RFC 2034)"
        )
        assert not before or line[1] == before, "the code changes within a reply"
        before = line[1] if line[2] == b"-" else b""
        if not before:
            found.append(f"{line[1].decode()} {line[3].decode()}".rstrip())
        at = line.end()
    assert not before, "the last reply has no end"
    return found


def check(played: Played) -> None:
    """All of them."""
    said = codes(played.said)
    assert set(said) <= LAWFUL, sorted(set(said) - LAWFUL)
    _permitted(played)
    _ended(played, said)


def _permitted(played: Played) -> None:
    """Nothing is told to a handler that the client was not entitled to bring about."""
    limits = played.limits
    tls = limits.tls == "active"
    logged_in = begun = False
    recipients = size = 0
    for at, event in enumerate(played.events):
        if at in played.secured_at:
            tls, logged_in, begun = True, False, False
        answer = played.answers.get(at)
        fine = answer is not None and answer.severity == 2
        match event:
            case LoginReceived():
                assert limits.takes_login(tls=tls) and not logged_in and not begun
                logged_in = fine
            case MailReceived(size=announced):
                assert tls or not limits.require_tls
                assert logged_in or not limits.require_login
                assert not begun, "a transaction inside a transaction"
                assert announced is None or announced <= limits.max_message_bytes
                begun, recipients, size = fine, 0, 0
            case RecipientReceived():
                assert begun and recipients < limits.max_recipients
                recipients += fine
            case ContentReceived(data=data, last=last):
                assert begun and recipients
                assert last or len(data) == limits.block_bytes
                size += len(data)
                assert size <= limits.max_message_bytes
                begun = not last and answer is None
            case TransactionReset():
                begun = False
            case TlsWanted():
                assert limits.tls == "starttls" and not tls and not begun


def _ended(played: Played, said: list[str]) -> None:
    """At most one end, the last of all; errors lead to it."""
    ends = [at for at, event in enumerate(played.events) if isinstance(event, SessionEnded)]
    assert ends in ([], [len(played.events) - 1])
    goodbye = [at for at, code in enumerate(said) if code.startswith(("421", "221"))]
    assert goodbye in ([], [len(said) - 1]), "something is said behind a goodbye"
    wrong = sum(isinstance(event, Misbehaved) for event in played.events)
    if not any(isinstance(event, ContentReceived) for event in played.events):
        assert wrong <= played.limits.max_errors + 1, "errors are counted, and end the session"


def agree(played: Played, reference: Reference) -> None:
    """The session and the reference heard, told and said the same."""
    assert compared(played.events) == compared(reference.events)
    expected = b"".join([reply.encode() for reply in reference.said])
    assert played.said == expected, f"{played.said[-400:]!r}, and not {expected[-400:]!r}"
    where = str(played.session.state)
    assert reference.where == _WHERE[where]
    assert reference.transaction == (where in ("envelope", "chunks")) or where == "content"


_WHERE: Final = {
    "command": "command",
    "envelope": "command",
    "chunks": "command",
    "exchange": "exchange",
    "content": "content",
    "handshake": "handshake",
    "closing": "ended",
}


def compared(events: list[ServerEvent]) -> list[ServerEvent]:
    """Without the words that are for people."""
    return [
        Misbehaved("", event.reply) if isinstance(event, Misbehaved)
        else SessionEnded("") if isinstance(event, SessionEnded)
        else event
        for event in events
    ]  # fmt: skip
