"""certificates from an authority: obtained, used, renewed, and what becomes of failures"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from pillarbox.api.challenges import build_challenges
from pillarbox.handover.config import TrackingConfig
from pillarbox.net.acme import AcmeConfig, Issued, Publish, new_account_key
from pillarbox.net.acme_errors import AcmeFailed
from pillarbox.net.http_server import HttpServer
from pillarbox.net.smtp_ports import SmtpConfig
from pillarbox.observe.news import News
from pillarbox.policy.certificate import Certificate
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.services.certificates.renewals import Renewals, TermsNotAgreed
from pillarbox.services.domains.tracking_certificates import AWAITED
from pillarbox.services.tracking.config import TrackingHostConfig
from pillarbox.storage import certificates as certificate_store
from pillarbox.storage.interface.certificates import CertificatePair
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from pillarbox.wiring.house import House, build
from pillarbox.wiring.life import bind_ports, open_rooms
from tests.doubles.pebble import pebble
from tests.doubles.ports import black_hole
from tests.doubles.postgres import PostgresServer
from tests.doubles.reader import Reader
from tests.fix_house import Houses, Running, settings_at

HOST = "track.example.test"
THIRD_MS = 30 * 86_400_000


class Hands:
    """An authority that does as it is told."""

    directory = "https://acme.example.test/dir"

    def __init__(self) -> None:
        self.failing: AcmeFailed | None = None
        self.unknown: set[str] = set()
        self.accounts = 0
        self.asked: list[str] = []

    async def open_account(self, key: Secret) -> str:
        self.accounts += 1
        return f"https://acme.example.test/acct/{self.accounts}"

    async def obtain(self, host: str, account: str, key: Secret, publish: Publish) -> Issued:
        self.asked.append(host)
        if account in self.unknown:
            raise AcmeFailed("no such account", unknown_account=True)
        await publish("token", f"token.{len(self.asked)}")
        if self.failing is not None:
            raise self.failing
        return Issued(f"chain {len(self.asked)}", new_account_key(), 1000, 1000 + 3 * THIRD_MS)


class Clock:
    def __init__(self) -> None:
        self.at_ms = 1000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic(self) -> float:
        return self.at_ms / 1000


class Desk:
    """A round over a real store, by hand."""

    def __init__(
        self, running: Running, *, agreed: bool = True, hosts: tuple[str, ...] = ()
    ) -> None:
        self.store = running.house.storage.certificates
        self.clock, self.hands = Clock(), Hands()
        self.shown: list[CertificatePair] = []
        self.renewals = Renewals(
            running.house.storage, self.hands, self._show, self.clock, hosts=hosts, agreed=agreed
        )

    def _show(self, pairs: object) -> None:
        self.shown = list(pairs)  # type: ignore[call-overload]


async def test_what_was_asked_for_is_obtained_shown_and_renewed_in_its_last_third(
    houses: Houses,
) -> None:
    desk = Desk(await houses.start())
    await desk.renewals.request(HOST)
    assert await desk.renewals.go_round() == 1
    assert [pair.chain for pair in desk.shown] == ["chain 1"]
    desk.clock.at_ms = 1000 + 2 * THIRD_MS - 1
    assert await desk.renewals.go_round() == 0
    desk.clock.at_ms += 1
    assert await desk.renewals.go_round() == 1
    assert [pair.chain for pair in desk.shown] == ["chain 2"]
    assert desk.hands.accounts == 1, "the account is kept"


async def test_hosts_of_the_settings_are_asked_for_once(houses: Houses) -> None:
    desk = Desk(await houses.start(), hosts=(HOST, "Mail.Example.Test"))
    assert await desk.renewals.go_round() == 2
    assert await desk.renewals.go_round() == 0
    assert sorted(desk.hands.asked) == ["mail.example.test", HOST]


async def test_nothing_is_asked_before_somebody_agreed_to_the_terms(houses: Houses) -> None:
    desk = Desk(await houses.start(), agreed=False)
    with pytest.raises(TermsNotAgreed, match="agreed"):
        await desk.renewals.request(HOST)
    await desk.store.want(HOST, 0)
    assert await desk.renewals.go_round() == 0
    assert desk.hands.asked == []
    assert desk.hands.accounts == 0


async def test_a_failure_is_told_in_its_words_and_tried_again_later(houses: Houses) -> None:
    desk = Desk(await houses.start())
    await desk.renewals.request(HOST)
    desk.hands.failing = AcmeFailed("the authority did not find our answer")
    for failures, hours in ((1, 1), (2, 2), (3, 4)):
        assert await desk.renewals.go_round() == 0
        (found,) = await desk.store.certificates()
        assert found.failures == failures
        assert found.words == "the authority did not find our answer"
        assert found.due_at - desk.clock.at_ms == hours * 3_600_000
        asked = len(desk.hands.asked)
        assert await desk.renewals.go_round() == 0
        assert len(desk.hands.asked) == asked, "it is left alone until then"
        desk.clock.at_ms = found.due_at
    desk.hands.failing = None
    assert await desk.renewals.go_round() == 1
    (found,) = await desk.store.certificates()
    assert (found.failures, found.words) == (0, "")


async def test_one_host_that_fails_keeps_no_other_from_its_certificate(houses: Houses) -> None:
    desk = Desk(await houses.start(), hosts=("a.example.test", "b.example.test"))
    fails_first = desk.hands.obtain

    async def obtain(host: str, account: str, key: Secret, publish: Publish) -> Issued:
        if host == "a.example.test":
            raise AcmeFailed("no")
        return await fails_first(host, account, key, publish)

    desk.hands.obtain = obtain  # type: ignore[method-assign]
    assert await desk.renewals.go_round() == 1
    assert [pair.host for pair in desk.shown] == ["b.example.test"]


async def test_what_nobody_thought_of_is_a_failure_like_any_other(houses: Houses) -> None:
    desk = Desk(await houses.start())
    await desk.renewals.request(HOST)

    async def obtain(host: str, account: str, key: Secret, publish: Publish) -> Issued:
        raise ZeroDivisionError

    desk.hands.obtain = obtain  # type: ignore[method-assign]
    assert await desk.renewals.go_round() == 0
    (found,) = await desk.store.certificates()
    assert (found.failures, found.due_at - desk.clock.at_ms) == (1, 3_600_000)


async def test_an_end_does_not_wait_for_an_authority_that_does_not_answer(houses: Houses) -> None:
    with black_hole() as port:
        directory = f"https://127.0.0.1:{port}/dir"
        running = await houses.start(
            acme=AcmeConfig(directory=directory, agree_terms=True, hosts=(HOST,))
        )
        client = running.house.acme.client
        async with asyncio.timeout(10):
            while not client.asking:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            await houses.stop()
            await asyncio.get_running_loop().shutdown_default_executor()


async def test_where_there_is_no_room_for_one_host_the_others_are_asked_for_all_the_same(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(await houses.start(), hosts=("second.example.test",))
    monkeypatch.setattr(certificate_store, "MOST_HOSTS", 1)
    await desk.renewals.request(HOST)
    assert await desk.renewals.go_round() == 1
    assert [each.host for each in await desk.store.certificates()] == [HOST]


async def test_an_account_that_the_authority_has_forgotten_is_opened_anew(houses: Houses) -> None:
    desk = Desk(await houses.start())
    await desk.renewals.request(HOST)
    desk.hands.unknown.add("https://acme.example.test/acct/1")
    assert await desk.renewals.go_round() == 1
    kept = await desk.store.account(desk.hands.directory)
    assert kept is not None
    assert kept.url.endswith("/2")


async def test_answers_are_taken_away_whatever_came_of_it(houses: Houses) -> None:
    desk = Desk(await houses.start())
    await desk.renewals.request(HOST)
    desk.hands.failing = AcmeFailed("no")
    await desk.renewals.go_round()
    assert await desk.store.answer("token", desk.clock.at_ms) is None


async def test_whoever_comes_first_after_a_restart_is_shown_what_was_obtained(
    houses: Houses,
) -> None:
    smtp = SmtpConfig(starttls_ports=(), tls_ports=(0,))
    running = await houses.start(smtp=smtp)
    authority = trustme.CA()
    leaf = authority.issue_cert(HOST)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode()
    store, now = running.house.storage.certificates, running.house.clock.now_ms()
    await store.want(HOST, now)
    pair = CertificatePair(HOST, chain, Secret(leaf.private_key_pem.bytes().decode()))
    await store.keep(Certificate(HOST, now, now + 3 * THIRD_MS, now + 2 * THIRD_MS), pair)
    running = await houses.start(smtp=smtp)
    port = running.house.listener.open_ports[0].port
    assert await shown_to(port, authority.cert_pem.bytes().decode())


async def shown_to(port: int, roots: str, host: str = HOST) -> bytes:
    """The certificate a client gets that asks for a name and trusts this authority alone."""
    context = ssl.create_default_context(cadata=roots)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return bytes(found)


async def proved_domain(running: Running) -> SendingDomain:
    """One of the app's account, whose tracking host is ours."""
    domain = SendingDomain(
        new_object_id(), running.app.account, HOST.partition(".")[2], "challenge",
        tracking_host=HOST, proved_at=running.house.clock.now_ms(),
    )  # fmt: skip
    await running.house.storage.domains.save_domain(domain)
    return domain


@pytest.mark.needs("pebble")
async def test_a_tracking_host_obtains_its_certificate_uses_it_and_renews_it_without_a_restart(
    houses: Houses, tmp_path: Path
) -> None:
    async with pebble(tmp_path / "pebble", HOST) as authority:
        running = await houses.start(
            smtp=SmtpConfig(starttls_ports=(), tls_ports=(0,)),
            tracking_host=TrackingHostConfig(
                listen=(f"127.0.0.1:{authority.http_port}",), listen_tls=("127.0.0.1:0",)
            ),
            acme=AcmeConfig(
                directory=authority.directory, agree_terms=True, ca_file=str(authority.ca_file)
            ),
        )  # fmt: skip
        house, roots = running.house, authority.roots()
        store = house.storage.certificates
        smtp, tracking = house.listener.open_ports[0].port, house.tracking.ports[-1]
        seen: set[str] = set()
        # As when a look at a domain's records finds that its tracking host leads here.
        asking, domain = house.domains.look.certificates, await proved_domain(running)
        assert asking is not None and await asking.missing(domain) == AWAITED

        async def next_one() -> bytes:
            """What both ports show, once there is one that was not there before."""
            async with asyncio.timeout(20):
                while not {pair.chain for pair in await store.pairs()} - seen:
                    assert [each.words for each in await store.certificates()] in ([], [""])
                    await asyncio.sleep(0.02)
            (pair,) = await store.pairs()
            seen.add(pair.chain)
            await house.acme.renewals.go_round()  # shows what there is
            found = await shown_to(tracking, roots)
            assert await shown_to(smtp, roots) == found
            return found

        first = await next_one()
        client = ssl.create_default_context(cadata=roots)
        told = await Reader(tracking, context=client, name=HOST).ask("/robots.txt")
        assert (told.status, told.body.startswith(b"User-agent")) == (200, True)
        assert await asking.missing(domain) == "" and house.tracking.shown.covers(HOST)
        (held,) = await store.certificates()
        assert held.due_at == held.until_at - (held.until_at - held.since_at) // 3
        # What the clock would come to in some weeks.
        await store.note_failure(replace(held, due_at=house.clock.now_ms()))
        await house.acme.renewals.go_round()
        assert await next_one() != first


@pytest.mark.parametrize(
    "sections",
    [
        {"acme": AcmeConfig()},
        {"acme": AcmeConfig(agree_terms=True, tracking_hosts=False)},
        {"tracking_host": TrackingHostConfig(listen=("127.0.0.1:0",))},
        {"tracking": TrackingConfig(host=HOST, https=False)},
    ],
    ids=["not-agreed", "not-wanted", "shown-elsewhere", "in-clear"],
)
async def test_who_does_not_show_certificates_of_tracking_hosts_asks_for_none(
    houses: Houses, sections: dict[str, object]
) -> None:
    usual: dict[str, object] = {
        "acme": AcmeConfig(agree_terms=True),
        "tracking_host": TrackingHostConfig(listen_tls=("127.0.0.1:0",)),
        "tracking": TrackingConfig(host=HOST),
    }
    assert (await houses.start(**usual)).house.domains.look.certificates is not None
    assert (await houses.start(**(usual | sections))).house.domains.look.certificates is None


async def test_a_port_of_its_own_answers_authorities_and_nobody_else() -> None:
    async def said(token: str) -> str | None:
        return "known.thumbprint" if token == "known" else None

    server = HttpServer(build_challenges(said), host="127.0.0.1", port=0)
    await server.start()
    reader = Reader(server.port)
    try:
        told = await reader.ask("/.well-known/acme-challenge/known")
        assert (told.status, told.body) == (200, b"known.thumbprint")
        told = await reader.ask("/.well-known/acme-challenge/known", method="HEAD")
        assert (told.status, told.body) == (200, b"")
        for path in (
            "/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/unknown",
            "/.well-known/acme-challenge/" + "x" * 5000, "/known", "/pillarbox/v1/messages",
        ):  # fmt: skip
            assert (await reader.ask(path)).status == 404
        told = await reader.ask("/.well-known/acme-challenge/known", method="POST", body=b"x")
        assert told.status == 404
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def node(folder: Path, url: str, name: str, **sections: object) -> AsyncIterator[House]:
    """One of several over a database."""
    settings = settings_at(
        folder / name, database_url=Secret(url), secret_key=Secret("11" * 32), node=name,
        smtp=SmtpConfig(starttls_ports=(), tls_ports=(0,)), **sections,
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        house = await build(settings, on_broken=lambda _: None, news=News())
        stack.push_async_callback(house.storage.close)
        await open_rooms(stack, house, bind_ports(stack, house, take_next_port=False))
        yield house


@pytest.mark.needs("pebble", "postgres")
async def test_one_node_asks_another_answers_the_authority_and_both_show_what_was_obtained(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.database()
    async with pebble(tmp_path / "pebble", HOST) as authority:
        asking = AcmeConfig(
            directory=authority.directory, agree_terms=True, ca_file=str(authority.ca_file),
            hosts=(HOST,),
        )  # fmt: skip
        answering = AcmeConfig(listen="127.0.0.1", ports=(authority.http_port,))
        async with (
            node(tmp_path, url, "two", roles=("smtp",), acme=answering) as two,
            node(tmp_path, url, "one", roles=("smtp", "upkeep"), acme=asking) as one,
        ):
            ports = [house.listener.open_ports[0].port for house in (one, two)]
            found: list[bytes] = []
            async with asyncio.timeout(20):
                while len(found) < len(ports):
                    with contextlib.suppress(ssl.SSLError):
                        found.append(await shown_to(ports[len(found)], authority.roots()))
                    await asyncio.sleep(0.02)
            assert found[0] == found[1]
            (known,) = await two.storage.certificates.certificates()
            assert known.words == ""
