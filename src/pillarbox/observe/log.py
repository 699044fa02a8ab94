"""one line per event: JSON for machines, words for a terminal

What peers said is shown, never obeyed: control characters are escaped, long values cut, and values
whose names speak of secrets are masked whatever they hold. A log that cannot be written is
counted and does not stop the mail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, Literal, Protocol, TextIO

import msgspec
import structlog

from pillarbox.terms.clock import Clock, SystemClock, format_instant, from_ms
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import setting

_LONGEST_VALUE: Final = 2048
_LARGEST_NUMBER: Final = 1 << 63
_DEEPEST: Final = 4
_MOST_ITEMS: Final = 64
_VERB_WIDTH: Final = 9
_MASK: Final = "****"
_SECRET_NAMES: Final = ("password", "passwd", "secret", "authorization", "cookie", "token")
_KEPT_NAMES: Final = frozenset({"token_kind", "password_style", "secret_hint"})
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_LOUD: Final = _LEVELS["warning"]
_COLOURS: Final = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "31"}
_ESCAPES: Final = {
    **{n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160))},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
    **{n: f"\\u{n:04x}" for n in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}

Event = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogConfig:
    """How the log is written."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "Events less important than this are left out."
    )
    form: Literal["auto", "json", "console"] = setting(
        "auto", "One JSON object a line, words for a terminal, or whichever fits the output."
    )


class Lost:
    """What could not be written: a full disk, a closed terminal."""

    lines = 0


class Log(Protocol):
    """A room's log. Events are past tense, such as ``login.refused``.

    The value `words` is what people read; the other values are for whoever searches.
    """

    def debug(self, event: str, **values: Any) -> Any:
        """For whoever looks for a fault."""
        ...

    def info(self, event: str, **values: Any) -> Any:
        """The course of things."""
        ...

    def warning(self, event: str, **values: Any) -> Any:
        """Something an operator may want to change."""
        ...

    def error(self, event: str, **values: Any) -> Any:
        """Something an operator has to look at."""
        ...

    def exception(self, event: str, **values: Any) -> Any:
        """An error with the traceback of the exception at hand."""
        ...


def configure(
    stream: TextIO,
    config: LogConfig | None = None,
    *,
    colour: bool = False,
    clock: Clock | None = None,
    zone: tzinfo | None = None,
) -> None:
    """Send all events to `stream`, from now on. Call it once, before anything is logged.

    With the form ``auto`` a terminal gets words and anything else JSON. `zone` is that of the times
    on a terminal, the machine's own where it is None; JSON has UTC.
    """
    chosen = config or LogConfig()
    terminal = chosen.form == "console" or (chosen.form == "auto" and stream.isatty())
    written = console_line(colour=colour, zone=zone) if terminal else json_line
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamped(clock or SystemClock()),
            structlog.processors.format_exc_info,
            cleaned,
            written,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[chosen.level]),
        logger_factory=_Writers(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Bridge)]
    root.addHandler(_Bridge())
    root.setLevel(max(_LEVELS[chosen.level], logging.INFO))


def logger(room: str) -> Log:
    """The log of one room: ``logger("net").info("kept", words="...", message=...)``."""
    log: Log = structlog.get_logger(room=room)
    return log


def cleaned(_: object, __: str, event: Event) -> Event:
    """Secrets masked, control characters escaped, long values cut."""
    return {_text(str(name)): _clean(str(name), value, _DEEPEST) for name, value in event.items()}


def json_line(_: object, __: str, event: Event) -> str:
    """One JSON object: ``at``, ``level``, ``event`` first, then the rest."""
    at = format_instant(event.pop("at_ms"))
    first = {"at": at, "level": event.pop("level"), "event": event.pop("event")}
    return msgspec.json.encode({**first, **event, **first}).decode()


def console_line(
    *, colour: bool, zone: tzinfo | None = None
) -> Callable[[object, str, Event], str]:
    """Time of day, the verb, the words, then what else is worth showing."""

    def line(_: object, __: str, event: Event) -> str:
        at = from_ms(event.pop("at_ms")).astimezone(zone).strftime("%H:%M:%S")
        level = event.pop("level")
        verb = str(event.pop("event"))
        words = str(event.pop("words", ""))
        event.pop("room", None)
        exception = event.pop("exception", "")
        # People who watch want sentences; the values are for those who search, or for trouble.
        rest = _pairs(event) if not words or _LEVELS.get(level, _LOUD) >= _LOUD else ""
        shown = f"{verb:<{_VERB_WIDTH}}"
        if colour:
            shown = f"\x1b[{_COLOURS.get(level, '0')}m{shown}\x1b[0m"
        parts = [part for part in (words, rest, str(exception)) if part]
        return f"{at}  {shown} {'  '.join(parts)}".rstrip()

    return line


def _pairs(event: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={value}" for name, value in event.items() if value is not None and value != ""
    )


def _stamped(clock: Clock) -> Callable[[object, str, Event], Event]:
    def stamp(_: object, __: str, event: Event) -> Event:
        event["at_ms"] = clock.now_ms()
        return event

    return stamp


def _clean(name: str, value: object, depth: int) -> object:
    if _is_secret(name):
        return _MASK
    match value:
        case Secret():
            return _MASK
        case bool() | float() | None:
            return value
        case int():
            return value if abs(value) < _LARGEST_NUMBER else str(value)
        case str():
            return _text(value)
        case bytes():
            return _text(value[:_LONGEST_VALUE].decode("utf-8", "backslashreplace"))
        case Mapping() if depth:
            items = list(value.items())[:_MOST_ITEMS]
            return {_text(str(key)): _clean(str(key), each, depth - 1) for key, each in items}
        case list() | tuple() | set() | frozenset() if depth:
            return [_clean("", each, depth - 1) for each in list(value)[:_MOST_ITEMS]]
        case _:
            return _text(str(value))


def _is_secret(name: str) -> bool:
    lower = name.lower()
    return lower not in _KEPT_NAMES and any(word in lower for word in _SECRET_NAMES)


def _text(value: str) -> str:
    cut = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "..."
    if cut.isprintable():
        return cut
    # Half a surrogate pair cannot be written at all.
    return cut.translate(_ESCAPES).encode("utf-8", "backslashreplace").decode()


class _Bridge(logging.Handler):
    """Takes what libraries, and rooms below this one, say to the standard library's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on; one that cannot even be formatted is counted."""
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            Lost.lines += 1
            return
        log = logger(record.name.removeprefix("pillarbox."))
        values: dict[str, Any] = {"words": said}
        if record.exc_info:
            values["exc_info"] = record.exc_info
        if record.levelno >= logging.ERROR:
            log.error("said", **values)
        elif record.levelno >= logging.WARNING:
            log.warning("said", **values)
        else:
            log.info("said", **values)


class _Writers:
    """Makes writers to one stream, as structlog asks for them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, *_: object) -> _Writer:
        return _Writer(self._stream)


class _Writer:
    """Writes a line and sees to it that it is out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line; a line that cannot be written is counted."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError, UnicodeError):
            Lost.lines += 1

    debug = info = warning = error = critical = exception = log = fatal = warn = msg
