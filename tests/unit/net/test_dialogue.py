from __future__ import annotations

from pillarbox.net.dialogue import LINE_CHARACTERS, MOST_LINES, Dialogue
from pillarbox.protocol.events import EnvelopeAnswered
from pillarbox.protocol.reply import Reply

OK = Reply.of(250, "2.1.5", "Ok")
NO = Reply.of(550, "5.1.1", "Nobody")


class Watch:
    seconds = 5.0

    def __call__(self) -> float:
        return self.seconds


def test_times_count_from_the_beginning() -> None:
    watch = Watch()
    said = Dialogue(watch)
    watch.seconds += 0.25
    said.note("EHLO", OK)
    said.begin()
    watch.seconds += 0.1
    said.note("MAIL", OK)
    assert said.lines() == [(100, "MAIL 250 2.1.5 Ok")]


def test_equal_answers_to_recipients_are_one_line() -> None:
    said = Dialogue(Watch())
    replies = (OK, Reply.of(250, "2.1.5", "Ok"), NO, OK)
    said.note_envelope(EnvelopeAnswered(OK, replies, Reply.of(354, None, "Go on"), True))
    assert [line for _, line in said.lines()] == [
        "MAIL 250 2.1.5 Ok",
        "RCPT 250 2.1.5 Ok (x2)",
        "RCPT 550 5.1.1 Nobody",
        "RCPT 250 2.1.5 Ok",
        "DATA 354 Go on",
    ]


def test_an_envelope_without_data_has_no_line_for_it() -> None:
    said = Dialogue(Watch())
    said.note_envelope(EnvelopeAnswered(NO, (), None, False))
    assert [line for _, line in said.lines()] == ["MAIL 550 5.1.1 Nobody"]


def test_neither_lines_nor_their_number_grow_without_end() -> None:
    said = Dialogue(Watch())
    many = tuple(Reply.of(550, "5.1.1", f"nobody {n} " + "x" * 1000) for n in range(1000))
    said.note_envelope(EnvelopeAnswered(OK, many, NO, False))
    lines = said.lines()
    assert len(lines) == MOST_LINES - 1
    said.note(".", OK)
    assert said.lines()[-1][1] == ". 250 2.1.5 Ok"
    said.note("QUIT", OK)
    assert len(said.lines()) == MOST_LINES
    assert max(len(line) for _, line in lines) <= LINE_CHARACTERS


def test_what_has_no_line_of_its_own_is_not_counted_on_another() -> None:
    said = Dialogue(Watch())
    many = tuple(Reply.of(550, "5.1.1", f"nobody {n}") for n in range(MOST_LINES))
    said.note_envelope(EnvelopeAnswered(OK, (*many, OK, OK), None, False))
    assert said.lines()[-1][1] == f"RCPT 550 5.1.1 nobody {MOST_LINES - 4}"
