"""rules recognise real replies of real servers"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.meaning import RULES, Category, Stage, meaning_of
from pillarbox.protocol.reply import Reply

HEARD = [
    (Stage.RCPT, 550, "5.1.1", "The account you tried to reach does not exist", "no_such_recipient"),
    (Stage.RCPT, 550, None, "No such user here", "no_such_recipient"),
    (Stage.RCPT, 550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient not found", "no_such_recipient"),
    (Stage.VERDICT, 550, "5.5.0", "Requested action not taken: mailbox not found", "no_such_recipient"),
    (Stage.RCPT, 556, None, "Domain does not accept mail", "no_such_domain"),
    (Stage.RCPT, 550, "5.1.2", "Bad destination system address", "no_such_domain"),
    (Stage.RCPT, 550, "5.1.10", "Recipient address has null MX", "no_such_domain"),
    (Stage.RCPT, 551, None, "User not local; please try <b@c.test>", "recipient_moved"),
    (Stage.RCPT, 551, "5.1.6", "Moved", "recipient_moved"),
    (Stage.RCPT, 550, "5.2.1", "The account is disabled", "mailbox_disabled"),
    (Stage.RCPT, 452, "4.2.2", "The recipient's inbox is out of storage space", "mailbox_full"),
    (Stage.VERDICT, 552, "5.2.2", "Over quota", "mailbox_full"),
    (Stage.RCPT, 450, "4.7.1", "Greylisted, please try again in 300 seconds", "greylisted"),
    (Stage.VERDICT, 421, "4.7.28", "Gmail has detected an unusual rate of mail", "rate_limited"),
    (Stage.BANNER, 421, None, "Too many connections from your host", "rate_limited"),
    (Stage.MAIL, 452, "4.3.1", "Insufficient system storage", "no_room"),
    (Stage.MAIL, 552, "5.3.4", "Message size exceeds fixed limit", "too_big"),
    (Stage.VERDICT, 552, None, "Message exceeds maximum fixed size", "too_big"),
    (Stage.VERDICT, 554, "5.4.6", "Too many hops", "mail_loop"),
    (Stage.VERDICT, 550, "5.7.1", "Message rejected as spam by content filtering", "unwanted"),
    (Stage.VERDICT, 554, "5.7.1", "Contains a link to an open relay", "unwanted"),
    (Stage.RCPT, 550, "5.7.1", "Not authorized, your IP has been found on a block list", "refuses_us"),
    (Stage.VERDICT, 550, "5.7.26", "This mail is unauthenticated", "unauthenticated"),
    (Stage.VERDICT, 554, "5.6.3", "Conversion required but not supported", "unsuitable"),
    (Stage.DATA, 451, "4.3.5", "Server configuration problem", "busy"),
    (Stage.RCPT, 553, "5.7.1", "Sender address rejected: not owned by user relay", "sender_refused"),
    (Stage.VERDICT, 554, "5.2.252", "SendAsDenied; not allowed to send as", "sender_refused"),
    (Stage.VERDICT, 554, None, "Message rejected: Email address is not verified.", "sender_refused"),
    (Stage.VERDICT, 550, "5.4.5", "Daily user sending limit exceeded.", "quota_reached"),
    (Stage.MAIL, 550, "5.4.5", "Daily SMTP relay limit exceeded for user.", "quota_reached"),
    (Stage.RCPT, 450, "4.2.1", "Peak SMTP relay limit exceeded for customer.", "quota_reached"),
    (Stage.VERDICT, 454, None, "Throttling failure: Daily message quota exceeded", "quota_reached"),
    (Stage.VERDICT, 454, None, "Throttling failure: Maximum sending rate exceeded", "rate_limited"),
    (Stage.AUTH, 451, None, "Authentication failed: Maximum credits exceeded", "quota_reached"),
    (Stage.VERDICT, 550, "5.7.233", "your tenant exceeded its daily limit for external recipients", "quota_reached"),
    (Stage.VERDICT, 554, "5.2.0", "SubmissionQuotaExceededException", "quota_reached"),
    (Stage.DATA, 552, None, "Message would take you over your relay quota of 500", "quota_reached"),
    (Stage.VERDICT, 554, "5.7.0", "The limit on the number of allowed outgoing messages was exceeded", "quota_reached"),
    (Stage.RCPT, 452, "4.5.3", "Too many recipients; about sending limits see our help", "too_many_recipients"),
    (Stage.RCPT, 550, "5.2.2", "The mailbox is over its quota", "mailbox_full"),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "code", "status", "text", "category"), HEARD)
def test_a_reply_heard_in_the_wild_is_understood(
    stage: Stage, code: int, status: str | None, text: str, category: str
) -> None:
    assert meaning_of(stage, Reply(code, status, (text,))) == category


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        (Stage.RCPT, Reply.of(550, None, "Rejected")),
        (Stage.RCPT, Reply.of(250, "2.1.5", "Ok")),
        (Stage.MAIL, Reply.of(550, "5.1.8", "Sender domain not found")),
        (Stage.AUTH, Reply.of(535, "5.7.8", "Authentication required")),
        (Stage.BANNER, Reply.of(554, "5.7.1", "Relay access denied")),
        (Stage.RCPT, Reply.of(450, None, "Mailbox busy")),
    ],
)
def test_what_no_rule_knows_is_left_to_stage_and_code(stage: Stage, reply: Reply) -> None:
    assert meaning_of(stage, reply) is None


def test_a_status_is_compared_whole_and_not_by_its_beginning() -> None:
    assert meaning_of(Stage.RCPT, Reply.of(550, "5.1.10", "x")) is Category.NO_SUCH_DOMAIN
    assert meaning_of(Stage.RCPT, Reply.of(550, "5.2.22", "x")) is None


def test_letter_case_and_lines_do_not_matter() -> None:
    reply = Reply.of(554, None, "RELAY", "ACCESS DENIED")
    assert meaning_of(Stage.RCPT, reply) is Category.RELAY_DENIED


def test_only_the_beginning_of_an_endless_reply_is_read() -> None:
    assert meaning_of(Stage.RCPT, Reply.of(550, None, "x" * 3000, "user unknown")) is None


def test_phrases_are_in_lower_case_or_they_would_never_match() -> None:
    for rule in RULES:
        assert all(phrase == phrase.lower() for phrase in rule.phrases + rule.unless)
        assert rule.severity in (4, 5)
        assert all(code // 100 == rule.severity for code in rule.codes)
        assert all(s == "" or s.startswith(f"{rule.severity}.") for s in rule.statuses)


@given(st.sampled_from(Stage), st.integers(200, 599), st.text(max_size=200))
def test_no_rule_speaks_about_a_reply_that_is_no_refusal(
    stage: Stage, code: int, text: str
) -> None:
    category = meaning_of(stage, Reply.of(code, None, text))
    if code < 400:
        assert category is None
