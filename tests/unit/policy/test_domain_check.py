"""what is wrong with a record, in words a person can act on"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.domain_check import Evidence, judge, wrong_places
from pillarbox.policy.domain_findings import RecordKind, Seen, Verdict, Wanted
from pillarbox.policy.lookup import Answer, Status

P = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0Uxyz"
DKIM = Wanted(
    RecordKind.DKIM, "s1._domainkey.example.com", "TXT", f"v=DKIM1; k=rsa; p={P}", "", True, "s1"
)
PROOF = Wanted(RecordKind.PROOF, "_pillarbox.example.com", "TXT", "pillarbox-domain=c0ffee", "")
SPF = Wanted(RecordKind.SPF, "example.com", "TXT", "v=spf1 a:m.example.net ~all", "", False)
DMARC = Wanted(RecordKind.DMARC, "_dmarc.example.com", "TXT", "v=DMARC1; p=none", "", False)
TRACKING = Wanted(RecordKind.TRACKING, "t.example.com", "CNAME", "m.example.net", "", False)


def servers(*views: tuple[str, ...]) -> tuple[Seen, ...]:
    """What ns1, ns2 and so on have."""
    return tuple(Seen(f"ns{n}.example", view, "", 3600) for n, view in enumerate(views, 1))


def found(*texts: str, **more: object) -> Evidence:
    """The same at both servers, and in a resolver's memory."""
    answer = Answer(Status.FOUND if texts else Status.NO_NAME, texts)
    evidence = Evidence(servers(texts, texts), answer, mechanism="a:m.example.net")
    return replace(evidence, **more)  # type: ignore[arg-type]


NOTHING = found()


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (DKIM, DKIM.value),
        (DKIM, f"v=DKIM1;k=rsa;p={P};"),
        (DKIM, f"p={P}"),
        (DKIM, f"k=rsa; t=s; n=a note; p={P[:20]} {P[20:]}"),
        (PROOF, PROOF.value),
        (SPF, "v=spf1 mx +a:M.example.net -all"),
        (DMARC, "v=DMARC1; p=reject; rua=mailto:x@example.com"),
        (DMARC, "v=DMARC1;p=quarantine"),
        (TRACKING, "m.example.net"),
    ],
)
def test_what_means_the_same_is_right(wanted: Wanted, text: str) -> None:
    finding = judge(wanted, found(text))
    assert finding.verdict is Verdict.OK and finding.words.startswith("Found")
    assert finding.value == wanted.value or wanted is SPF


def test_other_records_at_the_name_do_not_disturb() -> None:
    assert judge(SPF, found("google-site=1", SPF.value)).verdict is Verdict.OK
    assert judge(PROOF, found("something else", PROOF.value)).verdict is Verdict.OK


@pytest.mark.parametrize("wanted", [DKIM, PROOF, SPF, DMARC, TRACKING])
def test_what_is_nowhere_is_missing(wanted: Wanted) -> None:
    finding = judge(wanted, NOTHING)
    assert (finding.verdict, finding.words) == (Verdict.MISSING, "Not found at any name server.")
    assert finding.value == wanted.value


@pytest.mark.parametrize(
    ("wanted", "text", "words"),
    [
        (PROOF, f'"{PROOF.value}"', "quotation marks"),
        (DKIM, f'"v=DKIM1; k=rsa; " "p={P}"', "quotation marks"),
        (PROOF, "pillarbox-domain= c0ffee", "split wrong"),
        (DKIM, f"v=DKIM1; k=r sa; p={P}", "split wrong"),
        (DKIM, f"v=DKIM1; k=rsa; p={P[:30]}", "cut off behind 48 characters"),
        (DKIM, "v=DKIM1; k=rsa; p=AAAA", "There is another key: v=DKIM1"),
        (DKIM, "v=DKIM1; p=", "There is another key"),
        (PROOF, "pillarbox-domain=beef", "There is another value: pillarbox-domain=beef"),
        (TRACKING, "other.example.net", "There is another value: other.example.net"),
        (SPF, "v=spf1 mx -all", "do not add a second one: v=spf1 mx a:m.example.net -all"),
        (DMARC, "v=DMARC1; rua=mailto:x@example.com", "without a usable p="),
    ],
)
def test_what_is_not_right_is_named(wanted: Wanted, text: str, words: str) -> None:
    finding = judge(wanted, found(text))
    assert finding.verdict is Verdict.WRONG and words in finding.words
    assert finding.found == (text,)


@pytest.mark.parametrize(
    ("wanted", "texts", "words"),
    [
        (
            SPF,
            ("v=spf1 mx -all", "v=spf1 a -all"),
            "2 SPF records: receivers treat that as an error",
        ),
        (DMARC, ("v=DMARC1; p=none", "v=DMARC1; p=reject"), "2 DMARC records"),
        (DKIM, (DKIM.value, "v=DKIM1; p="), "another record at the same name"),
    ],
)
def test_two_where_one_belongs_are_an_error(
    wanted: Wanted, texts: tuple[str, ...], words: str
) -> None:
    finding = judge(wanted, found(*texts))
    assert finding.verdict is Verdict.WRONG and words in finding.words


def test_spf_records_are_merged_into_the_value_to_publish() -> None:
    finding = judge(SPF, found("v=spf1 mx -all", "v=spf1 include:x.example ~all"))
    assert finding.value == "v=spf1 mx include:x.example a:m.example.net -all"
    assert finding.value in finding.words


def test_an_spf_record_that_asks_too_often_is_named() -> None:
    assert judge(SPF, found(SPF.value, lookups=10)).verdict is Verdict.OK
    finding = judge(SPF, found(SPF.value, lookups=11))
    assert finding.verdict is Verdict.WRONG and "11 times" in finding.words


@pytest.mark.parametrize(
    ("wanted", "host"),
    [(DKIM, "s1._domainkey"), (PROOF, "_pillarbox"), (TRACKING, "t"), (SPF, "@")],
)
def test_a_doubled_domain_is_found(wanted: Wanted, host: str) -> None:
    place = f"{wanted.name}.example.com"
    assert place in wrong_places(wanted, "example.com")
    finding = judge(wanted, found(elsewhere={place: (wanted.value,)}))
    assert finding.verdict is Verdict.MISSING
    assert f"Host doubled: you created {place}" in finding.words
    assert f"enter {host} as the host" in finding.words


@pytest.mark.parametrize(("wanted", "place"), [(DKIM, "s1.example.com"), (DMARC, "example.com")])
def test_a_record_at_the_wrong_name_is_found(wanted: Wanted, place: str) -> None:
    assert place in wrong_places(wanted, "example.com")
    finding = judge(wanted, found(elsewhere={place: (wanted.value,)}))
    assert f"Found at {place}, which is the wrong name; move it to {wanted.name}" in finding.words


def test_a_record_at_some_servers_is_spreading() -> None:
    evidence = replace(NOTHING, seen=servers((PROOF.value,), ()))
    finding = judge(PROOF, evidence)
    assert finding.verdict is Verdict.SPREADING
    assert "Found at ns1.example, not at ns2.example" in finding.words and "3600" in finding.words


def test_what_is_remembered_elsewhere_is_waited_for() -> None:
    old = Answer(Status.FOUND, ("v=DKIM1; k=rsa; p=AAAA",))
    evidence = replace(found(DKIM.value), answer=old, remembered_seconds=900)
    finding = judge(DKIM, evidence)
    assert finding.verdict is Verdict.SPREADING and "up to 900 seconds" in finding.words


def test_a_proof_is_one_whatever_is_remembered_elsewhere() -> None:
    evidence = replace(found(PROOF.value), answer=Answer(Status.NO_NAME))
    assert judge(PROOF, evidence).verdict is Verdict.OK


def test_a_server_that_does_not_answer_keeps_nobody_from_being_right() -> None:
    lame = Seen("ns3.example", trouble="did not answer in time")
    evidence = replace(found(PROOF.value), seen=(*servers((PROOF.value,)), lame))
    assert judge(PROOF, evidence).verdict is Verdict.OK


def test_where_no_server_answers_a_resolver_is_believed() -> None:
    lame = (Seen("ns1.example", trouble="did not answer in time"),)
    assert judge(PROOF, replace(found(PROOF.value), seen=lame)).verdict is Verdict.OK
    finding = judge(PROOF, replace(NOTHING, seen=lame))
    assert finding.verdict is Verdict.MISSING
    assert "None of the domain's name servers" in finding.words
    assert "port 53" in finding.words


def test_where_nobody_answers_nothing_is_said_of_the_record() -> None:
    trouble = Answer(Status.TROUBLE, words="the DNS server 192.0.2.1 did not answer in time")
    lame = (Seen("ns1.example", trouble="did not answer in time"),)
    for evidence, words in (
        (Evidence(lame, trouble), "ns1.example did not answer in time"),
        (Evidence((), trouble), "the DNS server 192.0.2.1 did not"),
        (Evidence(), "Nobody could be asked."),
    ):
        finding = judge(PROOF, evidence)
        assert finding.verdict is Verdict.UNKNOWN and words in finding.words


def test_an_alias_is_followed_where_it_leads_to_the_record() -> None:
    seen = (Seen("ns1.example", (), "s1.dkim.example.org", 60),)
    answer = Answer(Status.FOUND, (DKIM.value,), name="s1.dkim.example.org")
    assert judge(DKIM, Evidence(seen, answer)).verdict is Verdict.OK
    finding = judge(DKIM, Evidence(seen, Answer(Status.NO_DATA)))
    assert "is an alias (CNAME) of s1.dkim.example.org" in finding.words


def test_a_cname_beside_other_records_is_an_error() -> None:
    seen = (Seen("ns1.example", ("something",), "other.example.org", 60),)
    finding = judge(PROOF, Evidence(seen, Answer(Status.FOUND, ("something",))))
    assert "A CNAME and other records at the same name" in finding.words


def test_an_address_in_place_of_an_alias_is_named() -> None:
    finding = judge(TRACKING, found(addresses=("192.0.2.7",)))
    assert "has an address of its own (192.0.2.7)" in finding.words


def test_a_key_marked_as_a_test_is_told_of() -> None:
    finding = judge(DKIM, found(f"v=DKIM1; t=y:s; k=rsa; p={P}"))
    assert finding.verdict is Verdict.OK and "t=y" in finding.words


def test_strict_alignment_is_told_of() -> None:
    finding = judge(DMARC, found("v=DMARC1; p=reject; adkim=s"))
    assert finding.verdict is Verdict.OK and "adkim=s" in finding.words


def test_what_strangers_wrote_is_cut() -> None:
    finding = judge(PROOF, found("x" * 4000))
    assert len(finding.words) < 200
