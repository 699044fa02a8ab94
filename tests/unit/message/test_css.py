"""style rules reach the elements they mean, and nothing else of a document changes"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from pillarbox.message.css import MAX_DEPTH, MAX_ELEMENTS, MAX_OCTETS, style_edits
from pillarbox.message.errors import CannotInline
from pillarbox.message.markup import spliced


def inlined(document: str, charset: str = "utf-8") -> str:
    data = document.encode(charset)
    return spliced(data, style_edits(data, charset)).decode(charset)


def styled(element: str, rules: str = "td { color: red }") -> str:
    """What becomes of an element under these rules."""
    before = f"<style>{rules}</style><table><tr>"
    made = inlined(before + element)
    assert made.startswith(before)
    return made[len(before) :]


def test_a_document_without_a_style_block_is_not_even_looked_at() -> None:
    assert style_edits(b"<td style='color: red'>", "utf-8") == []


@pytest.mark.parametrize(
    ("element", "result"),
    [
        ("<td>x</td>", '<td style="color: red">x</td>'),
        ("<TD\tclass=a>x", '<TD style="color: red"\tclass=a>x'),
        ('<td width="3" />', '<td style="color: red" width="3" />'),
        ("<td title='>'>", "<td style=\"color: red\" title='>'>"),
        ("<th>x</th>", "<th>x</th>"),
        ("<!-- <td> --><th>", "<!-- <td> --><th>"),
    ],
)
def test_an_element_gets_the_rules_that_mean_it(element: str, result: str) -> None:
    assert styled(element) == result


@pytest.mark.parametrize("quote", ['"', "'"])
def test_what_an_element_says_itself_wins_in_its_own_quotes(quote: str) -> None:
    made = styled(f"<td style={quote}color: blue{quote}>", "td { color: red; margin: 0 }")
    found = re.fullmatch(f"<td style={quote}([^{quote}]*){quote}>", made)
    assert found is not None
    said = [each.strip() for each in found[1].split(";") if each.strip()]
    assert said.index("color: blue") == len(said) - 1 and "margin: 0" in said


def test_an_important_rule_wins_over_what_an_element_says() -> None:
    made = styled('<td style="color: blue">', "td { color: red !important }")
    assert "red" in made


@pytest.mark.parametrize(
    "kept",
    [
        "@media (max-width: 600px) { td { color: blue } }",
        "td:hover { color: blue }",
        "@font-face { font-family: x; src: url(https://example.com/x) }",
        "@import url(https://example.com/x.css);",
    ],
)
def test_what_no_attribute_can_say_stays_where_it_is_said(kept: str) -> None:
    made = inlined(f"<style>{kept} td {{ color: red }}</style><table><tr><td>x")
    assert f"<style>{kept} td {{ color: red }}</style>" in made
    assert "blue" not in made.rpartition("</style>")[2]


def test_everything_else_of_a_document_stays_octet_by_octet() -> None:
    document = (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x">\r\n<HTML><HEAD>'
        "<style>p { margin: 0 }</style></HEAD>\r\n<body bgcolor=#fff>&nbsp;&copy;&unknown; "
        "<!--[if mso]><table><tr><td><![endif]--><p CLASS=x>one<p>two<br/><hr>"
        "<!--[if !mso]><!--><b>x</b><!--<![endif]--></body></html>"
    )
    made = inlined(document)
    assert made != document
    assert re.sub(r' style="margin: 0"', "", made) == document


def test_words_beyond_ascii_are_written_as_the_document_is() -> None:
    document = "<style>p { font-family: 'caf\u00e9' }</style><p>\u00e9"
    for charset in ("utf-8", "iso8859-1"):
        assert "style=\"font-family: 'caf\u00e9'\"" in inlined(document, charset)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("<style></style>" + "x" * MAX_OCTETS, "octets"),
        ("<style>p{}</style>" + "<div>" * (MAX_DEPTH + 1), "deep"),
        ("<style>p{}</style>" + "<p>x" * (MAX_ELEMENTS + 1), "elements"),
    ],
)
def test_a_document_that_is_too_much_is_refused(document: str, why: str) -> None:
    with pytest.raises(CannotInline, match=why):
        inlined(document)


def test_a_tag_without_an_end_ends_the_reading() -> None:
    assert inlined('<style>p{margin:0}</style><p>x<p class="').count("style=") == 1


def test_many_attributes_are_not_slow(
    cpu_seconds: Callable[[float], AbstractContextManager[None]],
) -> None:
    with cpu_seconds(3):
        inlined("<style>p{margin:0}</style><p " + "a=b " * 50_000 + ">")
