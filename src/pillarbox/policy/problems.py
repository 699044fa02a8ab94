"""connection problems: why a client could not hand in mail, in words, and what it should change

A client is told little, so that nobody learns from us who has a login here; it gets a reference, under
which its operator finds the reason. The reference says nothing about the reason either.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.terms.ids import ObjectId

_REFERENCE_BYTES: Final = 5
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_SHOWN_CHARACTERS: Final = 100


class ProblemKind(StrEnum):
    """What went wrong."""

    UNKNOWN_USERNAME = "unknown_username"
    WRONG_PASSWORD = "wrong_password"
    ROTATED_PASSWORD = "rotated_password"
    DISABLED = "credential_disabled"
    EXPIRED = "credential_expired"
    ADDRESS_NOT_ALLOWED = "ip_not_allowed"
    OTHER_AUTHORIZATION = "other_authorization"
    THROTTLED = "throttled"
    TOO_MANY_SESSIONS = "too_many_sessions"
    IN_CLEAR = "in_clear"
    NO_LOGIN = "no_login"
    MECHANISM = "mechanism_unknown"
    TLS_ON_STARTTLS = "tls_on_starttls_port"
    CLEAR_ON_TLS = "clear_on_tls_port"
    SILENT_ON_TLS = "silent_on_tls_port"
    HANDSHAKE = "tls_handshake_failed"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    MAY_NOT_SEND = "may_not_send"


@dataclass(frozen=True, slots=True)
class Problem:
    """One connection that led to nothing, or one mail that was refused for who sent it."""

    kind: ProblemKind
    address: str
    port: int = 0
    """Ours, to which it came."""
    username: str = ""
    """As the client gave it, shortened."""
    credential: ObjectId | None = None
    """Where there is a login of that user name."""
    detail: str = ""

    @property
    def reference(self) -> str:
        """What the client was given to ask about: the same for whatever fails for this client and
        user name, so that it tells nobody why.
        """
        who = f"{self.address}\n{self.username}".encode("utf-8", "replace")
        number = int.from_bytes(hashlib.sha256(who).digest()[:_REFERENCE_BYTES])
        return "".join(_ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))

    @property
    def key(self) -> bytes:
        """Equal for problems that are counted as one."""
        told = f"{self.kind}\n{self.address}\n{self.port}\n{self.username}\n{self.detail}"
        return hashlib.sha256(told.encode("utf-8", "replace")).digest()[:16]


@dataclass(frozen=True, slots=True)
class Words:
    """A problem for people: what happened, and what the client should change."""

    what: str
    fix: str


_WORDS: Final = {
    ProblemKind.UNKNOWN_USERNAME: Words(
        "No login has the user name {username}.",
        "Enter the user name as it was shown when the login was made; pillarbox credential list "
        "has them all.",
    ),
    ProblemKind.WRONG_PASSWORD: Words(
        "Wrong password for {username}.",
        "Enter the password again, with its spaces if it has any. If it is lost, "
        "pillarbox credential rotate {username} makes a new one.",
    ),
    ProblemKind.ROTATED_PASSWORD: Words(
        "The password of {username} was rotated, and this client still has the old one.",
        "Give the client the new password.",
    ),
    ProblemKind.DISABLED: Words(
        "The login {username} is switched off.",
        "Give the client another login; or pillarbox credential enable {username} switches this one "
        "on again.",
    ),
    ProblemKind.EXPIRED: Words(
        "The login {username} was valid until a date that has passed.",
        "Make a new login; or pillarbox credential set --expires 90d {username} gives this one "
        "more time.",
    ),
    ProblemKind.ADDRESS_NOT_ALLOWED: Words(
        "{username} may not log in from {address}.",
        "Connect from an allowed address; or pillarbox credential set --allow-address {address} "
        "{username} adds this one.",
    ),
    ProblemKind.OTHER_AUTHORIZATION: Words(
        "{username} asked to act as somebody else ({detail}).",
        "Leave the authorization identity of the client empty.",
    ),
    ProblemKind.THROTTLED: Words(
        "Too many failed logins came from {address}; it was sent away without being asked.",
        "Correct the password of the client that fails, then wait a few minutes.",
    ),
    ProblemKind.TOO_MANY_SESSIONS: Words(
        "{username} had as many connections open as it may have.",
        "Close connections that are not used, or send several messages over one.",
    ),
    ProblemKind.IN_CLEAR: Words(
        "The client tried to log in or to send without TLS.",
        "Set its encryption to STARTTLS, or use a port that speaks TLS from the start.",
    ),
    ProblemKind.NO_LOGIN: Words(
        "The client sent mail without logging in.",
        "Switch on authentication in the client, with user name and password.",
    ),
    ProblemKind.MECHANISM: Words(
        "The client wanted to log in in a way that is not offered: {detail}.",
        "Set its authentication to normal password (PLAIN or LOGIN).",
    ),
    ProblemKind.TLS_ON_STARTTLS: Words(
        "The client spoke TLS from the first byte on port {port}, which begins in clear.",
        "Set its encryption to STARTTLS, or its port to one that speaks TLS from the start.",
    ),
    ProblemKind.CLEAR_ON_TLS: Words(
        "The client spoke in clear on port {port}, which speaks TLS from the first byte.",
        "Set its encryption to SSL/TLS, or its port to one for STARTTLS.",
    ),
    ProblemKind.SILENT_ON_TLS: Words(
        "The client connected to port {port}, which speaks TLS from the first byte, and waited for "
        "a greeting in clear.",
        "Set its encryption to SSL/TLS, or its port to one for STARTTLS.",
    ),
    ProblemKind.HANDSHAKE: Words(
        "No TLS connection came about: {detail}.",
        "If it does not trust our certificate, give the client our CA file, or give Pillarbox a "
        "certificate of a public authority.",
    ),
    ProblemKind.SENDER_NOT_ALLOWED: Words(
        "{username} was refused because of the sender: {detail}.",
        "Let the client use an allowed sender; or pillarbox credential set --allow-from ADDRESS "
        "{username} adds one. Where its app has a list of senders, that has to allow it as well.",
    ),
    ProblemKind.MAY_NOT_SEND: Words(
        "The account of {username} has no permission to send.",
        "Permit it: pillarbox account permit.",
    ),
}


def shown(text: str) -> str:
    """What a stranger said, fit to be kept and shown."""
    printable = "".join(c if c.isprintable() else "?" for c in text[: _SHOWN_CHARACTERS + 1])
    if len(printable) <= _SHOWN_CHARACTERS:
        return printable
    return printable[:_SHOWN_CHARACTERS] + "..."


def words_for(problem: Problem) -> Words:
    """What happened, and what the client should change."""
    words = _WORDS[problem.kind]
    facts = {
        "address": problem.address or "this machine",
        "port": problem.port,
        "username": problem.username or "the client",
        "detail": problem.detail.removesuffix(".") or "unknown",
    }
    return Words(words.what.format(**facts), words.fix.format(**facts))
