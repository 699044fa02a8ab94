"""the published proofs of several nodes, small: the same code as ./do prove runs in full"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from tests.proofs import cluster_kill, cut_off

pytestmark = pytest.mark.slow


@pytest.mark.needs(*cluster_kill.NEEDS)
@pytest.mark.timeout(240)
def test_nodes_on_one_database_lose_nothing_and_share_nothing_whatever_dies() -> None:
    found = cluster_kill.prove("small")
    assert (found["lost"], found["phantoms"], found["had_by_two"]) == (0, 0, 0)
    assert (found["duplicates_unexplained"], found["duplicates_unnamed"]) == (0, 0)
    audited = cast(Mapping[str, int], found["audit"])
    assert audited["leases_taken"] > 0 and audited["settled_from_shards"] > 0
    print(found)


@pytest.mark.needs(*cut_off.NEEDS)
@pytest.mark.timeout(240)
def test_a_node_cut_off_stops_in_time_and_its_mail_goes_out_once_elsewhere() -> None:
    found = cut_off.prove("small")
    assert (found["lost"], found["phantoms"], found["had_by_two"]) == (0, 0, 0)
    rounds = cast(Sequence[Mapping[str, Any]], found["rounds"])
    assert [one["sent_after_the_lease"] for one in rounds] == [0]
    print(found)
