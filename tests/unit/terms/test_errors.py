"""errors say what went wrong and what to do"""

from __future__ import annotations

import pytest

from pillarbox.terms.errors import PillarboxError, Trouble


class Cold(PillarboxError):
    """The kettle is cold.

    More about kettles.
    """

    code = "kettle_cold"


class Silent(PillarboxError):
    pass


def test_the_first_line_of_the_docstring_is_the_default_sentence() -> None:
    error = Cold()
    assert error.sentence == str(error) == "The kettle is cold."
    assert (error.detail, error.fix, error.error_code) == (None, None, "kettle_cold")


def test_detail_is_for_the_log_and_not_part_of_the_sentence() -> None:
    error = Cold("Too cold.", detail="12 degrees at /dev/kettle", fix="light the fire")
    assert error.sentence == "Too cold."
    assert str(error) == "Too cold. (12 degrees at /dev/kettle)"
    assert error.fix == "light the fire"


def test_one_error_may_belong_to_another_entry_of_the_catalogue() -> None:
    assert Cold(code="kettle_gone").error_code == "kettle_gone"
    assert Cold.code == "kettle_cold"


def test_trouble_may_say_when_to_try_again() -> None:
    trouble = Trouble("The disk is busy.", retry_after_seconds=2.5)
    assert trouble.retry_after_seconds == 2.5
    assert trouble.error_code == "busy_try_later"
    assert Trouble().retry_after_seconds is None


def test_an_error_without_a_docstring_still_has_a_sentence() -> None:
    assert Silent().sentence


def test_every_error_is_caught_by_its_root() -> None:
    with pytest.raises(PillarboxError):
        raise Trouble
