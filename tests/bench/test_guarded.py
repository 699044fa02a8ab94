"""submission with TLS and a login is measured, and every message of every turn is judged"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import turn
from tests.bench.cells import Cell
from tests.bench.guarded import Guards, Login
from tests.bench.judged import GuardedContender, JudgingSink, guarded_mail
from tests.bench.turn import BenchError
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.proofs import submission_cost

CELL = Cell(10, 4, False, "starttls")


class Shortcut:
    """No relay at all: the driver speaks to the sink."""

    name = "shortcut"

    def __init__(self, sink: JudgingSink, enters: Login) -> None:
        self.sink = sink
        self.enters = enters
        self.port = self.tls_port = sink.port

    async def __aenter__(self) -> Shortcut:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def root(self) -> int:
        return self.sink.pid

    def waiting(self) -> int:
        return 0

    def stored_bytes(self) -> int:
        return 0

    def log_tail(self) -> str:
        return "nothing was said"

    def about(self) -> dict[str, object]:
        return {}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return issue_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.slow
@pytest.mark.alone
async def test_a_turn_counts_when_each_message_arrived_once_under_tls(
    tmp_path: Path, certificate: CertificateFiles
) -> None:
    guards = Guards(certificate)
    async with JudgingSink("one", tmp_path, guards) as sink:
        contender = GuardedContender(Shortcut(sink, guards.leaves), sink, guards, tmp_path)
        mail = guarded_mail(tmp_path, 10)
        for count in (20, 7):
            found = contender.turn(CELL, mail, count)
            assert found.count == count and found.cpu_seconds > 0
        agreed = contender.agreed.facts()
    (entering,), (leaving,) = agreed["entering"], agreed["leaving"]
    assert entering == leaving and entering.startswith("TLSv1.3 ")
    assert agreed["leaving"][leaving] == 27, "a connection for each message"
    assert 0.9 < mail.content_bytes / 10_240 < 1.1


@pytest.mark.slow
@pytest.mark.alone
async def test_a_login_that_is_refused_stops_the_measurement(
    tmp_path: Path, certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_STALL_SECONDS", 3.0)
    guards = Guards(certificate)
    async with JudgingSink("one", tmp_path, guards) as sink:
        stranger = Login(guards.leaves.username)
        contender = GuardedContender(Shortcut(sink, stranger), sink, guards, tmp_path)
        with pytest.raises(BenchError, match="0 of 5 are there"):
            contender.turn(CELL, guarded_mail(tmp_path, 10), 5)


def test_a_cell_with_tls_says_so_in_its_name() -> None:
    assert CELL.name == "10KB-4-new-starttls"
    full = submission_cost.SCALES["full"]
    assert full.clear is not None
    cells = {cell.name for cell in (*full.cells, *full.clear.cells)}
    assert {target.cell for target in submission_cost.TARGETS} == cells


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(120)
@pytest.mark.needs(*submission_cost.NEEDS)
def test_both_relays_take_and_give_every_message_under_tls_and_logins() -> None:
    found = submission_cost.prove("small")
    cells = found["cells"]
    assert isinstance(cells, list)
    names = [cell["cell"] for cell in cells]
    assert names == ["10KB-8-kept-starttls", "10KB-8-new-implicit"]
    assert all(cell[relay]["messages"] for cell in cells for relay in ("pillarbox", "postfix"))
