"""the published proofs about an app's servers, small: the same code as ./do prove runs in full"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tests.proofs import failover, noisy_neighbour

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]


def test_mail_goes_by_the_second_server_while_the_best_is_ill_and_returns_to_it() -> None:
    found = failover.prove("small")
    assert (found["lost"], found["failed"], found["duplicates_unexplained"]) == (0, 0, 0)
    assert cast(int, found["messages"]) >= 300
    episodes = cast(list[Mapping[str, Any]], found["episodes"])
    assert len(episodes) == 5
    print(found)


def test_mail_of_one_app_arrives_while_another_has_a_mass_for_a_stalling_server() -> None:
    found = noisy_neighbour.prove("small")
    assert (found["lost"], found["refused"]) == (0, 0)
    for silence in noisy_neighbour.SILENCES:
        run = cast(Mapping[str, Any], found[silence.name])
        assert run["mass_left"] == 0 and run["connections_to_the_stalling_server"] > 0
        assert set(run["parts"]) == {"quiet", "coming in", "waiting"}
    print(found)
