"""an envelope as it is said to a server

The server's answers decide what follows; here is only what we say, and how much of it the server's
extensions let us say.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pillarbox.protocol.client import ClientSession


class EnvelopeWords(Struct, frozen=True, gc=False):
    """An envelope as it will be said."""

    return_path: str
    recipients: Sequence[str]
    size: int | None = None
    body: str = "7BIT"
    smtputf8: bool = False

    def say(self, session: ClientSession) -> None:
        """Say it."""
        session.envelope(
            self.return_path,
            self.recipients,
            size=self.size,
            body=self.body,
            smtputf8=self.smtputf8,
        )
