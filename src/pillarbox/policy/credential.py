"""Credential: an SMTP login of an app, and everything that holds for mail handed in with it"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pillarbox.policy.directory import Mode, Uncertain
from pillarbox.terms.ids import ObjectId


class CredentialKind(StrEnum):
    """Whether a login passes on other people's mail."""

    PROGRAM = "program"
    RELAY = "relay"


class OverLimit(StrEnum):
    """What becomes of mail that passes a limit of its login."""

    DEFER = "defer"
    """451: the client tries again later."""
    HOLD = "hold"
    """Taken, and kept until a person lets it go."""
    REJECT = "reject"
    """550: for good."""


class PasswordStyle(StrEnum):
    """What a password that is made looks like."""

    PLAIN = "plain"
    """Letters and digits: nothing that a shell, URL or .env file would change."""
    SPACED = "spaced"
    """Groups of letters and digits with blanks between them, and every blank counts."""


class Once(StrEnum):
    """By what a login's mail is recognised when it is handed in again."""

    KEY = "key"
    """By the key in an idempotency header, where a message has one."""
    MESSAGE_ID = "message-id"
    """By that key, and otherwise by the Message-ID field."""


@dataclass(frozen=True, slots=True)
class Former:
    """The login as it was before it was rotated, while it still holds."""

    username: str
    password_hash: bytes
    until: int
    """Milliseconds; from then on it fails."""
    since: int = 0
    """When it was rotated away, in milliseconds."""


@dataclass(frozen=True, slots=True)
class LoginUse:
    """One login, as it is remembered."""

    at: int
    address: str = ""
    tls: str = ""
    """Version and cipher, empty in clear."""
    hello: str = ""
    """What the client said it was called."""


@dataclass(frozen=True, slots=True)
class Uses:
    """The last login, and the last one that still used the former password or user name."""

    last: LoginUse
    former: LoginUse | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """An SMTP login of an app."""

    id: ObjectId
    app: ObjectId
    name: str
    username: str
    password_hash: bytes
    kind: CredentialKind = CredentialKind.PROGRAM
    active: bool = True
    mode: Mode | None = None
    uncertain: Uncertain = Uncertain.RETRY
    allowed_senders: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    created_at: int = 0
    used_at: int | None = None
    fixed_options: tuple[str, ...] = ()
    """Options that no header of a message may set otherwise."""
    allowed_addresses: tuple[str, ...] = ()
    """Networks (CIDR) from which it may log in; empty: from everywhere."""
    forward_address: str = ""
    """Where bounces are sent on to, instead of the return path."""
    per_minute: int = 0
    """Most recipients in a minute, 0 for no limit; likewise in an hour and in a day."""
    per_hour: int = 0
    per_day: int = 0
    over_limit: OverLimit = OverLimit.DEFER
    max_message_bytes: int = 0
    """0: as large as the listener takes."""
    expires_at: int | None = None
    """Milliseconds; from then on nobody logs in with it."""
    once: Once = Once.KEY
    former: Former | None = None
    uses: Uses | None = None

    def has_expired(self, now_ms: int) -> bool:
        """Whether its end has come."""
        return self.expires_at is not None and now_ms >= self.expires_at

    def holds_former(self, now_ms: int) -> bool:
        """Whether what was rotated away still works."""
        return self.former is not None and now_ms < self.former.until

    def former_use(self) -> LoginUse | None:
        """The last login with what was rotated away; one from before the rotation is none."""
        use = self.uses.former if self.uses is not None else None
        if use is None or self.former is None or use.at < self.former.since:
            return None
        return use
