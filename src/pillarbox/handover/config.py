"""the settings of the door"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pillarbox.terms.setting import setting


class UnreadableOptions(StrEnum):
    """What becomes of mail with an option header whose value cannot be read."""

    REFUSE = "refuse"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class DoorConfig:
    """How mail is taken charge of."""

    give_up_hours: int = setting(48, "How long delivery is tried before a message expires.")
    mirror_messages: int = setting(
        2000, "How many fresh messages are kept in memory until they are delivered."
    )
    mirror_mb: int = setting(64, "How much content those may have, in megabytes.")
    unreadable_options: UnreadableOptions = setting(
        UnreadableOptions.REFUSE,
        "Whether an option header with a value that cannot be read refuses its message, or is "
        "ignored and noted in the history.",
    )
    received_shows_address: bool = setting(
        True, "Whether the Received field that is added names the address mail was handed in from."
    )
