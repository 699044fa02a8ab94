"""an envelope as it is said to a server

The server's answers decide what follows; here is only what we say, and how much of it the server's
extensions let us say.
"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.protocol.client import ClientSession


class EnvelopeWords:
    """An envelope as it will be said."""

    __slots__ = (
        "body", "envelope_id", "recipients", "report", "requiretls", "return_path", "size",
        "smtputf8", "wishes",
    )  # fmt: skip

    def __init__(
        self,
        return_path: str,
        recipients: Sequence[str],
        size: int | None = None,
        body: str = "7BIT",
        smtputf8: bool = False,
        report: str | None = None,
        envelope_id: str | None = None,
        wishes: Sequence[str] = (),
        requiretls: bool = False,
    ) -> None:
        """`size` in octets, where it is known. `report` is RET, `envelope_id` ENVID; `wishes` has
        what `protocol.command.format_wishes` makes of each recipient's, or is empty.
        """
        self.return_path = return_path
        self.recipients = recipients
        self.size = size
        self.body = body
        self.smtputf8 = smtputf8
        self.report = report
        self.envelope_id = envelope_id
        self.wishes = wishes
        self.requiretls = requiretls

    def say(self, session: ClientSession) -> None:
        """Say it."""
        session.envelope(
            self.return_path,
            self.recipients,
            size=self.size,
            body=self.body,
            smtputf8=self.smtputf8,
            report=self.report,
            envelope_id=self.envelope_id,
            wishes=self.wishes,
            requiretls=self.requiretls,
        )
