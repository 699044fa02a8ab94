"""the course of one attempt for a message, until the last of its settlements is durable"""

from __future__ import annotations

from collections.abc import Callable

from pillarbox.handover.outgoing import Outgoing
from pillarbox.policy.routing import Route
from pillarbox.services.delivery.ahead import Following
from pillarbox.services.delivery.report import Trouble
from pillarbox.storage.interface.queue import LaneName


class Course:
    """One attempt on its way, until the last of its settlements is durable.

    What it comes to stands in it when the attempt is over, for the lane.
    """

    __slots__ = (
        "_ended", "_recordings", "following", "lane", "left", "next_due_at", "outgoing", "pained", "trouble",
    )  # fmt: skip

    def __init__(
        self,
        outgoing: Outgoing,
        following: Following | None,
        ended: Callable[[Outgoing], None],
        lane: LaneName | None = None,
    ) -> None:
        """`ended` is called when everything about it is durable, also that some of it waits."""
        self.outgoing = outgoing
        self.lane = lane if lane is not None and lane.route != Route.SERVERS else None
        """Of mail that does not simply take its app's order."""
        self.following = following
        self.left = {addressee.delivery: addressee for addressee in outgoing.addressees}
        """Those not settled yet."""
        outgoing.left = self.left
        self.pained = False
        """A server was at fault, or asked for less."""
        self.trouble: Trouble | None = None
        """The last thing that went wrong, whether another server took it afterwards or not."""
        self.next_due_at = 0
        self._ended = ended
        self._recordings = 1  # the attempt itself

    def too_late(self, now_ms: int) -> bool:
        """Whether the caller who waits for an answer may have been told that it failed."""
        answer_by = self.outgoing.answer_by
        return answer_by is not None and now_ms >= answer_by

    def seconds_left(self, now_ms: int) -> float | None:
        """Until it is `too_late`; None where nobody waits for an answer."""
        answer_by = self.outgoing.answer_by
        return None if answer_by is None else max(0.0, (answer_by - now_ms) / 1000)

    def ends_with(self, then: Callable[[], None]) -> None:
        """The attempt could not be made to its end; `then` is called when what it has settled is
        durable.
        """
        self._ended = lambda outgoing: then()

    def begin(self) -> None:
        """One more settlement is on its way."""
        self._recordings += 1

    def one_less(self) -> None:
        """A settlement is durable, or the attempt is over."""
        self._recordings -= 1
        if not self._recordings:
            self._ended(self.outgoing)
