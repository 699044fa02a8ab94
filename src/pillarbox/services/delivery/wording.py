"""an envelope as it is put to one server: to whom it can be said at all, and with which wishes"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pillarbox.handover.outgoing import Addressee
from pillarbox.message.errors import CannotRender
from pillarbox.message.facts import MessageFacts
from pillarbox.message.render import Hop
from pillarbox.net.envelope import EnvelopeWords
from pillarbox.policy.outcome import Outcome, from_unsuitable
from pillarbox.protocol.command import format_wishes
from pillarbox.terms.ids import ordinal_of

_BEYOND_ASCII: Final = (
    "{} has letters beyond ASCII before its @, and the next server does not offer SMTPUTF8"
)
_REQUIRED: Final = "required"
_MUST_BE_SAFE: Final = (
    "it requires TLS all the way, and the next server does not offer REQUIRETLS over TLS with a "
    "verified certificate"
)


def sayable(
    facts: MessageFacts, addressees: Sequence[Addressee], hop: Hop
) -> tuple[Sequence[Addressee], list[tuple[Addressee, Outcome]]]:
    """Those whose addresses the server takes, and an outcome for each of the others.

    A domain beyond ASCII has its A-labels, so it is local parts that need SMTPUTF8 (RFC 6531 §3.2).
    Raises `CannotRender` where the return path is such: then it cannot be said for anybody. So it is
    where the message requires TLS all the way, and this server cannot promise that (RFC 8689 §4.2.1).
    """
    if facts.tls == _REQUIRED and not hop.requires_tls:
        raise CannotRender(_MUST_BE_SAFE, status="5.7.30")
    if hop.smtputf8 or not facts.smtputf8:
        return addressees, []
    if not return_path_for(facts, hop).isascii():
        raise CannotRender(_BEYOND_ASCII.format("its return path"), status="5.6.7")
    unsuitable = from_unsuitable(_BEYOND_ASCII.format("the address"), detail="6.7")
    others = [(one, unsuitable) for one in addressees if not one.address.isascii()]
    return [one for one in addressees if one.address.isascii()], others


def words_for(
    facts: MessageFacts, addressees: Sequence[Addressee], size: int | None, hop: Hop
) -> EnvelopeWords:
    """What is said to the server. A wish is passed on as it was said, and none is added."""
    words = EnvelopeWords(
        return_path_for(facts, hop),
        [addressee.address for addressee in addressees],
        size,
        facts.body if hop.eight_bit else "7BIT",
        facts.smtputf8 and hop.smtputf8,
        facts.report,
        facts.envelope_id,
        (),
        facts.tls == _REQUIRED,
    )
    if hop.dsn:
        wishes = [_wishes(facts, addressee) for addressee in addressees]
        words.wishes = wishes if any(wishes) else ()
    return words


def return_path_for(facts: MessageFacts, hop: Hop) -> str:
    """The message's own, or its stand-in; nobody stands in for the null return path, which keeps
    notices from being answered by notices (RFC 5321 §4.5.5).
    """
    sender = hop.sender
    if sender is not None and sender.for_return_path and facts.return_path:
        return sender.address
    return facts.return_path


def _wishes(facts: MessageFacts, addressee: Addressee) -> str:
    recipient = facts.recipients[ordinal_of(addressee.delivery) - 1]
    if not recipient.notify_said and recipient.original is None:
        return ""
    return format_wishes(recipient.notify if recipient.notify_said else "", recipient.original)
