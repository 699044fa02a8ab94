"""what tests of hostile input share: a bound on the CPU time it may take"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

import pytest


@pytest.fixture
def cpu_seconds() -> Callable[[float], AbstractContextManager[None]]:
    """``with cpu_seconds(1):`` fails where the block takes more CPU time than that."""

    @contextmanager
    def bounded(limit: float) -> Generator[None]:
        before = time.process_time()
        yield
        assert time.process_time() - before < limit

    return bounded
