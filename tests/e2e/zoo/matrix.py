"""which client hands over which letter in which way: all of it in full, a part in every test run"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.e2e.zoo.client import Client, Security
from tests.e2e.zoo.languages import GoSmtp, JavaMail, NetSmtp, Nodemailer, PhpMailer, RubyMail
from tests.e2e.zoo.programs import Curl, Esmtp, Msmtp, Snail, Swaks
from tests.e2e.zoo.python import Aiosmtplib, Smtplib
from tests.e2e.zoo.relays import EximRelay, PostfixRelay
from tests.e2e.zoo.stage import Stage

Kind = type[Client]
Cell = tuple[str, Security]
"""A letter and a way in."""

CLIENTS: Final[tuple[Kind, ...]] = (
    Swaks, Msmtp, Curl, Snail, PhpMailer, Nodemailer, RubyMail, NetSmtp, Smtplib, Aiosmtplib,
    PostfixRelay, EximRelay, GoSmtp, JavaMail,
)  # fmt: skip

REFUSING: Final[tuple[Kind, ...]] = (
    Swaks, Msmtp, Curl, Snail, Esmtp, PhpMailer, Nodemailer, RubyMail, NetSmtp, Smtplib,
    Aiosmtplib, EximRelay,
)  # fmt: skip
"""Those that say at once that a certificate is not to be trusted. Postfix tries again later, and
the two that have to be compiled are left to the full size."""

SMALL: Final[dict[Kind, tuple[Cell, ...]]] = {
    Swaks: (("plain", "TLS"), ("dots", "STARTTLS"), ("many", "STARTTLS")),
    Msmtp: (("plain", "STARTTLS"), ("dots", "TLS"), ("many", "TLS")),
    Curl: (
        ("plain", "STARTTLS"), ("undated", "TLS"), ("dots", "TLS"), ("utf8", "TLS"),
        ("attachment", "STARTTLS"),
    ),
    Snail: (("plain", "STARTTLS"), ("dots", "TLS"), ("eight_bit", "TLS")),
    PhpMailer: (("plain", "TLS"), ("dots", "STARTTLS"), ("eight_bit", "STARTTLS")),
    Nodemailer: (("plain", "STARTTLS"), ("dots", "TLS"), ("utf8", "STARTTLS")),
    RubyMail: (("plain", "TLS"), ("dots", "STARTTLS")),
    NetSmtp: (("plain", "STARTTLS"), ("dots", "TLS"), ("undated", "STARTTLS")),
    Smtplib: (("plain", "TLS"), ("dots", "STARTTLS"), ("eight_bit", "TLS"), ("many", "STARTTLS")),
    Aiosmtplib: (
        ("plain", "STARTTLS"), ("dots", "TLS"), ("utf8", "STARTTLS"), ("attachment", "TLS"),
    ),
    PostfixRelay: (("plain", "STARTTLS"), ("dots", "STARTTLS"), ("eight_bit", "STARTTLS")),
    EximRelay: (("plain", "TLS"), ("dots", "STARTTLS"), ("utf8", "TLS")),
}  # fmt: skip
"""Every letter in both ways by somebody, plain text and dots by everybody."""


def all_of(kind: Kind) -> tuple[Cell, ...]:
    """The letters a client can send, in every way it knows."""
    return tuple((letter, security) for letter in kind.kinds() for security in kind.securities)


async def hand_over(
    stage: Stage, client: Client, cells: Sequence[Cell], *, recorded: Sequence[Cell]
) -> list[str]:
    """Hand over all `cells`, those that are `recorded` to a recorder first; what went wrong."""
    wrong: list[str] = []
    for kind, security in cells:
        try:
            if (kind, security) in recorded:
                await stage.assert_recorded(client, kind, security)
            await stage.assert_delivered(client, kind, security)
        except Exception as error:
            wrong.append(f"{client.name}, {kind} by {security}: {error!r:.700}")
    return wrong


def dots_of(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The letter that says most about a client's own hands."""
    return tuple(cell for cell in cells if cell[0] == "dots")
