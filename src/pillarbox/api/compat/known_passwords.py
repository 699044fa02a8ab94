"""passwords of servers as the server API shows them, and the entry in the log that they were"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from pillarbox.api.compat.signed_in import Visitor
from pillarbox.api.rooms import Rooms
from pillarbox.policy.directory import App
from pillarbox.policy.disclosure import MASK, in_clear
from pillarbox.policy.events import PasswordShownFacts
from pillarbox.policy.server import Server
from pillarbox.terms.ids import ObjectId

_TOLD_AGAIN_MS: Final = 600_000
_MOST_KEPT: Final = 10_000


class KnownPasswords:
    """Decides for each answer, and notes who was given passwords in clear before they are.

    A client that lists its servers every second would fill the log, so the same visitor from the
    same address is noted again only after a while.
    """

    def __init__(self, rooms: Rooms) -> None:
        """Nobody has been told anything."""
        self._rooms = rooms
        self._told: OrderedDict[tuple[str, ObjectId, str], int] = OrderedDict()

    async def of(self, visitor: Visitor, app: App, servers: Sequence[Server]) -> list[str]:
        """What stands in the answer for each of the servers. Raises `StorageTrouble` where it
        cannot be noted; then nobody is told.
        """
        clear = in_clear(
            visitor.channel,
            enabled=self._rooms.config.show_server_passwords,
            may_edit=visitor.may_edit,
        )
        secrets = [server.password.reveal() if server.password else "" for server in servers]
        if clear and any(secrets):
            await self._note(visitor, app, sum(map(bool, secrets)))
        return [secret if clear or not secret else MASK for secret in secrets]

    async def _note(self, visitor: Visitor, app: App, count: int) -> None:
        now_ms, address = self._rooms.clock.now_ms(), visitor.channel.address
        key = (visitor.name, app.id, address)
        told_at = self._told.get(key)
        if told_at is not None and now_ms - told_at < _TOLD_AGAIN_MS:
            return
        whose = "a server" if count == 1 else f"{count} servers"
        where = f" at {address}" if address else ""
        words = f"{visitor.name}{where} was given the password of {whose} in clear."
        facts = PasswordShownFacts(visitor.name, address, count, words)
        await self._rooms.storage.events.append(now_ms, app.id, "server.password_shown", facts)
        self._told[key] = now_ms
        self._told.move_to_end(key)
        if len(self._told) > _MOST_KEPT:
            self._told.popitem(last=False)
