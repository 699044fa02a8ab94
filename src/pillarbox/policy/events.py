"""the event vocabulary, one frozen class per fact

Structs are stored as arrays: fields may be added at the end, with a default, and never reordered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec


class AcceptedFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """We took charge of a message."""

    size: int
    recipients: int
    porch: str = ""
    """``smtp``, ``http`` or ``system``."""
    submitter: str = ""
    """Name of the credential or key."""
    mode: str = ""


class OptionFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A header field of a message asked for something and was not obeyed."""

    name: str
    value: str = ""
    reason: str = ""


class LeftFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Something that a message asked for could not be done to it."""

    remarks: tuple[str, ...] = ()
    """A sentence each."""


class AttemptFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One try for one recipient: where, what was said, what follows.

    Also used where a delivery ends or waits without one, with `number` being that of the last.
    """

    number: int = 0
    server: bytes = b""
    """Id of the app's server, empty where none was reached."""
    session: int = 0
    """Number of the stored connection, 0 where there was none."""
    category: str = ""
    code: int = 0
    """Reply code, 0 where no reply came."""
    status: str = ""
    """Enhanced status code, ours where the server gave none."""
    text: str = ""
    dialogue: tuple[tuple[int, str], ...] = ()
    """Milliseconds since the attempt began, and a line of the conversation."""
    due_at: int = 0
    """When it is tried again; 0 where it is not."""
    bytes_sha256: bytes = b""
    """Of the bytes that left, where rendering changed any; empty: the stored content left."""
    renderer: int = 0
    words: str = ""
    sender: str = ""
    """Default sender that stood in for the message's own; empty where none did."""


class ActionFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody decided something about a delivery."""

    by: str = ""
    """Who, in words: a user, a key, or ``pillarbox``."""
    reason: str = ""
    due_at: int = 0


class RejectionFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A submission we refused."""

    code: str
    """Entry of the error catalogue."""
    words: str = ""
    reply: str = ""
    """The SMTP reply or HTTP status given."""
    submitter: str = ""
    address: str = ""
    """The peer's IP address."""
    return_path: str = ""
    author: str = ""
    recipient: str = ""
    reference: str = ""
    """What the submitter was given to ask about."""


class ServerFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A change in the health of an app's server."""

    server: bytes
    name: str = ""
    errors: int = 0
    category: str = ""
    words: str = ""
    until_at: int = 0
    """End of the pause, 0 where there is none."""
    used: int = 0
    """Recipients of the last 24 hours, where it is about a quota."""
    most: int = 0
    """So many it may be given in that time; 0 where nobody but the server knows."""


class SwitchFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A server was enabled or disabled, by a person or by a check."""

    server: bytes
    name: str = ""
    by: str = ""
    """Who, in words: a user, a key, or ``check``."""
    reason: str = ""


class CheckFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A server was tried out, step by step."""

    server: bytes
    name: str = ""
    ok: bool = False
    words: str = ""
    """What came of it, in a sentence."""
    steps: tuple[tuple[str, str, int, str], ...] = ()
    """Name, result, milliseconds, and what there is to say about it."""


class LaneFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody decided something about all mail that takes one way."""

    lane: int
    route: str = ""
    destination: str = ""
    by: str = ""
    """Who, in words."""


class NoticeFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A notice to a submitter: owed, accepted as a message, or let go."""

    kind: str
    """A `policy.notice.NoticeKind`."""
    to: str = ""
    message: int = 0
    """Id of the message that pays it."""
    obligation: int = 0
    reason: str = ""


class UnsubscribedFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A recipient asked for no more of what a message belongs to."""

    address: str = ""
    """The IP address that asked: of their mail service for one click, of their own for the page."""
    agent: str = ""
    """The program that asked, as it calls itself."""


class PasswordShownFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody was given passwords of servers in clear."""

    by: str
    """The user's e-mail address, or ``owner``."""
    address: str = ""
    """The peer's IP address; empty for the socket of the data directory's owner."""
    servers: int = 0
    words: str = ""


class VisitFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody, or something, followed a tracked link or loaded a tracked image."""

    url: str = ""
    """Where the link leads, or where the image lies; empty for the pixel."""
    position: int = 0
    """Of the link or image in its message, from 1; 0 for the pixel."""
    address: str = ""
    """The visitor's IP address; empty where none is kept."""
    agent: str = ""
    """What the visitor's program calls itself; empty where none is kept."""
    verdict: str = ""
    """``person``, ``scanner``, ``proxy`` or ``prefetch``."""
    rule: str = ""
    """What the verdict rests on, a `policy.tracking.Rule`."""


class DomainFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A change of a sending domain, of one of its records or keys."""

    domain: str
    account: bytes = b""
    record: str = ""
    """What the record is for, and its name: ``dkim s1._domainkey.example.com``."""
    selector: str = ""
    words: str = ""
    by: str = ""
    """Who, in words: a user, a key, or ``pillarbox``."""


class EventKind(NamedTuple):
    """What an event means, how loud it is in a log, and what is stored with it."""

    about: str
    level: str
    struct: type[msgspec.Struct]


EVENT_KINDS: Final[dict[str, EventKind]] = {
    "message.accepted": EventKind(
        "We took charge of a message and answered for it.", "info", AcceptedFacts
    ),
    "message.rejected": EventKind("We refused a submission.", "warning", RejectionFacts),
    "message.option_ignored": EventKind(
        "A header field asked for an option that was not given.", "warning", OptionFacts
    ),
    "message.left_as_it_is": EventKind(
        "The message goes out, but not everything that it asked for could be done to it.",
        "warning",
        LeftFacts,
    ),
    "message.clicked": EventKind("A tracked link was followed.", "info", VisitFacts),
    "message.opened": EventKind("A tracked image was loaded.", "info", VisitFacts),
    "message.unsubscribed": EventKind(
        "A recipient asked for no more, through List-Unsubscribe; told once for each delivery.",
        "info",
        UnsubscribedFacts,
    ),
    "delivery.handed_over": EventKind(
        "A server of the app took responsibility for the recipient.", "info", AttemptFacts
    ),
    "delivery.delivered": EventKind(
        "The recipient's own server took the message.", "info", AttemptFacts
    ),
    "delivery.deferred": EventKind(
        "An attempt did not succeed; it will be tried again.", "info", AttemptFacts
    ),
    "delivery.failed": EventKind("The recipient was refused for good.", "warning", AttemptFacts),
    "delivery.expired": EventKind(
        "We gave up: too old, and tried often enough.", "warning", AttemptFacts
    ),
    "delivery.uncertain": EventKind(
        "The connection or our process was lost while the message may have been taken.",
        "warning",
        AttemptFacts,
    ),
    "delivery.held": EventKind("Delivery waits for a person.", "info", ActionFacts),
    "delivery.released": EventKind("A person let a held delivery go.", "info", ActionFacts),
    "delivery.cancelled": EventKind("A person ended a delivery.", "info", ActionFacts),
    "delivery.retry_asked": EventKind(
        "A person asked for an attempt at once.", "info", ActionFacts
    ),
    "delivery.moved": EventKind("A person sent a delivery another way.", "info", ActionFacts),
    "delivery.kept": EventKind(
        "The message is kept in the sandbox and does not leave.", "info", ActionFacts
    ),
    "delivery.suppressed": EventKind(
        "The recipient's address is suppressed, so it was not tried.", "info", ActionFacts
    ),
    "lane.paused": EventKind("A person stopped all mail of a lane.", "info", LaneFacts),
    "lane.resumed": EventKind("A person let a lane go on.", "info", LaneFacts),
    "server.failing": EventKind("An attempt failed by the server's fault.", "warning", ServerFacts),
    "server.paused": EventKind(
        "The server failed repeatedly and is left alone for a while.", "warning", ServerFacts
    ),
    "server.recovered": EventKind("The server works again.", "info", ServerFacts),
    "server.tried": EventKind(
        "Its pause is over, and one message finds out whether the server works again.",
        "info",
        ServerFacts,
    ),
    "server.quota_near": EventKind(
        "Four fifths of what the server may be given in a day are used.", "warning", ServerFacts
    ),
    "server.quota_reached": EventKind(
        "The server may be given no more until its quota is free again; others take over.",
        "warning",
        ServerFacts,
    ),
    "server.quota_over": EventKind("The server may be given mail again.", "info", ServerFacts),
    "server.checked": EventKind(
        "The server was tried out, and a test mail handed to it.", "info", CheckFacts
    ),
    "server.enabled": EventKind("The server is used again.", "info", SwitchFacts),
    "server.disabled": EventKind("The server is used no more.", "warning", SwitchFacts),
    "notice.owed": EventKind("The submitter is owed a notice.", "info", NoticeFacts),
    "notice.accepted": EventKind("A notice is on its way as a message.", "info", NoticeFacts),
    "notice.dropped": EventKind(
        "A notice that was owed could not be given and was let go.", "warning", NoticeFacts
    ),
    "domain.proved": EventKind(
        "The record that proves a sending domain was found.", "info", DomainFacts
    ),
    "domain.record_found": EventKind(
        "A record of a sending domain is there and right.", "info", DomainFacts
    ),
    "domain.record_lost": EventKind(
        "A record of a sending domain was right and is not any more.", "warning", DomainFacts
    ),
    "domain.key_activated": EventKind(
        "A key signs the new mail of its domain.", "info", DomainFacts
    ),
    "domain.key_retired": EventKind(
        "Another key has taken its place; it signs only the mail that names it.",
        "info",
        DomainFacts,
    ),
    "server.password_shown": EventKind(
        "Somebody who may change servers was given their passwords in clear; told at most once in ten"
        " minutes for one user, app and address.",
        "info",
        PasswordShownFacts,
    ),
}
"""Every kind of event there is; webhooks, log, dashboard and API use these names."""
