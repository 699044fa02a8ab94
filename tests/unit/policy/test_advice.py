"""every category has a line and a next step; a pasted reply finds its card"""

from __future__ import annotations

import pytest

from pillarbox.policy.advice import CARDS, card_for, card_of
from pillarbox.policy.meaning import Category, Stage
from pillarbox.protocol.reply import Reply


def test_every_category_has_a_card() -> None:
    assert set(CARDS) == set(Category)
    assert len({card.line for card in CARDS.values()}) == len(CARDS)


@pytest.mark.parametrize("card", CARDS.values())
def test_a_line_fits_a_row_and_the_advice_is_a_sentence(card: tuple[str, str]) -> None:
    line, advice = card
    assert len(line) < 50
    assert not line.endswith(".")
    assert advice.endswith(".")


def test_a_category_of_another_version_has_no_card() -> None:
    assert card_of("made_up") is None
    assert card_of("greylisted") is CARDS[Category.GREYLISTED]


@pytest.mark.parametrize(
    ("reply", "stage", "category"),
    [
        (Reply.of(550, "5.1.1", "User unknown"), None, Category.NO_SUCH_RECIPIENT),
        (Reply.of(554, "5.7.1", "Relay access denied"), None, Category.RELAY_DENIED),
        (Reply.of(535, "5.7.8", "Bad credentials"), None, Category.LOGIN_REFUSED),
        (Reply.of(454, "4.7.0", "Temporary failure"), None, Category.LOGIN_UNAVAILABLE),
        (Reply.of(530, "5.7.0", "Log in"), None, Category.LOGIN_REQUIRED),
        (Reply.of(421, "4.7.28", "unusual rate"), None, Category.RATE_LIMITED),
        (Reply.of(554, "5.4.6", "Too many hops"), None, Category.MAIL_LOOP),
        (Reply.of(550, None, "No"), None, Category.RECIPIENT_REFUSED),
        (Reply.of(450, None, "No"), None, Category.RECIPIENT_DEFERRED),
        (Reply.of(250, "2.0.0", "Ok"), None, Category.TAKEN),
        (Reply.of(354, None, "Go on"), None, Category.GARBAGE),
        (Reply.of(554, None, "No"), Stage.BANNER, Category.REFUSES_US),
        (Reply.of(554, None, "No"), Stage.VERDICT, Category.CONTENT_REFUSED),
        (Reply.of(451, "4.7.1", "Not now"), Stage.VERDICT, Category.CONTENT_DEFERRED),
    ],
)
def test_a_reply_somebody_pastes_finds_its_card(
    reply: Reply, stage: Stage | None, category: Category
) -> None:
    assert card_for(reply, stage) is CARDS[category]
