"""what is said of a house when everything runs"""

from __future__ import annotations

from typing import Final

from pillarbox import __version__
from pillarbox.net.http_server import HttpServer
from pillarbox.policy.checkup import is_unchecked
from pillarbox.policy.directory import Mode
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.interface.store_url import parse_store_url
from pillarbox.terms.ids import format_message_id
from pillarbox.wiring.first_run import FirstSecrets
from pillarbox.wiring.house import House
from pillarbox.wiring.started import Started, ports_of

_LOOSEST: Final = (Mode.LIVE, Mode.HOLD, Mode.SANDBOX, Mode.OFF)


async def started_with(
    house: House,
    http: HttpServer | None,
    first: FirstSecrets | None,
    *,
    created: bool,
    seconds: float,
) -> Started:
    """How a house that was just opened introduces itself; `seconds` is what opening it took."""
    storage, settings = house.storage, house.settings
    url = settings.database_url.reveal()
    newest = (await storage.messages.newest(MessageFilter(), 1)).messages
    apps = await storage.directory.apps()
    modes = {app.mode for app in apps}
    tracking = house.tracking.facts()
    servers = [each for app in apps for each in await storage.directory.servers(app.id)]
    return Started(
        version=__version__,
        data_dir=str(settings.data_dir),
        created=created or first is not None,
        http_url=f"http://{_bracketed(settings.http.listen)}:{http.port}" if http else "",
        http_note=http.note if http else "",
        smtp=ports_of(house.smtp_facts()),
        ca_path=str(house.ca_path or ""),
        first_username=first.username if first else None,
        first_password=first.password if first else None,
        first_key=first.key if first else None,
        mode=next((mode for mode in _LOOSEST if mode in modes), Mode.SANDBOX).value,
        waiting=sum(depth.waiting for depth in await storage.queue.depths()),
        seconds=seconds,
        last_message=format_message_id(newest[0].id) if newest else None,
        database=parse_store_url(url).shown if url else "",
        node=await _own_name(storage),
        roles=settings.roles,
        unchecked=tuple(each.label for each in servers if is_unchecked(each)),
        tracking_host=tracking.host,
        tracking=tuple((each.host, each.port, each.security) for each in tracking.listeners),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _own_name(storage: Storage) -> str:
    names = {node.number: node.name for node in await storage.nodes.nodes()}
    return names.get(storage.nodes.number, "")
