"""a line becomes a verb and its arguments"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.extensions import Extensions
from pillarbox.protocol.path import encode_xtext, format_original
from pillarbox.terms.address import InvalidAddress, parse_address

_DANGEROUS: Final = re.compile(r"[\x00-\x1f\x7f<> ]")
_WISH: Final = re.compile(r"[A-Za-z,]*")
_KIND: Final = re.compile(r"[A-Za-z0-9-]+")


class Verb(StrEnum):
    """The commands the server session knows."""

    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    RSET = "RSET"
    NOOP = "NOOP"
    VRFY = "VRFY"
    EXPN = "EXPN"
    HELP = "HELP"
    QUIT = "QUIT"

    __hash__ = str.__hash__


_VERBS: Final = {verb.value: verb for verb in Verb}

WITHOUT_ARGUMENT: Final = frozenset({Verb.STARTTLS, Verb.DATA, Verb.RSET, Verb.QUIT})


def parse_command(line: str) -> tuple[Verb | None, str]:
    """The verb, in any case, and its arguments without spaces around; None for an unknown one."""
    word, _, argument = line.partition(" ")
    verb = _VERBS.get(word)
    if verb is None and word.isascii():  # beyond ASCII there are more letters that become an S
        verb = _VERBS.get(word.upper())
    return verb, argument.strip(" ")


def format_hello(verb: Verb, name: str) -> bytes:
    """EHLO or HELO with our name. Raises `LocalProtocolError`."""
    if not name or not name.isascii() or _DANGEROUS.search(name):
        raise LocalProtocolError("the name to say in EHLO is not a host name or address literal")
    return f"{verb} {name}\r\n".encode("ascii")


def format_mail(
    return_path: str,
    offered: Extensions,
    *,
    size: int | None,
    body: str,
    smtputf8: bool,
    report: str | None = None,
    envelope_id: str | None = None,
    requiretls: bool = False,
) -> str:
    """MAIL with those parameters that the peer offered.

    Raises `LocalProtocolError`, also for `requiretls` where the peer did not offer it: that must
    not be left out.
    """
    parameters = ""
    keywords = offered.keywords
    if size is not None and "SIZE" in keywords:
        parameters = f" SIZE={size}"
    if body != "7BIT" and "8BITMIME" in keywords:
        parameters += f" BODY={_checked_body(body)}"
    if smtputf8 and "SMTPUTF8" in keywords:
        parameters += " SMTPUTF8"
    if (report or envelope_id) and "DSN" in keywords:
        parameters += _checked_report(report) if report else ""
        parameters += f" ENVID={encode_xtext(envelope_id)}" if envelope_id else ""
    if requiretls:
        if "REQUIRETLS" not in keywords:
            raise LocalProtocolError("the message requires TLS, and the peer does not offer that")
        parameters += " REQUIRETLS"
    return f"MAIL FROM:<{return_path}>{parameters}\r\n"


def format_wishes(notify: str, original: str | None) -> str:
    """What follows a recipient for a peer that offers DSN; nothing where nothing was wished.

    `notify` is empty where NOTIFY was not said: then it must not be said to others either
    (RFC 3461 §5.2.1). Raises `LocalProtocolError`.
    """
    if not _WISH.fullmatch(notify):
        raise LocalProtocolError("NOTIFY is a list of words")
    wishes = f" NOTIFY={notify}" if notify else ""
    if original is not None:
        if not _KIND.fullmatch(original.partition(";")[0]):
            raise LocalProtocolError("an original recipient begins with the type of its address")
        wishes += f" ORCPT={format_original(original)}"
    return wishes


def check_envelope(return_path: str, recipients: Sequence[str], *, utf8: bool) -> None:
    """Raises `LocalProtocolError` for an address that could change the meaning of its command.

    `utf8`: whether addresses beyond ASCII may be sent.
    """
    if not recipients or not all(recipients):
        raise LocalProtocolError(
            "an envelope has at least one recipient, and none of them is empty"
        )
    joined = "".join((return_path, *recipients))
    if _DANGEROUS.search(joined):
        for address in (return_path, *recipients):
            _check_address(address)
    if not utf8 and not joined.isascii():
        raise LocalProtocolError("an address beyond ASCII needs a peer that offers SMTPUTF8")


def _check_address(address: str) -> None:
    # Spaces and angle brackets are lawful inside quotes, and nowhere else.
    try:
        if _DANGEROUS.search(address):
            parse_address(address)
    except InvalidAddress as wrong:
        raise LocalProtocolError(
            "an address holds a control character, a space or an angle bracket"
        ) from wrong


def _checked_report(report: str) -> str:
    if report not in ("FULL", "HDRS"):
        raise LocalProtocolError("RET is FULL or HDRS")
    return f" RET={report}"


def _checked_body(body: str) -> str:
    if body != "8BITMIME":
        raise LocalProtocolError("the body of a message is 7BIT or 8BITMIME")
    return body
