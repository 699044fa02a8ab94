"""what holds for every test: a clean environment, loud skips, two sizes, both event loops"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import platform
import shutil
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import hypothesis
import pytest
import structlog

from tests import components

if TYPE_CHECKING:
    from tests.doubles.postgres import PostgresServer

# Before anything of ours is imported: the developer's own Pillarbox must not leak in.
for name in [name for name in os.environ if name.startswith("PILLARBOX_")]:
    del os.environ[name]

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
HERE = Path(__file__).parent

# Fixtures lie in tests/fix_*.py, each file named by what it gives.
pytest_plugins = [f"tests.{path.stem}" for path in sorted(HERE.glob("fix_*.py"))]

pytest.register_assert_rewrite("tests.doubles")

# Small is the same everywhere and every time; full looks for what nobody thought of.
hypothesis.settings.register_profile("small", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.register_profile(
    "full",
    deadline=None,
    max_examples=20_000,
    print_blob=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)

NAMED_MARKERS = ("postfix", "root", "chromium")
ENGINES = ("sqlite", "postgres")
_ROOMY_BYTES = 8_000_000_000


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pillarbox")
    group.addoption(
        "--size", choices=("small", "full"), default="small", help="of tests in two sizes"
    )
    group.addoption(
        "--loop",
        choices=("uvloop", "asyncio", "both"),
        default="uvloop",
        help="event loop of async tests; those in tests/wire always run on both",
    )
    group.addoption(
        "--engine",
        choices=ENGINES,
        default="sqlite",
        help="where mail rests in tests that start a whole Pillarbox; some always run on both",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--hypothesis-profile", None):
        hypothesis.settings.load_profile(config.getoption("--size"))


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> Literal["small", "full"]:
    """How large a test in two sizes is to be."""
    return request.config.getoption("--size")


@pytest.fixture(autouse=True)
def log_as_it_was() -> Generator[None]:
    """A test that ran a command leaves its log level to nobody."""
    yield
    structlog.reset_defaults()


# --- engines ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> str:
    """Where mail rests: what ``--engine`` says, and in tests marked `both_engines` either."""
    return request.param


def _roomy_memory() -> str | None:
    """A folder that is in memory and has gigabytes left; None where there is none."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _ROOMY_BYTES:
        return None
    return str(folder)


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A server for everybody who wants a database of it."""
    from tests.doubles.postgres import PostgresServer

    # A short path: it holds a socket. And one that the server's user may enter. In memory, where
    # there is room for the hundreds of databases of a whole run: removing them took a minute.
    with tempfile.TemporaryDirectory(prefix="pillarbox-", dir=_roomy_memory()) as folder:
        Path(folder).chmod(0o755)
        with PostgresServer(Path(folder) / "pg") as started:
            yield started


@pytest.fixture(scope="module")
def new_database(engine: str, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes an empty database and gives its URL; on SQLite that is empty, and means a file."""
    return request.getfixturevalue("postgres").database if engine == "postgres" else str


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        needs = {"postgres": [pytest.mark.needs("postgres")]}
        engines = [pytest.param(name, marks=needs.get(name, [])) for name in ENGINES]
        metafunc.parametrize("engine", engines, indirect=True, scope="module")


def _on_the_engine_asked_for(config: pytest.Config, item: pytest.Item) -> bool:
    called_with = getattr(item, "callspec", None)
    engine = called_with.params.get("engine") if called_with is not None else None
    asked = engine in (None, config.getoption("--engine"))
    return asked or item.get_closest_marker("both_engines") is not None


def pytest_report_header() -> list[str]:
    try:
        import apsw

        sqlite = apsw.sqlite_lib_version()
    except ImportError:
        sqlite = "none"
    return [
        f"engines: Python {platform.python_version()}, SQLite {sqlite} (apsw), "
        f"{ssl.OPENSSL_VERSION}, Postfix {components.postfix_version() or 'none'}, "
        f"Linux {platform.release()}, {os.cpu_count()} cores"
    ]


def _loops(wanted: str) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}
    if wanted in ("uvloop", "both"):
        try:
            import uvloop

            loops["uvloop"] = uvloop.new_event_loop
        except ImportError:
            wanted = "asyncio"
    if wanted in ("asyncio", "both"):
        loops["asyncio"] = asyncio.new_event_loop
    return loops


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    on_the_wire = HERE / "wire" in item.path.parents
    return _loops("both" if on_the_wire else config.getoption("--loop"))


def _bounded(
    test: Callable[..., Awaitable[None]], seconds: float
) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*arguments: object, **fixtures: object) -> None:
        async with asyncio.timeout(seconds):
            await test(*arguments, **fixtures)

    return run


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Async tests are bounded inside their loop.

    pytest-timeout raises from a signal handler. uvloop runs handlers in a callback, where what is
    raised is logged and forgotten, and the test hangs on.
    """
    usual = float(config.getini("timeout") or 0)
    others = [item for item in items if not _on_the_engine_asked_for(config, item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _on_the_engine_asked_for(config, item)]
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("timeout")
            seconds = float(config.getoption("timeout") or usual)
            seconds = float(marker.args[0]) if marker and marker.args else seconds
            if seconds:
                item.obj = _bounded(item.obj, seconds * 0.9)


# --- loud skips ------------------------------------------------------------------------------


def _needs(item: pytest.Item) -> tuple[str, ...]:
    wanted = [name for name in NAMED_MARKERS if item.get_closest_marker(name)]
    for marker in item.iter_markers("needs"):
        wanted.extend(marker.args)
    return tuple(dict.fromkeys(wanted))


def pytest_runtest_setup(item: pytest.Item) -> None:
    lacking = components.missing(_needs(item))
    if lacking:
        pytest.skip(lacking)


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = (
        f"{reason}\n(skipped elsewhere; with CI=true a missing component is a failure)"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected = hasattr(report, "wasxfail") or item.get_closest_marker("by_design")
    if IN_CI and report.skipped and not expected:
        _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        _fail_skipped(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        reasons[reason] = reasons.get(reason, 0) + 1
    if not reasons:
        return
    terminalreporter.section("NOT TESTED HERE", sep="!", yellow=True, bold=True)
    for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
        terminalreporter.write_line(f"{count:4} test{'s' * (count > 1)}: {reason}")
