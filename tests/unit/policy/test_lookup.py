from __future__ import annotations

from pillarbox.policy.lookup import Answer, Mx, Status, Tlsa


def test_an_answer_gives_its_records_by_kind() -> None:
    tlsa = Tlsa(3, 1, 1, b"\x01")
    answer = Answer(Status.FOUND, ("192.0.2.1", Mx(10, "mx.example.org"), tlsa))
    assert answer.texts == ("192.0.2.1",)
    assert answer.exchangers == (Mx(10, "mx.example.org"),)
    assert answer.associations == (tlsa,)
    assert not answer.secure
