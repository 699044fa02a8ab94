"""the settings of delivery"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.terms.setting import InvalidSetting, setting


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """How mail goes out."""

    window: int = setting(20, "How many messages of one lane may be on their way at once.")
    recipients_per_transaction: int = setting(
        100, "How many recipients of one message are given to a server at once."
    )
    idle_seconds: float = setting(
        20.0, "How long a connection to a server is kept for the next message."
    )
    transactions_per_connection: int = setting(
        1000, "After how many messages a connection to a server is replaced."
    )
    check_seconds: float = setting(
        60.0, "How long the check of a server may take in all, its test mail included."
    )
    poll_seconds: float = setting(
        2.0, "How often lanes are looked through for mail that nobody announced."
    )
    catch_up_seconds: float = setting(
        150.0,
        "When a server is back, mail that waited for it is tried early, spread over so many seconds.",
    )

    def __post_init__(self) -> None:
        if self.catch_up_seconds < 1:
            raise InvalidSetting("catch_up_seconds must be at least 1")
        if self.check_seconds <= 0:
            raise InvalidSetting("check_seconds must be above 0, or every check would fail at once")
