"""the header section of a submitted message, its addresses, its options and its encoded words"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from pillarbox.message.errors import HeaderTooLong, InvalidOption, NoAuthor, TooManyHops
from pillarbox.message.hygiene import Tidied, tidy
from pillarbox.message.mailboxes import addresses_in
from pillarbox.message.options import OPTIONS, idempotency_key, resolve
from pillarbox.message.words import decode_words
from tests.fuzz.targets import Target
from tests.fuzz.words import ADDRESSES

TRACE = b"Received: by mx.example.test id msg_1;\r\n\tFri, 20 Nov 2026 16:10:00 +0000\r\n"
NOW_MS = 1_795_191_000_000
DATE = b"Date: Fri, 20 Nov 2026 16:10:00 +0000\r\n"
MESSAGE_ID = b"<msg_1@mx.example.test>"
MAX_HEADER_BYTES, MAX_HOPS = 400, 4
RETURN_PATHS = ("ann@example.com", "", '"a, <b>"@example.com', "ü@example.com")

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_OPTION = re.compile(rb"x-(smtpeter|pillarbox)-.*", re.DOTALL)


def run(data: bytes) -> None:
    """The first octet says what the rest is, and whose message it would be."""
    choice = data[0] if data else 0
    whose = Whose(bool(choice % 2), RETURN_PATHS[choice // 8 % len(RETURN_PATHS)])
    KINDS[choice // 2 % len(KINDS)](data[1:], whose)


class Whose(NamedTuple):
    """By whom a message came."""

    relays: bool
    return_path: str


def message(data: bytes, whose: Whose) -> None:
    """Tidied, every byte is where a reader who goes line by line would put it."""
    head = data.replace(b"\r", b"").replace(b"\n", b"\r\n")  # the session lets nothing else in
    relays = whose.relays
    try:
        found = tidied(head, whose)
    except (HeaderTooLong, TooManyHops, NoAuthor) as refused:
        assert isinstance(refused, _refused(head, whose))
        return
    assert _refused(head, whose) == ()
    fields, rest = _read(head)
    kept, options, seen = [TRACE], [], dict[bytes, list[bytes]]()
    for name, raw in fields:
        value = raw[raw.index(b":") + 1 :].replace(b"\r\n", b"").strip()
        seen.setdefault(name, []).append(value)
        if _OPTION.fullmatch(name):
            options.append((name.decode(), value.decode("utf-8", "replace")))
        elif relays or name not in (b"bcc", b"resent-bcc"):
            kept.append(raw)
    authors = [one for value in seen.get(b"from", []) for one in addresses_in(value)]
    if not relays and b"from" not in seen:
        authors = [whose.return_path]
        kept.insert(1, b"From: " + whose.return_path.encode() + b"\r\n")
    message_id = next(filter(None, seen.get(b"message-id", [])), b"")
    if not relays and b"date" not in seen:
        kept.insert(1, DATE)
    if not relays and not message_id:
        message_id = MESSAGE_ID
        kept.insert(1, b"Message-ID: " + MESSAGE_ID + b"\r\n")
    section = b"".join(kept)
    section += b"" if section.endswith(b"\r\n") else b"\r\n"
    rest = rest if rest.startswith(b"\r\n") else b"\r\n" + rest
    assert found.head == section + rest
    assert found.header_bytes == len(section) + 2
    assert found.eight_bit_header != section.isascii()
    assert found.options == options
    assert found.message_id == message_id
    assert found.subject == next(filter(None, seen.get(b"subject", [])), b"")
    assert list(found.authors) == authors and found.author == (authors[0] if authors else "")
    with suppress(HeaderTooLong, TooManyHops):
        again = tidied(found.head, Whose(True, ""))
        assert again.head == TRACE + found.head, "what was tidied has nothing left to tidy"
    with suppress(InvalidOption):
        options_of(found, relays)
    decode_words(found.subject)


def tidied(head: bytes, whose: Whose) -> Tidied:
    return tidy(
        head,
        message_id="msg_1",
        now_ms=NOW_MS,
        hostname="mx.example.test",
        received=TRACE,
        relays=whose.relays,
        return_path=whose.return_path,
        max_header_bytes=MAX_HEADER_BYTES,
        max_hops=MAX_HOPS,
    )


def _behind_mailbox_line(head: bytes) -> bytes:
    mailbox = re.match(rb">?From [^\r]*", head)
    if mailbox is None or re.match(rb">?From[ \t]+:", head) or b"\r\n" not in head:
        return head
    return head[mailbox.end() + 2 :]


def _refused(head: bytes, whose: Whose) -> tuple[type[Exception], ...]:
    """Which refusal is due; none, as a rule."""
    fields, _ = _read(head)
    if sum(len(raw) for _, raw in fields) > MAX_HEADER_BYTES:
        return (HeaderTooLong,)
    if sum(name == b"received" for name, _ in fields) > MAX_HOPS:
        return (TooManyHops,)
    values = [raw.partition(b":")[2] for name, raw in fields if name == b"from"]
    named = any("@" in one for value in values for one in addresses_in(value))
    if not whose.relays and not (named if values else whose.return_path):
        return (NoAuthor,)
    return ()


def _read(head: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Fields by lower-case name, each as it stands, and what follows the last."""
    inner = _behind_mailbox_line(head)
    lines = inner.split(b"\r\n")
    whole = [line + b"\r\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    fields: list[tuple[bytes, bytes]] = []
    for number, line in enumerate(whole):
        begins = _FIELD.match(line)
        if begins:
            fields.append((begins[1].lower(), line))
        elif line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + line)
        else:
            return fields, b"".join(whole[number:])
    return fields, b""


def options_of(found: Tidied, relays: bool) -> None:
    """Every value is one of those that its option can have; a lenient reader never refuses."""
    idempotency_key(found.options)
    for lenient in (True, False):
        resolved = resolve({}, {}, {}, found.options, relays=relays, lenient=lenient)
        for name, one in resolved.options.items():
            assert not relays
            option = OPTIONS[name]
            if option.kind == "switch":
                assert one.value in ("true", "false")
            elif option.kind == "choice":
                assert one.value in option.choices
            else:
                assert all(tag and tag.isprintable() for tag in one.value.split(",") if one.value)
        assert not (resolved.remarks and relays)


def addresses(data: bytes, _: Whose) -> None:
    """Read without ever failing; an address is something, and has no line end."""
    value = data.replace(b"\r", b"").replace(b"\n", b"\r\n ")
    for one in addresses_in(value):
        assert one.strip() and "\r" not in one and "\n" not in one


def words(data: bytes, _: Whose) -> None:
    """Encoded words are shown as text that no terminal and no page trips over."""
    text = decode_words(data)
    assert "\r" not in text and "\n" not in text and "\0" not in text


def option_fields(data: bytes, whose: Whose) -> None:
    """A header of nothing but options, one a line."""
    lines = data.replace(b"\r", b"").split(b"\n")
    message(b"".join(b"X-Pillarbox-" + line + b"\r\n" for line in lines), whose)


KINDS: tuple[Callable[[bytes, Whose], None], ...] = (message, option_fields, addresses, words)


def seeds() -> Iterator[bytes]:
    """A message with everything in it, and each of its lines."""
    lines = [
        b"From ann@example.com Fri Nov 20\r\n",
        b'From: "Ann (of the Shop)" <ann@example.com>, Bob <bob@example.net>\r\n',
        b"To: undisclosed-recipients:;\r\nBcc: hidden@example.net,\r\n more@example.net\r\n",
        b"Received: from a by b;\r\n\tFri, 20 Nov 2026 16:10:00 +0000\r\n",
        b"Subject: =?utf-8?q?Sch=C3=B6n?=\r\n =?iso-8859-1?b?4fI=?=\r\n",
        b"Date: Fri, 20 Nov 2026 16:10:00 +0000\r\nMessage-ID: <1@example.com>\r\n",
        b"X-SMTPeter-TrackClicks: true\r\nX-Pillarbox-Tags: a,b, c\r\nX-Pillarbox-Images: hosted\r\n",
        b"Resent-Bcc : x@example.net\r\n",
    ]
    for relays in (0, 1, 8, 16, 24):
        yield bytes([relays]) + b"".join(lines[1:]) + b"\r\nHello\r\n"
        yield bytes([relays]) + lines[0] + lines[1] + b"no field\r\n"
        for line in lines:
            yield bytes([relays]) + line
            yield bytes([relays]) + line + b"\r\n.\r\n"
    for line in (b"tags: a,b", b"TrackOpens: yes\nimages: default", b"inlinecss:off"):
        yield b"\2" + line
    for one in ADDRESSES:
        yield b"\4Ann <" + one + b">, (c) " + one
    yield b"\6=?utf-8?q?Sch=C3=B6n?= =?iso-8859-1?b?4fI=?= x"


TARGET = Target(
    run,
    seeds,
    (
        b"\r\nFrom: ", b"\r\nBcc: ", b"\r\nResent-Bcc: ", b"\r\nSubject: ", b"\r\nDate: ",
        b"\r\nMessage-ID: ", b"\r\nReceived: ", b"\r\nX-SMTPeter-", b"\r\nX-Pillarbox-", b"\r\n ",
        b"\r\n\t", b"\r\n\r\n", b"From ", b">From ", b" :", b"TrackClicks: ", b"tags: ", b"images: ",
        b"true", b"off", b"hosted", b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"<", b">", b'"', b"(", b")",
        b"\\", b",", b";", *ADDRESSES,
    ),
    1500,
)  # fmt: skip
