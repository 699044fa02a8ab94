"""instants as people at a terminal want them: in their own time zone, or as an age"""

from __future__ import annotations

from datetime import datetime

from pillarbox.terms.clock import SystemClock, format_duration


def at(instant: str | None, *, now_ms: int | None = None) -> str:
    """An RFC 3339 instant as local time; without its date where that is today's, empty for none."""
    moment = _parsed(instant)
    if moment is None:
        return clean_or_empty(instant)
    local = moment.astimezone()
    today = datetime.fromtimestamp(_now(now_ms) / 1000).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M")


def ago(instant: str | None, *, now_ms: int | None = None) -> str:
    """How long ago an instant was, in one unit or two, such as ``2h 5m``."""
    moment = _parsed(instant)
    if moment is None:
        return clean_or_empty(instant)
    seconds = _now(now_ms) / 1000 - moment.timestamp()
    return format_duration(seconds) if seconds >= 1 else "now"


def since(instant: str | None, *, now_ms: int | None = None) -> str:
    """An age in a sentence: ``2h 5m ago``, or ``just now``."""
    age = ago(instant, now_ms=now_ms)
    return "just now" if age == "now" else f"{age} ago"


def clean_or_empty(instant: str | None) -> str:
    """What is shown of something that is no instant."""
    from pillarbox.cli.output import clean

    return clean(instant) if instant else ""


def _parsed(instant: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(instant) if instant else None
    except ValueError:
        return None


def _now(now_ms: int | None) -> int:
    return SystemClock().now_ms() if now_ms is None else now_ms
