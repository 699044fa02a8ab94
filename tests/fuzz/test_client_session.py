"""any bytes from a server in any portions: the same events, the same bytes, or an error"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.client import ClientSession
from pillarbox.protocol.errors import RemoteProtocolError
from pillarbox.protocol.events import (
    ClientEvent,
    EnvelopeAnswered,
    Greeted,
    HelloAnswered,
    VerdictReceived,
)
from pillarbox.terms.secret import Secret
from tests.fuzz.targets.client import begun

LINES = [
    b"220 hi\r\n",
    b"250-hi\r\n250-PIPELINING\r\n250 SIZE 1000\r\n",
    b"250 hi\r\n",
    b"250 2.1.0 Ok\r\n",
    b"250-2.1.5 one\r\n250 2.1.5 two\r\n",
    b"354 go\r\n",
    b"334 \r\n",
    b"421 4.3.2 bye\r\n",
    b"451 4.3.0 later\r\n",
    b"550 5.1.1 no\r\n",
    b"550-no\r\n",
    b"502 what\r\n",
    b"garbage\r\n",
    b"\r\n",
    b"250 lf only\n",
    b"2",
    b"\xff",
]
# A server that makes sense for a while, bent at random.
servers = st.builds(
    lambda sane, rest: b"".join([*LINES[:2], *[LINES[3]] * sane, *rest]),
    st.integers(0, 4),
    st.lists(st.sampled_from(LINES) | st.binary(max_size=6), max_size=12),
) | st.lists(st.sampled_from(LINES)).map(b"".join)


def converse(pieces: list[bytes], recipients: list[str]) -> tuple[list[ClientEvent], bytes, str]:
    """A client that goes on as far as it can, driven by nothing but events."""
    session = ClientSession()
    heard: list[ClientEvent] = []
    said = b""

    def react(event: ClientEvent) -> None:
        match event:
            case Greeted(reply) if reply.severity == 2:
                session.hello("me.example.com")
            case HelloAnswered(reply) if reply.severity == 2:
                session.login("PLAIN", "shop", Secret("x"))
            case EnvelopeAnswered(ready=True):
                session.content(b"hello\r\n")
            case EnvelopeAnswered() | VerdictReceived():
                if session.usable and said.count(b"MAIL") < 5:
                    session.envelope("a@example.com", recipients)
            case _:
                if session.usable:
                    session.envelope("a@example.com", recipients)

    fault = ""
    for piece in pieces:
        try:
            session.receive(piece)
        except RemoteProtocolError as error:
            fault = error.sentence
        while (event := session.next_event()) is not None:
            heard.append(event)
            if not fault:
                react(event)
        said += session.bytes_to_send()
        if fault:
            break
    return heard, said, fault


@given(servers, st.integers(1, 3))
def test_any_server_is_understood_or_refused(wire: bytes, count: int) -> None:
    recipients = [f"r{n}@example.net" for n in range(count)]
    heard, said, _ = converse([bytes([octet]) for octet in wire], recipients)
    for event in heard:
        if isinstance(event, EnvelopeAnswered):
            assert len(event.recipients) in (0, count)
            accepted = any(reply.severity == 2 for reply in event.recipients)
            assert event.ready == (
                event.mail.severity == 2
                and accepted
                and event.data is not None
                and event.data.severity == 3
            )
    ready = sum(isinstance(event, EnvelopeAnswered) and event.ready for event in heard)
    assert said.count(b"hello\r\n.\r\n") == ready
    assert said.count(b"\r\n") == said.count(b"\n") == said.count(b"\r")


envelopes = st.lists(
    st.sampled_from([250, 251, 421, 450, 452, 550, 354, 503]), min_size=1, max_size=14
)


@given(envelopes, st.data(), st.booleans())
def test_portions_make_no_difference_to_what_was_heard(
    codes: list[int], data: st.DataObject, garbage: bool
) -> None:
    """All is said before anything is heard, so that only the portions differ."""
    wire = b"".join(b"%d x\r\n" % code for code in codes) + (b"garbage\r\n" if garbage else b"")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    def outcome(pieces: list[bytes], start: Callable[[], ClientSession]) -> object:
        session = start()
        events: list[ClientEvent] = []
        fault = ""
        said = b""
        for piece in pieces:
            try:
                session.receive(piece)
            except RemoteProtocolError as error:
                fault = error.sentence
            while (event := session.next_event()) is not None:
                events.append(event)
            said += session.bytes_to_send()
        return events, said, fault, session.usable, session.expecting

    for start in (pipelined, stepwise):
        assert outcome(pieces, start) == outcome([wire], start)


def pipelined() -> ClientSession:
    return begun(b"250-hi\r\n250 PIPELINING\r\n")


def stepwise() -> ClientSession:
    return begun(b"250 hi\r\n")


@given(st.binary(min_size=1, max_size=40), st.booleans())
def test_nothing_in_clear_behind_the_220_of_starttls_is_heard(
    behind: bytes, together: bool
) -> None:
    session = begun_with_tls()
    pieces = [b"220 go\r\n" + behind] if together else [b"220 go\r\n", behind]
    fault = False
    for piece in pieces:
        try:
            session.receive(piece)
        except RemoteProtocolError:
            fault = True
    assert fault
    assert not session.usable
    assert not session.extensions.has("AUTH")


def begun_with_tls() -> ClientSession:
    session = ClientSession()
    session.receive(b"220 hi\r\n")
    session.hello("me")
    session.receive(b"250-hi\r\n250 STARTTLS\r\n")
    session.start_tls()
    while session.next_event() is not None:
        pass
    return session
