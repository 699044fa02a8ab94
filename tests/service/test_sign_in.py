"""signing in: slowed where it fails often, alike for everybody who fails, bounded"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.throttle import LoginThrottle, ThrottleConfig
from pillarbox.policy.user import LONGEST_PASSWORD, User
from pillarbox.services.people.passwords import NOBODY, Passwords
from pillarbox.services.people.sign_in import SignIn, SignInRefused
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.interface.store_url import DATABASE_NAME
from pillarbox.storage.interface.users import NewToken
from pillarbox.storage.open import open_storage
from pillarbox.terms.clock import SystemClock
from pillarbox.terms.errors import Trouble
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from tests.fix_house import Running

EMAIL, PASSWORD = "ann@example.com", Secret("open sesame, says Ann")
HERE, ELSEWHERE = "192.0.2.7", "192.0.2.8"
CLOCK = SystemClock()


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    found = await open_storage(tmp_path, now_ms=CLOCK.now_ms(), on_broken=lambda _: None)
    yield found
    await found.close()


@pytest.fixture
async def sign_in(storage: Storage) -> SignIn:
    throttle = LoginThrottle(ThrottleConfig(failures=3, pause_seconds=30))
    passwords = Passwords()
    user = User(
        new_object_id(), new_object_id(), EMAIL, password_hash=await passwords.hash(PASSWORD)
    )
    await storage.users.save_user(user)
    return SignIn(storage.users, passwords, throttle, CLOCK, Metrics(version="1"), News())


async def refused(sign_in: SignIn, email: str, password: str, address: str = HERE) -> SignInRefused:
    with pytest.raises(SignInRefused) as found:
        await sign_in.open(email, Secret(password), address)
    return found.value


async def test_an_address_that_failed_often_is_sent_away_and_others_are_not(
    sign_in: SignIn,
) -> None:
    for _ in range(3):
        assert (await refused(sign_in, EMAIL, "wrong")).retry_after_seconds == 0
    away = await refused(sign_in, EMAIL, PASSWORD.reveal())
    assert 0 < away.retry_after_seconds <= 31 and "too often" in away.sentence
    assert (await sign_in.open(EMAIL, PASSWORD, ELSEWHERE)).user.email == EMAIL
    assert sign_in.metrics.logins == {
        ("http", "refused"): 3, ("http", "throttled"): 1, ("http", "accepted"): 1,
    }  # fmt: skip


async def test_of_guesses_that_are_sent_at_once_the_right_one_is_not_told(
    sign_in: SignIn,
) -> None:
    guesses = [*["wrong"] * 4, PASSWORD.reveal()]  # two at a time, in their order
    results = await asyncio.gather(
        *(sign_in.open(EMAIL, Secret(guess), HERE) for guess in guesses), return_exceptions=True
    )
    assert all(isinstance(result, SignInRefused) for result in results)


async def test_a_wrong_password_and_nobody_are_told_alike(sign_in: SignIn) -> None:
    wrong = await refused(sign_in, EMAIL, "wrong")
    unknown = await refused(sign_in, "eve@example.com", PASSWORD.reveal())
    assert (wrong.sentence, wrong.error_code) == (unknown.sentence, unknown.error_code)


async def test_a_wrong_password_and_nobody_take_the_same_time(storage: Storage) -> None:
    passwords = Passwords()
    stored = await passwords.hash(PASSWORD)
    assert stored.split("$")[:4] == NOBODY.split("$")[:4], "the same parameters, the same work"
    spans: dict[str, list[float]] = {"known": [], "unknown": []}
    for _ in range(3):
        for name, against in (("known", stored), ("unknown", NOBODY)):
            began = time.process_time()
            assert not await passwords.matches(against, Secret("wrong"))
            spans[name].append(time.process_time() - began)
    # Of all processors, and the least of each: what else this machine does matters little.
    known, unknown = min(spans["known"]), min(spans["unknown"])
    assert 0.5 < known / unknown < 2, {name: statistics.median(s) for name, s in spans.items()}


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("", ""),
        ("ann@example.com\0", "x"),
        ("a" * 100_000, "x"),
        (EMAIL, "x" * (LONGEST_PASSWORD + 1)),
        ("\ud800", "\ud800"),
        ("' OR 1=1 --", "' OR 1=1 --"),
    ],
)
async def test_strange_names_and_passwords_are_only_wrong(
    sign_in: SignIn, email: str, password: str
) -> None:
    assert (await refused(sign_in, email, password)).retry_after_seconds == 0


async def test_strange_tokens_belong_to_nobody(sign_in: SignIn) -> None:
    for token in ("", "x" * 1_000_000, "\0", "\ud800", "a b", "None"):
        assert await sign_in.user_of(token) is None


async def test_the_loop_goes_on_while_passwords_are_compared(sign_in: SignIn) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await sign_in.open(EMAIL, PASSWORD, HERE)
    ticking.cancel()
    assert ticks > 100


async def test_those_who_wait_for_their_turn_are_bounded(sign_in: SignIn) -> None:
    many = [
        asyncio.create_task(sign_in.passwords.matches("no hash at all", PASSWORD))
        for _ in range(120)
    ]
    results = await asyncio.gather(*many, return_exceptions=True)
    assert sum(result is False for result in results) == 100
    assert sum(isinstance(result, Trouble) for result in results) == 20


async def test_whoever_goes_away_gives_up_their_turn_once_its_work_is_done(
    sign_in: SignIn,
) -> None:
    for _ in range(3):
        leaving = asyncio.create_task(sign_in.passwords.matches(NOBODY, PASSWORD))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
    assert (await sign_in.open(EMAIL, PASSWORD, HERE)).user.email == EMAIL


async def test_tokens_that_are_over_do_not_stay(running: Running) -> None:
    users, now_ms = running.house.storage.users, running.house.clock.now_ms()
    user = User(new_object_id(), running.account.id, EMAIL)
    await users.save_user(user)
    for number, expires_at in ((1, now_ms - 1), (2, now_ms + 60_000)):
        assert await users.open_token(user, NewToken(bytes([number]) * 32, now_ms, expires_at))
    await running.house.rounds.retain()
    assert await users.close_tokens(user.id) == 1


async def test_neither_password_nor_token_is_on_disk_or_in_the_log(
    sign_in: SignIn, storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = await sign_in.open(EMAIL, PASSWORD, HERE)
    await refused(sign_in, EMAIL, "a wrong guess")
    everything = b"".join(path.read_bytes() for path in tmp_path.glob(f"{DATABASE_NAME}*"))
    assert b"argon2id" in everything and EMAIL.encode() in everything
    printed = "".join(capsys.readouterr())
    for secret in (PASSWORD.reveal(), opened.token.reveal(), "a wrong guess"):
        assert secret.encode() not in everything and secret not in printed
    assert opened.token.reveal() not in repr(opened)
