from __future__ import annotations

import json
from pathlib import Path

from pillarbox.cli.errors import Exit
from pillarbox.message.dkim import Algorithm, new_key

WANTED = {
    "kind": "dkim", "name": "s1._domainkey.example.com", "type": "TXT", "value": "v=DKIM1; p=AAAA",
    "needed": True, "selector": "s1", "why": "Receivers find the key here.",
    "entry": "s1._domainkey",
}  # fmt: skip
FINDING = {
    **WANTED, "verdict": "spreading", "words": "Found at ns1, not at ns2.\x1b[2J",
    "found": ["v=DKIM1; p=AAAA"],
    "name_servers": [
        {"server": "ns1", "found": ["v=DKIM1; p=AAAA"], "alias": None, "ttl_seconds": 60,
         "trouble": None},
        {"server": "ns2", "found": [], "alias": None, "ttl_seconds": 0,
         "trouble": "did not answer in time"},
    ],
}  # fmt: skip
DOMAIN = {
    "id": "dom_1", "name": "example.com", "shown_as": "example.com", "account": "default",
    "proved": True, "proved_at": "2026-11-05T10:00:00Z", "covers_below": True, "bounce_host": "",
    "tracking_host": "t.example.com", "tracking_found": True, "autoconfig": False, "created_at": "2026-11-05T09:00:00Z",
    "keys": [{"selector": "s1", "state": "active"}], "records": [WANTED],
    "dns": {"zone": "example.com", "host": "Cloudflare", "name_servers": [], "hint": "Your DNS is\x1b[2J at"},
    "checked": {"at": "2026-11-05T10:00:00Z", "ready": False, "records": [FINDING]},
}  # fmt: skip


def test_a_domain_is_claimed_with_the_records_to_publish(do) -> None:
    said = do("domain", "add", "Example.com")
    assert said.code == Exit.DONE
    assert "Added example.com. Publish these records:" in said.out
    assert "_pillarbox.example.com" in said.out and "pillarbox-domain=" in said.out
    assert said.out.count("v=DKIM1") == 2 and "PRIVATE" not in said.out
    assert "domain check example.com" in said.out
    assert do("domain", "list", "-q").out == "example.com\n"
    row = do("domain", "list").out.splitlines()[1].split()
    assert row[:2] == ["example.com", "no"] and row[-1] == "never"
    again = do("domain", "add", "example.com")
    assert again.code == Exit.CONFLICT and "sending domain already" in again.err


def test_records_are_shown_as_lines_of_a_zone_file(do) -> None:
    do("domain", "add", "example.com", "--tracking-host", "t.example.com")
    lines = do("domain", "records", "example.com", "--zone").out.splitlines()
    assert lines[0].startswith('_pillarbox.example.com. IN TXT "pillarbox-domain=')
    assert "t.example.com. IN CNAME" in lines[-1]
    words = do("domain", "records", "example.com").out
    assert "dmarc, recommended" in words and "v=DMARC1; p=none" in words


def test_records_are_shown_as_files_for_other_programs(do) -> None:
    do("domain", "add", "example.com")
    table = do("domain", "records", "example.com", "--csv").out.splitlines()
    assert table[0] == "name,type,ttl,value"
    assert table[1].startswith("_pillarbox.example.com,TXT,3600,pillarbox-domain=")
    terraform = do("domain", "records", "example.com", "--terraform").out
    assert "locals {\n  pillarbox_example_com = {\n" in terraform
    assert '"TXT _dmarc.example.com" = { name = "_dmarc.example.com", type = "TXT"' in terraform


def test_records_are_shown_with_what_is_entered_at_a_known_host(do, answering) -> None:
    answering(DOMAIN)
    said = do("domain", "add", "example.com").out
    assert "Your DNS is" in said and "\x1b[2J" not in said
    assert [line.split() for line in said.splitlines() if "Enter" in line] == [
        ["Enter", "s1._domainkey"]
    ]


def test_a_check_says_what_is_wrong_and_who_said_what(do, answering) -> None:
    canned = answering(DOMAIN)
    said = do("domain", "check", "example.com")
    assert said.code == Exit.FOUND_PROBLEMS
    assert canned.asked[0][:2] == ("POST", "/pillarbox/v1/domains/example.com/check")
    assert "dkim s1._domainkey.example.com: Found at ns1, not at ns2." in said.out
    assert "did not answer in time" in said.out and "(TTL 60)" in said.out
    assert "\x1b" not in said.out
    answering({**DOMAIN, "checked": {**DOMAIN["checked"], "ready": True}})
    assert do("domain", "check", "example.com").code == Exit.DONE


def test_a_domain_nobody_has_looked_at_says_so(do) -> None:
    do("domain", "add", "example.com")
    said = do("domain", "show", "example.com").out
    assert "not yet" in said and "domain check example.com" in said


def test_hosts_are_set_and_taken_away(do) -> None:
    do("domain", "add", "example.com")
    do("domain", "set", "example.com", "--bounce-host", "b.example.com", "--not-below")
    shown = json.loads(do("domain", "show", "example.com", "--json").out)
    assert (shown["bounce_host"], shown["covers_below"]) == ("b.example.com", False)
    assert "it alone" in do("domain", "set", "example.com", "--bounce-host", "").out
    assert json.loads(do("domain", "show", "example.com", "--json").out)["bounce_host"] == ""


def test_a_domain_goes_only_when_it_is_named_twice(do) -> None:
    do("domain", "add", "example.com")
    assert do("domain", "remove", "example.com").code == Exit.USAGE
    assert do("domain", "remove", "example.com", "--confirm", "example.com").code == Exit.DONE
    assert do("domain", "show", "example.com").code == Exit.NOT_FOUND


def test_keys_are_listed_rotated_and_given_up(do, directory: Path) -> None:
    do("domain", "add", "example.com")
    first = do("domain", "keys", "example.com", "-q").out.split()
    table = do("domain", "keys", "example.com").out.splitlines()
    assert len(first) == 2 and table[1].split()[2] == "pending"
    chosen = first[0]
    assert do("domain", "activate-key", "example.com", chosen).code == Exit.CONFLICT
    assert do("domain", "activate-key", "example.com", chosen, "--anyway").code == Exit.DONE
    assert do("domain", "remove-key", "example.com", chosen).code == Exit.CONFLICT
    assert do("domain", "retire-key", "example.com", chosen).code == Exit.DONE
    assert do("domain", "revoke-key", "example.com", chosen).code == Exit.USAGE
    said = do("domain", "revoke-key", "example.com", chosen, "--yes")
    assert said.code == Exit.DONE and "Empty its record" in said.out
    assert "Removed" in do("domain", "remove-key", "example.com", chosen).out
    assert do("domain", "retire-key", "example.com", chosen).code == Exit.NOT_FOUND


def test_before_there_is_anything_the_words_say_what_to_do(do) -> None:
    assert "domain add example.com" in do("domain", "list").out
    do("domain", "add", "example.com")
    said = do("domain", "rotate", "example.com").out
    assert "no key signs yet" in said and "domain records example.com" in said


def test_a_successor_comes_with_its_record(do) -> None:
    do("domain", "add", "example.com")
    for selector in do("domain", "keys", "example.com", "-q").out.split():
        do("domain", "activate-key", "example.com", selector, "--anyway")
    said = do("domain", "rotate", "example.com").out
    assert said.count("._domainkey.example.com") == 2 and "domain check example.com" in said
    assert do("domain", "rotate", "example.com").code == Exit.CONFLICT


def test_a_key_is_imported_from_a_file_and_what_is_none_is_refused(do, directory: Path) -> None:
    do("domain", "add", "example.com")
    key = new_key("example.com", "old", Algorithm.ED25519)
    pem = directory / "old.pem"
    pem.write_text(key.private_text().reveal())
    said = do("domain", "import-key", "example.com", "old", "--pem", str(pem))
    assert "Imported the ed25519-sha256 key old." in said.out
    pem.write_text("no key")
    assert do("domain", "import-key", "example.com", "o", "--pem", str(pem)).code == Exit.USAGE
    absent = do("domain", "import-key", "example.com", "o", "--pem", "nowhere.pem")
    assert absent.code == Exit.USAGE and "cannot read nowhere.pem" in absent.err
    assert "No such file" in absent.err and "Errno" not in absent.err
    assert "who may read it" in absent.err
