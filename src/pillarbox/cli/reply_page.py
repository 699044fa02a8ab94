"""the page about servers' replies: what each means at each stage, and what to do about it"""

from __future__ import annotations

from typing import Final

from pillarbox.cli.markdown import opening, page, paragraph, table
from pillarbox.policy.advice import CARDS
from pillarbox.policy.delivery import State
from pillarbox.policy.meaning import PHRASES, RULES, Category, Stage
from pillarbox.policy.outcome import SPECIAL, TABLE, Blame, Cell, Mishap

_STAGES: Final = {
    Stage.CONNECT: "connecting",
    Stage.BANNER: "greeting",
    Stage.EHLO: "EHLO",
    Stage.STARTTLS: "STARTTLS",
    Stage.AUTH: "login",
    Stage.MAIL: "MAIL",
    Stage.RCPT: "RCPT",
    Stage.DATA: "DATA",
    Stage.VERDICT: "final dot",
}
_MISHAPS: Final = {
    Mishap.TEMPORARY: "4xx",
    Mishap.PERMANENT: "5xx",
    Mishap.CLOSING: "421",
    Mishap.DROP: "line lost",
    Mishap.TIMEOUT: "no answer",
    Mishap.GARBAGE: "no SMTP",
}
_ABOUT: Final = {
    Blame.RECIPIENT: "the recipient",
    Blame.MESSAGE: "the message",
    Blame.SERVER: "the server",
    Blame.LINK: "the line",
    Blame.US: "us",
    Blame.NOBODY: "nobody",
}


def replies_page() -> str:
    """Every stage and mishap, the replies that say more, and every category."""
    lines = [
        *opening("Replies of servers"),
        *paragraph(
            "What a server answers while it is given a message, or fails to answer, becomes an "
            "outcome for each recipient: a category, and with it whether the recipient waits or has "
            "failed, whether the app's next server is asked at once, and whom it is about. Only what "
            "is about the server or the line counts against the server: after `breaker.failures` of "
            "those in a row it is paused. A login that is refused or wanted, or no TLS, pauses it "
            "at once; so does denied relaying, unless it has taken mail since its last pause."
        ),
        "",
        "## By stage",
        "",
        *paragraph(
            "In bold: it has failed, and no other server is asked. Everything else waits, and but for "
            "*uncertain* another server is asked within the same attempt. A server that goes away "
            "after it took a message, at QUIT, changes nothing."
        ),
        "",
        *table(
            ("stage", *_MISHAPS.values()),
            [
                [_STAGES[stage], *(_shown(TABLE[stage, mishap]) for mishap in _MISHAPS)]
                for stage in _STAGES
            ],
        ),
        "",
        *paragraph(
            "An answer that is too long, has too many lines, or comes before it was asked for is no "
            "SMTP either. A line lost behind the final dot is *uncertain*: the message may have been "
            "delivered, so it is given to the same server again and to no other, with the same bytes."
        ),
        "",
        "## Replies that say more",
        "",
        *paragraph(
            "Words and enhanced status codes (RFC 3463) tell more than a code does. Where they say one "
            "of these, it holds instead of the table, whatever the code."
        ),
        "",
        *table(
            ("category", "the recipient", "next server", "about", "told by, for instance"),
            [_special(category, cell) for category, cell in SPECIAL.items()],
        ),
        "",
        *paragraph(
            "A server that denies relaying is never the recipient's fault: it does not know us, or "
            "does not serve this way out. Where it takes other recipients of the same message it is "
            "not held to have failed."
        ),
        "",
        "## Categories",
        "",
        *table(
            ("category", "the server", "shown as", "what to do"),
            [
                [f"`{category}`", PHRASES[category], card.line, card.advice]
                for category, card in CARDS.items()
            ],
        ),
        "",
    ]
    return page(lines)


def _shown(cell: Cell) -> str:
    return f"**{cell.category}**" if cell.state is State.FAILED else str(cell.category)


def _special(category: Category, cell: Cell) -> list[str]:
    other = "the same one, for the rest" if cell.same_host else "yes" if cell.next_host else "no"
    fate = "fails" if cell.state is State.FAILED else "waits"
    return [f"`{category}`", fate, other, _ABOUT[cell.blame], _told_by(category)]


def _told_by(category: Category) -> str:
    """The first of the codes, statuses and phrases that rules know it by."""
    for rule in RULES:
        if rule.category is category:
            told = [str(code) for code in sorted(rule.codes)[:2]]
            told += [
                f"{status}*" if status.endswith(".") else status for status in rule.statuses[:2]
            ]
            told += [f"“{phrase}”" for phrase in rule.phrases[:2]]
            return ", ".join(filter(None, told))
    return ""


REPLY_PAGES: Final = {"docs/reference/replies.md": replies_page}
"""The page, from the root of the repository, and what makes its text."""
