"""the judge, on small accounts whose truth is known"""

from __future__ import annotations

from pathlib import Path

from tests.doubles.journal import Fact, encode_fact
from tests.doubles.judge import Verdict, judge, main


def acknowledged(identity: str, *recipients: str, **more: object) -> Fact:
    return {
        "event": "acknowledged",
        "id": identity,
        "recipients": list(recipients or ("a@example.test",)),
        "sha256": "one",
        "reply": f"250 2.0.0 Ok: queued as msg_{identity}",
        **more,
    }


def taken(identity: str, *recipients: str, **more: object) -> Fact:
    return {
        "event": "taken",
        "id": identity,
        "recipients": list(recipients or ("a@example.test",)),
        "return_path": "orders@example.test",
        "sha256": "one",
        "bare": 0,
        **more,
    }


def lost(*identities: str, replied: bool = False) -> Fact:
    opened = [
        {"id": identity, "recipients": ["a@example.test"], "replied": replied}
        for identity in identities
    ]
    return {"event": "lost", "open": opened}


def zeros(verdict: Verdict, *but: str) -> bool:
    """Whether every number that ought to be 0 is, except these, which are not."""
    names = (
        "lost waiting refused_downstream phantoms duplicates duplicates_unexplained mismatches "
        "ledger_missing ledger_lies ledger_denials ledger_unsettled duplicates_unnamed"
    ).split()
    return all((getattr(verdict, name) == 0) == (name not in but) for name in names)


def test_a_clean_run_has_nothing_but_zeros() -> None:
    verdict = judge(
        [acknowledged("1"), acknowledged("2", "a@example.test", "b@EXAMPLE.test")],
        [taken("1"), taken("2", "b@example.test"), taken("2", "a@example.test")],
    )
    assert zeros(verdict)
    assert (verdict.acknowledged, verdict.delivered, verdict.copies) == (3, 3, 3)
    assert verdict.bodies_compared == 3
    assert verdict.examples == {}


def test_acknowledged_and_never_taken_is_lost_recipient_by_recipient() -> None:
    verdict = judge([acknowledged("1", "a@example.test", "b@example.test")], [taken("1")])
    assert zeros(verdict, "lost")
    assert verdict.lost == 1
    assert "b@example.test" in verdict.examples["lost"][0]


def test_the_local_parts_case_matters() -> None:
    assert (
        judge([acknowledged("1", "Ann@example.test")], [taken("1", "ann@example.test")]).lost == 1
    )


def test_what_the_sink_refused_for_good_is_not_lost() -> None:
    refused = {"event": "refused", "recipient": "bad-1@example.test", "code": 550}
    verdict = judge([acknowledged("1", "bad-1@example.test")], [refused])
    assert zeros(verdict, "refused_downstream")
    later = {**refused, "code": 451}
    assert judge([acknowledged("1", "bad-1@example.test")], [later]).lost == 1


def test_taken_without_a_client_that_handed_it_over_is_a_phantom() -> None:
    refusal = {"event": "refused", "id": "2", "recipients": ["a@example.test"], "reply": "451 no"}
    verdict = judge([refusal], [taken("1"), taken("2")])
    assert zeros(verdict, "phantoms")
    assert verdict.phantoms == 2 and verdict.refused == 1


def test_a_missing_answer_allows_either_fate() -> None:
    unanswered = [
        {"event": "unanswered", "id": name, "recipients": ["a@example.test"]} for name in "12"
    ]
    verdict = judge(unanswered, [taken("1")])
    assert zeros(verdict)
    assert verdict.unanswered == 2


def test_a_refusal_before_an_acknowledgement_means_nothing() -> None:
    refusal = {"event": "refused", "id": "1", "recipients": ["a@example.test"], "reply": "421"}
    verdict = judge([refusal, acknowledged("1")], [taken("1")])
    assert zeros(verdict) and verdict.refused == 0


def test_copies_are_allowed_once_for_each_loss_while_open() -> None:
    clients = [acknowledged("1"), acknowledged("2"), acknowledged("3")]
    sink = [
        *[taken("1")] * 2, lost("1"),
        *[taken("2")] * 3, lost("2"),
        *[taken("3")] * 2, lost(),
    ]  # fmt: skip
    verdict = judge(clients, sink)
    assert verdict.duplicates == 4
    assert verdict.duplicates_allowed == 2
    assert verdict.duplicates_unexplained == 2
    assert verdict.connections_lost == 3
    assert verdict.open_when_lost == 2
    assert len(verdict.examples["duplicates_unexplained"]) == 2


def test_another_body_is_a_mismatch_and_an_unknown_one_is_not_compared() -> None:
    verdict = judge(
        [acknowledged("1"), acknowledged("2", sha256=None)],
        [taken("1", sha256="other", bare=2), taken("2", sha256="any")],
    )
    assert zeros(verdict, "mismatches")
    assert verdict.mismatches == 1 and verdict.bodies_compared == 1
    assert verdict.bare_line_ends == 2
    assert verdict.examples["mismatches"] == ["1"]


def test_notices_are_counted_apart() -> None:
    notice = taken("Undelivered mail", "orders@example.test", return_path="")
    verdict = judge([acknowledged("1")], [taken("1"), notice])
    assert zeros(verdict) and verdict.notices == 1
    doubled = judge([acknowledged("1")], [taken("1", return_path="")] * 2)
    assert doubled.duplicates_unexplained == 1 and doubled.notices == 0


def test_the_ledger_is_joined_by_the_id_in_the_reply() -> None:
    clients = [acknowledged(str(number)) for number in range(6)]
    sink = [taken("0"), taken("1"), taken("1"), lost("1"), taken("3"), taken("5"), taken("5")]

    def row(number: int, state: str, **more: object) -> Fact:
        recipient = "a@example.test"
        return {"message": f"msg_{number}", "recipient": recipient, "state": state, **more}

    ledger = [
        row(0, "handed_over"),
        row(1, "handed_over", uncertain=1),
        row(2, "delivered"),
        row(3, "failed"),
        row(4, "deferred"),
    ]
    verdict = judge(clients, sink, ledger)
    assert verdict.ledger_rows == 5
    assert verdict.lost == 1 and verdict.waiting == 1
    assert verdict.ledger_missing == 1
    assert verdict.ledger_lies == 1
    assert verdict.ledger_denials == 1
    assert verdict.ledger_unsettled == 1
    assert verdict.ledger_uncertain == 1
    assert verdict.duplicates_unnamed == 1
    assert "5" in verdict.examples["duplicates_unnamed"][0]


def test_the_ledger_may_name_messages_by_the_experiments_id() -> None:
    row = {"message": "1", "recipient": "a@example.test", "state": "handed_over"}
    assert zeros(judge([acknowledged("1", reply=None)], [taken("1")], [row]))


def test_numbers_are_printed_and_no_judgement(tmp_path: Path, capsys: object) -> None:
    (tmp_path / "c").write_bytes(encode_fact(acknowledged("1")))
    (tmp_path / "s").write_bytes(encode_fact(taken("2")))
    (tmp_path / "l").write_text("[]")
    main(["--clients", f"{tmp_path}/c", "--sink", f"{tmp_path}/s", "--ledger", f"{tmp_path}/l"])
    written = capsys.readouterr().out  # type: ignore[attr-defined]
    words = dict(line.split(None, 1) for line in written.splitlines())
    assert words["lost"] == "1" and words["phantoms"] == "1" and words["ledger_missing"] == "1"
    assert "passed" not in written


def test_what_the_sink_had_not_answered_yet_is_counted_apart() -> None:
    verdict = judge(
        [acknowledged("1"), acknowledged("2")],
        [taken("1"), taken("2"), lost("1"), lost("2", replied=True)],
    )
    assert (verdict.open_when_lost, verdict.unanswered_when_lost) == (2, 1)
