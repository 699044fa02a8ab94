"""an envelope as it is said to a server

The server's answers decide what follows; here is only what we say, and how much of it the server's
extensions let us say.
"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.protocol.client import ClientSession


class EnvelopeWords:
    """An envelope as it will be said."""

    __slots__ = ("body", "recipients", "return_path", "size", "smtputf8")

    def __init__(
        self,
        return_path: str,
        recipients: Sequence[str],
        size: int | None = None,
        body: str = "7BIT",
        smtputf8: bool = False,
    ) -> None:
        """`size` in octets, where it is known."""
        self.return_path = return_path
        self.recipients = recipients
        self.size = size
        self.body = body
        self.smtputf8 = smtputf8

    def say(self, session: ClientSession) -> None:
        """Say it."""
        session.envelope(
            self.return_path,
            self.recipients,
            size=self.size,
            body=self.body,
            smtputf8=self.smtputf8,
        )
