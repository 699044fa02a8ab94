"""slow clients and failed logins beside good clients, in a small size"""

from __future__ import annotations

import pytest

from tests.proofs import slow_clients


@pytest.mark.slow
@pytest.mark.alone
def test_good_clients_lose_nothing_beside_slow_ones_and_failed_logins() -> None:
    found = slow_clients.prove("small")
    scale = slow_clients.SCALES["small"]
    stood = found["slow_clients"]
    assert isinstance(stood, dict)
    assert sum(stood["stood"].values()) >= scale.slow * 0.95
    logins = found["failed_logins"]
    assert isinstance(logins, dict)
    assert logins.get("sent_away", 0) + logins.get("at_the_door", 0) > 0
