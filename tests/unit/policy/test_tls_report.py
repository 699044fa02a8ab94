from __future__ import annotations

import gzip
import json

import pytest

from pillarbox.policy.tls_plan import ReportedPolicy
from pillarbox.policy.tls_report import (
    DAY_MS,
    MAX_TARGETS,
    Counted,
    day_of,
    mailbox_of,
    read_targets,
    record_name,
    write_report,
)

DAY = 1_790_000_000_000 // DAY_MS * DAY_MS
STS = ReportedPolicy("example.com", "sts", ("version: STSv1", "mode: testing"), ("*.example.com",))
NONE = ReportedPolicy("example.com", "no-policy-found")


@pytest.mark.parametrize(
    ("texts", "targets"),
    [
        (["v=TLSRPTv1; rua=mailto:tls@example.com"], ("mailto:tls@example.com",)),
        (
            ["v=TLSRPTv1;rua=https://r.example.com/v1/tls , mailto:a@b.test;"],
            ("https://r.example.com/v1/tls", "mailto:a@b.test"),
        ),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.test"], ("mailto:a@b.test",)),
        (["v=TLSRPTv1; rua=http://clear.test/,ftp://x.test/"], ()),
        (["v=TLSRPTv1; rua=mailto:nobody"], ()),
        (["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@d.test"], ()),
        (["v=TLSRPTv1;"], ()),
        (["v=TLSRPTv12; rua=mailto:a@b.test"], ()),
        ([], ()),
    ],
)
def test_the_record_says_where_reports_go(texts: list[str], targets: tuple[str, ...]) -> None:
    assert read_targets(texts) == targets


def test_a_long_list_of_addresses_is_cut_off() -> None:
    many = ",".join(f"mailto:r{n}@example.com" for n in range(50))
    assert len(read_targets([f"v=TLSRPTv1; rua={many}"])) == MAX_TARGETS


def test_mailboxes_are_read_out_of_their_uris() -> None:
    assert mailbox_of("mailto:a%2Bb@example.com?subject=x") == "a+b@example.com"
    assert mailbox_of("https://example.com/") is None
    assert record_name("example.com") == "_smtp._tls.example.com"


def test_a_day_begins_at_midnight_utc() -> None:
    assert day_of(DAY + 5) == DAY == day_of(DAY) and day_of(DAY - 1) == DAY - DAY_MS


def test_a_report_sums_up_each_policy_and_tells_each_failure() -> None:
    report = write_report(
        "example.com",
        DAY,
        [
            Counted(STS, "", "mx1.example.com", "192.0.2.1", 40),
            Counted(STS, "certificate-expired", "mx2.example.com", "192.0.2.2", 3),
            Counted(STS, "sts-policy-fetch-error", "", "", 1),
            Counted(NONE, "", "mx1.example.com", "192.0.2.1", 5),
        ],
        organization="relay.example.net",
        contact="postmaster@relay.example.net",
    )
    document = json.loads(report.text)
    assert document["organization-name"] == "relay.example.net"
    assert document["contact-info"] == "postmaster@relay.example.net"
    assert document["report-id"] == report.identity
    day = "2026-09-21"
    assert document["date-range"] == {
        "start-datetime": f"{day}T00:00:00Z",
        "end-datetime": f"{day}T23:59:59Z",
    }
    sts, none = document["policies"]
    assert sts["policy"] == {
        "policy-type": "sts",
        "policy-domain": "example.com",
        "policy-string": ["version: STSv1", "mode: testing"],
        "mx-host": ["*.example.com"],
    }
    assert sts["summary"] == {
        "total-successful-session-count": 40,
        "total-failure-session-count": 4,
    }
    assert sts["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "failed-session-count": 3,
            "receiving-mx-hostname": "mx2.example.com",
            "receiving-ip": "192.0.2.2",
        },
        {"result-type": "sts-policy-fetch-error", "failed-session-count": 1},
    ]
    assert none["summary"]["total-successful-session-count"] == 5
    assert "failure-details" not in none


def test_a_report_made_twice_is_the_same_bytes() -> None:
    def make() -> bytes:
        counted = [Counted(NONE, "", "mx", "192.0.2.1", 1)]
        return write_report(
            "e.test", DAY, counted, organization="r.test", contact="p@r.test"
        ).packed

    assert make() == make()
    assert json.loads(gzip.decompress(make()))["policies"]


def test_the_file_is_named_after_sender_domain_and_time() -> None:
    report = write_report("e.test", DAY, [], organization="r.test", contact="p@r.test")
    start = DAY // 1000
    assert report.file_name == f"r.test!e.test!{start}!{start + 86_399}.json.gz"
