"""any bytes from a client, with a handler that answers as it likes"""

from __future__ import annotations

from collections.abc import Iterator

from pillarbox.protocol import replies
from pillarbox.protocol.extensions import ServerLimits
from tests.fuzz import promises
from tests.fuzz.scripted import LIMITS, Played, Script, refer
from tests.fuzz.targets import Target
from tests.fuzz.words import COMMANDS, LINE_ENDS, PARAMETERS, VERBS, conversations

ENDINGS = 3


def run(data: bytes) -> None:
    """First line: which limits and which ending, then marks; the rest is what the client says."""
    head, _, stream = data.partition(b"\n")
    choice, marks = ((head[0] - 48) % 256, head[1:]) if head else (0, b"")
    check(LIMITS[choice % len(LIMITS)], marks, stream, choice // len(LIMITS) % ENDINGS)


def check(limits: ServerLimits, marks: bytes, stream: bytes, ending: int) -> None:
    octets = Played(limits, Script(marks))
    octets.hear(stream, 1)
    pieces = cut(stream, octets.handshakes)
    whole = Played(limits, Script(marks))
    late = Played(limits, Script(marks), late=True)
    for piece in pieces:
        whole.hear(piece, len(piece) or 1)
        late.hear(piece, 7)
    script = Script(marks)
    reference = refer(limits, script, pieces)
    for played in (octets, whole, late):
        _finish(played, ending)
    if ending == 1:
        reference.hang_up()
    elif ending == 2:
        reference.shut(replies.SHUTTING_DOWN)
    assert whole.events == octets.events == late.events
    assert whole.said == octets.said == late.said
    promises.agree(whole, reference)
    promises.check(whole)
    if len(pieces) > 1:
        # Together with STARTTLS: whoever stands between could have put it there.
        hasty = Played(limits, Script(marks))
        hasty.hear(stream, len(stream))
        promises.agree(hasty, refer(limits, Script(marks), [stream]))
        promises.check(hasty)
        assert whole.said.startswith(hasty.said.removesuffix(replies.SPOKE_BEFORE_TLS.encode()))


def _finish(played: Played, ending: int) -> None:
    if ending == 1:
        played.hang_up()
    elif ending == 2:
        played.shut(replies.SHUTTING_DOWN)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({*places, len(stream)})
    return [stream[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def seeds() -> Iterator[bytes]:
    """Every dialogue, where TLS is offered and where it is not."""
    for port, said in conversations():
        yield (b"1" if port == "starttls" else b"0") + b"\n" + said
    opened, envelope = COMMANDS[0], COMMANDS[7] + COMMANDS[9] + COMMANDS[10]
    for choice in range(48, 48 + len(LIMITS) * ENDINGS):
        yield bytes([choice]) + b"0000000\n" + opened + envelope + b"a\r\n..b\r\n.\r\n" * 9
    chunks = COMMANDS[7] + COMMANDS[9] + b"BDAT 9\r\nab\r\n.\r\n..BDAT 4 LAST\r\nx\r\n."
    for marks in (b"", b"00004", b"00005", b"4", b"05"):
        yield b"0" + marks + b"\n" + opened + chunks * 2 + b"BDAT 130\r\n" + b"x" * 130
        yield b"5" + marks + b"\n" + opened + chunks * 2 + b"BDAT 0 LAST\r\nRSET\r\n"
    yield b"0000645\n" + opened + envelope * 3


TARGET = Target(run, seeds, (*COMMANDS, *VERBS, *LINE_ENDS, *PARAMETERS), 4096)
