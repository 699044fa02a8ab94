from __future__ import annotations

import pytest

from pillarbox.policy.token_refusals import advice_on_login, read_refusal
from pillarbox.protocol.reply import Reply


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("7000215", "the client secret is wrong"),
        ("7000222", "the client secret has expired"),
        ("700016", "no such client id"),
        ("90002", "no such tenant"),
        ("65001", "admin consent"),
        ("700082", "not used for too long"),
        ("50076", "second factor"),
    ],
)
def test_codes_of_microsoft_are_told_in_words_with_what_to_do(code, words):
    refusal = read_refusal(401, "invalid_client", f"AADSTS{code}: Something.\r\nTrace ID: 1")
    assert words in refusal.words
    assert f"(AADSTS{code})" in refusal.words
    assert refusal.lasting


def test_names_that_everybody_has_are_told_where_no_code_is_known():
    assert "no longer valid" in read_refusal(400, "invalid_grant", "Bad Request").words
    assert "seven days" in read_refusal(400, "invalid_grant", "").words
    assert "client id or client secret" in read_refusal(401, "invalid_client", "AADSTS1").words


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_a_busy_endpoint_is_no_lasting_refusal_whatever_it_says(status):
    assert not read_refusal(status, "invalid_client", "AADSTS7000215").lasting


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error", "slow_down"])
def test_some_names_mean_later(error):
    assert not read_refusal(400, error, "").lasting


def test_what_is_not_known_is_shown_as_it_was_said_and_shortened():
    refusal = read_refusal(400, "odd", "Word " * 500 + "\nsecond line")
    assert refusal.words.startswith("gave no access token (odd): Word Word")
    assert len(refusal.words) < 200
    assert read_refusal(400, "odd", "").words == "gave no access token (odd): it gives no reason"


def test_an_answer_without_a_reason_may_come_from_anybody_and_does_not_last():
    for error in ("", "two words", "x" * 100, "\x1b[31m"):
        refusal = read_refusal(403, error, "hello")
        assert not refusal.lasting
        assert "403" in refusal.words and "hello" not in refusal.words


@pytest.mark.parametrize(
    ("reply", "token", "words"),
    [
        (Reply(535, "5.7.139", ("Authentication unsuccessful, SmtpClientAuthentication is "
         "disabled for the Mailbox.",)), True, "this mailbox"),
        (Reply(535, "5.7.139", ("Authentication unsuccessful, basic authentication is disabled.",)),
         False, "--oauth microsoft"),
        (Reply(535, "5.7.3", ("Authentication unsuccessful",)), True, "SMTP.SendAsApp"),
        (Reply(535, "5.7.3", ("Authentication unsuccessful",)), False, ""),
        (Reply(535, "5.7.8", ("Username and Password not accepted",)), True, "user name"),
        (Reply(534, "5.7.9", ("Application-specific password required.",)), False, "app password"),
        (Reply(535, "5.7.139", ("your account is blocked",)), True, ""),
        (Reply(454, "4.7.0", ("Authentication unsuccessful, SmtpClientAuthentication is disabled "
         "for the Tenant",)), True, ""),
        (Reply(535, None, ("no",)), True, ""),
    ],
)  # fmt: skip
def test_a_refused_login_comes_with_advice_where_its_cause_is_known(reply, token, words):
    advice = advice_on_login(reply, token=token)
    assert (words in advice) if words else advice == ""
