"""system calls as evidence: was it synced before it was acknowledged

::

    command = traced([sys.executable, "-m", "pillarbox", "serve", ...], tmp_path / "trace")
    async with Product(command, ...) as product:
        ...                                    # hand mail over IN CLEAR to the listener on `port`
    acceptances = read_acceptances(tmp_path / "trace", port=port, synced_below=data / LOG_NAME)
    assert acceptances and all(a.covered for a in acceptances)

An acceptance is the arrival of a final dot on a connection to `port`, and the reply to it. It is
covered when an fsync, fdatasync, syncfs or msync both began after the dot was read and returned 0
before the write of the reply began: a sync already under way when the dot came does not count.
Under TLS nothing can be seen; use a listener without.

The program stays the direct child of its starter (strace -DDD traces from outside), so killing,
signalling and waiting work as without. strace slows a program some tenfold: small counts.

`faulted` runs a program with a fault injected into its n-th call instead.
"""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOG_NAME = "pillarbox.db-wal"
"""What a commit writes and syncs, in the data directory."""

SYNCS = frozenset({"fsync", "fdatasync", "syncfs", "msync"})
_READS = frozenset({"read", "readv", "recvfrom", "recvmsg"})
_WRITES = frozenset({"write", "writev", "sendto", "sendmsg"})
_MAX_SHOWN_BYTES = 300_000
_KEPT_TAIL_BYTES = 64


def traced(command: Sequence[str], trace: Path) -> list[str]:
    """The command that runs `command` and writes its syncs, reads and writes to `trace`."""
    calls = ",".join(sorted(SYNCS | _READS | _WRITES))
    return [
        *_strace(trace),
        "-yy",
        "-xx",
        "-s",
        str(_MAX_SHOWN_BYTES),
        "-e",
        f"trace={calls}",
        *command,
    ]


def faulted(
    command: Sequence[str],
    trace: Path,
    calls: str,
    fault: str,
    nth: int,
    *,
    file: Path | None = None,
) -> list[str]:
    """The command that runs `command` with a fault at the n-th of `calls`.

    `calls` as strace takes it ("fdatasync,fsync"), `fault` likewise: ``signal=KILL``,
    ``error=EIO``, ``delay_enter=3000`` (microseconds). The count is of each thread; with `file`
    only calls that concern it are counted.
    """
    return [
        *_strace(trace),
        *(() if file is None else ("-P", str(file))),
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:{fault}:when={nth}",
        *command,
    ]


def _strace(trace: Path) -> list[str]:
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError("strace is not installed")
    # -DDD: a session of its own, so that whoever kills the program's lets strace finish its file.
    return [strace, "-DDD", "-f", "-q", "-o", str(trace)]


def trace_is_complete(trace: Path, pid: int) -> bool:
    """Whether strace has seen the end of the process and written it down."""
    if not trace.exists():
        return False
    with trace.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - 4096))
        end = file.read()
    return re.search(rb"(?m)^%d +\+\+\+ (exited|killed) " % pid, end) is not None


def wait_for_trace(trace: Path, pid: int, *, seconds: float = 10.0) -> None:
    """Wait until the trace of an ended process is complete. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not trace_is_complete(trace, pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"strace did not finish {trace}")
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that returned. Places are line numbers: the order strace saw."""

    name: str
    began: int
    returned: int
    descriptor: str
    """What the first argument is: ``7</path/of/file>`` or ``9<TCP:[...]>``."""
    data: bytes
    """What was read or written; empty for syncs."""
    result: int
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A final dot and the reply to it."""

    connection: str
    dot_read: int
    """Line of the trace at which the read that completed the dot had returned."""
    reply_began: int
    """Line at which the write of the reply began."""
    reply: bytes
    syncs: tuple[Call, ...] = field(default=())
    """Syncs that began after the one and had returned 0 before the other."""

    @property
    def covered(self) -> bool:
        """Whether there was such a sync."""
        return bool(self.syncs)


_LINE = re.compile(r"^(\d+)\s+(?:\d+\.\d+\s+)?(.*)$")
_BEGUN = re.compile(r"^(\w+)\((.*)$")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
_RESULT = re.compile(r"=\s+(-?\d+)[^=]*$")
_DESCRIPTOR = re.compile(r"^(-?\d+(?:<[^>]*(?:->[^>]*)?>)?)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")
_UNFINISHED = "<unfinished ...>"


def read_calls(trace: Path) -> Iterator[Call]:
    """The calls of a trace, in the order in which they returned."""
    pending: dict[str, tuple[str, int, str]] = {}
    with trace.open("r", encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            matched = _LINE.match(line.rstrip("\n"))
            if matched is None:
                continue
            pid, rest = matched.groups()
            began = number
            if (resumed := _RESUMED.match(rest)) is not None:
                if pid not in pending:
                    continue
                name, began, arguments = pending.pop(pid)
                arguments += resumed.group(2)
            elif (begun := _BEGUN.match(rest)) is not None:
                name, arguments = begun.groups()
                if arguments.endswith(_UNFINISHED):
                    pending[pid] = (name, began, arguments.removesuffix(_UNFINISHED))
                    continue
            else:
                continue
            result = _RESULT.search(arguments[-200:])
            descriptor = _DESCRIPTOR.match(arguments)
            if result is None or descriptor is None:
                continue
            value = int(result.group(1))
            data = b""
            if name in _READS or name in _WRITES:
                data = b"".join(_unhex(found) for found in _STRING.findall(arguments))
                data = data[: max(value, 0)]
            yield Call(name, began, number, _readable(descriptor.group(1)), data, value, pid)


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _readable(descriptor: str) -> str:
    """With -xx even paths are written in hexadecimal."""
    # Behind the path of a device strace says which one: 3<\x2f\x64...<char 1:9>>
    return _ESCAPED.sub(lambda found: _unhex(found[0]).decode(errors="replace"), descriptor)


def read_acceptances(
    trace: Path,
    *,
    port: int,
    synced_below: Path | None = None,
    asked: bytes = b"\r\n.\r\n",
    answered: bytes = b"250",
) -> list[Acceptance]:
    """Every final dot read on connections to `port` that was answered with `answered`.

    `synced_below` counts only syncs of files in that directory, or of that file; see `commits`.
    For HTTP, `asked` is the end of the request's body and `answered` ``b"HTTP/1.1 2"``.
    """
    calls = list(read_calls(trace))
    syncs = commits(calls, synced_below)
    ours = f":{port}->"
    tails: dict[str, bytes] = {}
    asked_at: dict[str, list[int]] = {}
    acceptances: list[Acceptance] = []
    for call in sorted(calls, key=_moment):
        if "<TCP" not in call.descriptor or ours not in call.descriptor or call.result <= 0:
            continue
        connection = call.descriptor
        if call.name in _READS:
            seen = tails.get(connection, b"") + call.data
            asked_at.setdefault(connection, []).extend([call.returned] * seen.count(asked))
            # What is kept is too short to hold the end of a request a second time.
            tails[connection] = seen[-(len(asked) - 1) :]
            continue
        waiting = asked_at.get(connection, [])
        for line in call.data.split(b"\r\n"):
            if waiting and line.startswith(answered):
                dot_read = waiting.pop(0)
                covering = tuple(s for s in syncs if s.began > dot_read and s.returned < call.began)
                acceptances.append(Acceptance(connection, dot_read, call.began, line, covering))
    return acceptances


def commits(calls: Sequence[Call], synced_below: Path | None) -> list[Call]:
    """The syncs, below a directory or of a file, of the thread that makes the most of them.

    Another one may sync the log as well, to copy it, and says nothing of a commit by that.
    """
    syncs = [
        call
        for call in calls
        if call.name in SYNCS
        and call.result == 0
        and (synced_below is None or f"<{synced_below}" in call.descriptor)
    ]
    busiest = Counter(call.thread for call in syncs).most_common(1)
    return [call for call in syncs if busiest and call.thread == busiest[0][0]]


def _moment(call: Call) -> int:
    """A read counts when it has returned, a write when it begins."""
    return call.began if call.name in _WRITES else call.returned
