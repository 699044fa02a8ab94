"""bounds of a child: processor time for each job by itself, and memory that is short for one alone"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.net.errors import WorkerLost
from pillarbox.net.workers import Workers, WorkersConfig

BUSY = """
import time
from pillarbox.services.delivery import render_child
def work(job):
    end = time.process_time() + float(job)
    while time.process_time() < end:
        pass
    return b"done"
render_child.main(work)
"""
"""A child whose jobs are seconds of processor time."""
GREEDY = """
from pillarbox.services.delivery import render_child
def work(job):
    return b"%d" % len(bytearray(int(job) << 20))
render_child.main(work)
"""
"""A child whose jobs are megabytes."""


@pytest.fixture
async def workers(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Workers]:
    (tmp_path / "planted_child.py").write_text(request.param)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = Workers("planted_child", WorkersConfig(processes=1, seconds=30, memory_mb=64))
    yield found
    await found.close()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [BUSY], indirect=True)
async def test_each_job_has_its_second_and_not_one_more(workers: Workers) -> None:
    for _ in range(2):
        assert await workers.do(lambda: b"0.7") == b"done"
    with pytest.raises(WorkerLost, match="too much processor time"):
        await workers.do(lambda: b"1.3")
    with pytest.raises(WorkerLost, match="too much processor time"):
        await workers.do(lambda: b"1.3")  # of a child that has just begun as well
    assert await workers.do(lambda: b"0.01") == b"done"


@pytest.mark.parametrize("workers", [GREEDY], indirect=True)
async def test_memory_that_is_short_ends_one_job_and_not_the_next(workers: Workers) -> None:
    assert await workers.do(lambda: b"16") == b"%d" % (16 << 20)
    with pytest.raises(WorkerLost, match="want of memory"):
        await workers.do(lambda: b"512")
    assert await workers.do(lambda: b"16") == b"%d" % (16 << 20)
