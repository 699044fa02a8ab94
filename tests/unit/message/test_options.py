from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.errors import InvalidOption
from pillarbox.message.facts import OptionValue
from pillarbox.message.options import (
    KEY_HEADERS,
    MAX_REMARKS,
    MAX_TAGS,
    OPTIONS,
    Kind,
    Remark,
    find_option,
    idempotency_key,
    is_on,
    read_value,
    resolve,
    tags_of,
)

SWITCHES = [name for name, option in OPTIONS.items() if option.kind is Kind.SWITCH]


def test_the_vocabulary_is_that_of_the_contract_and_a_way_to_leave():
    assert set(OPTIONS) == {
        "trackclicks",
        "trackopens",
        "trackbounces",
        "preventscam",
        "inlinecss",
        "images",
        "unsubscribe",
        "tags",
    }


def test_every_option_says_what_it_does_and_names_its_header():
    for name, option in OPTIONS.items():
        assert option.about.endswith(".")
        assert option.header == f"X-Pillarbox-{name}"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("trackclicks", "trackclicks"),
        ("X-SMTPeter-TrackClicks", "trackclicks"),
        ("x-pillarbox-trackclicks", "trackclicks"),
        ("clicktracking", "trackclicks"),
        ("openstracking", "trackopens"),
        ("bouncetracking", "trackbounces"),
        ("X-SMTPeter-InlinizeCSS", "inlinecss"),
    ],
)
def test_an_option_is_found_by_every_name_it_ever_had(name: str, found: str):
    option = find_option(name)
    assert option is not None
    assert option.name == found


def test_an_unknown_name_is_no_option():
    assert find_option("x-smtpeter-") is None
    assert find_option("nonsense") is None


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "On", " true "])
def test_yes_may_be_said_in_the_usual_ways(text: str):
    assert read_value(OPTIONS["trackclicks"], text, "t") == "true"


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "OFF"])
def test_no_may_be_said_in_the_usual_ways(text: str):
    assert read_value(OPTIONS["trackclicks"], text, "t") == "false"


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["", "perhaps", "truee", "2"])
def test_anything_else_is_refused_naming_header_and_value(name: str, text: str):
    with pytest.raises(InvalidOption, match="wants true or false") as caught:
        resolve({}, {}, {}, [(f"x-smtpeter-{name}", text)])
    assert (caught.value.name, caught.value.value) == (f"x-smtpeter-{name}", text)


def test_images_are_hosted_or_as_usual():
    assert read_value(OPTIONS["images"], "Hosted", "i") == "hosted"
    with pytest.raises(InvalidOption, match="wants default or hosted"):
        read_value(OPTIONS["images"], "true", "i")


# --- the chain -------------------------------------------------------------------------------------

ORIGINS = ["app", "credential", "request", "header"]


@pytest.mark.parametrize("last", range(4))
def test_the_nearer_to_the_message_the_stronger(last: int):
    said = [
        {"trackclicks": "true" if n == last else "false"} if n <= last else {} for n in range(4)
    ]
    app, credential, request, header = said
    resolved = resolve(app, credential, request, list(header.items())).options
    assert resolved == {"trackclicks": OptionValue("true", ORIGINS[last])}


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", ["true", "false"])
def test_a_header_switches_every_feature_on_and_off(name: str, value: str):
    usual = {name: "false" if value == "true" else "true"}
    resolved = resolve({}, usual, {}, [(f"X-SMTPeter-{name}", value)]).options
    assert is_on(resolved, name) == (value == "true")


def test_without_a_header_the_login_decides():
    resolved = resolve({"inlinecss": "true"}, {"trackopens": "yes"}, {}, []).options
    assert resolved == {
        "inlinecss": OptionValue("true", "app"),
        "trackopens": OptionValue("true", "credential"),
    }


def test_what_nobody_speaks_of_is_off():
    assert resolve({}, {}, {}, []).options == {}
    assert not is_on({}, "trackclicks")


def test_headers_of_relayed_mail_say_nothing_not_even_nonsense():
    header = [("x-smtpeter-trackclicks", "perhaps"), ("x-smtpeter-tags", "a")]
    assert resolve({}, {"trackopens": "1"}, {}, header, relays=True) == (
        {"trackopens": OptionValue("true", "credential")},
        (),
    )


def test_unknown_names_are_passed_over_and_a_header_s_is_remarked():
    resolved = resolve({"future": "x"}, {}, {}, [("x-smtpeter-nonsense", "y")])
    assert resolved.options == {}
    assert resolved.remarks == (Remark("x-smtpeter-nonsense", "y", "there is no such option"),)


def test_a_fixed_option_is_not_changed_by_a_header_and_others_are():
    header = [("x-pillarbox-trackclicks", "false"), ("x-pillarbox-trackopens", "true")]
    resolved = resolve({}, {"trackclicks": "true"}, {}, header, fixed={"trackclicks"})
    assert resolved.options == {
        "trackclicks": OptionValue("true", "credential"),
        "trackopens": OptionValue("true", "header"),
    }
    assert [remark.name for remark in resolved.remarks] == ["x-pillarbox-trackclicks"]


def test_where_it_is_lenient_what_cannot_be_read_is_remarked_and_the_rest_holds():
    header = [("x-pillarbox-trackclicks", "perhaps"), ("x-pillarbox-trackopens", "on")]
    resolved = resolve({}, {}, {}, header, lenient=True)
    assert resolved.options == {"trackopens": OptionValue("true", "header")}
    assert "wants true or false" in resolved.remarks[0].reason


def test_remarks_are_bounded_in_number_and_length():
    header = [(f"x-pillarbox-{n}" + "n" * 9000, "v" * 9000) for n in range(500)]
    remarks = resolve({}, {}, {}, header).remarks
    assert len(remarks) == MAX_REMARKS
    assert max(len(part) for remark in remarks for part in remark) <= 200


def test_the_key_of_a_message_is_no_option_and_is_found_under_both_names():
    for name in sorted(KEY_HEADERS):
        header = [("x-smtpeter-tags", "a"), (name, " order-17 ")]
        assert idempotency_key(header) == "order-17"
        assert resolve({}, {}, {}, header).remarks == ()
    assert idempotency_key([("x-smtpeter-tags", "a")]) == ""
    with pytest.raises(InvalidOption, match="at most 255"):
        idempotency_key([("x-pillarbox-idempotency-key", "k" * 256)])


def test_of_a_field_given_twice_the_last_counts():
    header = [("x-smtpeter-trackopens", "true"), ("X-Pillarbox-trackopens", "false")]
    assert resolve({}, {}, {}, header).options["trackopens"].value == "false"


def test_an_older_name_is_stored_under_the_present_one():
    assert list(resolve({}, {"clicktracking": "1"}, {}, []).options) == ["trackclicks"]


# --- tags ------------------------------------------------------------------------------------------


def test_tags_are_trimmed_and_each_is_kept_once():
    resolved = resolve({}, {}, {}, [("x-smtpeter-tags", " a , b,,a ")]).options
    assert tags_of(resolved) == ("a", "b")


def test_tags_of_several_headers_are_put_together():
    header = [("x-smtpeter-tags", "a,b"), ("x-pillarbox-tags", "b,c"), ("x-smtpeter-tags", "")]
    assert tags_of(resolve({}, {}, {"tags": "z"}, header).options) == ("a", "b", "c")


def test_an_empty_header_takes_the_tags_away():
    assert tags_of(resolve({}, {"tags": "a"}, {}, [("x-smtpeter-tags", " ")]).options) == ()


def test_without_tags_there_are_none():
    assert tags_of({}) == ()


@pytest.mark.parametrize("text", ["a b", "a,b c", "a;b", "a\tb", "x" * 101, "a\u2028b", "\x1b[2J"])
def test_a_tag_that_cannot_be_kept_is_refused(text: str):
    with pytest.raises(InvalidOption, match="without blanks or semicolons"):
        read_value(OPTIONS["tags"], text, "tags")


def test_there_is_a_limit_to_the_number_of_tags():
    read_value(OPTIONS["tags"], ",".join(f"t{n}" for n in range(MAX_TAGS)), "tags")
    with pytest.raises(InvalidOption, match="at most 50 tags"):
        read_value(OPTIONS["tags"], ",".join(f"t{n}" for n in range(MAX_TAGS + 1)), "tags")
    with pytest.raises(InvalidOption, match="at most 50 tags"):
        resolve({}, {}, {}, [("x-smtpeter-tags", f"t{n}") for n in range(60)])


@given(st.text(max_size=100))
def test_tags_that_are_taken_can_be_joined_and_cut_again(text: str):
    try:
        value = read_value(OPTIONS["tags"], text, "tags")
    except InvalidOption:
        return
    assert read_value(OPTIONS["tags"], value, "tags") == value
    assert ";" not in value
