"""the settings of the door"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.terms.setting import setting


@dataclass(frozen=True, slots=True)
class DoorConfig:
    """How mail is taken charge of."""

    give_up_hours: int = setting(48, "How long delivery is tried before a message expires.")
    mirror_messages: int = setting(
        2000, "How many fresh messages are kept in memory until they are delivered."
    )
    mirror_mb: int = setting(64, "How much content those may have, in megabytes.")
