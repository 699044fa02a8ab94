from __future__ import annotations

from typing import Any

import pytest

from pillarbox.cli.output import Screen
from pillarbox.cli.preview_words import print_preview


def part(number: int, fate: str = "same", **more: Any) -> dict[str, Any]:
    return {
        "place": f"1.{number}", "media_type": "text/html", "fate": fate, "words": f"is {fate}",
        "bytes_before": 10, "bytes_after": 20, "fields": [], "passages": [], "more_passages": 0,
        **more,
    }  # fmt: skip


def said(
    capsys: pytest.CaptureFixture[str],
    *parts: dict[str, Any],
    everything: bool = False,
    **more: Any,
) -> str:
    difference = {
        "bytes_before": 10, "bytes_after": 20, "fields": [], "more_fields": 0,
        "parts": list(parts), "more_parts": 0, "remarks": [],
    }  # fmt: skip
    told = {
        "name": "it", "subject": "", "difference": difference, "options": [], "ignored": [],
        "links": [], "more_links": 0, "images": [], "more_images": 0, "hosted": [],
        "signed_by": [], "remarks": [], **more,
    }  # fmt: skip
    print_preview(Screen(), told, everything=everything)
    return capsys.readouterr().out


def test_passages_that_are_alike_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    passages = [{"line": n, "before": "<p>", "after": "<p x>"} for n in (3, 5, 9)]
    out = said(capsys, part(1, "changed", passages=passages))
    assert out.count("- <p>") == 1
    assert "line 3, and 2 more like it" in out
    assert "and 1 more" not in out


def test_of_many_parts_those_that_changed_are_told_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = [part(n) for n in range(1, 30)]
    out = said(capsys, *parts, part(30, "changed"))
    assert "1.30" in out
    assert "and 22 more; --all shows what there is room for" in out
    assert "more" not in said(capsys, *parts, everything=True)


def test_switches_are_named_and_gathered_by_who_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        {"name": "trackclicks", "value": "true", "origin": "app"},
        {"name": "trackopens", "value": "false", "origin": "header"},
        {"name": "inlinecss", "value": "true", "origin": "app"},
    ]
    out = said(capsys, part(1), options=options)
    assert "trackclicks, inlinecss (by the app); trackopens=false (by the header)" in out


def test_what_left_earlier_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, part(1), sent={"words": "These are the octets that left.", "same": True})
    assert "These are the octets that left." in out


def test_an_address_that_stands_there_now_is_told_with_everything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    link = {
        "position": 1, "url": "https://a", "label": "", "reason": "r", "instead": "https://b",
    }  # fmt: skip
    assert "https://b" not in said(capsys, part(1), links=[link])
    assert "https://b" in said(capsys, part(1), links=[link], everything=True)
