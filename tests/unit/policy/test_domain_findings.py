from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.domain_findings import Checked, Finding, RecordKind, Verdict, Wanted

WANTED = Wanted(RecordKind.PROOF, "_pillarbox.example.com", "TXT", "x", "why")
RECOMMENDED = replace(WANTED, kind=RecordKind.SPF, needed=False)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_domain_is_ready_when_all_that_is_needed_stands(verdict: Verdict) -> None:
    findings = (Finding(WANTED, verdict, ""), Finding(RECOMMENDED, Verdict.MISSING, ""))
    assert Checked(0, findings).ready is (verdict is Verdict.OK)
