"""standing in: when a server's default sender takes the place of author and return path

A server judges two things at different times: the return path when it hears MAIL, the author when it
has the content. So each is looked at by itself, and what the server accepts is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from pillarbox.message.default_sender import DefaultSender
from pillarbox.policy.authority import is_allowed
from pillarbox.policy.delivery import State
from pillarbox.policy.meaning import Category, Stage, meaning_of
from pillarbox.policy.outcome import Blame, Outcome
from pillarbox.policy.server import SenderRule, Server
from pillarbox.terms.address import parse_address
from pillarbox.terms.errors import PillarboxError

_SEEN_CONTENT: Final = frozenset({Stage.DATA, Stage.VERDICT})
_NAME_CHARACTERS: Final = 200
_ABOUT_SENDER: Final = ("5.1.7", "5.1.8", "5.7.")


def has_default_sender(server: Server) -> bool:
    """Whether anybody can stand in at this server."""
    if not server.from_address:
        return False
    try:
        parse_address(server.from_address)
    except PillarboxError:
        return False
    return True


def default_sender_for(
    server: Server, authors: Sequence[str], return_path: str, refused: Callable[[str], bool]
) -> DefaultSender | None:
    """Who stands in for a message's author and return path at a server; None where nobody does.

    `refused` says of an address whether the server is known not to let this login use it.
    """
    if not has_default_sender(server):
        return None
    ours = server.from_address.lower()

    def unwanted(address: str) -> bool:
        if address.lower() == ours:
            return False
        listed = server.allowed_senders
        return bool(listed and not is_allowed(listed, address)) or refused(address)

    always = server.sender_rule is SenderRule.ALWAYS
    for_author = always or any(unwanted(author) for author in authors)
    for_return_path = bool(return_path) and (always or unwanted(return_path))
    if not for_author and not for_return_path:
        return None
    # Whoever set the name may have had it from anywhere; a header takes one line of it.
    name = " ".join(server.from_name.replace("\0", " ").split())[:_NAME_CHARACTERS]
    return DefaultSender(server.from_address, name, for_author, for_return_path)


def refused_addresses(outcome: Outcome, authors: Sequence[str], return_path: str) -> list[str]:
    """Which of a message's senders a refusal is about, by how far the server had come.

    Before the content it has seen the return path only; who writes from the same domain is not
    offered to it, because servers judge by domain.
    """
    if outcome.stage in _SEEN_CONTENT:
        return list(authors)
    if not return_path:
        return []
    domain = return_path.rpartition("@")[2].lower()
    same = [one for one in authors if one.rpartition("@")[2].lower() == domain]
    return [return_path, *same]


def refuses_sender(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The refusal of the sender because of which nobody was served; None where that is not so."""
    if any(outcome.taken or outcome.maybe_delivered for outcome in outcomes):
        return None
    return next((one for one in outcomes if one.category == Category.SENDER_REFUSED), None)


def default_refused(outcome: Outcome, sender: DefaultSender) -> Outcome:
    """What it means that the default sender itself was refused: its operator has to see to it, and
    until then no mail may fail for it. A refusal that may be about something else stays as it is.
    """
    reply = outcome.reply
    if outcome.category != Category.SENDER_REFUSED or reply is None:
        return outcome
    said = (reply.status or "").startswith(_ABOUT_SENDER)
    if not said and meaning_of(outcome.stage, reply) is not Category.SENDER_REFUSED:
        return outcome
    return replace(
        outcome,
        state=State.DEFERRED,
        blame=Blame.SERVER,
        next_host=True,
        words=f"refused even {sender.address}, the default sender that was set for it",
    )
