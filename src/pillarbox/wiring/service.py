"""a process as its service manager sees it: ready, reloading, stopping"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pillarbox.net.systemd import ServiceManager
from pillarbox.wiring.house import House

_MICROSECONDS: Final = 1_000_000


class Service:
    """Passes on between the manager and the house that runs just now."""

    def __init__(self, manager: ServiceManager) -> None:
        """Nothing runs yet."""
        self.manager = manager
        self._house: House | None = None

    @contextmanager
    def running(self, house: House) -> Iterator[None]:
        """While `house` takes mail."""
        self._house = house
        self.manager.notify("READY=1", "STATUS=Taking mail")
        try:
            yield
        finally:
            self._house = None

    def stopping(self) -> None:
        """Somebody has asked the process to end."""
        self.manager.notify("STOPPING=1", "STATUS=Finishing what was begun")

    def reload(self) -> None:
        """Read certificates again, the tracking host's as well. All other settings are read at a
        start.
        """
        house = self._house
        if house is None:
            return
        at = round(house.clock.monotonic() * _MICROSECONDS)
        self.manager.notify("RELOADING=1", f"MONOTONIC_USEC={at}")
        of_tracking = house.tracking.own
        used = house.certificates.reload()
        if of_tracking is not None:
            used = of_tracking.reload() and used
        status = "Taking mail" if used else "Taking mail; the new certificate cannot be used"
        self.manager.notify("READY=1", f"STATUS={status}")
