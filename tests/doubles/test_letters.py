"""letters: the same seed, the same mail; of the size asked for; like real mail to a compressor"""

from __future__ import annotations

import hashlib
import random
import zlib

import pytest

from tests.doubles.channel import content_end, unstuff
from tests.doubles.letters import Letters, Sizes


def test_the_same_seed_gives_the_same_mail() -> None:
    made = []
    for seed in (1, 1, 2):
        letters = Letters(Sizes(500, 9000), seed=seed)
        made.append([letters.letter(n, f"exp-{n}", ["a@example.test"]).content for n in range(40)])
    assert made[0] == made[1]
    assert made[0] != made[2]


@pytest.mark.parametrize("size", [700, 1024, 10_240, 102_400])
def test_messages_have_about_the_size_asked_for(size: int) -> None:
    letters = Letters(Sizes(size, size))
    for number in range(40):
        content = letters.letter(number, f"exp-x-{number:08d}", ["a@example.test"]).content
        assert abs(len(content) - size) < 120 + size * 0.02


def test_what_goes_on_the_wire_is_the_content_stuffed_and_ended() -> None:
    letters = Letters(Sizes.parse("1k-40k"), seed=5)
    with_dots = 0
    for number in range(64):
        letter = letters.letter(number, f"exp-{number}", ["a@example.test", "b@example.test"])
        assert content_end(bytearray(letter.wire), 0, naive=False) == len(letter.wire)
        assert unstuff(letter.wire) == letter.content
        body = letter.content.partition(b"\r\n\r\n")[2]
        assert hashlib.sha256(body).hexdigest() == letter.sha256
        assert letter.content.count(b"\n") == letter.content.count(b"\r\n")
        assert max(map(len, letter.content.split(b"\r\n"))) < 998
        assert letter.content.isascii()
        assert f"\r\nX-Exp-Id: exp-{number}\r\n".encode() in letter.content
        with_dots += b"\r\n." in letter.content
    assert with_dots > 5


def test_no_two_bodies_are_equal() -> None:
    letters = Letters(Sizes(1024, 1024), variants=4)
    digests = {letters.letter(n, f"exp-{n}", ["a@example.test"]).sha256 for n in range(100)}
    assert len(digests) == 100


def test_prose_compresses_like_prose_and_attachments_hardly() -> None:
    def ratio(letters: Letters) -> float:
        content = letters.letter(0, "exp-0", ["a@example.test"]).content
        return len(zlib.compress(content, 1)) / len(content)

    assert 0.35 < ratio(Letters(Sizes(10_240, 10_240), attachment_share=0)) < 0.6
    assert 0.65 < ratio(Letters(Sizes(10_240, 10_240), attachment_share=1)) < 0.85


def test_sizes_are_read_from_text_and_stay_in_their_bounds() -> None:
    sizes = Sizes.parse("1k-2M")
    assert sizes == Sizes(1024, 2 * 1024 * 1024)
    assert Sizes.parse("900") == Sizes(900, 900)
    dice = random.Random(1)
    drawn = [sizes.draw(dice) for _ in range(500)]
    assert min(drawn) >= 1024 and max(drawn) <= 2 * 1024 * 1024
    assert sum(size < 46_000 for size in drawn) in range(200, 301)
    with pytest.raises(ValueError, match="positive"):
        Sizes.parse("0")
