"""the published proof about bombs, small: the same code as ./do prove bombs runs in full"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tests.bombs.table import PLANTS
from tests.proofs import bombs

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]


def test_bombs_arrive_changed_or_as_they_came_and_small_mail_goes_on_beside_them() -> None:
    found = cast(Mapping[str, Any], bombs.prove("small"))
    assert found["bombs"] == len(bombs.CHOICE)
    assert (
        found["changed"] + found["left"] + found["nothing_to_change"] + found["refused"]
        == (found["bombs"])
    )
    assert min(found[word] for word in ("changed", "left", "refused")) > 0
    assert found["signed"] == found["bombs"] - found["refused"] + 3 + len(PLANTS)
    assert found["stops_of_the_service"] == 0
    assert all(found["children_ended"][plant.name] == 2 for plant in PLANTS)
    assert all(found["small_mail"][part]["messages"] > 0 for part in ("quiet", "beside"))
    print(found)
