"""whether it lives, whether it is ready, and its numbers"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pillarbox.api.calls import answer
from pillarbox.api.problems import NotPermitted
from pillarbox.api.rooms import Rooms
from pillarbox.handover.errors import NodeDraining
from pillarbox.storage.interface.store import Health
from pillarbox.terms.errors import PillarboxError

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LOOKED_AGAIN_AFTER_SECONDS: Final = 1.0
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class HealthRoutes:
    """``/healthz``, ``/readyz`` and ``/metrics``: no key is asked for."""

    def __init__(self, rooms: Rooms, *, owner: bool) -> None:
        """`owner`: everybody who reaches this may see everything."""
        self._rooms = rooms
        self._owner = owner
        self._health: Health | None = None
        self._looked_at = 0.0

    async def live(self, request: Request) -> Response:
        """That this is answered at all is the message: nothing is read or written for it."""
        return answer({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """200 while mail can be taken charge of, otherwise 503."""
        health = await self._look()
        gate = self._rooms.gate.trouble if self._rooms.gate else None
        ready = health.writable and gate is None
        document: dict[str, object] = {
            "status": "ready" if ready else "not ready",
            "storage": "ok" if ready or isinstance(gate, NodeDraining) else "does not take mail",
            "node": "draining" if isinstance(gate, NodeDraining) else "ok",
            "schema": health.schema,
        }
        if self._is_near(request):
            trouble = health.trouble or str(gate or "")
            document |= {"free_bytes": health.free_bytes, "trouble": trouble}
        return answer(document, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Raises `NotPermitted` for callers from elsewhere."""
        if not self._is_near(request):
            raise NotPermitted(
                "The metrics are shown to this machine only.",
                fix="Ask from this machine, or over the socket in the data directory.",
            )
        return Response(self._rooms.metrics_text(), media_type=METRICS_TYPE)

    async def _look(self) -> Health:
        # A look costs a commit, and whoever may reach this port may ask: one look a second.
        now = self._rooms.clock.monotonic()
        if self._health is None or now - self._looked_at >= _LOOKED_AGAIN_AFTER_SECONDS:
            self._looked_at = now
            try:
                self._health = await self._rooms.storage.health()
            except PillarboxError as error:
                self._health = Health(False, None, 0, "", str(error))
        return self._health

    def _is_near(self, request: Request) -> bool:
        if self._owner:
            return True
        # What a proxy on this machine passes on comes from anywhere.
        if request.client is None or any(name in request.headers for name in _FORWARDED):
            return False
        try:
            return ip_address(request.client.host).is_loopback
        except ValueError:
            return False
