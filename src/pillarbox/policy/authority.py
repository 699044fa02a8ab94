"""may this credential or key speak for this author and return path

Lists of allowed senders lie on the app and on the credential or key. An empty list permits
everything; where both have one, both must permit: a login may be stricter than its app, never looser.
"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.policy.directory import Mode
from pillarbox.policy.errors import (
    AppInactive,
    InvalidPattern,
    MayNotSend,
    MessageTooLarge,
    Refusal,
    SenderNotAllowed,
    SendingOff,
)
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.terms.address import parse_address
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.hostname import parse_domain

_SHOWN_CHARACTERS = 80


def may_submit(submitter: Submitter) -> Refusal | None:
    """Whether anything at all is taken from this submitter; None means yes."""
    if not submitter.account.may_send:
        contact = submitter.account.contact or "the operator of this service"
        return MayNotSend(f"This account has no permission to send email; contact {contact}.")
    if not submitter.app.active:
        return AppInactive(f"The app {submitter.app.name} is not active.")
    if submitter.mode is Mode.OFF:
        return SendingOff(f"Sending is switched off for {submitter.name}.")
    return None


def may_use_author(
    submitter: Submitter, author: str | Sequence[str] | None, return_path: str
) -> Refusal | None:
    """Whether the submitter may use these addresses; None means yes.

    `author` is the mailbox of the From field, or all of them; None where the content has not been
    seen yet, so that only the return path is judged. The null return path speaks for nobody and is
    always permitted. The system itself is bound by no list.
    """
    lists = (submitter.app.allowed_senders, submitter.allowed_senders)
    if submitter.kind is SubmitterKind.SYSTEM or not any(lists):
        return None
    if return_path and not _permitted(lists, return_path):
        return _not_allowed(submitter, return_path, "the return path")
    if author is None:
        return None
    authors = [author] if isinstance(author, str) else list(author)
    if not any(authors):
        return SenderNotAllowed(
            "The message has no usable From field, and this login may use certain senders only.",
            fix=f"Put an allowed sender of {submitter.name} into the From field.",
        )
    for one in authors:
        if not _permitted(lists, one):
            return _not_allowed(submitter, one, "the From field")
    return None


def too_large(size_bytes: int | None, most_bytes: int) -> Refusal:
    """The refusal of a message that is larger than its login may send; None: nobody knows by how
    much.
    """
    size, most = (f"{(octets or 0) / 1_048_576:.1f} MB" for octets in (size_bytes, most_bytes))
    if size_bytes is None:
        sentence = f"The message is longer than {most}, the limit of this login."
    elif size == most:
        sentence = f"The message has {size_bytes} octets, the limit of this login is {most_bytes}."
    else:
        sentence = f"The message is {size}, the limit of this login is {most}."
    return MessageTooLarge(
        sentence,
        fix="Link large files instead of attaching them, or raise the limit of the login.",
    )


def is_allowed(patterns: Sequence[str], address: str) -> bool:
    """Whether one of the patterns covers the address; what is no address is covered by none.

    Domains are compared as A-labels. Local parts are compared without regard to letter case, since
    people expect it of a list, although RFC 5321 §2.4 would tell them apart.
    """
    local, at, domain = address.rpartition("@")
    if not at or not local:
        return False
    try:
        folded = parse_domain(domain.rstrip("."))
    except PillarboxError:
        folded = domain.lower()  # an address literal, or nothing that a pattern could name
    return any(_covers(pattern, local.lower(), folded) for pattern in patterns)


def parse_pattern(text: str) -> str:
    """An allowed sender in the form in which it is stored and compared.

    ``a@b.example`` is one address, ``b.example`` and ``*@b.example`` are every address of that
    domain, ``*.b.example`` every address of the domains below it. Raises `InvalidPattern`.
    """
    bare = text.strip()
    try:
        if bare.startswith("*."):
            return "*." + parse_domain(bare[2:])
        if bare.startswith("*@"):
            return parse_domain(bare[2:])
        if "@" not in bare:
            return parse_domain(bare)
        address = parse_address(bare)
    except PillarboxError as error:
        raise _invalid(bare, error.sentence) from error
    if "*" in address.local:
        raise _invalid(bare, "a star stands for the whole local part, or for the labels below")
    return address.text


def _permitted(lists: Sequence[Sequence[str]], address: str) -> bool:
    return all(is_allowed(patterns, address) for patterns in lists if patterns)


def _covers(pattern: str, local: str, domain: str) -> bool:
    folded = pattern.lower()
    if folded.startswith("*."):
        return domain.endswith(folded[1:])
    named, _, host = folded.rpartition("@")
    return domain == host and named in ("", "*", local)


def _not_allowed(submitter: Submitter, address: str, place: str) -> Refusal:
    shown = address if len(address) <= _SHOWN_CHARACTERS else address[:_SHOWN_CHARACTERS] + "..."
    return SenderNotAllowed(
        f"{shown} in {place} is not an allowed sender for this login.",
        detail=f"submitter {submitter.name}",
        fix=f"Use another address, or add this one to the allowed senders of {submitter.name}.",
    )


def _invalid(text: str, why: str) -> InvalidPattern:
    return InvalidPattern(
        f"{text[:_SHOWN_CHARACTERS]!r} is no allowed sender: {why}",
        fix="Write ann@example.com, example.com or *.example.com.",
    )
