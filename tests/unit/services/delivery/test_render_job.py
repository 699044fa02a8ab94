"""a rendering as a job for another process gives what it gives here"""

from __future__ import annotations

import pytest

from pillarbox.message.default_sender import DefaultSender
from pillarbox.message.dkim import new_key
from pillarbox.message.errors import CannotRender
from pillarbox.message.facts import MessageFacts, OptionValue, Origin, RecipientFacts
from pillarbox.message.features import Styles
from pillarbox.message.keys import RenderKeys
from pillarbox.message.render import Hop
from pillarbox.message.style_memory import StyleMemory
from pillarbox.net.errors import WorkerLost
from pillarbox.services.delivery import render_job
from pillarbox.services.delivery.render_job import (
    RenderWork,
    answer_to,
    job_of,
    read_rendered,
    remember,
    rendered,
    styles_remembered,
    styles_without_work,
)
from pillarbox.terms.ids import DeliveryId

KEYS = RenderKeys({1: b"k" * 32, 2: b"other" * 7}, {"example.com/a": new_key("example.com", "a")})
LETTER = (
    b"From: ann@example.com\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<style>p{margin:0}</style><p>caf\xc3\xa9 <a href="https://example.com/">go</a>\r\n'
)


def work(
    content: bytes = LETTER,
    hop: Hop | None = None,
    recipients: int = 2,
    styles: Styles | None = None,
) -> RenderWork:
    names = ("inlinecss", "trackclicks", "trackopens")
    facts = MessageFacts(
        "ann@example.com", (RecipientFacts("bob@example.org"),) * recipients, Origin("smtp"),
        "credential", "shop", options={name: OptionValue("true", "app") for name in names},
        key_ids=("example.com/a", "example.com/gone"), tracking_host="clicks.test", token_key=1,
    )  # fmt: skip
    hop = hop or Hop(True, True)
    return RenderWork(content, facts, hop, KEYS, DeliveryId(1 << 60), styles)


@pytest.mark.parametrize(
    "hop",
    [
        Hop(True, True), Hop(False, False, True),
        Hop(True, True, sender=DefaultSender("shop@example.net", "Shop", True, False)),
    ],
)  # fmt: skip
def test_another_process_makes_the_same_of_it(hop: Hop) -> None:
    here, there = rendered(work(hop=hop)), read_rendered(answer_to(job_of(work(hop=hop))))
    assert there == here
    assert b"a=rsa-sha256" in here.content
    assert here.remarks == (
        "It was not signed with example.com/gone: there is no such key any more.",
    )
    again = read_rendered(answer_to(job_of(work(hop=hop, styles=here.styles))))
    assert again == here


def test_only_keys_that_the_message_names_are_sent() -> None:
    assert b"k" * 32 in job_of(work()) and b"otherother" not in job_of(work())


def test_styles_come_back_for_other_recipients_and_messages_like_it() -> None:
    memory = StyleMemory()
    like = LETTER.replace(b"caf\xc3\xa9", b"tea").replace(b'example.com/"', b'example.net/x"')
    assert styles_remembered(like, memory) is None
    found = rendered(work(recipients=1)).styles
    assert found is not None
    remember(LETTER, found, memory)
    assert styles_remembered(LETTER, memory) == found
    assert styles_remembered(like, memory) == rendered(work(like)).styles


def test_what_cannot_be_had_is_said_as_it_would_be_here() -> None:
    content = LETTER.replace(b"text/html; charset=utf-8", b"multipart/signed; boundary=x")
    asked = work(content, Hop(False, False))
    with pytest.raises(CannotRender) as here:
        rendered(asked)
    with pytest.raises(CannotRender) as there:
        read_rendered(answer_to(job_of(asked)))
    assert (there.value.status, there.value.sentence) == (here.value.status, here.value.sentence)


def test_what_nobody_thought_of_is_a_job_lost_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: object, **more: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(render_job, "rendering", broken)
    with pytest.raises(WorkerLost, match="ZeroDivisionError in broken") as lost:
        read_rendered(answer_to(job_of(work())))
    assert "secret" not in lost.value.sentence


def test_a_message_without_style_sheets_needs_no_work() -> None:
    assert styles_without_work(LETTER) is None
    assert styles_without_work(LETTER.replace(b"<style>", b"<b>")) == ((),)
