"""a preview in words: what was a message, what leaves, and what became of everything in it"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pillarbox.cli.output import Screen, clean, cut, format_bytes, width_of

_FEW: Final = 8
"""Of a kind that are shown where not everything is asked for."""
_COLOURS: Final = {
    "added": "green",
    "removed": "red",
    "changed": "amber",
    "rewritten": "amber",
    "same": "grey",
}
_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
_SAME: Final = "Leaves octet for octet as it came."


def print_preview(screen: Screen, told: Mapping[str, Any], *, everything: bool) -> None:
    """One preview, as the HTTP API gives it."""
    words = _Words(screen, None if everything else _FEW)
    words.head(told)
    words.fields(told["difference"])
    words.parts(told["difference"])
    words.spots("Links", told["links"], told["more_links"])
    words.spots("Images", told["images"], told["more_images"])
    words.hosted(told["hosted"])
    words.remarks(told)


class _Words:
    """The sections of a preview; each is left out where there is nothing to say."""

    def __init__(self, screen: Screen, most: int | None) -> None:
        self._screen = screen
        self._most = most

    def head(self, told: Mapping[str, Any]) -> None:
        difference = told["difference"]
        title = clean(told["name"])
        subject = clean(told["subject"])
        quoted = f'   "{subject}"' if subject else ""
        self._screen.say(self._screen.fit(f"{self._paint(title, 'bold')}{quoted}"))
        same = not (
            difference["fields"]
            or difference["remarks"]
            or any(part["fate"] != "same" for part in difference["parts"])
        )
        self._screen.fields(
            [
                ("Size", _size(difference["bytes_before"], difference["bytes_after"])),
                ("Options", _options(told["options"])),
                ("Signed by", ", ".join(told["signed_by"])),
                ("Recipient", told.get("recipient")),
                ("Changes", _SAME if same else ""),
                ("Left", (told.get("sent") or {}).get("words")),
            ]
        )

    def fields(self, difference: Mapping[str, Any]) -> None:
        fields = difference["fields"]
        if not fields:
            return
        self._title("Header")
        for each in fields[: self._most]:
            self._field(each, "  ")
        self._more(len(fields) + difference["more_fields"], len(fields[: self._most]), "  ")

    def parts(self, difference: Mapping[str, Any]) -> None:
        parts = difference["parts"]
        if not parts:
            return
        self._title("Parts")
        shown = parts if self._most is None else _telling(parts, self._most)
        room = max(len(part["place"]) for part in shown)
        kinds = min(30, max(width_of(clean(part["media_type"])) for part in shown))
        sizes = max(len(_sizes(part)) for part in shown)
        for part in shown:
            self._part(part, room, kinds, sizes)
        self._more(len(parts) + difference["more_parts"], len(shown), "  ")

    def spots(self, title: str, spots: Sequence[Mapping[str, Any]], more: int) -> None:
        if not spots:
            return
        self._title(title)
        for each in spots[: self._most]:
            self._spot(each)
        self._more(len(spots) + more, len(spots[: self._most]), "  ")

    def hosted(self, images: Sequence[Mapping[str, Any]]) -> None:
        if not images:
            return
        self._title("Hosted images")
        for each in images[: self._most]:
            size = format_bytes(each["size_bytes"])
            self._say(f"  {clean(each['content_id'])}   {each['media_type']}, {size}")
        self._more(len(images), len(images[: self._most]), "  ")

    def remarks(self, told: Mapping[str, Any]) -> None:
        ignored = [
            f"{each['name']}: {each['value']} was not obeyed: {each['reason']}."
            for each in told["ignored"]
        ]
        remarks = [*told["difference"]["remarks"], *told["remarks"], *ignored]
        if not remarks:
            return
        self._title("Remarks")
        for each in remarks:
            self._screen.say(f"  {clean(each)}")

    def _part(self, part: Mapping[str, Any], room: int, kinds: int, sizes: int) -> None:
        place, kind = part["place"], cut(clean(part["media_type"]), kinds, middle=True)
        size = _sizes(part)
        fate = self._paint(clean(part["words"]), _COLOURS[part["fate"]])
        self._screen.say(f"  {place:<{room}}  {kind:<{kinds}}  {size:<{sizes}}  {fate}".rstrip())
        for each in part["fields"][: self._most]:
            self._field(each, " " * (room + 4))
        passages = _gathered(part["passages"])
        for (line, before, after), count in passages[: self._most]:
            margin = " " * (room + 4)
            also = f", and {count - 1} more like it" if count > 1 else ""
            self._say(f"{margin}line {line}{also}")
            if before:
                self._say(f"{margin}  {self._paint('-', 'red')} {_line(before)}")
            if after:
                self._say(f"{margin}  {self._paint('+', 'green')} {_line(after)}")
        told = sum(count for _, count in passages[: self._most])
        total = len(part["passages"]) + part["more_passages"]
        self._more(total, told, " " * (room + 4))

    def _field(self, each: Mapping[str, Any], margin: str) -> None:
        fate = each["fate"]
        sign = self._paint(_SIGNS[fate], _COLOURS[fate])
        name = clean(each["name"]) or "(a line that is no field)"
        if fate == "changed":
            self._say(f"{margin}{sign} {name}: {clean(each['before'])}")
            self._say(f"{margin}  becomes {clean(each['after'])}")
        else:
            self._say(f"{margin}{sign} {name}: {clean(each['after'] or each['before'])}")

    def _spot(self, each: Mapping[str, Any]) -> None:
        label = f'   "{clean(each["label"])}"' if each["label"] else ""
        number = f"{each['position']:>3}" if each["position"] else "   "
        url = clean(each["url"]) or "(a pixel that was not there before)"
        self._say(f"  {number}  {url}{label}")
        colour = "amber" if each["instead"] else "green"
        verdict = self._paint("changed" if each["instead"] else "stays", colour)
        self._screen.say(f"       {verdict}: {clean(each['reason'])}")
        if each["instead"] and self._most is None:
            self._screen.say(f"       {clean(each['instead'])}")

    def _title(self, text: str) -> None:
        self._screen.say()
        self._screen.say(self._paint(text, "bold"))

    def _more(self, total: int, shown: int, margin: str) -> None:
        if total > shown:
            all_ = "" if self._most is None else "; --all shows what there is room for"
            self._screen.say(f"{margin}and {total - shown} more{all_}")

    def _say(self, text: str) -> None:
        self._screen.say(self._screen.fit(text))

    def _paint(self, text: str, colour: str) -> str:
        return self._screen.paint(text, colour)


def _line(text: str) -> str:
    return clean(" ".join(text.split()))


def _size(before: int, after: int) -> str:
    if before == after:
        return format_bytes(before)
    share = f", {100 * (after - before) / before:+.0f} %" if before else ""
    return f"{format_bytes(before)} came, {format_bytes(after)} leave{share}"


def _sizes(part: Mapping[str, Any]) -> str:
    before, after = part["bytes_before"], part["bytes_after"]
    if part["fate"] == "removed" or before == after:
        return format_bytes(before)
    if part["fate"] == "added":
        return format_bytes(after)
    return f"{format_bytes(before)} to {format_bytes(after)}"


def _options(options: Iterable[Mapping[str, Any]]) -> str:
    """Switches that are on by their names alone, gathered by who said so."""
    said: dict[str, list[str]] = {}
    for each in options:
        name, value = clean(each["name"]), clean(each["value"])
        said.setdefault(clean(each["origin"]), []).append(
            name if value == "true" else f"{name}={value}"
        )
    return "; ".join(f"{', '.join(names)} (by the {origin})" for origin, names in said.items())


def _telling(parts: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """Those that are not as they came before all others, in their order."""
    if len(parts) <= most:
        return list(parts)
    numbers = sorted(range(len(parts)), key=lambda i: (parts[i]["fate"] == "same", i))[:most]
    return [parts[i] for i in sorted(numbers)]


def _gathered(passages: Iterable[Mapping[str, Any]]) -> list[tuple[tuple[int, str, str], int]]:
    """Passages of which each is told once, and how often it occurs."""
    first: dict[tuple[str, str], int] = {}
    counts: dict[tuple[str, str], int] = {}
    for each in passages:
        key = (each["before"], each["after"])
        first.setdefault(key, each["line"])
        counts[key] = counts.get(key, 0) + 1
    return [((line, *key), counts[key]) for key, line in first.items()]
