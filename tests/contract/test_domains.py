"""sending domains belong to one account, and their keys sign what names them until they are revoked"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.message.dkim import Algorithm, SigningKey, new_key
from pillarbox.policy.dkim_key import DkimKey, KeyAct, KeyState
from pillarbox.policy.domain_findings import Checked
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.interface.nodes import NodeLoad
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import ObjectId
from tests.contract.cluster import Cluster, until
from tests.contract.conftest import Place
from tests.contract.post import NOW

ANN, BEN = ObjectId(b"account-ann."), ObjectId(b"account-ben.")
DOMAIN = SendingDomain(ObjectId(b"domain-one.."), ANN, "example.com", "c1", proved_at=NOW)
OTHER = SendingDomain(ObjectId(b"domain-two.."), BEN, "example.com", "c2")
SIGNER = new_key("example.com", "s1", Algorithm.ED25519)
KEY = DkimKey("s1", Algorithm.ED25519, SIGNER.record, KeyState.ACTIVE, created_at=NOW)


async def with_key(storage: Storage, key: DkimKey = KEY, signer: SigningKey = SIGNER) -> None:
    await storage.domains.save_domain(DOMAIN)
    await storage.domains.add_keys(DOMAIN.id, [(key, signer.private_text())])


async def test_a_name_may_be_claimed_by_many_and_proved_by_one(storage: Storage) -> None:
    await storage.domains.save_domain(DOMAIN)
    await storage.domains.save_domain(OTHER)
    with pytest.raises(Conflict, match=r"example\.com is a sending domain already"):
        await storage.domains.save_domain(replace(OTHER, proved_at=NOW))
    with pytest.raises(Conflict):
        await storage.domains.save_domain(replace(DOMAIN, id=ObjectId(b"domain-three")))
    assert {one.id for one in await storage.domains.domains()} == {DOMAIN.id, OTHER.id}
    await storage.domains.remove_domain(DOMAIN.id)
    await storage.domains.save_domain(replace(OTHER, proved_at=NOW))
    assert (await storage.domains.proved()).by_name["example.com"].account == BEN


async def test_what_is_not_proved_yet_is_known_until_it_is(storage: Storage) -> None:
    await storage.domains.save_domain(replace(DOMAIN, proved_at=0))
    assert (await storage.domains.proved()).awaited(ANN, "example.com") == "example.com"
    assert (await storage.domains.proved()).awaited(BEN, "example.com") == ""
    await storage.domains.save_domain(replace(DOMAIN, proved_at=NOW))
    assert (await storage.domains.proved()).awaited(ANN, "example.com") == ""


async def test_only_active_keys_of_proved_domains_sign_new_mail(storage: Storage) -> None:
    await with_key(storage)
    await storage.domains.add_keys(
        DOMAIN.id, [(replace(KEY, selector="s2", state=KeyState.PENDING), SIGNER.private_text())]
    )
    proved = await storage.domains.proved()
    found = proved.signing_for(ANN, "example.com")
    assert found is not None and found.key_ids == ("example.com/s1",)
    assert proved.signing_for(BEN, "example.com") is None
    await storage.domains.save_domain(replace(DOMAIN, proved_at=0))
    assert (await storage.domains.proved()).signing_for(ANN, "example.com") is None


async def test_rsa_is_named_before_ed25519(storage: Storage) -> None:
    await with_key(storage)
    signer = new_key("example.com", "z9")
    await storage.domains.add_keys(
        DOMAIN.id,
        [(replace(KEY, selector="z9", algorithm=Algorithm.RSA), signer.private_text())],
    )
    signing = (await storage.domains.proved()).by_name["example.com"]
    assert signing.key_ids == ("example.com/z9", "example.com/s1")


async def test_a_retired_key_still_signs_and_a_revoked_one_does_not(storage: Storage) -> None:
    await with_key(storage)
    names = ("example.com/s1", "example.com/nobody")
    assert storage.domains.signing_keys_now(names) is None
    assert list(await storage.domains.signing_keys(names)) == ["example.com/s1"]
    assert storage.domains.signing_keys_now(names) is not None
    retired = KEY.after(KeyAct.RETIRE, NOW)
    assert retired is not None
    await storage.domains.save_keys(DOMAIN.id, [retired])
    keys = await storage.domains.signing_keys(names)
    assert keys["example.com/s1"].private_text() == SIGNER.private_text()
    assert keys["example.com/s1"].record == KEY.record
    revoked = retired.after(KeyAct.REVOKE, NOW)
    assert revoked is not None
    await storage.domains.save_keys(DOMAIN.id, [revoked])
    assert await storage.domains.signing_keys(names) == {}
    # Whoever looked at it before it was revoked does not bring it back.
    with pytest.raises(NotFound):
        await storage.domains.save_keys(DOMAIN.id, [retired])
    assert [key.state for key in await storage.domains.keys(DOMAIN.id)] == [KeyState.REVOKED]


async def test_a_private_key_rests_sealed_and_survives_a_restart(place: Place) -> None:
    storage = await place.open()
    await with_key(storage)
    storage = await place.open()
    keys = await storage.domains.signing_keys(["example.com/s1"])
    assert keys["example.com/s1"].private_text() == SIGNER.private_text()
    assert await storage.domains.keys(DOMAIN.id) == [KEY]
    if not place.database:
        data = b"".join(path.read_bytes() for path in place.path.glob("*.db*"))
        assert b"example.com" in data
        assert b"PRIVATE KEY" not in data


@pytest.mark.needs("postgres")
async def test_what_becomes_of_a_key_is_heard_by_the_other_nodes(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    names = ["example.com/s1"]
    assert await two.domains.signing_keys(names) == {}
    assert (await two.domains.proved()).by_name == {}
    await with_key(one)

    async def signs() -> bool:
        await two.nodes.beat(NodeLoad())
        proved = await two.domains.proved()
        return names == list(await two.domains.signing_keys(names)) and bool(proved.by_name)

    await until(signs)
    revoked = KEY.after(KeyAct.REVOKE, NOW)
    assert revoked is not None
    await one.domains.save_keys(DOMAIN.id, [revoked])

    async def signs_no_more() -> bool:
        await two.nodes.beat(NodeLoad())
        return not await two.domains.signing_keys(names)

    await until(signs_no_more)


async def test_keys_go_with_their_domain(storage: Storage) -> None:
    await with_key(storage)
    with pytest.raises(Conflict):
        await storage.domains.add_keys(DOMAIN.id, [(KEY, SIGNER.private_text())])
    await storage.domains.remove_domain(DOMAIN.id)
    assert await storage.domains.keys(DOMAIN.id) == []
    assert await storage.domains.signing_keys(["example.com/s1"]) == {}
    for gone in (
        storage.domains.remove_domain(DOMAIN.id),
        storage.domains.domain(DOMAIN.id),
        storage.domains.remove_key(DOMAIN.id, "s1"),
        storage.domains.save_keys(DOMAIN.id, [KEY]),
        storage.domains.save_checked(DOMAIN, Checked(NOW), NOW + 1, []),
    ):
        with pytest.raises(NotFound):
            await gone


async def test_what_was_changed_during_a_look_is_due_behind_it(storage: Storage) -> None:
    await storage.domains.save_domain(DOMAIN)
    await storage.domains.look_at(DOMAIN.id, NOW + 5)
    await storage.domains.look_at(DOMAIN.id, 0)
    await storage.domains.save_checked(DOMAIN, Checked(NOW), NOW + 1, [])
    assert [one.id for one in await storage.domains.due(NOW, 10)] == [DOMAIN.id]
    await storage.domains.look_at(DOMAIN.id, NOW + 5)
    assert await storage.domains.due(NOW + 4, 10) == []
    await storage.domains.save_checked(DOMAIN, Checked(NOW), NOW + 1, [])
    assert [one.id for one in await storage.domains.due(NOW + 1, 10)] == [DOMAIN.id]
    await storage.domains.look_at(OTHER.id, 0)
    assert await storage.domains.due(0, 10) == []


async def test_what_is_due_for_longest_comes_first(storage: Storage) -> None:
    await storage.domains.save_domain(DOMAIN)
    await storage.domains.save_domain(replace(OTHER, name="example.net"))
    assert await storage.domains.checked(DOMAIN.id) is None
    await storage.domains.look_at(DOMAIN.id, NOW + 5)
    await storage.domains.save_checked(DOMAIN, Checked(NOW), NOW + 1, [])
    assert await storage.domains.checked(DOMAIN.id) == Checked(NOW)
    assert await storage.domains.all_checked() == {DOMAIN.id: Checked(NOW)}
    assert [one.id for one in await storage.domains.due(NOW, 10)] == [OTHER.id]
    assert [one.id for one in await storage.domains.due(NOW + 1, 10)] == [OTHER.id, DOMAIN.id]
    await storage.domains.save_domain(replace(DOMAIN, covers_below=False))
    assert await storage.domains.checked(DOMAIN.id) == Checked(NOW)
