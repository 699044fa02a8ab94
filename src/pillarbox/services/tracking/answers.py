"""what visitors ask for and what they are told, apart from how HTTP is spoken"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

from pillarbox.message.tokens import Token

Fields = tuple[tuple[str, str], ...]

NEVER_KEPT: Final[Fields] = (("cache-control", "no-store"),)
KEPT_FOR_EVER: Final[Fields] = (("cache-control", "public, max-age=31536000, immutable"),)
_NOWHERE_ELSE: Final[Fields] = (
    # The address of this page holds the token, which is nobody else's business.
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-robots-tag", "noindex, nofollow"),
)
_IMAGE: Final[Fields] = (
    ("content-security-policy", "default-src 'none'; sandbox"),
    # Web mail shows it on pages of its own.
    ("cross-origin-resource-policy", "cross-origin"),
)
_PAGE: Final[Fields] = (
    ("content-type", "text/html; charset=utf-8"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'",
    ),
)
_TEXT: Final[Fields] = (("content-type", "text/plain; charset=utf-8"),)
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:38em;margin:4em auto;padding:0 1em;"
    "color:#222;background:#fff}code{word-break:break-all}"
    "form{margin:2em 0;text-align:center}button{font:inherit;font-weight:600;padding:.6em 1.8em;"
    "color:#fff;background:#1a5fb4;border:1px solid #1a5fb4;border-radius:.4em;cursor:pointer}"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with a token that is ours."""

    method: str
    token: Token
    address: str
    """The visitor's IP address."""
    fields: Mapping[str, str]
    """Header fields, their names in lower case."""
    body: bytes = b""
    path: str = "/"
    """As it was asked for: where a form on a page leads back to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the visitor is told."""

    status: int
    fields: Fields = ()
    body: bytes = field(default=b"", repr=False)


Answering = Callable[[Asked], Awaitable[Answer]]
"""Answers tokens of one kind."""


def text(status: int, words: str, fields: Fields = ()) -> Answer:
    """A line without markup."""
    return Answer(status, (*_TEXT, *NEVER_KEPT, *_NOWHERE_ELSE, *fields), f"{words}\n".encode())


def plainly(said: str) -> Answer:
    """Exactly this."""
    return Answer(200, (*_TEXT, *NEVER_KEPT, *_NOWHERE_ELSE), said.encode("ascii"))


def nothing_here() -> Answer:
    """The same whatever is wrong, so that nobody learns anything from it."""
    return text(404, "There is nothing here.")


def not_so(*methods: str) -> Answer:
    """This cannot be done to it."""
    return text(405, "That is not possible here.", (("allow", ", ".join(methods)),))


def redirect(target: str) -> Answer:
    """To where it leads, in one step and without a page between."""
    return Answer(302, (("location", target), *NEVER_KEPT, *_NOWHERE_ELSE))


def image(media_type: str, data: bytes, kept: Fields = NEVER_KEPT) -> Answer:
    """Its bytes, to be shown and never run."""
    return Answer(200, (("content-type", media_type), *kept, *_NOWHERE_ELSE, *_IMAGE), data)


def page(title: str, markup: str, status: int = 200) -> Answer:
    """A page that loads nothing; `markup` is trusted, `title` is not."""
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{markup}</body></html>\n"
    )
    return Answer(status, (*_PAGE, *NEVER_KEPT, *_NOWHERE_ELSE), document.encode())


def unsubscribes_no_more() -> Answer:
    """For whoever pressed a link that counts no more: what works instead."""
    return page(
        "This link is not followed any more",
        "<p>It was signed with a key that has been withdrawn, so nobody was told anything. Please "
        "answer the message, or use the link in a newer one.</p>",
        404,
    )


def no_longer_followed(target: str) -> Answer:
    """Where a link would have led, for a person to judge; nothing to press."""
    return page(
        "This link is not followed any more",
        "<p>It was signed with a key that has been withdrawn, so nobody here can say who made it. "
        "This is the address in it:</p>"
        f"<p><code>{escape(target)}</code></p>"
        "<p>If you know that address and expected it, copy it into your browser.</p>",
    )
