"""feature flags: credential, request, X- header; one visible chain (feature headers always leave)"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from pillarbox.message.errors import InvalidOption
from pillarbox.message.facts import OptionValue

MAX_TAGS: Final = 50
MAX_TAG_CHARACTERS: Final = 100

MAX_KEY_CHARACTERS: Final = 255
MAX_REMARKS: Final = 20
"""What is kept of headers that were not obeyed."""

_SHOWN_CHARACTERS: Final = 200
_PREFIXES: Final = ("x-smtpeter-", "x-pillarbox-")
KEY_HEADERS: Final = frozenset(prefix + "idempotency-key" for prefix in _PREFIXES)
"""Header fields with the key by which a message is recognised when it is handed in again."""

_YES: Final = frozenset({"true", "1", "yes", "on"})
_NO: Final = frozenset({"false", "0", "no", "off"})


class Kind(StrEnum):
    """What an option's value looks like."""

    SWITCH = "switch"
    CHOICE = "choice"
    TAGS = "tags"


@dataclass(frozen=True, slots=True)
class Option:
    """One feature of a message. Switches are off until somebody says otherwise."""

    name: str
    about: str
    kind: Kind = Kind.SWITCH
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """Names that older programs use."""

    @property
    def header(self) -> str:
        """The header field that sets it for one message; the other prefix does the same."""
        return f"X-Pillarbox-{self.name}"


def _vocabulary(*options: Option) -> dict[str, Option]:
    return {option.name: option for option in options}


OPTIONS: Final = _vocabulary(
    Option(
        "trackclicks",
        "Links in the HTML part lead through the tracking host, which notes the click.",
        aliases=("clicktracking",),
    ),
    Option(
        "trackopens",
        "Images in the HTML part are fetched through the tracking host, which notes the opening.",
        aliases=("openstracking",),
    ),
    Option(
        "trackbounces",
        "The return path is ours, so that every bounce is seen, noted and then forwarded.",
        aliases=("bouncetracking",),
    ),
    Option(
        "preventscam",
        "A link whose text shows its own target stays as it is, because changed it would look "
        "like fraud.",
    ),
    Option(
        "inlinecss",
        "Style sheets in the HTML part become style attributes.",
        aliases=("inlinizecss",),
    ),
    Option(
        "images",
        "Embedded images are hosted here instead of travelling with every copy.",
        kind=Kind.CHOICE,
        choices=("default", "hosted"),
    ),
    Option(
        "unsubscribe",
        "A List-Unsubscribe field is added by which readers can ask for no more, with one click; one "
        "that is there stays.",
    ),
    Option(
        "tags",
        "Words, separated by commas, under which events of the message are found again.",
        kind=Kind.TAGS,
    ),
)
"""Every option there is, by name; docs and help are made from it."""

_NAMES: Final = {alias: option for option in OPTIONS.values() for alias in option.aliases} | OPTIONS


def find_option(name: str) -> Option | None:
    """The option of that name, an older name or a header's name, in any case."""
    lowered = name.lower()
    for prefix in _PREFIXES:
        lowered = lowered.removeprefix(prefix)
    return _NAMES.get(lowered)


def read_value(option: Option, text: str, given_as: str) -> str:
    """`text` as the option's value is stored: ``true`` or ``false``, a choice, or ``a,b``.

    Raises `InvalidOption`, which calls the option `given_as`.
    """
    lowered = text.strip().lower()
    if option.kind is Kind.TAGS:
        return ",".join(_tags(text, given_as))
    if option.kind is Kind.CHOICE:
        if lowered not in option.choices:
            raise InvalidOption(given_as, text, " or ".join(option.choices))
        return lowered
    if lowered not in _YES | _NO:
        raise InvalidOption(given_as, text, "true or false")
    return "true" if lowered in _YES else "false"


class Remark(NamedTuple):
    """A header field that asked for something and was not obeyed."""

    name: str
    value: str
    reason: str


class Resolved(NamedTuple):
    """What holds for a message, and what was not obeyed on the way."""

    options: dict[str, OptionValue]
    remarks: tuple[Remark, ...] = ()


NOTHING_ASKED: Final = Resolved({})


def resolve(
    app: Mapping[str, str],
    credential: Mapping[str, str],
    request: Mapping[str, str],
    header: Sequence[tuple[str, str]],
    *,
    relays: bool = False,
    fixed: Container[str] = (),
    lenient: bool = False,
) -> Resolved:
    """What holds for a message, and who said so: header beats request beats credential beats app.

    Options nobody speaks of are left out. The headers of a submitter that `relays` were written by
    strangers and say nothing. Of a field given twice the last counts, but all tags do. A header
    that sets an option that is `fixed`, or that names none, is remarked and passed over; so is,
    where this is `lenient`, one whose value cannot be read, for which `InvalidOption` is raised
    otherwise.
    """
    resolved: dict[str, OptionValue] = {}
    _apply(resolved, "app", app.items())
    _apply(resolved, "credential", credential.items())
    _apply(resolved, "request", request.items())
    if relays or not header:
        return Resolved(resolved)
    obeyed: list[tuple[str, str]] = []
    remarks: list[Remark] = []
    for name, text in header:
        option = find_option(name)
        if option is None:
            if name not in KEY_HEADERS:
                remarks.append(_remark(name, text, "there is no such option"))
        elif option.name in fixed:
            remarks.append(_remark(name, text, "this login does not let headers change it"))
        elif lenient and (wrong := _unreadable(option, name, text)):
            remarks.append(_remark(name, text, wrong))
        else:
            obeyed.append((name, text))
    _apply(resolved, "header", obeyed)
    return Resolved(resolved, tuple(remarks[:MAX_REMARKS]))


def idempotency_key(header: Sequence[tuple[str, str]]) -> str:
    """What a message says it is recognised by when it is handed in again; empty for nothing.

    Raises `InvalidOption` for one that is too long.
    """
    for name, text in header:
        if name in KEY_HEADERS and (key := text.strip()):
            if len(key) > MAX_KEY_CHARACTERS:
                raise InvalidOption(name, text, f"at most {MAX_KEY_CHARACTERS} characters")
            return key
    return ""


def is_on(options: Mapping[str, OptionValue], name: str) -> bool:
    """Whether a switch is on."""
    found = options.get(name)
    return found is not None and found.value == "true"


def tags_of(options: Mapping[str, OptionValue]) -> tuple[str, ...]:
    """The tags, in the order they were given."""
    found = options.get("tags")
    return tuple(found.value.split(",")) if found and found.value else ()


def _apply(resolved: dict[str, OptionValue], origin: str, given: Iterable[tuple[str, str]]) -> None:
    said: dict[str, str] = {}
    for name, text in given:
        option = find_option(name)
        if option is None:
            continue
        value = read_value(option, text, name)
        if option.kind is Kind.TAGS and said.get(option.name):
            value = read_value(option, f"{said[option.name]},{value}", name)
        said[option.name] = value
    resolved.update((name, OptionValue(value, origin)) for name, value in said.items())


def _remark(name: str, value: str, reason: str) -> Remark:
    return Remark(name[:_SHOWN_CHARACTERS], value[:_SHOWN_CHARACTERS], reason)


def _unreadable(option: Option, name: str, text: str) -> str:
    try:
        read_value(option, text, name)
    except InvalidOption as wrong:
        return wrong.sentence[:_SHOWN_CHARACTERS]
    return ""


def _tags(text: str, given_as: str) -> list[str]:
    tags = dict.fromkeys(tag.strip() for tag in text.split(","))
    tags.pop("", None)
    for tag in tags:
        if len(tag) > MAX_TAG_CHARACTERS or not tag.isprintable() or ";" in tag or " " in tag:
            raise InvalidOption(
                given_as,
                text,
                f"tags of at most {MAX_TAG_CHARACTERS} characters without blanks or semicolons",
            )
    if len(tags) > MAX_TAGS:
        raise InvalidOption(given_as, text, f"at most {MAX_TAGS} tags")
    return list(tags)
