"""what a server's reply is about, told from its code, status and words; rules as data

Codes alone do not say whose fault a refusal is: `550 5.7.1` may mean the recipient, the content, or
that the server does not know us. The rules read the first 2000 characters only, by plain search.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from pillarbox.policy.wordings import DENIES_RELAY, QUOTA_USED, SENDS_AS_ANOTHER, WANTS_LOGIN
from pillarbox.protocol.reply import Reply

_READ_CHARACTERS: Final = 2000


class Stage(StrEnum):
    """How far an attempt had come."""

    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    """The DATA command, and the content up to its final dot."""
    VERDICT = "verdict"


class Category(StrEnum):
    """What an outcome is about, in one word for lists, filters and rules."""

    TAKEN = "taken"
    UNREACHABLE = "unreachable"
    NO_ANSWER = "no_answer"
    CONNECTION_LOST = "connection_lost"
    GARBAGE = "garbage"
    BUSY = "busy"
    REFUSES_US = "refuses_us"
    TLS_FAILED = "tls_failed"
    LOGIN_UNAVAILABLE = "login_unavailable"
    LOGIN_REFUSED = "login_refused"
    LOGIN_REQUIRED = "login_required"
    RELAY_DENIED = "relay_denied"
    CONFUSED = "confused"
    OUT_OF_ORDER = "out_of_order"
    SENDER_REFUSED = "sender_refused"
    SENDER_DEFERRED = "sender_deferred"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    NO_SUCH_RECIPIENT = "no_such_recipient"
    NO_SUCH_DOMAIN = "no_such_domain"
    RECIPIENT_MOVED = "recipient_moved"
    RECIPIENT_REFUSED = "recipient_refused"
    RECIPIENT_DEFERRED = "recipient_deferred"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_DISABLED = "mailbox_disabled"
    GREYLISTED = "greylisted"
    RATE_LIMITED = "rate_limited"
    QUOTA_REACHED = "quota_reached"
    NO_ROOM = "no_room"
    TOO_BIG = "too_big"
    UNAUTHENTICATED = "unauthenticated"
    UNWANTED = "unwanted"
    CONTENT_DEFERRED = "content_deferred"
    CONTENT_REFUSED = "content_refused"
    MAIL_LOOP = "mail_loop"
    UNSUITABLE = "unsuitable"
    UNCERTAIN = "uncertain"
    NO_ROUTE = "no_route"
    LOOKUP_FAILED = "lookup_failed"
    NOT_PERMITTED = "not_permitted"
    PAUSED = "paused"
    LIMIT_REACHED = "limit_reached"
    OUR_TROUBLE = "our_trouble"
    CALLER_TOLD = "caller_told"


PHRASES: Final[dict[Category, str]] = {
    Category.TAKEN: "took it",
    Category.UNREACHABLE: "could not be reached",
    Category.NO_ANSWER: "did not answer in time",
    Category.CONNECTION_LOST: "closed the connection",
    Category.GARBAGE: "answered something that is not SMTP",
    Category.BUSY: "asks us to come back later",
    Category.REFUSES_US: "does not accept mail from our address",
    Category.TLS_FAILED: "could not be reached over an encrypted connection",
    Category.LOGIN_UNAVAILABLE: "cannot check our login just now",
    Category.LOGIN_REFUSED: "did not accept our user name and password",
    Category.LOGIN_REQUIRED: "wants a login before it takes mail",
    Category.RELAY_DENIED: "does not pass on our mail to this recipient",
    Category.CONFUSED: "did not understand an ordinary command",
    Category.OUT_OF_ORDER: "says that it is not in working order",
    Category.SENDER_REFUSED: "refused the return path or author",
    Category.SENDER_DEFERRED: "cannot judge the return path just now",
    Category.TOO_MANY_RECIPIENTS: "takes fewer recipients at once",
    Category.NO_SUCH_RECIPIENT: "says that the address does not exist",
    Category.NO_SUCH_DOMAIN: "says that the domain takes no mail",
    Category.RECIPIENT_MOVED: "says that the recipient has another address now",
    Category.RECIPIENT_REFUSED: "refused the recipient",
    Category.RECIPIENT_DEFERRED: "cannot take mail for this recipient just now",
    Category.MAILBOX_FULL: "says that the mailbox is full",
    Category.MAILBOX_DISABLED: "says that the mailbox is switched off",
    Category.GREYLISTED: "makes first contacts wait (greylisting)",
    Category.RATE_LIMITED: "asks us to slow down",
    Category.QUOTA_REACHED: "has taken as much as it takes from us in this time",
    Category.NO_ROOM: "has no room for it just now",
    Category.TOO_BIG: "says that the message is too big",
    Category.UNAUTHENTICATED: "found no valid SPF or DKIM",
    Category.UNWANTED: "refused it as unwanted",
    Category.CONTENT_DEFERRED: "did not take the content this time",
    Category.CONTENT_REFUSED: "refused the content",
    Category.MAIL_LOOP: "says that the mail goes round in a circle",
    Category.UNSUITABLE: "does not take mail of this form",
    Category.UNCERTAIN: "was lost after all had been sent, so it may have been delivered",
    Category.NO_ROUTE: "has no active server that could take it",
    Category.LOOKUP_FAILED: "could not be looked up in the DNS",
    Category.NOT_PERMITTED: "has an address to which mail may not go",
    Category.PAUSED: "is left alone for a while after failures",
    Category.LIMIT_REACHED: "has been given as much as the limits set for it allow",
    Category.OUR_TROUBLE: "was not asked, because of trouble on our side",
    Category.CALLER_TOLD: "was not asked again, because the caller was told that it failed",
}
"""Each category as the end of a sentence that begins with a server's name."""


class Rule(NamedTuple):
    """All that is given must hold; `phrases` wants one of them, `unless` none. In lower case."""

    category: Category
    stages: frozenset[Stage]
    severity: int
    """4 or 5: the class of the reply's code."""
    codes: frozenset[int] = frozenset()
    statuses: tuple[str, ...] = ()
    """Beginnings of the enhanced status; an empty one stands for a reply without any."""
    phrases: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    def matches(self, stage: Stage, code: int, status: str, text: str) -> bool:
        """Whether a reply, its text in lower case, is of this kind."""
        return (
            stage in self.stages
            and code // 100 == self.severity
            and (not self.codes or code in self.codes)
            and (not self.statuses or any(_begins(status, wanted) for wanted in self.statuses))
            and (not self.phrases or any(phrase in text for phrase in self.phrases))
            and not any(phrase in text for phrase in self.unless)
        )


def _begins(status: str, wanted: str) -> bool:
    # "5.1." is a whole subject; "5.1.1" must not match 5.1.10.
    return status.startswith(wanted) if wanted.endswith(".") else status == wanted


_EVERY: Final = frozenset(Stage)
_ENVELOPE: Final = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA})
_TRANSACTION: Final = _ENVELOPE | frozenset({Stage.VERDICT})
_LOGGED_IN: Final = _TRANSACTION | frozenset({Stage.AUTH})
_MAIL_RCPT: Final = frozenset({Stage.MAIL, Stage.RCPT})
_RCPT: Final = frozenset({Stage.RCPT})
_VERDICT: Final = frozenset({Stage.VERDICT})
_CONTENT: Final = frozenset({Stage.DATA, Stage.VERDICT})

RULES: Final[tuple[Rule, ...]] = (
    # Whose fault: these change what is done, and therefore come first.
    Rule(
        Category.QUOTA_REACHED, _LOGGED_IN, 4, phrases=QUOTA_USED, unless=("too many recipients",)
    ),
    Rule(
        Category.QUOTA_REACHED, _LOGGED_IN, 5, phrases=QUOTA_USED, unless=("too many recipients",)
    ),
    Rule(Category.QUOTA_REACHED, _TRANSACTION, 5, statuses=("5.4.5",), phrases=("limit", "quota")),
    Rule(Category.QUOTA_REACHED, _TRANSACTION, 5, statuses=("5.7.232", "5.7.233", "5.1.90")),
    Rule(Category.LOGIN_REQUIRED, _TRANSACTION, 5, codes=frozenset({530, 534, 535, 538})),
    Rule(Category.LOGIN_REQUIRED, _ENVELOPE, 5, statuses=("5.7.0",), phrases=("authenti", "login")),
    Rule(
        Category.LOGIN_REQUIRED,
        _ENVELOPE,
        5,
        statuses=("", "5.0.", "5.5.", "5.7.1", "5.7.8", "5.7.9"),
        phrases=WANTS_LOGIN,
    ),
    Rule(
        Category.RELAY_DENIED,
        _ENVELOPE,
        5,
        statuses=("", "5.0.", "5.4.", "5.7."),
        phrases=DENIES_RELAY,
    ),
    Rule(
        Category.RELAY_DENIED,
        _RCPT,
        5,
        statuses=("5.7.1",),
        phrases=("relay",),
        unless=("sender address rejected", "not owned by"),  # by a user who may be called so
    ),
    Rule(Category.CONFUSED, _ENVELOPE, 5, codes=frozenset({500, 502, 503})),
    Rule(Category.OUT_OF_ORDER, _ENVELOPE, 5, statuses=("5.3.1", "5.3.2", "5.3.5")),
    Rule(Category.REFUSES_US, _ENVELOPE, 5, codes=frozenset({521})),
    Rule(
        Category.REFUSES_US,
        _MAIL_RCPT,
        5,
        statuses=("", "5.0.", "5.7."),
        phrases=("client host", "helo command rejected", "your ip", "ip address is listed"),
    ),
    Rule(Category.SENDER_REFUSED, _RCPT, 5, statuses=("5.1.7", "5.1.8")),
    Rule(
        Category.SENDER_REFUSED,
        _RCPT,
        5,
        statuses=("", "5.0.", "5.5.", "5.7."),
        phrases=(
            "sender address rejected",
            "sender rejected",
            "sender not allowed",
            "not owned by",
        ),
    ),
    Rule(Category.SENDER_REFUSED, _CONTENT, 5, statuses=("5.7.60", "5.2.252")),
    Rule(
        Category.SENDER_REFUSED,
        _CONTENT,
        5,
        phrases=SENDS_AS_ANOTHER,
    ),
    Rule(Category.SENDER_DEFERRED, _RCPT, 4, statuses=("4.1.7", "4.1.8")),
    Rule(
        Category.TOO_MANY_RECIPIENTS,
        _RCPT,
        4,
        codes=frozenset({452}),
        statuses=("", "4.5.3"),
        unless=("storage", "space", "quota", "full"),
    ),
    Rule(Category.TOO_MANY_RECIPIENTS, _RCPT, 4, phrases=("too many recipients",)),
    # RFC 5321 §4.5.3.1.10: 552 was once used for the same, and is to be taken as temporary.
    Rule(Category.TOO_MANY_RECIPIENTS, _RCPT, 5, statuses=("5.5.3",)),
    Rule(
        Category.TOO_MANY_RECIPIENTS,
        _RCPT,
        5,
        codes=frozenset({552}),
        phrases=("too many recipients",),
    ),
    Rule(Category.GREYLISTED, _TRANSACTION, 4, phrases=("greylist", "graylist", "grey-list")),
    Rule(Category.RATE_LIMITED, _EVERY, 4, statuses=("4.7.28",)),
    Rule(
        Category.RATE_LIMITED,
        _EVERY,
        4,
        phrases=(
            "rate limit",
            "too many connections",
            "too many messages",
            "too much mail",
            "sending rate",
            "slow down",
            "throttl",
        ),
    ),
    Rule(Category.NO_ROOM, _TRANSACTION, 4, statuses=("4.3.1",)),
    Rule(Category.BUSY, _TRANSACTION, 4, statuses=("4.3.",)),
    Rule(Category.CONTENT_DEFERRED, _VERDICT, 4, statuses=("4.6.", "4.7.")),
    # Better words for the same decision.
    Rule(Category.MAILBOX_FULL, _TRANSACTION, 4, statuses=("4.2.2",)),
    Rule(Category.MAILBOX_FULL, _TRANSACTION, 5, statuses=("5.2.2",)),
    Rule(Category.TOO_BIG, _TRANSACTION, 5, statuses=("5.3.4", "5.2.3")),
    Rule(Category.TOO_BIG, _TRANSACTION, 5, codes=frozenset({552}), statuses=("", "5.0.")),
    Rule(Category.MAIL_LOOP, _TRANSACTION, 5, statuses=("5.4.6", "5.4.14")),
    Rule(
        Category.NO_SUCH_RECIPIENT,
        _RCPT,
        5,
        statuses=("5.1.10",),
        phrases=("recipientnotfound", "recipient not found"),
    ),
    Rule(Category.NO_SUCH_DOMAIN, _RCPT, 5, statuses=("5.1.2", "5.1.10")),
    Rule(Category.NO_SUCH_DOMAIN, _RCPT, 5, codes=frozenset({556})),
    Rule(Category.RECIPIENT_MOVED, _RCPT, 5, statuses=("5.1.6",)),
    Rule(Category.RECIPIENT_MOVED, _RCPT, 5, codes=frozenset({551}), statuses=("", "5.0.")),
    Rule(Category.NO_SUCH_RECIPIENT, _RCPT, 5, statuses=("5.1.0", "5.1.1", "5.1.3", "5.1.4")),
    Rule(
        Category.NO_SUCH_RECIPIENT,
        _RCPT | _VERDICT,
        5,
        statuses=("", "5.0.", "5.1.", "5.5.0"),
        phrases=(
            "user unknown",
            "unknown user",
            "no such user",
            "unknown recipient",
            "recipient unknown",
            "no such recipient",
            "no such mailbox",
            "mailbox not found",
            "does not exist",
        ),
    ),
    Rule(Category.MAILBOX_DISABLED, _RCPT, 5, statuses=("5.2.0", "5.2.1")),
    Rule(
        Category.UNAUTHENTICATED,
        _TRANSACTION,
        5,
        statuses=("5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26", "5.7.27"),
    ),
    Rule(Category.UNSUITABLE, _TRANSACTION, 5, statuses=("5.6.3", "5.6.6", "5.6.7", "5.6.9")),
    Rule(Category.UNWANTED, _CONTENT | _RCPT, 5, statuses=("5.7.",)),
)
"""First match wins. What no rule knows is judged by stage and code alone."""


def meaning_of(stage: Stage, reply: Reply) -> Category | None:
    """What a refusal is about, where the rules know more than stage and code say."""
    status = reply.status or ""
    text = " ".join(reply.lines)[:_READ_CHARACTERS].lower()
    for rule in RULES:
        if rule.matches(stage, reply.code, status, text):
            return rule.category
    return None
