"""the measurement of engines and nodes: what is counted, what stops it, what its figures mean"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import turn
from tests.bench.cells import write_mail
from tests.bench.nodes import Fleet, SlowSink, Trip, shares, take_trip
from tests.bench.turn import BenchError, CountingSink
from tests.proofs import bench_nodes
from tests.proofs.bench_nodes import TARGETS, Ratios, Target


def test_messages_are_shared_out_evenly() -> None:
    assert shares(7, 2) == [4, 3]
    assert sum(shares(2000, 3)) == 2000


def trip(count: int, seconds: float, nodes: float, server: float) -> Trip:
    return Trip(count, seconds, seconds, nodes, server)


def test_ratios_are_of_trips_that_stood_next_to_each_other() -> None:
    # A machine that slows down to a third must not look like a difference between the engines.
    ours = [trip(100, seconds, 0.1, 0.1) for seconds in (1, 3, 2)]
    theirs = [trip(100, seconds, 0.1, 0) for seconds in (2, 6, 6)]
    rate = bench_nodes._ratios(ours, theirs, lambda one: one.per_second)
    assert rate.facts() == {"found": 2.0, "worst": 2.0}
    cpu = bench_nodes._ratios(ours, theirs, lambda one: one.cpu_us, less_is_better=True)
    assert cpu.facts() == {"found": 2.0, "worst": 2.0}


def test_a_target_is_met_at_its_bound_and_not_beyond() -> None:
    at_least = Target("a", "", least=0.6)
    at_most = Target("a", "", most=1.2)
    for target, good, bad in ((at_least, 0.6, 0.59), (at_most, 1.2, 1.21)):
        assert target.held_against({"a": Ratios((good,))})["met"] is True
        assert target.held_against({"a": Ratios((bad,))})["met"] is False


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.needs(*bench_nodes.NEEDS)
def test_every_message_passes_through_either_engine_and_through_two_nodes() -> None:
    found = bench_nodes.prove("small")
    targets, engines, of_nodes = found["targets"], found["engines"], found["nodes"]
    assert isinstance(targets, list) and isinstance(engines, dict) and isinstance(of_nodes, dict)
    assert [one["figure"] for one in targets] == [target.figure for target in TARGETS]
    assert {"found", "worst", "met"} <= targets[0].keys()
    assert found["messages"] == 4 * 60 + 3 * 100
    for cell in engines.values():
        assert {name: series["messages"] for name, series in cell.items()} == {
            "sqlite": 60,
            "postgres": 60,
        }
        assert cell["postgres"]["server_cpu_us"] > 0 == cell["sqlite"]["server_cpu_us"]
    assert {name: series["messages"] for name, series in of_nodes.items()} == {
        "one": 100,
        "two": 200,
    }


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.needs("root", "smtp-source", "smtp-sink")
async def test_mail_that_went_elsewhere_stops_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_STALL_SECONDS", 1.0)
    mail = write_mail(tmp_path, 1)
    async with CountingSink("one", tmp_path) as sink, SlowSink(tmp_path, 1) as other:
        async with Fleet("stray", tmp_path, sink) as fleet:
            assert take_trip(fleet, mail, 5, 1).count == 5
            fleet.sink = other
            with pytest.raises(BenchError, match="0 of 5 are there"):
                take_trip(fleet, mail, 5, 1)
