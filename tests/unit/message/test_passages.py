from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.passages import Passage, compare_texts

PAGE = "<html>\n<body>\n<p>Hello</p><a href='x'>there</a>\n</body></html>"


def found(before: str, after: str, *, tags: bool = True) -> list[Passage]:
    return compare_texts(before, after, 100, tags=tags)[0]


def test_texts_that_are_the_same_have_no_passages() -> None:
    assert compare_texts(PAGE, PAGE, 10, tags=True) == ([], 0)


def test_a_changed_tag_is_told_with_its_line_and_nothing_else() -> None:
    after = PAGE.replace("<p>", "<p style='a'>")
    assert found(PAGE, after) == [Passage(3, "<p>", "<p style='a'>")]


def test_what_was_put_in_is_told_alone() -> None:
    after = PAGE.replace("</body>", "<img src='p'></body>")
    assert found(PAGE, after) == [Passage(4, "", "<img src='p'>")]
    assert found("a", "a<img>") == [Passage(1, "", "<img>")]


def test_what_was_taken_out_is_told_alone() -> None:
    before = PAGE.replace("</body>", "<hr></body>")
    assert found(before, PAGE) == [Passage(4, "<hr>", "")]
    assert found("a<hr>", "a") == [Passage(1, "<hr>", "")]


def test_tags_of_one_name_in_a_row_are_told_one_by_one() -> None:
    before, after = "<td><td><td>x", "<td a><td a><td a>x"
    assert found(before, after) == [Passage(1, "<td>", "<td a>")] * 3


def test_plain_text_is_compared_line_by_line() -> None:
    assert found("one\ntwo < 3\nthree\n", "one\ntwo > 3\nthree\n", tags=False) == [
        Passage(2, "two < 3", "two > 3")
    ]


def test_a_long_passage_is_cut_around_what_is_different() -> None:
    before = f"<a title='{'x' * 5000}' href='https://example.com/{'y' * 5000}'>"
    (passage,) = found(before, before.replace("https://", "http://"))
    assert "href='https://example.com/" in passage.before
    assert "href='http://example.com/" in passage.after
    assert passage.before.startswith("…") and passage.before.endswith("…")
    assert max(len(passage.before), len(passage.after)) < 500


def test_more_passages_than_are_wanted_are_counted() -> None:
    shown, count = compare_texts("<p>" * 50, "<p x>" * 50, 10, tags=True)
    assert (len(shown), count) == (10, 50)


@given(st.text("<>a/ \n='", max_size=60), st.text("<>a/ \n='", max_size=60), st.booleans())
def test_there_are_passages_exactly_where_texts_are_different(
    before: str, after: str, tags: bool
) -> None:
    assert bool(found(before, after, tags=tags)) == (before != after)


def test_texts_that_have_nothing_in_common_cost_no_more_than_their_length() -> None:
    before, after = "<" * 200_000, "<>" * 100_000
    assert compare_texts(before, after, 1, tags=True)[1] >= 1
    shown, count = compare_texts("<a>" * 100_000, "<b>" * 100_000, 5, tags=True)
    assert len(shown) == 5 and count >= 100_000
