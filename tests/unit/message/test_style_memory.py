"""inlined styles that are remembered are those that would be worked out"""

from __future__ import annotations

from hypothesis import given, settings

from pillarbox.message.css import _worked_out, style_edits
from pillarbox.message.errors import CannotInline
from pillarbox.message.style_memory import StyleMemory
from tests.unit.message.alike import alike

Edits = list[tuple[int, int, bytes]]


def _outcome(document: bytes, memory: StyleMemory | None) -> Edits | str:
    try:
        if memory is None:
            return _worked_out(document, "utf-8")
        return memory.edits(document, "utf-8", _worked_out)
    except CannotInline as error:
        return error.sentence


@settings(max_examples=1500, deadline=None)
@given(alike())
def test_what_is_remembered_is_what_would_be_worked_out(documents: tuple[bytes, bytes]) -> None:
    memory = StyleMemory()
    for document in (*documents, *documents):
        assert _outcome(document, memory) == _outcome(document, None), document


def _letter(name: bytes, address: bytes) -> bytes:
    return (
        b"<html><head><title>For " + name + b"</title><style>p { color: red } a { top: 0 }</style>"
        b"</head><body><p>Dear " + name + b'</p>\r\n<p title="' + name + b'" style="left: 0">'
        b'<img src="' + address + b'" style="left: 1px" alt=""><a href="' + address + b'">x</a></p>'
    )


def test_letters_that_differ_in_words_and_addresses_are_alike() -> None:
    memory = StyleMemory()
    first = _letter(b"Ann", b"https://a.example/1")
    second = _letter(b"Zo\xc3\xab", b"https://b.example/2/longer?x")
    assert memory.known(second, "utf-8") is None
    memory.edits(first, "utf-8", _worked_out)
    assert memory.known(second, "utf-8") == _worked_out(second, "utf-8") != []


def test_what_one_process_learned_another_may_be_told() -> None:
    memory = StyleMemory()
    first, second = _letter(b"Ann", b"a"), _letter(b"Bo", b"b")
    memory.keep(first, "utf-8", _worked_out(first, "utf-8"))
    assert memory.known(second, "utf-8") == _worked_out(second, "utf-8")


def test_memory_is_bounded() -> None:
    memory = StyleMemory()
    for number in range(200):
        document = b"<style>p { top: 0 }</style>" + b"<p>" * (number + 1)
        memory.edits(document, "utf-8", _worked_out)
    assert len(memory) == 64
    most = b"<style>p { top: 0 }</style>" + b"<p>x</p>" * 6000
    assert len(memory.edits(most, "utf-8", _worked_out)) == 6000
    assert memory.known(most, "utf-8") is None


def test_inlining_uses_it() -> None:
    one, other = _letter(b"Eve", b"e"), _letter(b"Fay", b"f")
    assert style_edits(one, "utf-8") == _worked_out(one, "utf-8")
    assert style_edits(other, "utf-8") == _worked_out(other, "utf-8")
