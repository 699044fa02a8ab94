"""keys of tokens: numbered, sealed, one of them current, none ever lost"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.message.tokens import KEY_OCTETS
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.store import Storage
from tests.contract.cluster import Cluster
from tests.contract.conftest import Place
from tests.contract.post import NOW


async def test_the_first_key_is_made_on_first_use_and_stays(place: Place) -> None:
    assert place.storage is not None
    assert await place.storage.keys.token_keys() == []
    first = await place.storage.keys.current_token_key(NOW)
    assert (first.number, len(first.secret), first.revoked_at) == (1, KEY_OCTETS, None)
    assert await place.storage.keys.current_token_key(NOW + 5) == first
    storage = await place.open()
    assert await storage.keys.token_keys() == [first]


async def test_many_who_find_none_make_one(storage: Storage) -> None:
    found = await asyncio.gather(*(storage.keys.current_token_key(NOW) for _ in range(8)))
    assert {key.number for key in found} == {1}
    assert len({key.secret for key in found}) == 1


async def test_a_new_key_is_current_and_those_before_are_read_as_ever(storage: Storage) -> None:
    first = await storage.keys.current_token_key(NOW)
    second = await storage.keys.rotate_token_key(NOW + 1)
    assert (second.number, second.made_at) == (2, NOW + 1)
    assert await storage.keys.current_token_key(NOW + 2) == second
    assert await storage.keys.token_secrets() == {1: first.secret, 2: second.secret}


async def test_a_revoked_key_is_known_to_be_and_the_current_one_is_replaced(place: Place) -> None:
    assert place.storage is not None
    keys = place.storage.keys
    first = await keys.current_token_key(NOW)
    revoked = await keys.revoke_token_key(1, NOW + 1)
    assert (revoked.secret, revoked.revoked_at) == (first.secret, NOW + 1)
    assert (await keys.current_token_key(NOW + 2)).number == 2
    assert (await keys.revoke_token_key(1, NOW + 3)).revoked_at == NOW + 1
    assert len(await keys.token_keys()) == 2
    storage = await place.open()
    assert [key.revoked_at for key in await storage.keys.token_keys()] == [NOW + 1, None]
    assert 1 in await storage.keys.token_secrets()
    with pytest.raises(NotFound):
        await storage.keys.revoke_token_key(9, NOW)


@pytest.mark.needs("postgres")
async def test_a_key_revoked_on_one_node_is_revoked_on_the_others(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    key = await one.keys.current_token_key(NOW)
    assert await two.keys.token_keys() == [key]
    await one.keys.revoke_token_key(key.number, NOW)
    async with asyncio.timeout(5):
        while (await two.keys.token_keys())[0].revoked_at is None:
            await asyncio.sleep(0.02)
    assert await two.keys.current_token_key(NOW) == await one.keys.current_token_key(NOW)


@pytest.mark.needs("postgres")
async def test_a_key_made_a_moment_ago_is_known_to_the_node_that_meets_its_tokens(
    cluster: Cluster,
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    assert await two.keys.token_keys() == []
    key = await one.keys.current_token_key(NOW)
    assert await two.keys.has_token_key(key.number)
    assert await two.keys.token_secrets() == {key.number: key.secret}


async def test_what_nobody_made_is_no_key(storage: Storage) -> None:
    assert not await storage.keys.has_token_key(1)
    await storage.keys.current_token_key(NOW)
    assert await storage.keys.has_token_key(1)
    for number in (0, -1, 2, 65535):
        assert not await storage.keys.has_token_key(number)
