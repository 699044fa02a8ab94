from __future__ import annotations

from pillarbox.message import errors
from pillarbox.terms.catalogue import CATALOGUE


def test_every_error_of_the_room_is_in_the_catalogue():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert {kind.code for kind in kinds if issubclass(kind, errors.MessageError)} <= set(CATALOGUE)


def test_an_invalid_header_value_names_its_field_and_the_reason():
    error = errors.InvalidHeaderValue("to[1].name", "contains a line break", fix="Remove it.")
    assert (error.field, error.reason, error.fix) == (
        "to[1].name",
        "contains a line break",
        "Remove it.",
    )
    assert str(error) == "to[1].name contains a line break"


def test_an_invalid_option_names_header_and_value_and_says_what_is_wanted():
    error = errors.InvalidOption("x-pillarbox-trackclicks", "perhaps", "true or false")
    assert "x-pillarbox-trackclicks is 'perhaps', but wants true or false" in str(error)


def test_a_long_value_is_shown_in_part_only():
    assert len(str(errors.InvalidOption("tags", "x" * 10_000, "tags"))) < 200


def test_what_cannot_be_rendered_carries_the_status_its_recipients_fail_with():
    assert errors.CannotRender("no").status == "5.6.3"
    assert errors.CannotRender("no", status="5.6.7").status == "5.6.7"
