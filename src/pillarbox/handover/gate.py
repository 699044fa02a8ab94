"""whether we may take charge of mail just now

Asked at MAIL, before anybody sends content: a full disk is said while there is still room to
finish what is being received (RFC 5321 §4.5.3.1.9 wants a clear 452).
"""

from __future__ import annotations

from pillarbox.handover.errors import NodeDraining
from pillarbox.storage.interface.errors import StorageFull, StorageTrouble
from pillarbox.storage.interface.store import Health
from pillarbox.terms.errors import Trouble


class Gate:
    """Open until a look at the store closes it."""

    def __init__(self, largest_message_bytes: int, floor_bytes: int) -> None:
        """Closed while less than 1.5 of the largest message, or `floor_bytes`, is free."""
        self._needed = max(largest_message_bytes * 3 // 2, floor_bytes)
        self._trouble: Trouble | None = None
        self._draining: NodeDraining | None = None

    @property
    def trouble(self) -> Trouble | None:
        """Why nothing can be taken, or None."""
        return self._draining or self._trouble

    def drain(self, draining: bool) -> None:
        """Closed while this node finishes what it has, whatever the store says."""
        self._draining = NodeDraining() if draining else None

    def look(self, health: Health) -> None:
        """Judge the store's health."""
        if not health.writable:
            self._trouble = StorageTrouble(detail=health.trouble)
        elif health.free_bytes is not None and health.free_bytes < self._needed:
            self._trouble = StorageFull(
                detail=f"{health.free_bytes} bytes free, {self._needed} wanted"
            )
        else:
            self._trouble = None
