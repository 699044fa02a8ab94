"""starts the rooms in floor order, keeps them running, ends them in reverse"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox import __version__
from pillarbox.net.http_server import HttpServer
from pillarbox.net.ports import Passed
from pillarbox.net.systemd import ServiceManager
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import EventLine, News
from pillarbox.services.upkeep.presence import Presence
from pillarbox.settings import Settings
from pillarbox.storage.interface.errors import (
    AlreadyRecovered,
    LeaseLost,
    StorageBroken,
    StorageTrouble,
)
from pillarbox.wiring.acme_rooms import bind_challenges
from pillarbox.wiring.default_app import take_variables
from pillarbox.wiring.first_run import FirstSecrets, begin
from pillarbox.wiring.greeting import started_with
from pillarbox.wiring.house import House, build
from pillarbox.wiring.service import Service
from pillarbox.wiring.started import Started

_log = logger("wiring")

SOCKET_NAME: Final = "pillarbox.sock"
_COLLECTED_AFTER: Final = 50_000
_DRAIN_SECONDS: Final = 20.0
_BROKEN_EXIT: Final = 7
_JOIN_AGAIN: Final = -1
_BEGIN_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
_JOIN_SECONDS: Final = 2.0


class Room(Protocol):
    """What runs until it is told to stop."""

    async def run(self) -> None:
        """Until then."""
        ...


async def serve(
    settings: Settings,
    *,
    started: Callable[[Started], None],
    line: Callable[[EventLine], None] | None = None,
    take_next_port: bool = False,
    manager: ServiceManager | None = None,
) -> int:
    """Run until SIGTERM or SIGINT, or until the disk fails; gives the exit code.

    `started` is called when everything is ready; `line` hears of what happens. Under a `manager`
    its sockets are used, it hears when mail is taken, and SIGHUP has certificates read again;
    otherwise SIGHUP ends the process, as when its terminal is closed. Where another node has taken
    over what this one had, all is built anew. Raises what opening storage and ports raises.
    """
    loop = asyncio.get_running_loop()
    metrics = Metrics(version=__version__)
    stopped = asyncio.Event()
    service = Service(manager or ServiceManager())
    joined = False

    def stop() -> None:
        service.stopping()
        stopped.set()

    with ExitStack() as stack:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
            stack.callback(loop.remove_signal_handler, number)
        if manager is not None:
            loop.add_signal_handler(signal.SIGHUP, service.reload)
            stack.callback(loop.remove_signal_handler, signal.SIGHUP)
        while True:
            try:
                code = await _live(
                    settings, metrics, stopped, service,
                    started=started, line=line, take_next_port=take_next_port,
                )  # fmt: skip
            except StorageTrouble as trouble:
                if not joined:
                    raise
                _log.warning("node.waiting", reason=str(trouble))
                with suppress(TimeoutError):
                    async with asyncio.timeout(_JOIN_SECONDS):
                        await stopped.wait()
                code = _JOIN_AGAIN
            if code != _JOIN_AGAIN:
                return code
            if stopped.is_set():
                return 0
            joined = True


async def _live(
    settings: Settings,
    metrics: Metrics,
    stopped: asyncio.Event,
    service: Service,
    *,
    started: Callable[[Started], None],
    line: Callable[[EventLine], None] | None,
    take_next_port: bool,
) -> int:
    """From opening the store to closing it; `_JOIN_AGAIN` where it was lost to another node."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    ended: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def broken(trouble: StorageBroken) -> None:
        if isinstance(trouble, LeaseLost):
            metrics.node_leases_lost[""] += 1
            _log.error("node.lost", reason=str(trouble))
            end(_JOIN_AGAIN)
            return
        _log.error("storage.broken", reason=str(trouble))
        end(_BROKEN_EXIT)

    news = News()
    news.listen(line)
    async with AsyncExitStack() as stack:
        asked = asyncio.ensure_future(stopped.wait())
        asked.add_done_callback(lambda _: end(0))
        stack.callback(asked.cancel)
        created = not settings.database_url and not (settings.data_dir / "pillarbox.db").exists()
        house = await build(settings, on_broken=broken, news=news, metrics=metrics)
        stack.push_async_callback(house.storage.close)
        await _be_present(stack, house)
        # Ports first: secrets that are shown once must not be made by a start that fails.
        faces = bind_ports(
            stack, house, take_next_port=take_next_port, passed=service.manager.sockets
        )
        first = await _begin_once(house)
        await take_variables(
            settings.mail_variables, house.storage.directory, news, house.clock.now_ms()
        )
        recovered = await house.storage.queue.recover(house.clock.now_ms())
        if recovered.released or recovered.uncertain:
            _log.warning(
                "recovered", released=recovered.released, uncertain=recovered.uncertain,
                held=recovered.held,
            )  # fmt: skip
        house.gate.look(await house.storage.health())
        await open_rooms(stack, house, faces)
        _spare_the_collector()
        seconds = loop.time() - began
        started(await started_with(house, faces.http, first, created=created, seconds=seconds))
        with service.running(house):
            await ended
    return ended.result()


@dataclass(frozen=True, slots=True)
class Faces:
    """The two HTTP faces, bound."""

    http: HttpServer | None
    """None where the node has not that role."""
    owner: HttpServer
    challenges: Sequence[HttpServer] = ()
    """Where an authority looks whether a host is ours."""


def bind_ports(
    stack: AsyncExitStack,
    house: House,
    *,
    take_next_port: bool,
    passed: Sequence[Passed] = (),
) -> Faces:
    """Open the ports of this node's roles; clients wait until `open_rooms`.

    Of the sockets `passed` to us one may be for HTTP. Raises what a busy port raises.
    """
    config = house.settings.http
    serves_http = "http" in house.settings.roles
    for_http = [
        sock for sock in passed if serves_http and (sock.name == "http" or sock.port == config.port)
    ][:1]
    house.listener.bind(
        take_next_port=take_next_port, passed=[sock for sock in passed if sock not in for_http]
    )
    stack.callback(house.listener.stop_accepting)
    http = None
    if serves_http:
        http = HttpServer(
            house.app(owner=False),
            host=config.listen,
            port=config.port,
            take_next_port=take_next_port,
            passed=for_http[0] if for_http else None,
        )
        stack.push_async_callback(http.stop)
    house.tracking.bind(stack)
    owner = HttpServer(house.app(owner=True), unix_path=house.settings.data_dir / SOCKET_NAME)
    stack.push_async_callback(owner.stop)
    challenges = bind_challenges(stack, house.settings, house.storage, house.clock)
    return Faces(http, owner, challenges)


async def open_rooms(stack: AsyncExitStack, house: House, faces: Faces) -> None:
    """Start what waits; leaving the stack stops accepting first and closes connections last."""
    stack.push_async_callback(house.tokens.close)
    stack.push_async_callback(house.resolver.close)
    stack.push_async_callback(house.tls.close)
    stack.push_async_callback(house.acme.close)
    stack.push_async_callback(house.pool.close)
    rooms: list[tuple[str, Room]] = [
        ("upkeep", house.rounds), ("certificates", house.certificates),
        ("tls-reports", house.tls.reports), ("circuits", house.circuits),
        ("domains", house.domains.rounds),
        ("renewals", house.acme.renewals),
    ]  # fmt: skip
    if "deliver" in house.settings.roles:
        rooms += [("delivery", house.worker), ("notices", house.notices)]
        house.storage.nodes.listen("queue", house.worker.look_now)
        house.worker.start_mirroring()
    with suppress(StorageTrouble):  # it is looked at again every minute
        await house.acme.renewals.show()
    tasks = [asyncio.create_task(room.run(), name=name) for name, room in rooms]
    for task in tasks:
        task.add_done_callback(_ended_early)

    async def stop_working() -> None:
        by_the_clock = (
            house.rounds, house.tls.reports, house.domains.rounds, house.acme.renewals,
        )  # fmt: skip
        for room in (house.certificates, house.notices, *by_the_clock):
            room.stop()
        await house.stop_delivering(_DRAIN_SECONDS)
        await asyncio.wait(tasks, timeout=_DRAIN_SECONDS)

    stack.push_async_callback(stop_working)
    await house.tracking.open(stack)
    for server in (faces.http, faces.owner, *faces.challenges):
        if server is not None:
            await server.start()
            stack.push_async_callback(server.stop)
    await house.listener.start()
    stack.push_async_callback(house.listener.drain, _DRAIN_SECONDS)


async def _be_present(stack: AsyncExitStack, house: House) -> None:
    """Give signs of life from now on, until everything else has ended."""
    presence = Presence(
        house.storage, house.gate, house.clock, house.load, house.worker.drain, house.metrics
    )
    await presence.beat()  # a node that is drained hears it before it takes anything
    task = asyncio.create_task(presence.run(), name="presence")
    task.add_done_callback(_ended_early)

    async def leave() -> None:
        presence.stop()
        await asyncio.wait([task], timeout=_DRAIN_SECONDS)
        with suppress(StorageTrouble, AlreadyRecovered):
            await house.storage.nodes.leave(house.clock.now_ms())

    stack.push_async_callback(leave)


async def _begin_once(house: House) -> FirstSecrets | None:
    """The first account, made by one node where several begin at once."""
    storage = house.storage
    async with asyncio.timeout(_BEGIN_SECONDS):
        while not await storage.directory.accounts():
            if await storage.nodes.has_duty("first-run"):
                return await begin(storage.directory, house.clock.now_ms())
            await asyncio.sleep(_LOOK_SECONDS)
            storage.directory.forget()
    return None


def _spare_the_collector() -> None:
    """What was made so far lives as long as the process; and mail makes no cycles worth a search
    every 700 objects, which cost a twentieth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, 20, 100)


def _ended_early(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("room.broke", room=task.get_name(), reason=repr(error), exc_info=error)
