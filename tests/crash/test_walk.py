"""docs/queue.md, step by step: the process dies there, and nothing that was promised is broken

Each row of `DEATHS` is a row of that page: where the process dies, what the client had been told,
what rests on disk, and what the next process makes of it.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pillarbox.observe.crash import POINTS
from tests.crash.conftest import Site
from tests.crash.ledger import look
from tests.crash.letter import RETURN_PATH, Told, hand_over, post
from tests.crash.relay import Relay
from tests.doubles.judge import judge
from tests.doubles.process import crash_at

pytestmark = pytest.mark.slow

LONG = 700_000
"""Bytes of content that comes in three blocks."""
READ_BACK = {"accept__mirror_messages": "0"}
"""Nothing is delivered from memory: each message is claimed from its lane, with a mark of its own."""
CAREFUL = {"smtp__local_credential": "careful"}
"""A submitter who wants doubt held: delivered from memory, but with a mark of its own."""
ONE = {"message": 1, "content": 1, "queue": 1}
MARKED = {**ONE, "started": 1}
SETTLED = {"message": 1, "content": 1, "delivery": 1}


@dataclass(frozen=True, slots=True)
class Death:
    """One step of the page and what must be seen around it."""

    point: str
    what: str
    """Which message dies there, for the test's name."""
    told: bool
    """Whether the client had read its 250."""
    rests: Mapping[str, int]
    """Rows by table that lie on disk then; the tables not named are empty."""
    copies: int
    """How many the upstream has in the end."""
    uncertain: bool = False
    """Whether the history must say that it may have left before; elsewhere it must not."""
    taken: int = 0
    """How many copies the upstream had when the process died."""
    passage: int = 1
    recipient: str = "to"
    """What the recipient's address begins with: the upstream puts ``defer-`` off once."""
    size: int = 400
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.point}-{self.what}"


DEATHS = (
    # We take charge.
    Death("block-stored", "first", False, {"upload": 1, "content": 1}, 0, size=LONG),
    Death("block-stored", "second", False, {"upload": 1, "content": 2}, 0, size=LONG, passage=2),
    Death("accept-before-insert", "fresh", False, {}, 0),
    Death("accept-before-insert", "long", False, {"upload": 1, "content": 2}, 0, size=LONG),
    Death("accept-before-commit", "fresh", False, {}, 0),
    Death("accept-after-commit", "fresh", False, MARKED, 1, uncertain=True),
    Death("accept-after-commit", "unmarked", False, ONE, 1, settings=READ_BACK),
    Death("accept-after-commit", "careful", False, ONE, 1, settings=CAREFUL),
    Death("accept-before-reply", "fresh", False, MARKED, 1, uncertain=True),
    Death("accept-before-reply", "long", False, {**ONE, "content": 3}, 1, size=LONG),
    # On its way.
    Death("started-before-commit", "in-one", False, {}, 0),
    Death("started-before-commit", "apart", True, ONE, 1, settings=READ_BACK),
    Death("started-after-commit", "in-one", False, MARKED, 1, uncertain=True),
    Death("started-after-commit", "apart", True, MARKED, 1, uncertain=True, settings=READ_BACK),
    Death("content-before-dot", "fresh", True, MARKED, 1, uncertain=True),
    Death("content-after-dot", "fresh", True, MARKED, 2, uncertain=True, taken=1),
    Death("verdict-received", "fresh", True, MARKED, 2, uncertain=True, taken=1),
    # We write down what became of it.
    Death("settle-before-commit", "taken", True, MARKED, 2, uncertain=True, taken=1),
    Death("settle-before-commit", "deferred", True, MARKED, 1, uncertain=True, recipient="defer-"),
    Death("settle-after-commit", "taken", True, SETTLED, 1, taken=1),
    Death("settle-after-commit", "deferred", True, ONE, 1, recipient="defer-"),
)  # fmt: skip


def test_every_point_that_the_program_has_is_walked() -> None:
    walked = {death.point for death in DEATHS} | {"notice-before-accept"}
    assert walked == set(POINTS)
    page = (Path(__file__).parents[2] / "docs/queue.md").read_text(encoding="utf-8")
    missing = [point for point in POINTS if f"`{point}`" not in page]
    assert not missing, "docs/queue.md does not say what lies on disk there"


@pytest.mark.parametrize("death", DEATHS, ids=str)
async def test_a_death_at_this_point_breaks_no_promise(
    site: Site, tmp_path: Path, death: Death
) -> None:
    name = f"{death.point}-{death.what}"
    recipient = f"{death.recipient}{name}@recipient.test"
    async with site.relay(
        tmp_path, crash_at(death.point, death.passage), **death.settings
    ) as relay:
        told = await hand_over(relay.port("plain"), name, [recipient], size=death.size)
        assert await relay.dead() == -signal.SIGKILL
        assert told.code == (250 if death.told else None)
        with look(relay.data_dir) as ledger:
            assert ledger.faults() == []
            assert ledger.counts() == death.rests
        # What was on the line when it died still arrives.
        await _until(lambda: site.taken(name) == death.taken, f"{death.taken} copies before")

        await relay.start()
        await relay.rest()
        _assert_kept_promise(site, relay, told)
        assert site.taken(name) == death.copies
        with look(relay.data_dir, alive=True) as ledger:
            kinds = ledger.kinds(name)
        assert kinds.count("delivery.uncertain") == death.uncertain
        assert ("message.accepted" in kinds) is bool(death.copies)


async def test_who_hears_nothing_and_sends_again_has_sent_two(site: Site, tmp_path: Path) -> None:
    async with site.relay(tmp_path, crash_at("accept-before-reply")) as relay:
        unheard = await hand_over(relay.port("plain"), "again")
        assert (await relay.dead(), unheard.code) == (-signal.SIGKILL, None)
        await relay.start()
        heard = await hand_over(relay.port("plain"), "again")
        assert heard.code == 250
        await relay.rest()
        assert site.taken("again") == 2


async def test_who_names_an_idempotency_key_and_asks_again_has_asked_once(
    site: Site, tmp_path: Path
) -> None:
    body = {
        "from": RETURN_PATH, "to": "asked@recipient.test", "subject": "asked", "text": "Once.",
    }  # fmt: skip
    async with site.relay(tmp_path, crash_at("accept-before-reply")) as relay:
        assert await post(relay, body, idempotency_key="k-1") is None
        assert await relay.dead() == -signal.SIGKILL
        await relay.start()
        assert await post(relay, body, idempotency_key="k-1") == 202
        await relay.rest()
        assert site.taken("asked") == 1
        with look(relay.data_dir, alive=True) as ledger:
            assert ledger.counts()["message"] == 1


# --- doubt that a person is to decide about ----------------------------------------------------


async def test_doubt_is_held_where_the_submitter_wants_it_held(site: Site, tmp_path: Path) -> None:
    async with site.relay(tmp_path, crash_at("verdict-received"), **CAREFUL) as relay:
        told = await hand_over(relay.port("plain"), "careful")
        assert (await relay.dead(), told.code) == (-signal.SIGKILL, 250)
        with look(relay.data_dir) as ledger:
            assert ledger.counts() == MARKED
        await relay.start()
        # Whatever comes after it in the same lane is delivered, so the lane was looked through.
        following = await hand_over(relay.port("plain"), "careful-next")
        await relay.until(lambda: site.taken("careful-next") == 1)
        assert site.taken("careful") == 1
        assert _states(relay)["careful"] == "held"
        with look(relay.data_dir, alive=True) as ledger:
            assert ledger.kinds("careful")[-1] == "delivery.uncertain"
        (shown,) = (await relay.ask("queue", "list", "--deliveries"))["items"]
        assert (shown["recipient"], shown["state"]) == (told.recipients[0], "held")
        await relay.ask("queue", "release", shown["id"])
        await relay.rest()
        _assert_kept_promise(site, relay, told, following)
        assert site.taken("careful") == 2


async def test_what_never_left_is_not_held_for_its_neighbours_sake(
    site: Site, tmp_path: Path
) -> None:
    """Each message of such a submitter has a mark of its own, written when its content goes out."""
    async with site.relay(
        tmp_path, crash_at("verdict-received"), **CAREFUL, delivery__window="1"
    ) as relay:
        with site.sink_stopped():  # so that all of them wait in memory behind the first
            told = [
                await hand_over(relay.port("plain"), f"neighbour-{number}") for number in range(4)
            ]
        assert await relay.dead() == -signal.SIGKILL
        assert [one.code for one in told] == [250] * 4
        with look(relay.data_dir) as ledger:
            assert ledger.under_mark() == ["neighbour-0"]
        await relay.start()
        await relay.until(lambda: all(site.taken(one.identity) for one in told))
        await relay.until(lambda: set(_states(relay).values()) == {"held", "handed_over"})
        assert [name for name, state in _states(relay).items() if state == "held"] == [
            "neighbour-0"
        ]
        assert [site.taken(one.identity) for one in told] == [1] * 4


# --- what is owed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "passage", "rests"),
    [
        ("settle-after-commit", 1, {**SETTLED, "obligation": 1}),
        ("notice-before-accept", 1, {**SETTLED, "obligation": 1}),
        ("accept-before-commit", 2, {**SETTLED, "obligation": 1}),
        ("accept-after-commit", 2, {**MARKED, "message": 2, "content": 2, "delivery": 1}),
    ],
)
async def test_a_notice_that_is_owed_is_paid_once(
    site: Site, tmp_path: Path, point: str, passage: int, rests: Mapping[str, int]
) -> None:
    name = f"owed-{point}"
    author = f"{name}@sender.test"
    async with site.relay(tmp_path, crash_at(point, passage)) as relay:
        told = await hand_over(
            relay.port("plain"), name, [f"bad-{name}@recipient.test"], return_path=author
        )
        assert (await relay.dead(), told.code) == (-signal.SIGKILL, 250)
        with look(relay.data_dir) as ledger:
            assert ledger.faults() == []
            assert ledger.counts() == rests
        assert _notices(site, author) == 0
        await relay.start()
        await relay.rest()
        assert _notices(site, author) == 1
        _assert_kept_promise(site, relay, told)
        # Its null return path: nothing that became of it can owe another one.
        with look(relay.data_dir, alive=True) as ledger:
            assert ledger.counts()["message"] == 2


# --- the start itself ---------------------------------------------------------------------------


async def test_a_start_that_dies_in_its_recovery_is_made_up_for(site: Site, tmp_path: Path) -> None:
    async with site.relay(tmp_path, crash_at("verdict-received")) as relay:
        told = await hand_over(relay.port("plain"), "recovery")
        assert (await relay.dead(), told.code) == (-signal.SIGKILL, 250)

        relay.launch(crash_at("settle-before-commit"))
        assert await relay.dead() == -signal.SIGKILL
        assert '"started"' not in relay.text()
        with look(relay.data_dir) as ledger:
            assert ledger.counts() == MARKED
            assert "delivery.uncertain" not in ledger.kinds("recovery")

        relay.launch(crash_at("settle-after-commit"))
        assert await relay.dead() == -signal.SIGKILL
        assert '"started"' not in relay.text()
        with look(relay.data_dir) as ledger:
            assert ledger.counts() == ONE
            assert ledger.kinds("recovery").count("delivery.uncertain") == 1

        await relay.start()
        await relay.rest()
        _assert_kept_promise(site, relay, told)
        with look(relay.data_dir, alive=True) as ledger:
            assert ledger.kinds("recovery").count("delivery.uncertain") == 1
        assert site.taken("recovery") == 2


# --- hands --------------------------------------------------------------------------------------


def _states(relay: Relay) -> dict[str, str]:
    """How each message stands, where each has one recipient."""
    with look(relay.data_dir, alive=True) as ledger:
        return {row["message"]: row["state"] for row in ledger.deliveries()}


async def _until(condition: Callable[[], bool], what: str, *, seconds: float = 5.0) -> None:
    """Where nobody is running whose death could be the reason for waiting in vain."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to {what}"
        await asyncio.sleep(0.01)


def _assert_kept_promise(site: Site, relay: Relay, *told: Told) -> None:
    """Client, upstream and ledger joined, and no row that no step can leave."""
    with look(relay.data_dir, alive=True) as ledger:
        assert ledger.faults() == []
        deliveries = ledger.deliveries()
    names = [one.identity for one in told]
    verdict = judge(
        [one.fact for one in told],
        site.facts(*names),
        [row for row in deliveries if row["message"] in names],
    )
    unwanted = (
        "lost", "waiting", "phantoms", "duplicates_unexplained", "mismatches", "bare_line_ends",
        "ledger_missing", "ledger_lies", "ledger_denials", "duplicates_unnamed",
    )  # fmt: skip
    assert {name: verdict.numbers()[name] for name in unwanted} == dict.fromkeys(unwanted, 0), str(
        verdict
    )


def _notices(site: Site, author: str) -> int:
    """Messages with the null return path that the upstream took for somebody."""
    return sum(
        fact["event"] == "taken" and not fact["return_path"] and author in fact["recipients"]
        for fact in site.sink.facts()
    )
