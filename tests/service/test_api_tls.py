"""what became of TLS with domains that want to know, over the API"""

from __future__ import annotations

from dataclasses import replace

from pillarbox.policy.tls_plan import Demand, ReportedPolicy, TlsPlan
from pillarbox.policy.tls_report import DAY_MS, Counted, day_of
from pillarbox.policy.tlsa import Tlsa
from tests.fix_api_face import CLOCK, Face

STS = ReportedPolicy("example.com", "sts", ("mode: enforce",), ("mx.example.com",))
OTHER = ReportedPolicy("example.net", "tlsa")
TODAY = day_of(CLOCK.now_ms())


def counted(face: Face, day_ms: int = TODAY) -> None:
    for one in (
        Counted(STS, "", "mx.example.com", "192.0.2.1", 40),
        Counted(STS, "certificate-expired", "mx.example.com", "192.0.2.1", 2),
        Counted(OTHER, "validation-failure", "mx.example.net", "192.0.2.2", 1),
    ):
        face.storage.tls.count(day_ms, one)


async def told(face: Face, query: str = "") -> dict:
    answer = await face.own("GET", f"/tls/report{query}")
    assert answer.status == 200, answer.body
    return answer.json()


async def test_without_sessions_the_report_of_today_is_empty(face: Face) -> None:
    report = await told(face)
    assert report["items"] == [] and len(report["day"]) == 10


async def test_sessions_are_told_with_what_became_of_them(face: Face) -> None:
    counted(face)
    items = (await told(face))["items"]
    assert [(one["domain"], one["result"], one["sessions"]) for one in items] == [
        ("example.com", "successful", 40),
        ("example.com", "certificate-expired", 2),
        ("example.net", "validation-failure", 1),
    ]
    assert items[1] == {
        "domain": "example.com",
        "policy": "sts",
        "result": "certificate-expired",
        "ok": False,
        "host": "mx.example.com",
        "address": "192.0.2.1",
        "sessions": 2,
    }


async def test_a_domain_is_asked_for_by_its_name(face: Face) -> None:
    counted(face)
    items = (await told(face, "?domain=Example.NET."))["items"]
    assert [one["domain"] for one in items] == ["example.net"]


async def test_a_day_is_asked_for_by_its_date(face: Face) -> None:
    counted(face, TODAY - DAY_MS)
    today = await told(face)
    assert today["items"] == []
    from datetime import UTC, datetime

    yesterday = datetime.fromtimestamp((TODAY - DAY_MS) / 1000, UTC).date().isoformat()
    found = await told(face, f"?day={yesterday}")
    assert found["day"] == yesterday and len(found["items"]) == 3


async def test_what_is_no_date_is_refused(face: Face) -> None:
    for wrong in ("tomorrow", "2026-13-01", "20261105T00"):
        answer = await face.own("GET", f"/tls/report?day={wrong}")
        assert answer.status == 422 and "2026-11-05" in answer.body.decode(), answer.body


async def test_what_is_asked_of_hosts_is_told_in_words_with_what_it_rests_on(face: Face) -> None:
    record = Tlsa(3, 1, 1, bytes(32))
    plans = [
        ("mx1.example.com", TlsPlan(Demand.DANE, tlsa=(record,))),
        ("mx2.example.com", TlsPlan(Demand.MTA_STS, refusal="it is not listed")),
    ]

    async def tls_of(domain: str) -> list[tuple[str, TlsPlan]]:
        assert domain == "xn--bcher-kva.example"
        return plans

    face.rooms = replace(face.rooms, tls_of=tls_of)
    face.rebuild()
    answer = await face.own("GET", "/tls/policies/Bücher.example.")
    assert answer.status == 200, answer.body
    first, second = answer.json()["items"]
    assert first["demand"] == "dane" and first["tlsa"] == [record.text]
    assert not first["may_be_clear"] and not first["refused"]
    assert second["refused"] and second["words"] == "it is not listed"


async def test_what_is_no_domain_is_refused(face: Face) -> None:
    answer = await face.own("GET", "/tls/policies/-nonsense-")
    assert answer.status == 422


async def test_a_key_that_does_not_see_everything_sees_nothing_of_it(face: Face) -> None:
    app = await face.new_app("second")
    key = await face.new_key(app=app.id)
    assert (await face.own("GET", "/tls/report", key=key)).status == 403
