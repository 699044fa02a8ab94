"""selection: which waiting deliveries somebody means"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pillarbox.policy.delivery import State
from pillarbox.terms.ids import ObjectId


@dataclass(frozen=True, slots=True)
class Selection:
    """All that fits everything given. What is empty or None leaves everything in.

    App, lane, route, state, age and domain stand in the queue's own rows. For `category` the last
    event of each row is read, for `submitter` and `sender` its message.
    """

    apps: frozenset[ObjectId] | None = None
    lane: int | None = None
    route: str = ""
    """Of the lane: ``servers``, ``direct``, ``server``."""
    destination: str = ""
    """Of the lane."""
    state: State | None = None
    accepted_before: int = 0
    """Messages taken before this instant, in milliseconds."""
    recipient_domain: str = ""
    """Folded; one that begins with a dot stands for all below it."""
    category: str = ""
    """Of the last attempt, as `policy.meaning` names it."""
    submitter: ObjectId | None = None
    """The credential or key that handed it over."""
    sender: str = ""
    """Author or return path, as `policy.authority.parse_pattern` gives it."""

    @property
    def looks_further(self) -> bool:
        """Whether more than the queue's own rows must be read."""
        return bool(self.category or self.submitter is not None or self.sender)


EVERYTHING: Final = Selection()
