"""what may stand behind MAIL, RCPT and AUTH, or in a line of its own"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from pillarbox.protocol import sasl
from pillarbox.protocol.command import (
    check_envelope,
    format_mail,
    format_wishes,
    parse_command,
)
from pillarbox.protocol.errors import InputError
from pillarbox.protocol.extensions import Extensions, ServerLimits
from pillarbox.protocol.path import decode_xtext, encode_xtext, parse_mail, parse_rcpt
from pillarbox.terms.address import MAX_LOCAL_OCTETS, parse_address, parse_mailbox
from pillarbox.terms.errors import PillarboxError
from tests.fuzz.targets import Target
from tests.fuzz.words import ADDRESSES, PARAMETERS

LIMITS = ServerLimits(1000, 10, mail_parameters=frozenset({"RET", "ENVID", "AUTH", "SMTPUTF8"}))
EVERYTHING = Extensions.parse(["SIZE", "8BITMIME", "SMTPUTF8", "DSN"])
_ALLOWED = {
    "SIZE": str.isdigit,
    "BODY": {"7BIT", "8BITMIME"}.__contains__,
    "SMTPUTF8": {""}.__contains__,
    "RET": {"FULL", "HDRS"}.__contains__,
    "ENVID": str.isprintable,
    "AUTH": str.isprintable,
    "ORCPT": str.isprintable,
    "NOTIFY": lambda value: value == "NEVER" or set(value.split(",")) <= {"SUCCESS", "FAILURE", "DELAY"},
}  # fmt: skip


def run(data: bytes) -> None:
    """The first octet says what the rest is."""
    kind = data[0] % len(KINDS) if data else 0
    with suppress(UnicodeDecodeError):
        KINDS[kind](data[1:].decode())


def mail(text: str) -> None:
    """What MAIL takes can be said by our own client, and means the same when it is said again."""
    try:
        path, parameters = parse_mail(text, LIMITS.of_mail(tls=True))
    except InputError as error:
        _answered(error)
        return
    _parameters(parameters)
    if path:
        _address(path)
        if not path.isascii():
            assert "SMTPUTF8" in parameters
        check_envelope(path, [path], utf8=True)
    again = format_mail(
        path,
        EVERYTHING,
        size=int(parameters["SIZE"]) if "SIZE" in parameters else None,
        body=parameters.get("BODY", "7BIT"),
        smtputf8="SMTPUTF8" in parameters,
        report=parameters.get("RET"),
        envelope_id=parameters.get("ENVID"),
    )
    heard = parse_mail(again.removeprefix("MAIL ").removesuffix("\r\n"), LIMITS.of_mail(tls=True))
    assert heard[0] == path
    assert _said_on(heard[1]) == _said_on(parameters)


def rcpt(text: str) -> None:
    """As for MAIL; with and without SMTPUTF8."""
    taken: list[tuple[str, dict[str, str]] | None] = []
    for utf8 in (False, True):
        try:
            taken.append(parse_rcpt(text, LIMITS.of_rcpt(), utf8=utf8))
        except InputError as error:
            _answered(error)
            taken.append(None)
    narrow, wide = taken
    assert narrow is None or narrow == wide, "SMTPUTF8 takes nothing away"
    if wide is not None:
        address, parameters = wide
        _parameters(parameters)
        if address.lower() != "postmaster":
            _address(address)
        check_envelope("", [address], utf8=True)
        wishes = format_wishes(parameters.get("NOTIFY", ""), parameters.get("ORCPT"))
        again = f"TO:<{address}>{wishes}"
        assert parse_rcpt(again, LIMITS.of_rcpt(), utf8=True) == (address, parameters)


def _said_on(parameters: dict[str, str]) -> dict[str, str]:
    """Those that we say to the next hop; the size is that of what we send, not of what came."""
    told = {name: value for name, value in parameters.items() if name not in ("SIZE", "AUTH")}
    return {name: value for name, value in told.items() if (name, value) != ("BODY", "7BIT")}


def address(text: str) -> None:
    """An address that is taken stays what it is."""
    try:
        found = parse_address(text)
    except PillarboxError as error:
        assert len(text) < 8 or text not in error.sentence, "what was said comes back"
        return
    _address(found.text)
    assert parse_address(found.text) == found
    assert text.startswith(found.local), "the local part is never touched"


def mailbox(text: str) -> None:
    """What people type."""
    with suppress(PillarboxError):
        name, found = parse_mailbox(text)
        _address(found.text)
        assert "\r" not in name and "\n" not in name


def xtext(text: str) -> None:
    """There and back again."""
    if text:
        encoded = encode_xtext(text)
        assert encoded.isascii() and encoded.isprintable() and " " not in encoded
        try:
            assert decode_xtext(encoded) == text
        except InputError:
            assert not text.isprintable()
    with suppress(InputError):
        decoded = decode_xtext(text)
        assert decode_xtext(encode_xtext(decoded)) == decoded


def login(text: str) -> None:
    """An exchange of up to three lines."""
    first, *rest = text.split("\n")
    try:
        exchange, step = sasl.begin(first)
        for line in rest:
            if not isinstance(step, str):
                break
            step = exchange.respond(line)
    except InputError as error:
        _answered(error)
        return
    if isinstance(step, sasl.Claim):
        assert step.username and "\0" not in step.username + step.password.reveal()
        assert step.mechanism in sasl.MECHANISMS
        assert step.authorization != step.username


def command(text: str) -> None:
    """A verb is one of ours or none."""
    verb, argument = parse_command(text)
    assert argument == argument.strip(" ") and argument in text
    if verb is not None:
        assert text[: len(verb)].upper() == verb and text[len(verb) : len(verb) + 1] in ("", " ")


KINDS: tuple[Callable[[str], None], ...] = (mail, rcpt, address, mailbox, xtext, login, command)


def _answered(error: InputError) -> None:
    reply = error.answer
    assert reply.severity == 5 and reply.status and reply.status[0] == "5" and reply.text


def _parameters(parameters: dict[str, str]) -> None:
    for name, value in parameters.items():
        assert _ALLOWED[name](value), (name, value)


def _address(text: str) -> None:
    local, _, domain = text.rpartition("@")
    assert local and domain
    assert len(local.encode()) <= MAX_LOCAL_OCTETS and len(domain) <= 255
    assert (domain.isascii() and domain == domain.lower()) or domain[0] == "["
    assert not any(ord(c) < 32 or ord(c) == 127 for c in text), "a control character"
    if not local.startswith('"'):
        assert not set(local) & set(' <>()[]\\,;:"@')


def seeds() -> Iterator[bytes]:
    """Every address with every parameter once."""
    for number, one in enumerate(ADDRESSES):
        yield b"\0FROM:<" + one + b">" + PARAMETERS[number % len(PARAMETERS)]
        yield b"\1TO:<" + one + b">" + PARAMETERS[-number % len(PARAMETERS)]
        yield b"\2" + one
        yield b"\3Ann <" + one + b">"
        yield b"\4" + one
    yield b"\5PLAIN AHNob3AAcGEgc3Mgd29yZA=="
    yield b"\5LOGIN\nc2hvcA==\ncGEgc3Mgd29yZA=="
    yield b"\6mail from:<a@example.com>"


TARGET = Target(run, seeds, (*ADDRESSES, *PARAMETERS, b"FROM:<", b"TO:<", b">", b"+3D", b";"), 600)
