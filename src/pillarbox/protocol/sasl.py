"""AUTH mechanisms as I/O-free exchanges: PLAIN, LOGIN in; PLAIN, LOGIN and bearer tokens out"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.protocol.errors import (
    BadExchange,
    ExchangeCancelled,
    LocalProtocolError,
    MechanismMissing,
    UnknownMechanism,
)
from pillarbox.terms.secret import Secret

CANCEL: Final = "*"
EMPTY: Final = "="
"""An initial response of no length, as RFC 4954 §4 writes it."""

MAX_INITIAL_CHARACTERS: Final = 400
"""A longer initial response waits for the challenge, for the sake of the command's 512 octets."""

_USERNAME_PROMPT: Final = b64encode(b"Username:").decode()
_PASSWORD_PROMPT: Final = b64encode(b"Password:").decode()


# --- in: what a client says about itself ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """What a finished exchange says; whether it is true is for others to find out."""

    mechanism: str
    username: str
    password: Secret
    authorization: str = ""
    """The identity PLAIN asks to act as; empty where it is the user's own."""


class ServerExchange(Protocol):
    """One AUTH exchange. A `str` is the next challenge in base64, a `Claim` the end."""

    def respond(self, line: str) -> str | Claim:
        """Take the client's response in base64. Raises `BadExchange`."""
        ...


class PlainExchange:
    """RFC 4616: everything in one response, parted by NULs."""

    challenge = ""

    def respond(self, line: str) -> Claim:
        """The end of the exchange. Raises `BadExchange`."""
        parts = _text(line).split("\0")
        if len(parts) != 3 or not parts[1]:  # who to act as, who it is, the password
            raise BadExchange
        return Claim("PLAIN", parts[1], Secret(parts[2]), "" if parts[0] == parts[1] else parts[0])


class LoginExchange:
    """User name, then password. No RFC has it; the prompts are those every client knows."""

    challenge = _USERNAME_PROMPT

    def __init__(self) -> None:
        """Before the user name."""
        self._username = ""

    def respond(self, line: str) -> str | Claim:
        """The prompt for the password, then the end. Raises `BadExchange`."""
        text = _text(line)
        if "\0" in text:
            raise BadExchange
        if self._username:
            return Claim("LOGIN", self._username, Secret(text))
        if not text:
            raise BadExchange
        self._username = text
        return _PASSWORD_PROMPT


MECHANISMS: Final[dict[str, type[PlainExchange | LoginExchange]]] = {
    "PLAIN": PlainExchange,
    "LOGIN": LoginExchange,
}


def begin(argument: str) -> tuple[ServerExchange, str | Claim]:
    """The exchange that AUTH with `argument` opens, and its first challenge.

    With an initial response there is what follows from it in place of the challenge. Raises
    `MechanismMissing`, `UnknownMechanism`, `BadExchange`.
    """
    mechanism, _, initial = argument.partition(" ")
    kind = MECHANISMS.get(mechanism.upper())
    if kind is None:
        raise UnknownMechanism(detail=f"AUTH {mechanism}") if mechanism else MechanismMissing
    exchange = kind()
    response = initial.strip(" ")
    if not response:
        return exchange, kind.challenge
    return exchange, exchange.respond("" if response == EMPTY else response)


def _text(line: str) -> str:
    if line == CANCEL:
        raise ExchangeCancelled
    if len(line) % 4:
        # Padding that is too long is read over by some versions of Python and refused by others.
        raise BadExchange
    try:
        return b64decode(line.encode("ascii"), validate=True).decode()
    except (Base64Error, UnicodeError, ValueError):
        raise BadExchange from None


# --- out: what we say about ourselves ---------------------------------------------------------


BEARER: Final = ("XOAUTH2", "OAUTHBEARER")
"""Mechanisms whose password is an access token, the one more widely spoken first."""

_REASON_CHARACTERS: Final = 500
_NOTHING: Final = b64encode(b"\1").decode()
"""What RFC 7628 §3.2.3 answers to the reason of a failure."""


class ClientExchange:
    """Our side of an exchange: an initial response, perhaps, and an answer to each challenge."""

    __slots__ = ("_answers", "_secret", "initial", "mechanism", "reason")

    def __init__(
        self, mechanism: str, username: str, password: Secret, *, host: str = "", port: int = 0
    ) -> None:
        """PLAIN, LOGIN, or one of `BEARER`, whose password is an access token. `host` and `port`
        are those that OAUTHBEARER names. Raises `LocalProtocolError`.

        A NUL in a name or password cannot be said in PLAIN and is refused in all of them.
        """
        self.mechanism = mechanism.upper()
        self.reason = ""
        """Why a token was refused, in the server's words, where it gave them."""
        self._secret = password
        secret = password.reveal()
        if "\0" in username or "\0" in secret or "\1" in username + secret:
            raise LocalProtocolError("a user name or password cannot hold control characters")
        match self.mechanism:
            case "PLAIN":
                answers = [_base64(f"\0{username}\0{secret}")]
            case "LOGIN":
                answers = [_base64(username), _base64(secret)]
            case "XOAUTH2":
                # A challenge after the first response is an error message; an empty answer asks
                # for the verdict.
                answers = [_base64(f"user={username}\1auth=Bearer {secret}\1\1"), ""]
            case "OAUTHBEARER":
                # RFC 7628 §3.1; a comma and an equals sign are quoted as RFC 5801 §4 has it.
                name = username.replace("=", "=3D").replace(",", "=2C")
                where = f"\1host={host}\1port={port}" if host else ""
                answers = [_base64(f"n,a={name},{where}\1auth=Bearer {secret}\1\1"), _NOTHING]
            case _:
                raise LocalProtocolError(
                    "this AUTH mechanism is not known here",
                    fix="use PLAIN, LOGIN, XOAUTH2 or OAUTHBEARER",
                )
        alone = self.mechanism != "LOGIN" and len(answers[0]) <= MAX_INITIAL_CHARACTERS
        self.initial = answers[0] if alone else None
        self._answers = answers

    @property
    def command(self) -> str:
        """The AUTH command, without line end."""
        return f"AUTH {self.mechanism}" + (f" {self.initial}" if self.initial else "")

    def answer(self, challenge: str) -> str:
        """The response to a 334; an asterisk where there is nothing more to say."""
        bearer = self.mechanism in BEARER
        if self.initial is not None:
            # Said already. Some servers overlook an initial response and ask for it again.
            if bearer and challenge:
                self._answers = self._answers[1:]
            self.initial = None
        if not self._answers:
            return CANCEL
        if bearer and len(self._answers) == 1:
            reason = _reason(challenge)
            self.reason = "" if self._secret.reveal() in reason else reason
        return self._answers.pop(0)


def _reason(challenge: str) -> str:
    """What a server says of a token it refuses: JSON in base64, shown and never obeyed."""
    try:
        text = " ".join(b64decode(challenge.encode("ascii"), validate=True).decode().split())
    except (Base64Error, UnicodeError, ValueError):
        return ""
    return text[:_REASON_CHARACTERS] if text.isprintable() else ""


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
