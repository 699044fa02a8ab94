"""the measurement measures: what is counted, what stops it, what its figures mean"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Self

import pytest

from tests.bench import turn
from tests.bench.cells import Cell, Mail, all_cells, chosen, write_mail
from tests.bench.meter import rest, tree_cpu_seconds
from tests.bench.place import NoDiskError, disk_place, mounted_at
from tests.bench.record import table
from tests.bench.rounds import Measured, Series
from tests.bench.targets import TARGETS, held_against
from tests.bench.turn import BenchError, CountingSink, Turn, take_turn
from tests.doubles.process import Program
from tests.proofs import bench


class Shortcut:
    """No relay at all: smtp-source speaks to a sink, which may be another than the counted one."""

    name = "shortcut"

    def __init__(self, sink: CountingSink) -> None:
        self.sink = sink
        self.port = sink.port

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def root(self) -> int:
        return self.sink.pid

    def waiting(self) -> int:
        return 0

    def stored_bytes(self) -> int:
        return 0

    def log_tail(self) -> str:
        return "nothing was said"

    def about(self) -> dict[str, object]:
        return {}


@pytest.fixture
def mail(tmp_path: Path) -> Mail:
    return write_mail(tmp_path, 1)


@pytest.mark.needs("smtp-source", "smtp-sink")
@pytest.mark.parametrize("kept", [True, False])
async def test_a_turn_ends_when_the_sink_has_every_message(
    tmp_path: Path, mail: Mail, kept: bool
) -> None:
    async with CountingSink("one", tmp_path) as sink:
        for count in (30, 7):
            found = take_turn(Shortcut(sink), sink, Cell(1, 10, kept), mail, count)
            assert found.count == count
            assert 0 < found.seconds and 0 < found.accepted_seconds
            assert found.cpu_seconds > 0
        assert sink.count() == 37


@pytest.mark.needs("smtp-source", "smtp-sink")
async def test_mail_that_never_arrives_stops_the_measurement(
    tmp_path: Path, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_STALL_SECONDS", 0.3)
    async with CountingSink("taking", tmp_path) as taking, CountingSink("empty", tmp_path) as empty:
        with pytest.raises(BenchError, match="0 of 5 are there"):
            take_turn(Shortcut(taking), empty, Cell(1, 1, True), mail, 5)


@pytest.mark.needs("smtp-source", "smtp-sink")
async def test_a_message_too_many_stops_the_measurement(
    tmp_path: Path, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with CountingSink("one", tmp_path) as sink:
        real = turn._drive

        def twice(*arguments: object) -> tuple[float, float]:
            real(*arguments)  # type: ignore[arg-type]
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(turn, "_drive", twice)
        with pytest.raises(BenchError, match="5 handed over, the sink has 10"):
            take_turn(Shortcut(sink), sink, Cell(1, 1, True), mail, 5)


async def test_cpu_of_children_that_ended_is_counted(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    parent = (
        f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
        "print('done', flush=True)\ntime.sleep(60)"
    )
    program = Program([sys.executable, "-c", parent], output=tmp_path / "out")
    async with program:
        await program.until(lambda: "done" in program.text())
        assert tree_cpu_seconds(program.pid) >= 0.2
        assert rest(program.pid), "a program that sleeps is at rest"


def test_the_mail_has_the_size_it_says(tmp_path: Path) -> None:
    for kilobytes in (1, 10, 100):
        found = write_mail(tmp_path, kilobytes)
        assert 0.9 < found.content_bytes / (kilobytes * 1024) < 1.1
        assert b"\r" not in found.path.read_bytes(), "smtp-source adds its own"


def test_cells_are_chosen_by_name_or_pattern() -> None:
    assert [cell.name for cell in chosen(["10KB-50-kept"])] == ["10KB-50-kept"]
    assert len(chosen(["*"])) == len(all_cells())
    assert {target.cell for target in TARGETS} <= {cell.name for cell in all_cells()}
    with pytest.raises(ValueError, match="no cell is called 9KB"):
        chosen(["1KB-*", "9KB-*"])


@pytest.mark.by_design(reason="where nothing in memory is mounted there is nothing to refuse")
def test_a_directory_in_memory_is_refused() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or mounted_at(memory)[0] != "tmpfs":
        pytest.skip("no tmpfs here")
    with pytest.raises(NoDiskError), disk_place(memory):
        pass


def test_a_place_is_gone_when_the_measurement_ends(tmp_path: Path) -> None:
    if mounted_at(tmp_path)[0] == "tmpfs":
        tmp_path = Path("/var/tmp")
    with disk_place(tmp_path) as place:
        assert os.access(place.path, os.W_OK)
    assert not place.path.exists()


def one_turn(per_second: float, cpu_us: float) -> Turn:
    return Turn(
        count=1000,
        accepted_seconds=1000 / per_second,
        seconds=1000 / per_second,
        cpu_seconds=cpu_us / 1000,
        load_cpu_seconds=0.1,
        others_share=0.0,
        stolen_share=0.0,
    )


def test_ratios_are_of_turns_that_stood_next_to_each_other() -> None:
    # A machine that slows down to a third must not look like a difference between the relays.
    ours = Series([one_turn(rate, 100) for rate in (600, 400, 200)], peak_bytes=2**20)
    theirs = Series([one_turn(rate, 800) for rate in (300, 200, 50)], peak_bytes=2**21)
    measured = Measured(Cell(10, 50, True), 10_000, {"pillarbox": ours, "postfix": theirs})
    facts = measured.facts()
    assert facts["end_to_end_times"] == 2 and facts["end_to_end_times_worst"] == 2
    assert facts["cpu_times"] == 8
    held = {str(one["figure"]): one["met"] for one in held_against([facts])}
    assert held == {"end_to_end_times": False, "cpu_times": True}
    row = table({"cells": [facts]}).splitlines()[2]
    assert [text.strip() for text in row.strip("|").split("|")][:6] == [
        "10KB-50-kept", "10,000", "200", "400", "2.0", "2.0",
    ]  # fmt: skip


def test_one_relay_alone_gives_figures_and_no_ratios() -> None:
    alone = Measured(
        Cell(10, 50, True), 10_000, {"pillarbox": Series([one_turn(500, 100)], peak_bytes=2**20)}
    )
    facts = alone.facts()
    assert "end_to_end_times" not in facts
    assert held_against([facts]) == []
    assert "500" in table({"cells": [facts]})


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.needs(*bench.NEEDS)
def test_the_harness_passes_mail_through_both_relays() -> None:
    found = bench.prove("small")
    counted = found["counted"]
    assert isinstance(counted, dict)
    for relay in ("pillarbox", "postfix"):
        for size in ("1KB", "10KB"):
            assert counted[relay][size]["copies"] == counted[relay][size]["bodies_compared"] == 40
    assert counted["pillarbox"]["syncs"] == {"acknowledged": 80, "synced_before": 80}
    cells = found["cells"]
    assert isinstance(cells, list)
    assert [cell["cell"] for cell in cells] == ["1KB-10-kept", "10KB-10-new"]
    assert all(cell[relay]["messages"] for cell in cells for relay in ("pillarbox", "postfix"))
