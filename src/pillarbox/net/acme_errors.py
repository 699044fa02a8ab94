"""why there is no certificate: in words, and how long the authority wants to be left alone"""

from __future__ import annotations

from pillarbox.terms.errors import Trouble


class AcmeFailed(Trouble):
    """No certificate was made. The words are for a person."""

    code = "certificate_not_issued"

    def __init__(
        self, words: str, *, pause_seconds: float = 0.0, unknown_account: bool = False
    ) -> None:
        """`pause_seconds` is what the authority asked for; 0 where it asked for nothing. An
        `unknown_account` is one that it does not have, or has no more.
        """
        super().__init__(words)
        self.words = words
        self.pause_seconds = pause_seconds
        self.unknown_account = unknown_account
