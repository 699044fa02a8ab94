"""what makes a message one that we cannot take, write or send on

Each `code` is an entry of `terms.catalogue`, which knows the reply and the HTTP status it deserves.
"""

from __future__ import annotations

from typing import ClassVar

from pillarbox.terms.errors import PillarboxError

_SHOWN_CHARACTERS = 60


class MessageError(PillarboxError):
    """The message breaks a rule that every mail system relies on."""

    code: ClassVar[str] = "message_malformed"


class InvalidHeaderValue(MessageError):
    """A header value contains what no header may contain."""

    code: ClassVar[str] = "header_invalid"

    def __init__(self, field: str, reason: str, *, fix: str | None = None) -> None:
        """`field` is named as whoever filled it knows it: ``subject``, ``to[2].name``."""
        super().__init__(f"{field} {reason}", fix=fix)
        self.field = field
        self.reason = reason


class HeaderTooLong(MessageError):
    """The header section is longer than this service takes."""

    code: ClassVar[str] = "header_too_long"


class NoAuthor(MessageError):
    """Nobody is named as the author of the message."""


class TooManyHops(MessageError):
    """The message has passed so many servers that it must be going in circles."""

    code: ClassVar[str] = "too_many_hops"


class InvalidOption(MessageError):
    """An option has a value it cannot have."""

    code: ClassVar[str] = "option_invalid"

    def __init__(self, name: str, value: str, wanted: str) -> None:
        """`name` as it was given (a header's name, or the option's own); `wanted` as a phrase."""
        shown = value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "..."
        super().__init__(
            f"{name} is {shown!r}, but wants {wanted}", fix=f"Correct {name}, or leave it out."
        )
        self.name = name
        self.value = value


class TooComplex(MessageError):
    """The parts of the message are nested too deeply or are too many."""


class CannotRender(MessageError):
    """The message cannot be brought into a form that the next hop takes."""

    code: ClassVar[str] = "cannot_render"

    def __init__(self, sentence: str, *, status: str = "5.6.3", fix: str | None = None) -> None:
        """`status` is the enhanced code (RFC 3463 §3.7) its recipients fail with."""
        super().__init__(sentence, fix=fix)
        self.status = status


class CannotInline(MessageError):
    """The style sheet of a document cannot be put into its elements; it is sent as it is."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Its styles were left where they are: {why}.")
        self.why = why


class UnusableKey(PillarboxError):
    """A signing key that cannot be used."""

    def __init__(self, why: str) -> None:
        super().__init__(f"This signing key cannot be used: {why}.")
