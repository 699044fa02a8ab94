"""the settings of the door"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.terms.hostname import is_domain
from pillarbox.terms.setting import InvalidSetting, setting

_PORT: Final = re.compile(r":[0-9]{1,5}\Z")


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


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """Where tracked links and images lead."""

    host: str = setting(
        "",
        "The public name of the tracking host, with a port where it is not the usual one; without "
        "it nothing is tracked and no image hosted, whatever mail asks for.",
    )
    https: bool = setting(True, "Whether links lead to the tracking host by https.")
    exceptions: tuple[str, ...] = setting(
        (),
        "Links and images that are left as they are: example.com, .example.com for all below it, or "
        "a pattern such as https://example.com/pay/*.",
    )

    def __post_init__(self) -> None:
        if self.host and not is_domain(_PORT.sub("", self.host)):
            raise InvalidSetting(
                f"host is a name such as clicks.example.com, without https:// and without a path, "
                f"found {self.host[:80]!r}"
            )
        if any(not each or not each.isprintable() for each in self.exceptions):
            raise InvalidSetting("exceptions holds an empty entry, which would mean nothing")
