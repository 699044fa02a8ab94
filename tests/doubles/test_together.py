"""all doubles at once, with Postfix in the product's place: its promises are known"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.doubles.journal import Journal, read_journal
from tests.doubles.judge import judge
from tests.doubles.letters import Sizes
from tests.doubles.load import LoadSettings, run_load
from tests.doubles.postfix import Postfix
from tests.doubles.sink import SinkProcess

pytestmark = [pytest.mark.postfix, pytest.mark.root, pytest.mark.slow]

KILLS = 2


async def test_a_relay_killed_under_load_loses_nothing_and_doubles_only_what_was_open(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "clients")
    sink = SinkProcess(
        tmp_path / "sink", "--delay-ms", "5", "--jitter-ms", "20", "--defer-share", "0.05"
    )
    soon = dict.fromkeys(("minimal_backoff_time", "maximal_backoff_time"), "1s")
    async with sink, Postfix.plain_relay(sink.port, queue_run_delay="1s", **soon) as postfix:
        load = LoadSettings(
            postfix.port,
            400,
            connections=6,
            rate=250,
            sizes=Sizes.parse("1k-20k"),
            max_recipients=2,
            max_seconds=40,
        )
        running = asyncio.create_task(run_load(load, journal))
        for kill in range(KILLS):
            await sink.until(lambda wanted=60 * (kill + 1): len(sink.taken()) >= wanted)  # type: ignore[misc]
            await asyncio.to_thread(postfix.kill)
            await postfix.start()
        report = await running
        postfix.flush()
        clients = read_journal(tmp_path / "clients")
        await sink.until(lambda: judge(clients, sink.facts()).lost == 0, seconds=20)
        verdict = judge(clients, sink.facts())
    journal.close()
    # A kill takes one process after another: an smtpd that outlives its cleanup still says 451.
    assert report.acknowledged + report.unanswered + report.refused == 400
    assert report.refused <= 2 * load.connections
    assert report.reconnections > 0
    assert verdict.connections_lost >= KILLS and verdict.open_when_lost > 0
    assert verdict.lost == verdict.phantoms == verdict.mismatches == 0
    assert verdict.duplicates_unexplained == 0
    assert verdict.bodies_compared >= 350 and verdict.deferrals > 0
