from __future__ import annotations

import re
from pathlib import Path

import pytest

from pillarbox.policy import presets as room
from pillarbox.policy.presets import (
    Preset,
    Presets,
    RegionNeeded,
    UnknownPreset,
    fill_in,
    parse_presets,
)
from pillarbox.policy.server import Encryption
from pillarbox.terms.hostname import parse_domain

TEXT = Path(room.__file__).with_name("presets.toml").read_text(encoding="utf-8")
ALL = parse_presets(TEXT)
ONE = """
[one]
caption = "One"
username = "u"
password = "p"
limits = "none"
sources = ["https://example.com/"]
checked = "2026-11"
"""


@pytest.mark.parametrize("name", ALL.by_name)
def test_every_preset_says_where_to_connect_which_login_to_use_and_where_it_is_written(
    name: str,
) -> None:
    preset = ALL.preset(name)
    assert preset.name == name and re.fullmatch(r"[a-z0-9-]+", name)
    for host in preset.regions.values() or [preset.host]:
        assert parse_domain(host) == host
    assert preset.port == {Encryption.STARTTLS: 587, Encryption.TLS: 465}[preset.encryption]
    assert preset.caption and preset.username and preset.password and preset.limits
    assert preset.sources and all(source.startswith("https://") for source in preset.sources)
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", preset.checked)
    assert preset.oauth in ("", "google", "microsoft")
    assert all(sentence.endswith(".") for sentence in (*preset.about, preset.limits))


@pytest.mark.parametrize(
    ("name", "per_day", "per_minute"),
    [("gmail", 500, 0), ("workspace", 2000, 0), ("microsoft365", 10_000, 30), ("ses", 0, 0)],
)
def test_published_limits_are_filled_in_and_those_by_account_are_not(
    name: str, per_day: int, per_minute: int
) -> None:
    preset = ALL.preset(name)
    assert (preset.max_per_day, preset.max_per_minute) == (per_day, per_minute)


def test_what_was_said_is_stronger_than_the_preset() -> None:
    said = {"host": "127.0.0.1", "port": 2525, "max_per_day": 7, "username": "me"}
    assert fill_in(ALL.preset("gmail"), said) == {
        **said, "encryption": Encryption.STARTTLS, "preset": "gmail",
    }  # fmt: skip


def test_with_another_encryption_the_port_of_the_preset_is_not_used() -> None:
    assert "port" not in fill_in(ALL.preset("gmail"), {"encryption": Encryption.TLS})


def test_a_service_with_regions_wants_one_of_them() -> None:
    ses = ALL.preset("ses")
    assert fill_in(ses, {}, "EU-West-1")["host"] == "email-smtp.eu-west-1.amazonaws.com"
    with pytest.raises(RegionNeeded) as missing:
        fill_in(ses, {})
    assert "eu-west-1" in str(missing.value.fix)
    with pytest.raises(RegionNeeded, match="mars-1"):
        fill_in(ses, {}, "mars-1")
    assert fill_in(ses, {"host": "vpce.example.com"})["host"] == "vpce.example.com"


def test_an_unknown_name_is_answered_with_a_guess() -> None:
    assert ALL.preset("GMail").name == "gmail"
    with pytest.raises(UnknownPreset, match="did you mean gmail"):
        ALL.preset("gmial")
    with pytest.raises(UnknownPreset):
        Presets().preset("x" * 500)


@pytest.mark.parametrize(
    "more", ["", 'host = "a.example"\nregions = { eu = "b.example" }', 'host = "a"\ncolour = "red"']
)
def test_a_file_that_does_not_fit_is_refused(more: str) -> None:
    with pytest.raises(ValueError, match=r"host|colour"):
        parse_presets(ONE + more)


def test_a_preset_is_made_from_few_words() -> None:
    one = parse_presets(ONE + 'host = "smtp.example.com"').preset("one")
    assert isinstance(one, Preset) and one.host_in("anywhere") == "smtp.example.com"
