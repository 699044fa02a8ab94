"""the proofs about the way out whose figures are recorded, small: the same code as ./do prove runs"""

from __future__ import annotations

import pytest

from tests.proofs import bench_servers, idle_cost


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(180)
@pytest.mark.needs(*bench_servers.NEEDS)
def test_every_message_passes_through_one_of_four_servers_and_each_has_its_share() -> None:
    found = bench_servers.prove("small")
    targets, shares = found["targets"], found["shares"]
    assert isinstance(targets, list) and isinstance(shares, list)
    assert {"least", "found", "worst", "met"} <= targets[0].keys()
    assert found["messages"] == 2 * 200
    assert len(shares) == 4


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(180)
@pytest.mark.needs(*idle_cost.NEEDS)
def test_what_waits_for_later_is_let_alone_on_either_engine() -> None:
    found = idle_cost.prove("small")
    shares = found["shares_of_a_processor"]
    assert isinstance(shares, dict)
    assert set(shares) == {"sqlite", "postgres"}
    for engine in shares.values():
        assert 0 < engine["waiting"] and 0 < engine["empty"]
