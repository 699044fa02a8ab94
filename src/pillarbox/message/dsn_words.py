"""what a delivery status notification says to a person: what happened, why, and what to do"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.message.date import format_date
from pillarbox.terms.clock import format_duration

MAX_SHOWN_RECIPIENTS: Final = 50
_COLUMNS: Final = 74
_MAX_REPLY: Final = 500


class Action(StrEnum):
    """What became of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Taken by a server that will not report any further (RFC 3461 §6.2.7.2)."""


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """One recipient's part of a notification. Instants in milliseconds."""

    address: str
    action: Action
    status: str = ""
    """Enhanced code; left empty, the general one of the action."""
    original: str | None = None
    """ORCPT, decoded, with its type; never invented (RFC 3461 §4.2)."""
    remote_mta: str = ""
    """The host that answered, where one did."""
    reply: str = ""
    """What it answered, code first, in one line."""
    attempted_at: int | None = None
    retry_until: int | None = None
    words: str = ""
    """Why, as a sentence; left empty, what the status says in general."""
    advice: str = ""
    """What to do, as a sentence; left empty, what helps with that status in general."""


_HEADINGS: Final = {
    Action.FAILED: "Your message could not be delivered to",
    Action.DELAYED: "Your message has not yet been delivered to",
    Action.DELIVERED: "Your message was delivered to the mail server of",
    Action.RELAYED: "Your message was handed on, by a server that sends no reports, to",
}
_SUBJECTS: Final = {
    Action.FAILED: "Not delivered",
    Action.DELAYED: "Delayed",
    Action.DELIVERED: "Delivered",
    Action.RELAYED: "Handed on",
}

# Subject and detail of the enhanced code, or the subject alone: why, and what to do about it.
_BY_STATUS: Final = {
    "1.1": (
        "There is no mailbox of that name.",
        "Look for a typing mistake in the address, correct it and send the message again.",
    ),
    "1.2": (
        "The domain behind the @ does not exist, or its servers could not be found.",
        "Look for a typing mistake in the domain, correct it and send the message again.",
    ),
    "1.10": (
        "The domain behind the @ declares that it takes no mail.",
        "Ask the recipient for another address.",
    ),
    "1": (
        "The address is not valid where it leads to.",
        "Check the address and send the message again.",
    ),
    "2.2": (
        "The mailbox is full.",
        "Tell the recipient by other means, or send the message again later.",
    ),
    "2": (
        "The mailbox exists but takes no mail at present.",
        "Ask the recipient for another address, or send the message again later.",
    ),
    "3.4": (
        "The message is larger than the recipient's server takes.",
        "Leave out large attachments, or send a link to them instead.",
    ),
    "4.6": (
        "The message went round in a circle between servers.",
        "Tell the operator of the recipient's domain; its forwarding leads back to itself.",
    ),
    "4": (
        "No server of the recipient could be reached.",
        "Check the domain behind the @; if it is right, send the message again later.",
    ),
    "6": (
        "The message has content in a form that could not be passed on.",
        "Send it again as ordinary text, with attachments instead of special formats.",
    ),
    "7": (
        "The recipient's server refuses this message, or any mail from you.",
        "Read the server's answer above; it often names the reason or a page that explains it.",
    ),
}
_OTHERWISE: Final = (
    "The recipient's server did not take the message.",
    "Read the server's answer, and ask the recipient by other means if it does not help.",
)


def subject_prefix(recipients: Sequence[RecipientReport]) -> str:
    """The first words of the subject: the worst that any recipient met with."""
    return next(_SUBJECTS[action] for action in Action if _of(recipients, action))


def explain_report(
    recipients: Sequence[RecipientReport],
    *,
    hostname: str,
    subject: str,
    message_id: str,
    name: str,
    arrived_at: int,
    now_ms: int,
    returned: str,
) -> str:
    """The text of the first part. `returned` says what follows of the message, as a sentence."""
    blocks = []
    for action in Action:
        concerned = _of(recipients, action)
        if concerned:
            blocks.append(_heading(action, len(concerned)))
            blocks += [
                _one(report, arrived_at, now_ms) for report in concerned[:MAX_SHOWN_RECIPIENTS]
            ]
            if len(concerned) > MAX_SHOWN_RECIPIENTS:
                more = len(concerned) - MAX_SHOWN_RECIPIENTS
                blocks.append(f"  ... and {more} more, listed in the report that follows.")
    about = [f"  Subject:    {subject}"] if subject else []
    about.append(f"  Accepted:   {format_date(arrived_at)}")
    about += [f"  Message-ID: {message_id}"] if message_id else []
    about += [f"  Our number: {name}"] if name else []
    blocks.append("\n".join(["The message this is about:", *about]))
    closing = f"This was written by the mail relay at {hostname}; nobody reads answers to it."
    blocks.append(_wrapped(f"{returned} {closing}", ""))
    return "\n\n".join(blocks) + "\n"


def _of(recipients: Sequence[RecipientReport], action: Action) -> list[RecipientReport]:
    return [report for report in recipients if report.action is action]


def _heading(action: Action, count: int) -> str:
    return f"{_HEADINGS[action]} " + (
        "this address:" if count == 1 else f"these {count} addresses:"
    )


def _one(report: RecipientReport, arrived_at: int, now_ms: int) -> str:
    lines = [f"  {report.address}"]
    if report.action in (Action.FAILED, Action.DELAYED):
        why, advice = _in_general(report.status)
        lines.append(_wrapped(_readable(report.words or why), "    Why: "))
        if report.reply:
            speaker = _readable(report.remote_mta) or "the server"
            lines.append(_wrapped(_readable(report.reply), f"    Answer of {speaker}: "))
        lines.append(_wrapped(_next_step(report, advice, arrived_at, now_ms), "    What now: "))
    return "\n".join(lines)


def _next_step(report: RecipientReport, advice: str, arrived_at: int, now_ms: int) -> str:
    if report.action is Action.DELAYED:
        until = f" until {format_date(report.retry_until)}" if report.retry_until else ""
        return report.advice or f"Nothing needs to be done; it is tried again{until}."
    gave_up = ""
    if report.status.startswith("4."):
        gave_up = f"It was tried for {format_duration((now_ms - arrived_at) / 1000)} in vain. "
    return gave_up + (report.advice or advice)


def _in_general(status: str) -> tuple[str, str]:
    detail = status.partition(".")[2]
    return _BY_STATUS.get(detail) or _BY_STATUS.get(detail.partition(".")[0]) or _OTHERWISE


def _readable(reply: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in reply[:_MAX_REPLY])
    return " ".join(shown.split())


def _wrapped(text: str, label: str) -> str:
    return textwrap.fill(
        text,
        _COLUMNS,
        initial_indent=label,
        subsequent_indent=" " * (len(label) - len(label.lstrip()) + 2 if label else 0),
        break_long_words=False,
        break_on_hyphens=False,
    )
