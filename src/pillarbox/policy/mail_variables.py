"""the MAIL_ variables of other programs, read as an app with its server"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from pillarbox.policy.directory import App
from pillarbox.policy.server import Encryption, Server
from pillarbox.terms.address import InvalidAddress, parse_address
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.secret import Secret

NAMES: Final = (
    "MAIL_MAILER", "MAIL_DRIVER", "MAIL_HOST", "MAIL_PORT", "MAIL_USERNAME", "MAIL_PASSWORD",
    "MAIL_ENCRYPTION", "MAIL_SCHEME", "MAIL_FROM_ADDRESS", "MAIL_FROM_NAME",
)  # fmt: skip
"""All that are looked at."""

_MOST_LINES: Final = 1000
_MOST_CHARACTERS: Final = 2000
_USUAL_PORT: Final = 587
_TLS_PORT: Final = 465
_HIGHEST_PORT: Final = 65535
_NOTHING: Final = frozenset({"null", "(null)", "empty", "(empty)"})
_ENCRYPTIONS: Final = {
    "": Encryption.NONE,
    "tls": Encryption.STARTTLS,
    "starttls": Encryption.STARTTLS,
    "smtp": Encryption.STARTTLS,
    "ssl": Encryption.TLS,
    "smtps": Encryption.TLS,
}
_HOST: Final = re.compile(r"[A-Za-z0-9:._-]{1,255}")
_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,99})\s*=\s*(.*?)\s*")
_DOUBLE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s*#.*)?')
_SINGLE: Final = re.compile(r"'([^']*)'(?:\s*#.*)?")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_NESTED: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,99})\}")


class InvalidVariable(PillarboxError):
    """A MAIL_ variable has a value that cannot be used."""

    code: ClassVar[str] = "config_invalid"


@dataclass(frozen=True, slots=True)
class MailVariables:
    """What they say. `username` and `password` are empty unless both are given."""

    host: str
    port: int
    encryption: Encryption
    username: str
    password: Secret
    from_address: str
    from_name: str


def parse_lines(text: str) -> dict[str, str]:
    """The variables in the text of a ``.env`` file; lines that are none are passed over.

    ``${NAME}`` is replaced by what stands above it, except in single quotes.
    """
    found: dict[str, str] = {}
    for line in text.splitlines()[:_MOST_LINES]:
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        name, said = match[1], match[2]
        if single := _SINGLE.fullmatch(said):
            found[name] = single[1]
            continue
        if double := _DOUBLE.fullmatch(said):
            value = re.sub(r"\\(.)", r"\1", double[1])
        else:
            value = _COMMENT.sub("", said)
        value = _NESTED.sub(lambda nested: found.get(nested[1], nested[0]), value)
        found[name] = value[:_MOST_CHARACTERS]
    return found


def read_variables(said: Mapping[str, str]) -> MailVariables | None:
    """What the variables say; None where they speak of no SMTP server. Raises `InvalidVariable`."""
    given = {
        name: "" if said[name].strip().lower() in _NOTHING else said[name].strip()
        for name in NAMES
        if name in said
    }
    driver = given.get("MAIL_MAILER") or given.get("MAIL_DRIVER") or ""
    if driver.lower() != "smtp":
        return None
    host = given.get("MAIL_HOST", "")
    if not _HOST.fullmatch(host):
        raise _wrong("MAIL_HOST", "is missing, or no name of a host")
    port = _port(given.get("MAIL_PORT", ""))
    username, password = given.get("MAIL_USERNAME", ""), given.get("MAIL_PASSWORD", "")
    both = bool(username and password)
    return MailVariables(
        host,
        port,
        _encryption(given, port),
        username if both else "",
        Secret(password if both else ""),
        _address(given.get("MAIL_FROM_ADDRESS", "")),
        _one_line("MAIL_FROM_NAME", given.get("MAIL_FROM_NAME", "")),
    )


def differing(variables: MailVariables, app: App, server: Server | None) -> list[str]:
    """The variables that say something else than what is stored, by name."""
    if server is None:
        return ["MAIL_HOST"]
    stored = server.password or Secret("")
    pairs: dict[str, tuple[object, object]] = {
        "MAIL_HOST": (variables.host.lower(), server.host.lower()),
        "MAIL_PORT": (variables.port, server.port),
        "MAIL_ENCRYPTION": (variables.encryption, server.encryption),
        "MAIL_USERNAME": (variables.username, server.username),
        "MAIL_PASSWORD": (variables.password, stored),
        "MAIL_FROM_ADDRESS": (variables.from_address, app.from_address),
        "MAIL_FROM_NAME": (variables.from_name, app.from_name),
    }
    return [name for name, (said, held) in pairs.items() if said != held]


def _port(text: str) -> int:
    if not text:
        return _USUAL_PORT
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= _HIGHEST_PORT:
        return int(text)
    raise _wrong("MAIL_PORT", "is no port from 1 to 65535")


def _encryption(given: Mapping[str, str], port: int) -> Encryption:
    name = next((name for name in ("MAIL_ENCRYPTION", "MAIL_SCHEME") if given.get(name)), "")
    if not name:
        # Said to be nothing is nothing; not said at all is what is safe.
        if "MAIL_ENCRYPTION" in given:
            return Encryption.NONE
        return Encryption.TLS if port == _TLS_PORT else Encryption.STARTTLS
    found = _ENCRYPTIONS.get(given[name].lower())
    if found is None:
        raise _wrong(name, "is none of tls, ssl, and nothing at all")
    return found


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        return parse_address(text).text
    except InvalidAddress:
        raise _wrong("MAIL_FROM_ADDRESS", "is no mail address") from None


def _one_line(name: str, text: str) -> str:
    if not text.isprintable() or len(text) > 100:
        raise _wrong(name, "is longer than 100 characters, or has some that cannot be shown")
    return text


def _wrong(name: str, what: str) -> InvalidVariable:
    # Never its value: it may be a password that went into the wrong line.
    return InvalidVariable(f"{name} {what}", fix="correct it, or take MAIL_MAILER away")
