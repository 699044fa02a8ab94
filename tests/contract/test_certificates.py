"""certificates and what proves a host are shared by all nodes, and keys are sealed"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pillarbox.policy.certificate import Certificate
from pillarbox.storage.interface import certificates as interface
from pillarbox.storage.interface.certificates import AcmeAccount, CertificatePair
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.secret import Secret
from tests.contract.cluster import Cluster
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW

HOST = "track.example.com"
PAIR = CertificatePair(HOST, "the chain", Secret("the key"))
HELD = Certificate(HOST, NOW, NOW + 90 * HOUR, NOW + 60 * HOUR, NOW)


async def test_a_host_that_is_wanted_is_due_at_once_and_again_when_it_is_wanted_again(
    storage: Storage,
) -> None:
    store = storage.certificates
    assert await store.want(HOST, NOW) == Certificate(HOST, due_at=NOW)
    assert await store.pairs() == []
    assert await store.keep(HELD, PAIR)
    assert await store.certificates() == [HELD]
    assert await store.want(HOST, NOW + 5) == replace(HELD, due_at=NOW + 5)
    assert await store.pairs() == [PAIR], "what is there stays until the next one is"


async def test_a_failure_is_noted_beside_what_holds(storage: Storage) -> None:
    store = storage.certificates
    await store.want(HOST, NOW)
    await store.keep(HELD, PAIR)
    failed = replace(HELD, due_at=NOW + HOUR, tried_at=NOW + 1, failures=1, words="no answer")
    await store.note_failure(failed)
    assert await store.certificates() == [failed]
    assert await store.pairs() == [PAIR]
    await store.keep(HELD, PAIR)
    assert await store.certificates() == [HELD]


async def test_what_was_removed_is_not_kept_when_it_is_obtained_later(storage: Storage) -> None:
    store = storage.certificates
    await store.want(HOST, NOW)
    await store.remove(HOST)
    assert not await store.keep(HELD, PAIR)
    await store.note_failure(HELD)
    assert await store.certificates() == []
    with pytest.raises(NotFound):
        await store.remove(HOST)


async def test_there_is_an_end_to_the_hosts_of_a_store(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillarbox.storage.certificates.MOST_HOSTS", 2)
    assert interface.MOST_HOSTS > 2
    store = storage.certificates
    for name in ("a.example", "b.example", "a.example"):
        await store.want(name, NOW)
    with pytest.raises(Conflict):
        await store.want("c.example", NOW)


async def test_an_account_is_kept_for_each_authority(storage: Storage) -> None:
    store = storage.certificates
    assert await store.account("https://one.example/dir") is None
    for number in (1, 2):
        account = AcmeAccount(f"https://one.example/acct/{number}", Secret(f"key {number}"))
        await store.keep_account("https://one.example/dir", account)
        assert await store.account("https://one.example/dir") == account
    assert await store.account("https://two.example/dir") is None


async def test_an_answer_is_given_until_it_is_dropped_or_its_time_is_over(storage: Storage) -> None:
    store = storage.certificates
    await store.put_answer("one", "one.thumb", NOW + HOUR)
    await store.put_answer("two", "two.thumb", NOW + 2 * HOUR)
    assert await store.answer("one", NOW) == "one.thumb"
    assert await store.answer("one", NOW + HOUR) is None
    await store.drop_answer("two", NOW)
    assert await store.answer("two", NOW) is None
    assert await store.answer("one", NOW) == "one.thumb"
    await store.drop_answer("none", NOW + HOUR)
    assert await store.answer("one", NOW) is None


async def test_keys_are_nowhere_in_clear(place: Place) -> None:
    storage = await place.open()
    await storage.certificates.want(HOST, NOW)
    await storage.certificates.keep(HELD, replace(PAIR, key=Secret("the-key-of-the-host")))
    account = AcmeAccount("https://one.example/acct/1", Secret("the-key-of-the-account"))
    await storage.certificates.keep_account("https://one.example/dir", account)
    storage = await place.open()
    assert (await storage.certificates.pairs())[0].key.reveal() == "the-key-of-the-host"
    if not place.database:
        await storage.close()
        written = b"".join(path.read_bytes() for path in place.path.glob("pillarbox.db*"))
        assert b"the-key-of" not in written


@pytest.mark.needs("postgres")
async def test_what_one_node_obtained_the_others_show_and_hear_of(cluster: Cluster) -> None:
    one, other = await cluster.open("one"), await cluster.open("other")
    heard = asyncio.Event()
    other.certificates.listen(heard.set)
    heard.clear()
    await one.certificates.want(HOST, NOW)
    await one.certificates.keep(HELD, PAIR)
    await heard.wait()
    assert await other.certificates.certificates() == [HELD]
    await one.certificates.put_answer("token", "token.thumb", NOW + HOUR)
    assert await other.certificates.answer("token", NOW) == "token.thumb"
