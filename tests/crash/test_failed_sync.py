"""a sync that fails once: no 250 for what it was to cover, and the process does not go on

The kernel forgets the pages that it could not write, so a second sync of them would succeed and
mean nothing. strace lets exactly one sync fail, and every later one work.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.crash.conftest import Site
from tests.crash.ledger import look
from tests.crash.letter import Told, hand_over
from tests.crash.relay import IN_CLEAR, Relay, copy_data
from tests.doubles.judge import judge
from tests.doubles.trace import faulted

pytestmark = [pytest.mark.slow, pytest.mark.needs("strace")]

BROKEN = 7
"""The exit status after which the disk is to be looked at."""
LETTERS = 12


@pytest.mark.parametrize("nth", [8, 13])
async def test_a_sync_that_failed_is_answered_by_no_250_and_ends_the_process(
    site: Site, tmp_path: Path, nth: int
) -> None:
    data_dir = copy_data(site.begun, tmp_path / "data")
    fault = partial(
        faulted, trace=tmp_path / "trace", calls="fdatasync,fsync", fault="error=EIO", nth=nth
    )
    told: list[Told] = []
    async with Relay(data_dir, tmp_path / "faulted.log", IN_CLEAR, wrap=fault) as relay:
        with suppress(OSError):  # it may be gone before all are handed over
            for number in range(LETTERS):
                told.append(await hand_over(relay.port("plain"), f"eio-{nth}-{number}"))
        assert await relay.dead() == BROKEN, relay.text()
    trace = (tmp_path / "trace").read_text(errors="replace")
    assert trace.count("(INJECTED)") == 1, "void: no sync failed"
    assert 0 < sum(one.code == 250 for one in told) < LETTERS
    assert all(one.code in (250, 451, None) for one in told), told

    async with Relay(data_dir, tmp_path / "relay.log", IN_CLEAR) as relay:
        await relay.rest()
        with look(data_dir, alive=True) as ledger:
            assert ledger.faults() == []
            deliveries = ledger.deliveries()
    names = [one.identity for one in told]
    # What became of a commit whose sync failed nobody can know: 451 asks to come again, and the
    # message may be there all the same, as if no answer had come.
    said = [
        {**one.fact, "event": "acknowledged" if one.code == 250 else "unanswered"} for one in told
    ]
    verdict = judge(said, site.facts(*names), deliveries)
    unwanted = ("lost", "phantoms", "duplicates_unexplained", "duplicates_unnamed", "mismatches")
    assert not any(getattr(verdict, name) for name in unwanted), str(verdict)


async def test_a_copy_of_the_log_whose_sync_failed_ends_the_process_and_leaves_the_log(
    site: Site, tmp_path: Path
) -> None:
    data_dir = copy_data(site.begun, tmp_path / "data")
    database = data_dir / "pillarbox.db"
    fault = partial(
        faulted, trace=tmp_path / "trace", calls="fdatasync,fsync", fault="error=EIO", nth=1,
        file=database,
    )  # fmt: skip
    told: list[Told] = []
    async with Relay(data_dir, tmp_path / "faulted.log", IN_CLEAR, wrap=fault) as relay:
        with suppress(OSError):
            # The log is copied when it has some 32 MB.
            for number in range(80):
                told.append(await hand_over(relay.port("plain"), f"copy-{number}", size=1_000_000))
        assert await relay.dead() == BROKEN, relay.text()
    assert (tmp_path / "trace").read_text(errors="replace").count("(INJECTED)") == 1
    log = data_dir / "pillarbox.db-wal"
    assert log.stat().st_size > 30_000_000, "what could not be synced was tried again"
    taken = [one for one in told if one.code == 250]
    assert len(taken) > 20

    async with Relay(data_dir, tmp_path / "relay.log", IN_CLEAR) as relay:
        await relay.rest()
        with look(data_dir, alive=True) as ledger:
            assert ledger.faults() == []
            deliveries = ledger.deliveries()
    said = [
        {**one.fact, "event": "acknowledged" if one.code == 250 else "unanswered"} for one in told
    ]
    verdict = judge(said, site.facts(*(one.identity for one in told)), deliveries)
    assert verdict.lost == verdict.phantoms == verdict.mismatches == 0, str(verdict)
