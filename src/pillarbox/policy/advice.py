"""what each category means for a person, and what to do about it"""

from __future__ import annotations

from typing import Final, NamedTuple

from pillarbox.policy.meaning import Category, Stage, meaning_of
from pillarbox.policy.outcome import TABLE, Mishap
from pillarbox.protocol.reply import Reply


class Card(NamedTuple):
    """A line for a row of a list, and the next step for whoever asks."""

    line: str
    advice: str


CARDS: Final[dict[Category, Card]] = {
    Category.TAKEN: Card("Taken by the next server", "Nothing to do."),
    Category.UNREACHABLE: Card(
        "Server cannot be reached",
        "We try again. Check host, port and firewall of the server if it lasts.",
    ),
    Category.NO_ANSWER: Card(
        "Server does not answer in time", "We try again. Ask the server's keeper if it lasts."
    ),
    Category.CONNECTION_LOST: Card(
        "Connection lost", "We try again; nothing had been taken when the line broke."
    ),
    Category.GARBAGE: Card(
        "Server does not speak SMTP",
        "Check its port and encryption: a port that speaks TLS from the start needs tls.",
    ),
    Category.BUSY: Card("Server is busy", "Nothing; we try again."),
    Category.REFUSES_US: Card(
        "Server does not accept our address",
        "Ask the server's keeper to permit this machine, or look it up on block lists.",
    ),
    Category.TLS_FAILED: Card(
        "No safe connection possible",
        "Check the certificate, its name and the encryption chosen; mail never falls back to clear.",
    ),
    Category.LOGIN_UNAVAILABLE: Card(
        "Server cannot check our login", "Nothing; we try again, and other servers meanwhile."
    ),
    Category.LOGIN_REFUSED: Card(
        "Server refuses our password",
        "Enter its current user name and password; other servers are used meanwhile.",
    ),
    Category.LOGIN_REQUIRED: Card(
        "Server wants a login",
        "Give the server a user name and password, or permit this machine there.",
    ),
    Category.RELAY_DENIED: Card(
        "Server does not pass on our mail",
        "Permit this sender, domain or machine at that server, or give us its login.",
    ),
    Category.CONFUSED: Card(
        "Server does not follow the protocol", "Check that host and port belong to a mail server."
    ),
    Category.OUT_OF_ORDER: Card(
        "Server out of order", "Ask its keeper; we try again, and other servers meanwhile."
    ),
    Category.SENDER_REFUSED: Card(
        "Sender not accepted by the server",
        "Add the sender's address or domain there, or set the server's default sender.",
    ),
    Category.SENDER_DEFERRED: Card(
        "Sender cannot be judged just now", "Check that the sender's domain exists and has an MX."
    ),
    Category.TOO_MANY_RECIPIENTS: Card(
        "Too many recipients at once", "Nothing; the rest follows in another transaction."
    ),
    Category.NO_SUCH_RECIPIENT: Card("Address does not exist", "Correct the address."),
    Category.NO_SUCH_DOMAIN: Card("Domain takes no mail", "Check the spelling of the domain."),
    Category.RECIPIENT_MOVED: Card(
        "Recipient has another address", "Ask for the new address; the reply may name it."
    ),
    Category.RECIPIENT_REFUSED: Card(
        "Recipient refused", "Read the server's own words; they are all there is to go by."
    ),
    Category.RECIPIENT_DEFERRED: Card(
        "Recipient cannot be served just now", "Nothing; we try again."
    ),
    Category.MAILBOX_FULL: Card(
        "Mailbox is full", "Reach the person in another way; only they can make room."
    ),
    Category.MAILBOX_DISABLED: Card(
        "Mailbox is switched off", "Remove the address from your lists, or ask for another one."
    ),
    Category.GREYLISTED: Card(
        "First contact is made to wait (greylisting)", "Nothing; a later attempt is let through."
    ),
    Category.RATE_LIMITED: Card(
        "Server asks us to slow down", "Nothing now; spread large numbers of mail over more time."
    ),
    Category.QUOTA_REACHED: Card(
        "Server takes no more just now",
        "Nothing; other servers are used meanwhile, and this one again when its quota allows it.",
    ),
    Category.NO_ROOM: Card("Server has no room", "Nothing; we try again."),
    Category.TOO_BIG: Card("Too big for the server", "Link large files instead of attaching them."),
    Category.UNAUTHENTICATED: Card(
        "SPF or DKIM not proven", "Check the DNS records of the sender's domain."
    ),
    Category.UNWANTED: Card(
        "Refused as unwanted",
        "Read the server's words and any link in them; look at content and addresses.",
    ),
    Category.CONTENT_DEFERRED: Card("Content not taken this time", "Nothing; we try again."),
    Category.CONTENT_REFUSED: Card(
        "Content refused", "Read the server's own words; change the message, then send it anew."
    ),
    Category.MAIL_LOOP: Card(
        "Mail goes round in a circle", "Two servers send it to each other; see its Received fields."
    ),
    Category.UNSUITABLE: Card(
        "Server does not take this form of mail",
        "Use a server that takes 8-bit and international mail (8BITMIME, SMTPUTF8).",
    ),
    Category.UNCERTAIN: Card(
        "May have been delivered",
        "The line broke after all was sent. Another attempt may deliver it a second time.",
    ),
    Category.NO_ROUTE: Card("No active server", "Add a server to the app, or enable one."),
    Category.LOOKUP_FAILED: Card(
        "Domain cannot be looked up",
        "We try again. Check the DNS servers of this machine if it concerns every domain.",
    ),
    Category.NOT_PERMITTED: Card(
        "Private address, not permitted",
        "List its network in direct.allowed_networks if mail is meant to go there.",
    ),
    Category.PAUSED: Card(
        "Server is paused after failures",
        "Nothing; it is tried again by itself when the pause is over.",
    ),
    Category.LIMIT_REACHED: Card(
        "Limit of the server is reached",
        "Nothing; it goes on by itself. Raise the limits, or add a server, if it happens often.",
    ),
    Category.OUR_TROUBLE: Card("Trouble on our side", "Look into the log; we try again."),
    Category.CALLER_TOLD: Card(
        "Caller was told that it failed", "Nothing leaves any more; send it again if it is wanted."
    ),
}
"""One for every category."""

_MOST_TELLING: Final = (Stage.RCPT, Stage.VERDICT, Stage.MAIL)
_LOGIN_CODES: Final = frozenset({454, 535})


def card_of(category: str) -> Card | None:
    """The card of a stored category; None for one this version does not know."""
    try:
        return CARDS[Category(category)]
    except ValueError:
        return None


def card_for(reply: Reply, stage: Stage | None = None) -> Card:
    """The card of a reply that somebody shows us, with or without knowing where it was said."""
    if stage is None and reply.code in _LOGIN_CODES:
        stage = Stage.AUTH
    stages = _MOST_TELLING if stage is None else (stage,)
    for each in stages:
        category = meaning_of(each, reply)
        if category is not None:
            return CARDS[category]
    if reply.severity == 2:
        return CARDS[Category.TAKEN]
    mishap = {4: Mishap.TEMPORARY, 5: Mishap.PERMANENT}.get(reply.severity, Mishap.GARBAGE)
    return CARDS[TABLE[stages[0], mishap].category]
