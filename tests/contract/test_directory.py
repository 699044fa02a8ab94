"""the directory store's promises"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from pillarbox.policy.credential import Credential, Former, LoginUse, Uses
from pillarbox.policy.directory import Account, App, Key, Mode, TrackedImages, VisitDetail
from pillarbox.policy.events import SwitchFacts
from pillarbox.policy.server import Grant, OAuth, Server
from pillarbox.storage.codec import decode, encode
from pillarbox.storage.directory import SqlDirectoryStore
from pillarbox.storage.engine import Engine, Row, Value
from pillarbox.storage.interface.errors import Conflict, NotFound, Unstorable
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from tests.contract.conftest import Place
from tests.contract.post import NOW, Post
from tests.waited import settle


def server(post: Post, name: str, **facts: object) -> Server:
    return Server(new_object_id(), post.app.id, name, "mail.example.com", **facts)  # type: ignore[arg-type]


def credential(post: Post, name: str) -> Credential:
    return Credential(new_object_id(), post.app.id, name, name, b"hash of " + name.encode())


async def test_apps_are_found_by_name_whatever_its_case(storage: Storage, post: Post) -> None:
    assert await storage.directory.app_named("First-App") == post.app
    with pytest.raises(NotFound):
        await storage.directory.app_named("other")


async def test_a_change_moves_the_version_and_is_seen_at_once(storage: Storage, post: Post) -> None:
    before = storage.directory.version
    await storage.directory.save_app(replace(post.app, mode=Mode.LIVE))
    assert storage.directory.version > before
    assert (await storage.directory.app(post.app.id)).mode is Mode.LIVE


async def test_what_an_app_prefers_for_its_readers_is_kept(storage: Storage, post: Post) -> None:
    assert post.app.visits is VisitDetail.DEFAULT
    said = replace(post.app, visits=VisitDetail.PRIVATE, tracked_images=TrackedImages.REDIRECT)
    await storage.directory.save_app(said)
    storage.directory.forget()
    assert await storage.directory.app(post.app.id) == said


async def test_an_app_that_was_written_before_it_could_prefer_anything_prefers_nothing(
    storage: Storage, post: Post
) -> None:
    document = msgspec.to_builtins(post.app, builtin_types=(bytes,))
    before = {
        name: value for name, value in document.items() if name not in ("visits", "tracked_images")
    }
    assert decode(encode(before), App) == post.app


async def test_servers_come_by_priority_then_age(storage: Storage, post: Post) -> None:
    for name, priority, at in (("c", 10, 2), ("b", 0, 9), ("a", 10, 1)):
        await storage.directory.save_server(server(post, name, priority=priority, created_at=at))
    assert [s.name for s in await storage.directory.servers(post.app.id)] == ["b", "a", "c"]
    assert await storage.directory.servers(post.account.id) == []


async def test_a_server_knows_whose_app_it_belongs_to_also_after_that_has_moved(
    storage: Storage, post: Post
) -> None:
    mine = server(post, "one")
    await storage.directory.save_server(mine)
    read = await storage.directory.server(mine.id)
    assert read == mine and read.account == post.app.account
    other = Account(new_object_id(), "other")
    await storage.directory.save_account(other)
    await storage.directory.save_server(read)
    await storage.directory.save_app(replace(post.app, account=other.id))
    assert (await storage.directory.server(mine.id)).account == other.id


async def test_a_password_is_sealed_on_disk_and_readable_here(
    place: Place, storage: Storage, post: Post
) -> None:
    await storage.directory.save_server(server(post, "one", password=Secret("s3cret-Passw0rd")))
    again = await place.open()
    (found,) = await again.directory.servers(post.app.id)
    assert found.password is not None and found.password.reveal() == "s3cret-Passw0rd"
    everything = b"".join(path.read_bytes() for path in place.path.iterdir() if path.is_file())
    assert b"s3cret-Passw0rd" not in everything


async def test_all_secrets_of_a_server_are_sealed_and_come_back(
    place: Place, storage: Storage, post: Post
) -> None:
    saved = server(
        post, "two", password=Secret("pass-W0rd"), client_secret=Secret("cl1ent-Secret"),
        refresh_token=Secret("refr3sh-Token"),
        oauth=OAuth("microsoft", Grant.REFRESH_TOKEN, "some-client", "some-tenant"),
    )  # fmt: skip
    await storage.directory.save_server(saved)
    again = await place.open()
    assert list(await again.directory.servers(post.app.id)) == [saved]
    everything = b"".join(path.read_bytes() for path in place.path.iterdir() if path.is_file())
    for secret in (b"pass-W0rd", b"cl1ent-Secret", b"refr3sh-Token"):
        assert secret not in everything


async def test_names_that_must_be_unique_are(storage: Storage, post: Post) -> None:
    directory = storage.directory
    await directory.save_credential(credential(post, "web"))
    with pytest.raises(Conflict):
        await directory.save_credential(credential(post, "web"))
    await directory.save_server(server(post, "one"))
    with pytest.raises(Conflict):
        await directory.save_server(server(post, "one"))
    with pytest.raises(Conflict):
        await directory.save_app(replace(post.app, id=new_object_id()))


async def test_an_unknown_user_name_is_nobody_until_it_is_somebody(
    storage: Storage, post: Post
) -> None:
    assert await storage.directory.credential_with_username("web") is None
    mine = credential(post, "web")
    await storage.directory.save_credential(mine)
    assert await storage.directory.credential_with_username("web") == mine
    await storage.directory.remove_credential(mine.id)
    assert await storage.directory.credential_with_username("web") is None
    with pytest.raises(NotFound):
        await storage.directory.remove_credential(mine.id)


async def test_keys_are_found_by_their_hash(storage: Storage, post: Post) -> None:
    key = Key(new_object_id(), post.account.id, "ci", b"h" * 32, "abc")
    await storage.directory.save_key(key)
    assert await storage.directory.key_with_hash(b"h" * 32) == key
    assert await storage.directory.key_with_hash(b"x" * 32) is None
    assert [k.name for k in await storage.directory.keys()] == ["ci"]
    await storage.directory.remove_key(key.id)
    assert await storage.directory.key_with_hash(b"h" * 32) is None


async def test_last_use_survives_a_restart(place: Place, storage: Storage, post: Post) -> None:
    mine = credential(post, "web")
    await storage.directory.save_credential(mine)
    earlier = LoginUse(NOW - 1, "192.0.2.7", "TLSv1.2", "old-host")
    use = LoginUse(NOW, "2001:db8::1", "TLSv1.3 AES", "new-host")
    storage.directory.note_use(mine.id, earlier, former=True)
    storage.directory.note_use(mine.id, use)
    again = await place.open()
    found = await again.directory.credential(mine.id)
    assert found.used_at == NOW
    assert found.uses == Uses(use, earlier)


async def test_a_last_use_without_an_address_leaves_what_is_known(
    storage: Storage, post: Post
) -> None:
    mine = credential(post, "web")
    await storage.directory.save_credential(mine)
    use = LoginUse(NOW, "192.0.2.7", "TLSv1.3", "host")
    storage.directory.note_use(mine.id, use)
    await storage.directory.flush()
    storage.directory.note_use(mine.id, LoginUse(NOW + 1))
    await storage.directory.flush()
    (found,) = await storage.directory.credentials()
    assert (found.used_at, found.uses) == (NOW + 1, Uses(use))


async def test_a_login_is_found_by_its_former_user_name_too(storage: Storage, post: Post) -> None:
    directory = storage.directory
    former = Former("old-name", b"f" * 32, NOW + 1000)
    mine = replace(credential(post, "web"), former=former)
    await directory.save_credential(mine)
    assert await directory.credential_with_username("old-name") == mine
    with pytest.raises(Conflict):
        await directory.save_credential(replace(credential(post, "other"), username="old-name"))
    await directory.save_credential(replace(mine, former=None))
    assert await directory.credential_with_username("old-name") is None


async def test_an_app_goes_with_its_servers_and_logins_but_not_with_waiting_mail(
    storage: Storage, post: Post
) -> None:
    directory = storage.directory
    await directory.save_server(server(post, "one"))
    await directory.save_credential(credential(post, "web"))
    await post.accept()
    with pytest.raises(Conflict):
        await directory.remove_app(post.app.id)
    (row,) = await storage.queue.waiting()
    await storage.queue.cancel([row.delivery], NOW, "ann")
    await directory.remove_app(post.app.id)
    with pytest.raises(NotFound):
        await directory.app(post.app.id)
    assert await directory.credential_with_username("web") is None
    assert await directory.servers(post.app.id) == []


async def test_a_settlement_moves_a_servers_error_count(storage: Storage, post: Post) -> None:
    mine = server(post, "one")
    await storage.directory.save_server(mine)
    for change, count in ((1, 1), (1, 2), (None, 2), (0, 0)):
        settlement = post.settlement()
        settlement.server, settlement.server_errors = mine.id, change
        await settle(storage.queue, settlement)
        assert (await storage.directory.server(mine.id)).errors == count


class HeldReads:
    """An engine whose reads come back when they are let go."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.read_some, self.let_go = asyncio.Event(), asyncio.Event()

    async def read(self, name: str, *parameters: Value) -> list[Row]:
        rows = await self._engine.read(name, *parameters)
        self.read_some.set()
        await self.let_go.wait()
        return rows


async def test_a_count_that_moves_while_servers_are_read_is_not_hidden_by_what_was_read(
    storage: Storage, post: Post
) -> None:
    mine = server(post, "one")
    await storage.directory.save_server(mine)
    held = HeldReads(storage._engine)  # type: ignore[attr-defined]
    vault = storage.directory._vault  # type: ignore[attr-defined]
    store = SqlDirectoryStore(held, vault)  # type: ignore[arg-type]
    reading = asyncio.ensure_future(store.server(mine.id))
    await held.read_some.wait()
    settlement = post.settlement()
    settlement.server, settlement.server_errors = mine.id, 1
    await settle(storage.queue, settlement)
    store.forget_servers()
    held.let_go.set()
    assert (await reading).errors == 0
    assert (await store.server(mine.id)).errors == 1


async def test_a_judged_server_has_its_status_its_count_and_its_event_in_one_commit(
    storage: Storage, post: Post
) -> None:
    mine = server(post, "one", password=Secret("s3cret"))
    await storage.directory.save_server(mine)
    settlement = post.settlement()
    settlement.server, settlement.server_errors = mine.id, 1
    await settle(storage.queue, settlement)
    counted = await storage.directory.server(mine.id)
    version = storage.directory.version
    told = ("server.disabled", SwitchFacts(mine.id, "one", "check", "it does not answer"))
    await storage.directory.judge_server(replace(counted, status="D"), NOW, [told])
    found = await storage.directory.server(mine.id)
    assert (found.status, found.errors, found.password) == ("D", 1, Secret("s3cret"))
    assert storage.directory.version > version
    await storage.directory.judge_server(replace(found, status="A", errors=0), NOW, [])
    found = await storage.directory.server(mine.id)
    assert (found.status, found.errors) == ("A", 0)
    (event,) = await storage.events.recent(1, app=post.app.id)
    assert (event.kind, event.data) == told


async def test_a_judged_server_that_was_removed_stays_away_and_nothing_is_told(
    storage: Storage, post: Post
) -> None:
    mine = server(post, "one")
    told = ("server.disabled", SwitchFacts(mine.id, "one"))
    with pytest.raises(NotFound):
        await storage.directory.judge_server(replace(mine, status="D"), NOW, [told])
    assert list(await storage.directory.servers(post.app.id)) == []
    assert "server.disabled" not in {e.kind for e in await storage.events.recent(10)}


async def test_a_name_with_a_nul_is_refused_on_either_engine(storage: Storage) -> None:
    account = Account(new_object_id(), "a\x00b")
    with pytest.raises(Unstorable):
        await storage.directory.save_account(account)
    assert await storage.directory.accounts() == []
