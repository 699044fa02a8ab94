"""the process that renders: jobs in, answers out, within bounds of its own

Nothing but its pipes and the work is reached from here: no settings, no storage, no network.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from pillarbox.net.child import LENGTH_OCTETS
from pillarbox.services.delivery.render_job import answer_to

Work = Callable[[bytes], bytes]
"""An answer to a job; raises nothing."""


def serve(jobs: BinaryIO, answers: BinaryIO, cpu_seconds: int, work: Work) -> None:
    """Answer jobs until there are no more; each may take `cpu_seconds` of processor time."""
    while len(head := jobs.read(LENGTH_OCTETS)) == LENGTH_OCTETS:
        job = jobs.read(int.from_bytes(head, "big"))
        _bound_time(cpu_seconds)
        answer = work(job)
        _bound_time(0)
        answers.write(len(answer).to_bytes(LENGTH_OCTETS, "big"))
        answers.write(answer)
        answers.flush()


def _bound_time(cpu_seconds: int) -> None:
    """So much from now on, of all threads, and then the process ends; 0 takes the bound away.

    Not RLIMIT_CPU, which counts in whole seconds from the start: a job might take one more.
    """
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def _bound_memory(memory_mb: int) -> None:
    """Beyond what the process has mapped by now; where that cannot be told, nothing is bound."""
    with suppress(OSError, ValueError):
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[0])
        most = pages * resource.getpagesize() + memory_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(work: Work | None = None) -> None:
    """Serve over the pipes that it was started with; without other work, render."""
    cpu_seconds, memory_mb = (int(each) for each in sys.argv[1:3])
    # Whoever stops the service at its terminal means the service; it ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    _bound_memory(memory_mb)
    serve(sys.stdin.buffer, answers, cpu_seconds, work or answer_to)


if __name__ == "__main__":
    main()
