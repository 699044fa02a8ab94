"""rendering and what it is measured against do the same work, and the measurement measures"""

from __future__ import annotations

from typing import Any

import pytest

from tests.proofs import rendering, rendering_relay
from tests.samples.mails import newsletter, transactional


@pytest.mark.slow
@pytest.mark.needs(*rendering.NEEDS)
def test_both_sides_do_the_same_work() -> None:
    found: dict[str, Any] = rendering.prove("small")
    assert found["counted"]["transactional"]["pillarbox"]["tracked"] == 4
    assert found["counted"]["newsletter"]["pillarbox"]["tracked"] == 26
    for steps in found["mails"].values():
        assert steps.keys() == rendering.STEPS.keys()
        assert all(
            step[side]["cpu_us"] > 0
            for step in steps.values()
            for side in step
            if side in ("pillarbox", "libraries")
        )


def test_the_samples_have_the_size_they_are_named_by() -> None:
    assert 3500 < len(transactional()) < 4700
    assert 29_000 < len(newsletter()) < 32_000
    for content in (transactional(), newsletter()):
        assert content.isascii() and max(map(len, content.split(b"\r\n"))) <= 78


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(200)
@pytest.mark.needs(*rendering_relay.NEEDS)
def test_relays_that_dress_and_sign_are_driven_and_what_leaves_is_looked_at() -> None:
    found: dict[str, Any] = rendering_relay.prove("small")
    looked_at = {name: found[name]["looked_at"] for name in ("everything", "signed")}
    both = {"messages": 2, "signed": 2}
    assert looked_at == {
        "everything": {"pillarbox": both, "postfix": {"messages": 2, "signed": 0}},
        "signed": {"pillarbox": both, "postfix": both},
    }
    assert len(found["targets"]) == 3
