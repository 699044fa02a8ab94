from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import (
    InvalidSetting,
    about,
    default_of,
    describe_kind,
    format_value,
    is_secret,
    read_text,
    read_value,
    setting,
)


class Flavour(StrEnum):
    SWEET = "sweet"
    SOUR = "sour"


def _made() -> str:
    return "made"


@dataclass(frozen=True, slots=True)
class Config:
    count: int = setting(3, "How many.")
    share: float = setting(1, "What part.")
    flavour: Flavour = setting(Flavour.SWEET, "Which taste.")
    names: dict[str, int] = setting(dict, "A table.")
    made: str = setting(_made, "A function makes it.")
    password: str = setting("", "Nobody may see it.", secret=True)
    plain: int = 1


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def test_a_field_has_its_default_and_its_sentence() -> None:
    assert Config().count == 3
    assert Config(count=4).count == 4
    assert about(FIELDS["count"]) == "How many."
    assert default_of(FIELDS["count"]) == 3


def test_an_enum_member_is_a_value_and_no_factory() -> None:
    assert Config().flavour is Flavour.SWEET


def test_a_class_or_function_makes_the_default_anew() -> None:
    assert Config().made == "made"
    assert Config().names is not Config().names
    assert default_of(FIELDS["names"]) == {}


def test_a_secret_stays_out_of_the_repr() -> None:
    assert is_secret(FIELDS["password"])
    assert "hunter2" not in repr(Config(password="hunter2"))
    assert not is_secret(FIELDS["count"])


def test_a_field_that_is_no_setting_has_no_sentence() -> None:
    assert about(FIELDS["plain"]) == ""
    assert not is_secret(FIELDS["plain"])


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (int, 5, 5),
        (float, 5, 5.0),
        (float, 0.5, 0.5),
        (bool, True, True),
        (str, "x", "x"),
        (Path, "/a", Path("/a")),
        (Flavour, "sour", Flavour.SOUR),
        (Literal["a", "b"], "b", "b"),
        (tuple[int, ...], [1, 2], (1, 2)),
        (frozenset[str], ["a"], frozenset({"a"})),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (int | None, 5, 5),
        (str | int, 5, 5),
    ],
)
def test_a_value_of_the_right_kind_is_taken(kind: Any, given: object, value: object) -> None:
    read = read_value(kind, given)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (int, True),
        (int, 1.0),
        (int, "1"),
        (float, float("nan")),
        (float, float("inf")),
        (bool, 1),
        (str, 1),
        (Path, 1),
        (Flavour, "bitter"),
        (Flavour, 1),
        (Literal["a"], "c"),
        (tuple[int, ...], 1),
        (tuple[int, ...], ["a"]),
        (dict[str, int], 1),
        (int | None, "a"),
        (list[int], 1),
    ],
)
def test_nothing_is_guessed(kind: Any, given: object) -> None:
    with pytest.raises(InvalidSetting):
        read_value(kind, given)


def test_a_wrong_value_is_shown_beside_what_is_wanted() -> None:
    with pytest.raises(InvalidSetting, match='^wants a whole number, found "many"$'):
        read_value(int, "many")


def test_a_long_wrong_value_is_not_shown_whole() -> None:
    with pytest.raises(InvalidSetting) as caught:
        read_value(int, "x" * 1000)
    assert len(caught.value.sentence) < 120


def test_a_secret_is_wrapped() -> None:
    assert read_value(Secret | None, "s3cret") == Secret("s3cret")
    assert read_text(Secret, "s3cret") == Secret("s3cret")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, " 25 ", 25),
        (float, "2.5", 2.5),
        (bool, "Yes", True),
        (bool, "0", False),
        (str, "a, b", "a, b"),
        (tuple[int, ...], "25, 587", (25, 587)),
        (tuple[str, ...], "", ()),
        (dict[str, int], "a=1,b=2", {"a": 1, "b": 2}),
        (Literal[1, 2], "2", 2),
        (Literal["a"], "a", "a"),
        (Flavour, "sour", Flavour.SOUR),
        (int | None, "", None),
        (int | None, "7", 7),
        (int | str, "seven", "seven"),
    ],
)
def test_text_is_read_as_the_kind_wanted(kind: Any, text: str, value: object) -> None:
    assert read_text(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [(int, "1.5"), (bool, "maybe"), (float, "inf"), (tuple[int, ...], "a"), (Literal[1], "x")],
)
def test_text_of_another_kind_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(InvalidSetting):
        read_text(kind, text)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (float | None, "a number"),
        (Flavour, "sweet or sour"),
        (Literal["only"], "only"),
        (tuple[int, ...], "a list of whole numbers"),
        (tuple[Flavour, ...], "a list of sweet or sour"),
        (dict[str, str], "a table"),
        (bytes, "another value"),
    ],
)
def test_a_kind_is_described_in_words(kind: Any, words: str) -> None:
    assert describe_kind(kind) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, '""'),
        (True, "true"),
        (False, "false"),
        (25, "25"),
        (0.5, "0.5"),
        ('a "b" \\', '"a \\"b\\" \\\\"'),
        ("a\x1b[31m", '"a\\u001b[31m"'),
        (Path("/a"), '"/a"'),
        (Flavour.SOUR, '"sour"'),
        ((1, 2), "[1, 2]"),
        (frozenset({"b", "a"}), '["a", "b"]'),
        ({"a": 1}, '{ "a" = 1 }'),
        ({}, "{}"),
        (Secret("x"), '"****"'),
        (Secret(""), '""'),
    ],
)
def test_a_value_is_written_as_a_file_would_hold_it(value: object, text: str) -> None:
    assert format_value(value) == text
