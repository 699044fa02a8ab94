"""what is different between a message as it came and as it leaves, part by part, in words

Told from the octets alone, not from what rendering says it did: so it shows the truth also where
rendering is mistaken. Linear in the size of the message, and bounded in what is shown.
"""

from __future__ import annotations

import binascii
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from pillarbox.message.charsets import codec_for
from pillarbox.message.errors import TooComplex
from pillarbox.message.header import Field, HeaderBlock
from pillarbox.message.parts import Part, read_parts
from pillarbox.message.passages import Passage, compare_texts
from pillarbox.message.words import decode_words

MOST_FIELDS: Final = 100
MOST_PARTS: Final = 200
MOST_PASSAGES: Final = 100
"""Of one part."""
MOST_COMPARED: Final = 4 * 1024 * 1024
"""Characters of text of one message that are laid side by side."""
_MOST_HEADER: Final = 512 * 1024
_SHOWN: Final = 300
_AROUND: Final = 60
_AS_IT_IS: Final = ("", "7bit", "8bit", "binary")


class Fate(StrEnum):
    """What became of a field or part."""

    SAME = "same"
    REWRITTEN = "rewritten"
    """Encoded in another way, with the same meaning."""
    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"


class FieldChange(msgspec.Struct, frozen=True):
    """A header field that is not as it came."""

    fate: Fate
    name: str
    """Empty for a line that is no field, and for a header that is too long to be looked at."""
    before: str = ""
    """Unfolded and decoded, cut where it is long; as is `after`."""
    after: str = ""


class PartChange(msgspec.Struct, frozen=True):
    """One part and what became of it."""

    place: str
    """``1`` for the whole message, ``1.2`` for its second part, counted as it came."""
    media_type: str
    fate: Fate
    words: str
    """What became of it, as the end of a sentence that begins with the part."""
    bytes_before: int
    bytes_after: int
    encoding_before: str
    encoding_after: str
    digest_before: str
    """SHA-256 of its body as it travels, in hex; empty for what holds other parts."""
    digest_after: str
    fields: tuple[FieldChange, ...] = ()
    """Of its own header section; those of the message itself are told apart from its parts."""
    passages: tuple[Passage, ...] = ()
    more_passages: int = 0
    """Passages that are not shown."""


class Difference(msgspec.Struct, frozen=True):
    """What is not as it came."""

    bytes_before: int
    bytes_after: int
    fields: tuple[FieldChange, ...] = ()
    more_fields: int = 0
    parts: tuple[PartChange, ...] = ()
    more_parts: int = 0
    remarks: tuple[str, ...] = ()
    """Sentences about what cannot be told."""

    @property
    def same(self) -> bool:
        """Whether all that is told is as it came."""
        return not self.fields and all(part.fate is Fate.SAME for part in self.parts)


def differ(before: bytes, after: bytes) -> Difference:
    """Two states of one message, compared. Takes any bytes and raises nothing for them."""
    try:
        whole, left = read_parts(before), read_parts(after)
    except TooComplex as error:
        return _unread(before, after, error)
    return _Comparison(before, after).done(whole, left)


def _unread(before: bytes, after: bytes, error: TooComplex) -> Difference:
    remark = f"The parts are not told apart: {error.sentence}."
    if before != after:
        remark += " What leaves is not what came."
    return Difference(len(before), len(after), remarks=(remark,))


class _Comparison:
    """Two messages, and how much of them has been laid side by side."""

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after
        self._parts: list[PartChange] = []
        self._room = MOST_COMPARED

    def done(self, whole: Part, left: Part) -> Difference:
        fields = self._header_fields(whole, left)
        self._pair(whole, left, "1", top=True)
        return Difference(
            len(self._before),
            len(self._after),
            tuple(fields[:MOST_FIELDS]),
            max(0, len(fields) - MOST_FIELDS),
            tuple(self._parts[:MOST_PARTS]),
            max(0, len(self._parts) - MOST_PARTS),
        )

    def _pair(self, old: Part, new: Part, place: str, *, top: bool = False) -> None:
        fields: list[FieldChange] = []
        if not top:
            fields = self._header_fields(old, new)
        if not old.parts and not new.parts:
            self._parts.append(self._leaf(old, new, place, fields))
            return
        aside = self._beside(old, new)
        if fields or aside:
            words = "has another header" if fields else "has other text around its parts"
            self._parts.append(
                _change(old, new, place, Fate.CHANGED, words, fields=tuple(fields[:MOST_FIELDS]))
            )
        for number, (inner, now) in enumerate(_paired(old.parts, new.parts), 1):
            there = f"{place}.{number}"
            if inner is not None and now is not None:
                self._pair(inner, now, there)
            elif inner is not None:
                words = "no longer travels with the message"
                self._parts.append(self._alone(inner, None, there, Fate.REMOVED, words))
            elif now is not None:
                self._parts.append(self._alone(None, now, there, Fate.ADDED, "is new"))

    def _header_fields(self, old: Part, new: Part) -> list[FieldChange]:
        was, now = self._before[old.start : old.body], self._after[new.start : new.body]
        if was == now:
            return []
        if len(was) + len(now) > _MOST_HEADER:
            # Longer than any that a door takes; only in a part can it have come this far.
            return [FieldChange(Fate.CHANGED, "", f"{len(was)} octets", f"{len(now)} octets")]
        return _fields(HeaderBlock.parse(was).fields, HeaderBlock.parse(now).fields)

    def _leaf(self, old: Part, new: Part, place: str, fields: list[FieldChange]) -> PartChange:
        raw, made = self._before[old.body : old.end], self._after[new.body : new.end]
        digests = (_digest(raw), _digest(made))
        shown = tuple(fields[:MOST_FIELDS])
        if raw == made and not fields:
            words = "stays as it came, octet for octet"
            return _change(old, new, place, Fate.SAME, words, digests=digests)
        was, now = _decoded(raw, old.encoding), _decoded(made, new.encoding)
        how = _encoding_words(old, new)
        if was is not None and was == now:
            words = f"{how or 'has another header'}; readers see the same"
            fate = Fate.REWRITTEN
            return _change(old, new, place, fate, words, digests=digests, fields=shown)
        passages, count, why = self._passages(old, new, was, now)
        words = why or f"is different in {count} {'place' if count == 1 else 'places'}"
        words = f"{words}, and {how}" if how else words
        return _change(
            old, new, place, Fate.CHANGED, words, digests=digests, fields=shown,
            passages=tuple(passages), more=count - len(passages),
        )  # fmt: skip

    def _passages(
        self, old: Part, new: Part, was: bytes | None, now: bytes | None
    ) -> tuple[list[Passage], int, str]:
        """Those that are shown, how many there are, and why none can be."""
        if was is None or now is None:
            return [], 0, "is different, and cannot be decoded"
        if not (old.media_type.startswith("text/") and new.media_type.startswith("text/")):
            return [], 0, "is different"
        if len(was) + len(now) > self._room:
            return [], 0, "is different, and too large to be shown"
        self._room -= len(was) + len(now)
        tags = old.media_type == "text/html"
        return *compare_texts(_text(was, old), _text(now, new), MOST_PASSAGES, tags=tags), ""

    def _alone(
        self, old: Part | None, new: Part | None, place: str, fate: Fate, words: str
    ) -> PartChange:
        raw = self._before[old.body : old.end] if old else b""
        made = self._after[new.body : new.end] if new else b""
        digests = (_digest(raw) if old else "", _digest(made) if new else "")
        return _change(old, new, place, fate, words, digests=digests)

    def _beside(self, old: Part, new: Part) -> bool:
        """Whether what stands before the first part, or behind the last, is not as it came."""
        if not old.parts or not new.parts:
            return True
        first, last = old.parts[0], old.parts[-1]
        start, end = new.parts[0], new.parts[-1]
        # A removed part takes its boundary line with it, so only what no boundary is counts.
        return (
            _preamble(self._before[old.body : first.start])
            != _preamble(self._after[new.body : start.start])
            or self._before[last.end : old.end] != self._after[end.end : new.end]
        )  # fmt: skip


def _change(
    old: Part | None,
    new: Part | None,
    place: str,
    fate: Fate,
    words: str,
    *,
    digests: tuple[str, str] = ("", ""),
    fields: tuple[FieldChange, ...] = (),
    passages: tuple[Passage, ...] = (),
    more: int = 0,
) -> PartChange:
    either = old or new
    return PartChange(
        place,
        either.media_type[:_SHOWN] if either else "",
        fate,
        words,
        old.end - old.body if old else 0,
        new.end - new.body if new else 0,
        old.encoding[:_AROUND] if old else "",
        new.encoding[:_AROUND] if new else "",
        *digests,
        fields,
        passages,
        more,
    )


def _paired(old: Sequence[Part], new: Sequence[Part]) -> Iterator[tuple[Part | None, Part | None]]:
    """Parts that stand for each other. Rendering never changes their order, it only takes some out;
    where there are more than before, some are new.
    """
    waiting = deque(new)
    for number, part in enumerate(old):
        left = len(old) - number
        while len(waiting) > left and _key(waiting[0]) != _key(part):
            yield None, waiting.popleft()
        gone = len(waiting) < left and (not waiting or _key(waiting[0]) != _key(part))
        yield part, None if gone else waiting.popleft()
    for part in waiting:
        yield None, part


def _key(part: Part) -> tuple[str, str]:
    return part.media_type, part.content_id


def _preamble(text: bytes) -> bytes:
    """Without the boundary line at its end."""
    return text[: text.rfind(b"\r\n", 0, len(text) - 2) + 2]


def _fields(before: Sequence[Field], after: Sequence[Field]) -> list[FieldChange]:
    """Fields of one name are compared in their order; where they are fewer or more, the lowest stay,
    because new ones go on top.
    """
    old, new = _by_name(before), _by_name(after)
    found: list[FieldChange] = []
    for name in dict.fromkeys([*new, *old]):
        was, now = old.get(name, []), new.get(name, [])
        if was == now:
            continue
        same = 0
        while same < min(len(was), len(now)) and was[-1 - same] == now[-1 - same]:
            same += 1
        was, now = was[: len(was) - same], now[: len(now) - same]
        both = min(len(was), len(now)) if len(was) == len(now) else 0
        for number in range(both):
            if was[number] != now[number]:
                found.append(_field(Fate.CHANGED, was[number], now[number]))
        found += [_field(Fate.ADDED, None, each) for each in now[both:]]
        found += [_field(Fate.REMOVED, each, None) for each in was[both:]]
    return found


def _by_name(fields: Sequence[Field]) -> dict[bytes, list[Field]]:
    named: dict[bytes, list[Field]] = {}
    for field in fields:
        named.setdefault(field.name.lower(), []).append(field)
    return named


def _field(fate: Fate, old: Field | None, new: Field | None) -> FieldChange:
    either = new or old
    name = either.name.decode("ascii", "replace") if either else ""
    return FieldChange(fate, name[:_SHOWN], _value(old), _value(new))


def _value(field: Field | None) -> str:
    if field is None:
        return ""
    text = decode_words(field.value[: 2 * _SHOWN])
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _encoding_words(old: Part, new: Part) -> str:
    if old.encoding == new.encoding:
        return ""
    was = old.encoding[:_AROUND] or "no encoding"
    return f"is written in {new.encoding[:_AROUND] or 'no encoding'} instead of {was}"


def _decoded(raw: bytes, encoding: str) -> bytes | None:
    if encoding in _AS_IT_IS:
        return raw
    try:
        if encoding == "quoted-printable":
            return binascii.a2b_qp(raw)
        if encoding == "base64":
            return binascii.a2b_base64(raw)
    except binascii.Error:
        return None
    return None


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _text(document: bytes, part: Part) -> str:
    charset = codec_for(part.parameters.get("charset", ""), document) or "utf-8"
    return document.decode(charset, "replace")
