"""Account, App, Server, Key: who may send, as whom, and through what"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret


class Mode(StrEnum):
    """What becomes of mail; `strictest` of an app's and its submitter's holds."""

    OFF = "off"
    SANDBOX = "sandbox"
    HOLD = "hold"
    LIVE = "live"


_BY_STRICTNESS = (Mode.OFF, Mode.SANDBOX, Mode.HOLD, Mode.LIVE)


def strictest(*modes: Mode | None) -> Mode:
    """The most careful of the modes given; None has no say, nothing at all means live."""
    given = [mode for mode in modes if mode is not None]
    return min(given, key=_BY_STRICTNESS.index, default=Mode.LIVE)


class Encryption(StrEnum):
    """How a connection to a server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Strategy(StrEnum):
    """In which order an app's servers are tried."""

    PRIORITY = "priority"
    RANDOM = "random"


class Uncertain(StrEnum):
    """What follows a connection lost behind the final dot."""

    RETRY = "retry"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose mail it is."""

    id: ObjectId
    name: str
    may_send: bool = True
    contact: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """A sending context: its servers, logins, keys and sender defaults."""

    id: ObjectId
    account: ObjectId
    name: str
    label: str = ""
    description: str = ""
    active: bool = True
    mode: Mode = Mode.SANDBOX
    strategy: Strategy = Strategy.PRIORITY
    test_address: str = ""
    from_address: str = ""
    from_name: str = ""
    reply_to_address: str = ""
    reply_to_name: str = ""
    allowed_senders: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """An upstream SMTP server of an app. `status` is ``A`` (active) or ``D`` (disabled)."""

    id: ObjectId
    app: ObjectId
    name: str
    host: str
    port: int = 587
    encryption: Encryption = Encryption.STARTTLS
    verify: bool = True
    ca_file: str = ""
    username: str = ""
    password: Secret | None = None
    priority: int = 10
    weight: int = 1
    status: str = "A"
    errors: int = 0
    max_connections: int = 20
    from_address: str = ""
    from_name: str = ""
    created_at: int = 0
    modified_at: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """What a program shows over HTTP; belongs to the account, may be narrowed to one app."""

    id: ObjectId
    account: ObjectId
    name: str
    secret_hash: bytes
    hint: str
    """The first characters, so that people can tell keys apart."""
    app: ObjectId | None = None
    verbs: tuple[str, ...] = ("send", "read", "manage")
    active: bool = True
    mode: Mode | None = None
    uncertain: Uncertain = Uncertain.RETRY
    allowed_senders: tuple[str, ...] = ()
    created_at: int = 0
    used_at: int | None = None
