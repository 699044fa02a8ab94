from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.placeholders import fill


def test_a_placeholder_gets_its_value():
    assert fill("Dear {first_name},", {"first_name": "Ann"}) == "Dear Ann,"


def test_every_occurrence_is_filled():
    assert fill("{a}{b}{a}", {"a": "1", "b": "2"}) == "121"


def test_an_unknown_placeholder_stays_as_it_stands():
    assert fill("Dear {last_name},", {"first_name": "Ann"}) == "Dear {last_name},"


@pytest.mark.parametrize(
    "sheet",
    ["td { color: red }", "a{b:c}", "@media print {td {color: red}}", "{", "}", "{}", "a {\r\n}"],
)
def test_braces_of_a_style_sheet_are_left_alone(sheet: str):
    assert fill(sheet, {"color": "x", "name": "y"}) == sheet


@pytest.mark.parametrize(
    ("value", "shown"), [(12, "12"), (19.99, "19.99"), (-1, "-1"), (True, "true"), (False, "false")]
)
def test_numbers_and_truth_are_filled_as_text(value: object, shown: str):
    assert fill("{v}", {"v": value}) == shown


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}, pytest.param(10**5000, id="huge")])
def test_what_has_no_plain_form_leaves_its_placeholder_alone(value: object):
    assert fill("{v}", {"v": value}) == "{v}"


def test_a_value_is_not_filled_again():
    assert fill("{a} {b}", {"a": "{b}", "b": "{a}"}) == "{b} {a}"


def test_a_value_is_inserted_as_it_is():
    assert fill("<p>{a}</p>", {"a": "<b>&\\1</b>"}) == "<p><b>&\\1</b></p>"


def test_a_value_is_made_safe_for_html_on_request():
    assert fill('<p title="{a}">', {"a": '"><script>'}, escape=True) == (
        '<p title="&quot;&gt;&lt;script&gt;">'
    )


def test_doubled_braces_keep_their_outer_pair():
    assert fill("{{name}}", {"name": "Ann"}) == "{Ann}"


def test_a_name_may_hold_blanks():
    assert fill("{first name}", {"first name": "Ann"}) == "Ann"


@given(st.text(alphabet="{}ab \n"), st.dictionaries(st.text("ab ", min_size=1), st.text("{ab}")))
def test_text_without_a_known_name_is_never_changed(text: str, values: dict[str, str]):
    if not any("{" + name + "}" in text for name in values):
        assert fill(text, values) == text


def test_a_million_braces_cost_linear_time(cpu_seconds):
    with cpu_seconds(1):
        fill("{" * 500_000 + "}" * 500_000, {"a": "b"})
        fill("{aaaaaaa" * 125_000, {"a": "b"})
