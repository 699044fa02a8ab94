from __future__ import annotations

import json
from typing import Any

import pytest

from pillarbox.cli.errors import Exit, WrongUsage
from pillarbox.cli.features import take_features
from pillarbox.message.options import OPTIONS


def taken(*assignments: str, **said: Any) -> dict[str, Any]:
    return take_features({"assignments": assignments, **dict.fromkeys(OPTIONS), **said})


def test_what_was_not_said_changes_nothing() -> None:
    assert taken() == {}
    assert taken(username="web") == {"username": "web"}


def test_options_come_and_go() -> None:
    assert taken("trackclicks=true", "images=") == {
        "options": {"trackclicks": "true", "images": None}
    }
    assert taken(trackopens=True, inlinecss=False, images="hosted", tags="") == {
        "options": {"trackopens": "true", "inlinecss": "false", "images": "hosted", "tags": None}
    }
    with pytest.raises(WrongUsage, match="has no value"):
        taken("trackclicks")


def test_a_flag_is_stronger_than_an_assignment() -> None:
    assert taken("trackclicks=true", trackclicks=False)["options"] == {"trackclicks": "false"}


@pytest.mark.parametrize(("noun", "name"), [("credential", "first-app"), ("app", "first-app")])
def test_every_mail_option_has_a_flag_of_its_own(do, noun: str, name: str) -> None:
    flags = [f"--{option}" for option in OPTIONS if option not in ("images", "tags")]
    said = do(noun, "set", name, *flags, "--images", "hosted", "--tags", "a,b", "--json")
    assert json.loads(said.out)["options"] == {
        **dict.fromkeys(OPTIONS, "true"), "images": "hosted", "tags": "a,b",
    }  # fmt: skip
    said = do(noun, "set", name, "--no-trackclicks", "--option", "tags=", "--json")
    left = json.loads(said.out)["options"]
    assert left["trackclicks"] == "false" and "tags" not in left and left["images"] == "hosted"
    assert do(noun, "set", name, "--images", "gone").code == Exit.USAGE


def test_an_option_that_is_none_is_named_with_the_one_that_was_meant(do) -> None:
    done = do("credential", "set", "first-app", "--option", "trackclikcs=true")
    assert "'trackclikcs' is no known option; did you mean 'trackclicks'?" in done.err
