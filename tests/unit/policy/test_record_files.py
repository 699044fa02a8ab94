"""the records of a domain, as files: read back by what reads such files, they are the same"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import dns.rdatatype
import dns.zone

from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.policy.dkim_key import DkimKey
from pillarbox.policy.domain_findings import RecordKind, Wanted
from pillarbox.policy.domain_records import ServiceNames, wanted_records
from pillarbox.policy.record_files import csv_lines, terraform_lines, zone_lines
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.terms.ids import ObjectId

SERVICE = ServiceNames("mail.example.net")
DOMAIN = SendingDomain(
    ObjectId(b"d"), ObjectId(b"a"), "example.com", "c0ffee", tracking_host="t.example.com",
    autoconfig=True,
)  # fmt: skip
KEY = DkimKey("s1", Algorithm.RSA, new_key("example.com", "s1").record)
RECORDS = wanted_records(DOMAIN, [KEY], SERVICE)
VALUES = [one.value for one in RECORDS]
UNNAMED = wanted_records(DOMAIN, [], ServiceNames("localhost"))


def test_a_zone_file_has_what_is_not_to_be_published_in_comments() -> None:
    def lines(service: ServiceNames) -> list[str]:
        records = wanted_records(DOMAIN, [], service)
        return zone_lines(records, [one.value for one in records])

    unnamed = lines(ServiceNames("localhost"))
    assert '; example.com. IN TXT "v=spf1 a:localhost ~all"' in unnamed
    assert any(line.startswith("; Do not publish this yet") for line in unnamed)
    assert not [line for line in unnamed if "localhost" in line and not line.startswith(";")]
    assert not [line for line in lines(SERVICE) if line.startswith(";")]


def test_a_zone_file_of_them_reads_back_as_the_same_records() -> None:
    lines = zone_lines(RECORDS, VALUES)
    start = "$TTL 60\n@ IN SOA ns.example.net. k.example.net. 1 1 1 1 1\n@ IN NS ns.example.net.\n"
    zone = dns.zone.from_text(start + "\n".join(lines) + "\n", "example.com.")
    for one in RECORDS:
        found = zone.find_rdataset(f"{one.name}.", one.type)[0]
        if found.rdtype == dns.rdatatype.TXT:
            assert b"".join(found.strings).decode() == one.value
        else:
            absolute = found.to_text(origin=zone.origin, relativize=False)
            assert absolute.rstrip(".") == one.value


def test_a_table_of_them_reads_back_as_the_same_records() -> None:
    rows = list(csv.DictReader(csv_lines(RECORDS, VALUES)))
    assert [(row["name"], row["type"], row["value"]) for row in rows] == [
        (one.name, one.type, one.value) for one in RECORDS
    ]
    assert {row["ttl"] for row in rows} == {"3600"}
    unnamed = csv_lines(UNNAMED, [one.value for one in UNNAMED])
    assert len(unnamed) > 1 and not any("localhost" in line for line in unnamed)


def test_what_is_not_to_be_published_is_in_no_table_and_in_comments_of_terraform() -> None:
    spf = [one for one in UNNAMED if one.kind is RecordKind.SPF]
    assert csv_lines(spf, [one.value for one in spf]) == ["name,type,ttl,value"]
    lines = terraform_lines("example.com", spf, [one.value for one in spf])
    assert [line for line in lines if "localhost" in line] == [
        '    # "TXT example.com" = { name = "example.com", type = "TXT", ttl = 3600, '
        'value = "v=spf1 a:localhost ~all" }'
    ]
    assert any(line.startswith("    # Do not publish this yet") for line in lines)


def test_a_map_of_terraform_has_each_under_a_name_of_its_own() -> None:
    lines = terraform_lines("example.com", RECORDS, VALUES)
    assert lines[1:3] == ["locals {", "  pillarbox_example_com = {"] and lines[-2:] == ["  }", "}"]
    row = re.compile(
        r'    ("[^"]+") = \{ name = (".*"), type = (".*"), ttl = 3600, value = (".*") \}'
    )
    found = [row.fullmatch(line) for line in lines[3:-2]]
    read = [[json.loads(text) for text in match.groups()] for match in found if match is not None]
    assert len({key for key, *_ in read}) == len(RECORDS)
    assert [tuple(rest) for _, *rest in read] == [
        (one.name, one.type, one.value) for one in RECORDS
    ]


def test_two_hosts_of_one_name_are_one_key_of_a_map() -> None:
    domain = replace(DOMAIN, bounce_host="t.example.com")
    records = wanted_records(domain, [], SERVICE)
    lines = terraform_lines("example.com", records, [one.value for one in records])
    assert sum(line.startswith('    "CNAME t.example.com"') for line in lines) == 1


def test_what_means_something_in_a_file_is_written_so_that_it_does_not() -> None:
    value = 'v=spf1 exists:%{i}.${x} "a\\b", ~all'
    one = replace(RECORDS[0], value=value, kind=RecordKind.SPF)
    assert next(csv.DictReader(csv_lines([one], [value])))["value"] == value
    (line,) = terraform_lines("example.com", [one], [value])[3:-2]
    assert line.endswith(r'value = "v=spf1 exists:%%{i}.$${x} \"a\\b\", ~all" }')
    two: Wanted = replace(one, name="two.example.com")
    assert len(zone_lines([one, two], [value, value])) == 2
