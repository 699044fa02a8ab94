"""the published proof about moving a store, small: the same code as ./do prove runs in full"""

from __future__ import annotations

import pytest

from tests.proofs import store_copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.needs(*store_copy.NEEDS)
def test_a_store_is_moved_and_moved_back_and_nothing_is_lost_or_sent_twice() -> None:
    found = store_copy.prove("small")
    assert found["waiting"] == found["delivered_once"] == 300
    assert (found["lost"], found["delivered_twice"], found["sent_though_settled"]) == (0, 0, 0)
    print(found)
