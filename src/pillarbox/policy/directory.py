"""Account, App, Key: who may send, and as whom"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pillarbox.terms.ids import ObjectId


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


class Strategy(StrEnum):
    """In which order an app's servers are tried."""

    PRIORITY = "priority"
    RANDOM = "random"


class VisitDetail(StrEnum):
    """What is kept of who visits tracked links and images of an app's mail."""

    DEFAULT = "default"
    """What is set for all (``tracking_host.personal_data``)."""
    FULL = "full"
    PRIVATE = "private"
    """Neither address nor program."""


class TrackedImages(StrEnum):
    """How tracked images of an app's mail are answered."""

    DEFAULT = "default"
    """As is set for all (``tracking_host.images``)."""
    SERVE = "serve"
    REDIRECT = "redirect"


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
    enforces_domains: bool = False
    """Whether authors must be of its sending domains."""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Mail that takes a way of its own. What is given must match; the first rule that does holds."""

    server: ObjectId
    """The way out it takes, instead of the app's order."""
    recipient_domain: str = ""
    """In lower case; one that begins with a dot stands for all below it."""
    sender: str = ""
    """An address, or a domain as above, of the author."""


@dataclass(frozen=True, slots=True)
class App:
    """A sending context: its servers, logins, keys, routes and sender defaults."""

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
    visits: VisitDetail = VisitDetail.DEFAULT
    tracked_images: TrackedImages = TrackedImages.DEFAULT
    routes: tuple[RouteRule, ...] = ()
    created_at: int = 0
    modified_at: int = 0
    """0 where it was made before this was noted."""
    legacy: dict[str, str] = field(default_factory=dict)
    """What clients of the compatible API have set and nothing here asks for: kept, and given back."""


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
