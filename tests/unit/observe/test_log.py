"""one line per event, harmless whatever it quotes, and without secrets"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC

import pytest
import structlog

from pillarbox.observe.log import LogConfig, Lost, configure, logger
from pillarbox.terms.secret import Secret

AT_MS = 1_800_000_000_000  # 2027-01-15T08:00:00Z


class Clock:
    def now_ms(self) -> int:
        return AT_MS

    def monotonic(self) -> float:
        return 0.0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)


def started(stream: io.StringIO, config: LogConfig | None = None, *, colour: bool = False) -> None:
    configure(stream, config, colour=colour, clock=Clock(), zone=UTC)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_what_is_no_terminal_gets_one_json_object_a_line() -> None:
    out = io.StringIO()
    started(out)
    logger("submission").info("login.refused", username="shop", tries=3, late=False, why=None)
    logger("net").warning("slow", seconds=1.5)
    first, second = lines(out)
    assert first == {
        "at": "2027-01-15T08:00:00.000Z",
        "level": "info",
        "event": "login.refused",
        "room": "submission",
        "username": "shop",
        "tries": 3,
        "late": False,
        "why": None,
    }
    assert list(first)[:3] == ["at", "level", "event"]
    assert second["seconds"] == 1.5


def test_a_terminal_gets_words() -> None:
    out = Terminal()
    started(out)
    logger("submission").info("login", words="first-app from 127.0.0.1 (TLS 1.3)", tries=1)
    assert out.getvalue() == "08:00:00  login     first-app from 127.0.0.1 (TLS 1.3)\n"


def test_values_are_shown_where_there_are_no_words_or_where_it_matters() -> None:
    out = Terminal()
    started(out)
    log = logger("net")
    log.info("opened", port=2525, note="", by=None)
    log.warning("refused", words="first-app", ref="8f2c")
    log.info("idle")
    assert out.getvalue().splitlines() == [
        "08:00:00  opened    port=2525",
        "08:00:00  refused   first-app  ref=8f2c",
        "08:00:00  idle",
    ]


def test_colour_is_only_on_the_status_word() -> None:
    out = Terminal()
    started(out, colour=True)
    logger("net").warning("refused", words="first-app")
    assert out.getvalue() == "08:00:00  \x1b[33mrefused  \x1b[0m first-app\n"


def test_the_form_asked_for_beats_what_the_output_is() -> None:
    out, terminal = io.StringIO(), Terminal()
    started(out, LogConfig(form="console"))
    logger("net").info("opened")
    started(terminal, LogConfig(form="json"))
    logger("net").info("opened")
    assert out.getvalue() == "08:00:00  opened\n"
    assert lines(terminal)[0]["event"] == "opened"


def test_what_is_less_important_than_the_level_is_left_out() -> None:
    out = io.StringIO()
    started(out, LogConfig(level="warning"))
    log = logger("net")
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [line["event"] for line in lines(out)] == ["c", "d"]


@pytest.mark.parametrize(
    "hostile",
    ["a\r\n08:00:00  kept  forged", "\x1b[2J\x1b]0;title\x07", "\x9b31m", "a\u2028b", "x\u202ey"],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_what_peers_said_is_shown_and_never_obeyed(hostile: str, form: str) -> None:
    out = io.StringIO()
    started(out, LogConfig(form=form))  # type: ignore[arg-type]
    log = logger("net")
    log.warning(hostile, words=hostile, reply=hostile, **{hostile: hostile})
    written = out.getvalue()
    assert written.count("\n") == 1
    assert written[:-1].isprintable()


def test_bytes_and_half_characters_can_be_written() -> None:
    out = io.StringIO()
    started(out)
    logger("net").info("heard", raw=b"\xff\x00ok", half="\ud800", big=1 << 80, long=float("inf"))
    (line,) = lines(out)
    assert line["raw"] == "\\xff\\x00ok"
    assert line["half"] == "\\ud800"
    assert line["big"] == str(1 << 80)
    assert line["long"] is None


def test_a_value_cannot_pass_for_the_time() -> None:
    out = io.StringIO()
    started(out)
    logger("net").info("heard", at="1999")
    assert lines(out)[0]["at"] == "2027-01-15T08:00:00.000Z"


def test_a_secret_is_never_written_under_any_name() -> None:
    out = io.StringIO()
    started(out)
    logger("net").info(
        "login",
        password="hush-1",
        smtp_password="hush-2",
        api_token="hush-3",
        Authorization="Basic hush-4",
        cookie="hush-5",
        harmless=Secret("hush-6"),
        nested={"password": "hush-7", "list": [Secret("hush-8")]},
        password_style="spaced",
    )
    assert "hush" not in out.getvalue()
    (line,) = lines(out)
    assert line["password_style"] == "spaced"
    assert line["nested"] == {"password": "****", "list": ["****"]}


def test_long_and_deep_values_are_cut() -> None:
    out = io.StringIO()
    started(out)
    deep: object = "end"
    for _ in range(100):
        deep = [deep]
    logger("net").info("big", text="x" * 100_000, raw=b"y" * 100_000, many=range(9), deep=deep)
    logger("net").info("many", items=list(range(10_000)), names=dict.fromkeys(map(str, range(999))))
    assert len(out.getvalue()) < 12_000
    assert lines(out)[0]["many"] == "range(0, 9)"


def test_a_full_disk_costs_lines_and_not_mail() -> None:
    before = Lost.lines
    started(FullDisk())
    logger("net").info("opened")
    closed = io.StringIO()
    started(closed)
    closed.close()
    logger("net").error("opened")
    assert Lost.lines == before + 2


def test_an_exception_stays_on_its_line() -> None:
    out = io.StringIO()
    started(out)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger("net").exception("broken")
    (line,) = lines(out)
    assert line["level"] == "error"
    assert "ValueError: two\\nlines" in str(line["exception"])
    terminal = Terminal()
    started(terminal)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger("net").exception("broken", words="a task failed")
    assert terminal.getvalue().count("\n") == 1
    assert "a task failed  Traceback" in terminal.getvalue()


def test_what_libraries_say_comes_the_same_way() -> None:
    out = io.StringIO()
    started(out)
    started(out)
    log = logging.getLogger("pillarbox.net.listener")
    log.info("port %d\nopen", 2525)
    log.warning("slow")
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("uvicorn").exception("failed")
    first, second, third = lines(out)
    assert (first["room"], first["words"], first["level"]) == (
        "net.listener",
        "port 2525\\nopen",
        "info",
    )
    assert second["level"] == "warning"
    assert (third["room"], third["level"]) == ("uvicorn", "error")
    assert "KeyError" in str(third["exception"])


def test_a_library_that_cannot_format_its_own_words_is_survived() -> None:
    out = io.StringIO()
    started(out)
    root = logging.getLogger()
    root.handlers = root.handlers[-1:]  # pytest's own would raise
    before = Lost.lines
    logging.getLogger("careless").warning("%d", "x")
    assert Lost.lines == before + 1
    assert out.getvalue() == ""


def test_debug_of_libraries_stays_out_even_where_ours_is_wanted() -> None:
    out = io.StringIO()
    started(out, LogConfig(level="debug"))
    logging.getLogger("asyncio").debug("selector")
    logger("net").debug("ours")
    assert [line["event"] for line in lines(out)] == ["ours"]


def test_the_systems_clock_is_used_where_none_is_given() -> None:
    out = io.StringIO()
    configure(out)
    logger("net").info("opened")
    assert str(lines(out)[0]["at"]).endswith("Z")
