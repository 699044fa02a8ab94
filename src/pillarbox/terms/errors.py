"""root exception: says what went wrong and what to do about it"""

from __future__ import annotations

from typing import ClassVar


class PillarboxError(Exception):
    """Something went wrong in Pillarbox."""

    code: ClassVar[str] = "internal"
    """Entry of the error catalogue (``terms.catalogue``) that this error belongs to."""

    def __init__(
        self,
        sentence: str | None = None,
        *,
        detail: str | None = None,
        fix: str | None = None,
        code: str | None = None,
    ) -> None:
        """`sentence` is public and never contains configuration; `detail` is for the log.

        `fix` says what the reader can do. Left out, the first line of the class's docstring is
        the sentence.
        """
        about = type(self).__doc__ or "Something went wrong."
        self.sentence = sentence or about.strip().splitlines()[0]
        self.detail = detail
        self.fix = fix
        self.error_code = code or type(self).code
        super().__init__(self.sentence)

    def __str__(self) -> str:
        return f"{self.sentence} ({self.detail})" if self.detail else self.sentence


class Trouble(PillarboxError):
    """Something outside did not work; try again later.

    `net` and `storage` derive from it. Whoever meets it defers, refuses with 4xx or 503, and
    never reports a permanent failure.
    """

    code: ClassVar[str] = "busy_try_later"

    def __init__(
        self,
        sentence: str | None = None,
        *,
        detail: str | None = None,
        fix: str | None = None,
        code: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """As the root; `retry_after_seconds` is a hint for whoever asks again."""
        super().__init__(sentence, detail=detail, fix=fix, code=code)
        self.retry_after_seconds = retry_after_seconds


class InvalidId(PillarboxError):
    """This is not an id, or it was mistyped."""

    code: ClassVar[str] = "not_found"


class InvalidDuration(PillarboxError):
    """A duration is a number and a unit, such as 30s, 5m, 48h or 7d."""

    code: ClassVar[str] = "invalid_value"
