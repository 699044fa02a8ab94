"""the published durability proofs, small: the same code as ./do prove runs in full"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tests.proofs import kill_loop, power_cut, sync_before_reply

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_mail_survives_kill_9_in_traffic_and_doubles_are_explained() -> None:
    found = kill_loop.prove("small")
    assert (found["lost"], found["phantoms"], found["duplicates_unexplained"]) == (0, 0, 0)
    judged = cast(Mapping[str, Any], found["judge"])
    assert judged["acknowledged"] + judged["unanswered"] >= 500
    assert judged["bodies_compared"] > 0
    print(found)


@pytest.mark.needs(*power_cut.NEEDS)
def test_mail_survives_power_cuts_at_full_speed() -> None:
    found = power_cut.prove("small")
    assert (found["survived"], found["lost"]) == (found["cuts"], 0)
    assert found["stopped_by_itself"] == 1
    print(found)


@pytest.mark.needs(*sync_before_reply.NEEDS)
def test_a_sync_lies_between_every_message_and_its_acknowledgement() -> None:
    found = sync_before_reply.prove("small")
    assert found["final_dots"] == found["final_dots_covered"] == 24
    assert found["requests"] == found["requests_covered"] == 8
    print(found)
