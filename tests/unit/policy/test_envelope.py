"""the envelope as it was handed to us"""

from __future__ import annotations

from pillarbox.policy.envelope import DEFAULT_NOTIFY, Envelope, Notify, Recipient


def test_a_recipient_wants_to_hear_of_failures_unless_it_says_otherwise() -> None:
    assert Recipient("a@example.com").notify == DEFAULT_NOTIFY == {Notify.FAILURE}


def test_the_null_return_path_is_the_empty_one() -> None:
    envelope = Envelope("", (Recipient("a@example.com"),))
    assert not envelope.return_path
    assert envelope.body == "7BIT"
    assert not envelope.smtputf8


def test_two_envelopes_with_the_same_contents_are_equal() -> None:
    def one() -> Envelope:
        return Envelope("b@example.com", (Recipient("a@example.com", original="rfc822;x@y"),))

    assert one() == one()
    assert hash(one()) == hash(one())
