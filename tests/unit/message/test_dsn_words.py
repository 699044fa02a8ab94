from __future__ import annotations

import pytest

from pillarbox.message.dsn_words import (
    MAX_SHOWN_RECIPIENTS,
    Action,
    RecipientReport,
    explain_report,
    subject_prefix,
)

NOON = 1_795_176_000_000
HOUR = 3_600_000


def told(*recipients: RecipientReport, **changes: str) -> str:
    given = {"subject": "Hello", "message_id": "<a@b>", "name": "msg_1", "returned": "Enclosed."}
    return explain_report(
        recipients,
        hostname="mail.example.com",
        arrived_at=NOON,
        now_ms=NOON + 48 * HOUR,
        **(given | changes),
    )


def failed(status: str = "5.1.1", **more: str) -> RecipientReport:
    return RecipientReport("bob@example.org", Action.FAILED, status, **more)  # type: ignore[arg-type]


def test_a_failure_says_what_why_and_what_to_do():
    assert told(failed(remote_mta="mx.example.org", reply="550 5.1.1 No such user")) == (
        "Your message could not be delivered to this address:\n"
        "\n"
        "  bob@example.org\n"
        "    Why: There is no mailbox of that name.\n"
        "    Answer of mx.example.org: 550 5.1.1 No such user\n"
        "    What now: Look for a typing mistake in the address, correct it and\n"
        "      send the message again.\n"
        "\n"
        "The message this is about:\n"
        "  Subject:    Hello\n"
        "  Accepted:   Fri, 20 Nov 2026 12:00:00 +0000\n"
        "  Message-ID: <a@b>\n"
        "  Our number: msg_1\n"
        "\n"
        "Enclosed. This was written by the mail relay at mail.example.com; nobody\n"
        "reads answers to it.\n"
    )


def test_words_of_the_caller_beat_the_general_ones():
    text = told(failed(words="Nobody lives here.", advice="Move on."))
    assert "Why: Nobody lives here." in text
    assert "What now: Move on." in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.1.2", "domain behind the @ does not exist"),
        ("5.1.10", "declares that it takes no mail"),
        ("5.1.6", "not valid where it leads to"),
        ("5.2.2", "mailbox is full"),
        ("5.2.1", "takes no mail at present"),
        ("5.3.4", "larger than"),
        ("5.4.6", "in a circle"),
        ("5.4.4", "No server of the recipient"),
        ("5.6.3", "could not be passed on"),
        ("5.7.26", "refuses this message"),
        ("5.0.0", "did not take the message"),
        ("", "did not take the message"),
    ],
)
def test_every_status_is_explained(status: str, words: str):
    assert words in told(failed(status))


def test_giving_up_says_for_how_long_it_was_tried():
    assert "It was tried for 2d in vain." in told(failed("4.4.1"))
    assert "in vain" not in told(failed("5.1.1"))


def test_a_delay_says_that_nothing_needs_to_be_done():
    report = RecipientReport("bob@example.org", Action.DELAYED, "4.4.1", retry_until=NOON)
    text = told(report)
    assert "has not yet been delivered to this address:" in text
    assert "Nothing needs to be done; it is tried again until" in text
    assert "Nothing needs to be done; it is tried again." in told(
        RecipientReport("bob@example.org", Action.DELAYED)
    )


@pytest.mark.parametrize(
    ("action", "words"),
    [(Action.DELIVERED, "was delivered to the mail server of"), (Action.RELAYED, "was handed on")],
)
def test_success_is_told_without_advice(action: Action, words: str):
    text = told(RecipientReport("bob@example.org", action))
    assert words in text
    assert "What now" not in text


def test_each_fate_has_its_own_paragraph():
    text = told(
        failed(),
        RecipientReport("c@example.org", Action.FAILED),
        RecipientReport("d@example.org", Action.DELIVERED),
    )
    assert "to these 2 addresses:" in text
    assert text.index("c@example.org") < text.index("was delivered") < text.index("d@example.org")


def test_a_long_list_is_cut_and_says_so():
    many = [RecipientReport(f"p{n}@example.org", Action.DELIVERED) for n in range(1000)]
    text = told(*many)
    assert f"... and {1000 - MAX_SHOWN_RECIPIENTS} more" in text
    assert len(text) < 5_000


def test_what_a_server_wrote_cannot_add_lines_or_steer_a_terminal():
    text = told(failed(reply="550 no\r\n\r\nDear Ann,\x1b[2J pay here", remote_mta="mx\r\nx"))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\nDear" not in text


def test_a_link_in_an_answer_stays_whole():
    link = "https://example.org/" + "x" * 100
    assert link in told(failed(reply=f"550 see {link}"))


def test_an_endless_answer_is_cut():
    assert len(told(failed(reply="5" * 100_000))) < 2_000


def test_what_is_not_known_is_left_out():
    text = told(failed(), subject="", message_id="", name="")
    assert "Subject:" not in text
    assert "Message-ID:" not in text
    assert "Our number:" not in text


def test_the_subject_tells_the_worst():
    delivered = RecipientReport("a@example.org", Action.DELIVERED)
    delayed = RecipientReport("a@example.org", Action.DELAYED)
    assert subject_prefix([delivered, delayed, failed()]) == "Not delivered"
    assert subject_prefix([delivered, delayed]) == "Delayed"
    assert subject_prefix([delivered]) == "Delivered"
