"""whose mistake a failure is: the host's, or that of whoever set a server up"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.message.default_sender import DefaultSender
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import Outcome, from_broken, from_login_failed, from_reply
from pillarbox.policy.own_settings import is_about_settings, own_settings
from pillarbox.policy.server import Encryption, OAuth, Server
from pillarbox.policy.standing_in import default_refused
from pillarbox.protocol.reply import Reply
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret

PLAIN = Server(
    ObjectId(b"s" * 12), ObjectId(b"a" * 12), "one", "smtp.example.net", username="u",
    password=Secret("sesame"),
)  # fmt: skip
DEFAULT = DefaultSender("relay@example.net", "", True, True)


def said(stage: Stage, code: int, status: str, words: str) -> Outcome:
    return from_reply(stage, Reply.of(code, status, words))


@pytest.mark.parametrize(
    "outcome",
    [
        said(Stage.AUTH, 535, "5.7.8", "wrong"),
        said(Stage.MAIL, 530, "5.7.0", "Authentication required"),
        said(Stage.STARTTLS, 454, "4.7.0", "TLS not available"),
        from_broken(Stage.STARTTLS, "the certificate of x was refused: it is self-signed"),
        from_broken(Stage.AUTH, "the server offers neither AUTH PLAIN nor LOGIN"),
        from_login_failed("no token was given", None, lasting=True),
        from_login_failed("the token endpoint does not answer", None, lasting=False),
        default_refused(said(Stage.MAIL, 553, "5.7.1", "not owned by user"), DEFAULT),
    ],
)
def test_what_other_settings_would_mend_is_about_the_settings(outcome: Outcome) -> None:
    assert outcome.server_at_fault and is_about_settings(outcome)


@pytest.mark.parametrize(
    "outcome",
    [
        from_broken(Stage.CONNECT, "nobody listens there"),
        said(Stage.BANNER, 554, "5.7.1", "go away"),
        said(Stage.BANNER, 421, "4.3.2", "later"),
        from_broken(Stage.EHLO, "it did not answer in time"),
        said(Stage.AUTH, 421, "4.7.0", "too many"),
        said(Stage.AUTH, 454, "4.7.0", "no logins just now"),
        from_broken(Stage.AUTH, "it did not answer in time"),
        said(Stage.RCPT, 554, "5.7.1", "Relay access denied"),
        said(Stage.MAIL, 451, "4.3.0", "busy"),
    ],
)
def test_what_everybody_would_meet_is_about_the_host(outcome: Outcome) -> None:
    assert outcome.server_at_fault and not is_about_settings(outcome)


@pytest.mark.parametrize(
    "other",
    [
        {"password": Secret("other")},
        {"password": None},
        {"auth": False},
        {"ca_file": "/etc/ca.pem"},
        {"pin": "ab" * 32},
        {"verify": False},
        {"encryption": Encryption.TLS},
        {"oauth": OAuth(client_id="c")},
        {"client_secret": Secret("other")},
        {"from_address": "relay@example.net"},
    ],
)
def test_servers_with_other_settings_are_not_held_to_one_anothers_mistakes(
    other: dict[str, object],
) -> None:
    assert own_settings(replace(PLAIN, **other)) != own_settings(PLAIN)  # type: ignore[arg-type]


def test_servers_with_the_same_settings_are_whatever_else_differs() -> None:
    twin = replace(
        PLAIN, id=ObjectId(b"t" * 12), app=ObjectId(b"b" * 12), name="two", priority=1, errors=7,
        password=Secret("sesame"), max_per_day=5, modified_at=9,
    )  # fmt: skip
    assert own_settings(twin) == own_settings(PLAIN)
    assert hash(own_settings(twin)) == hash(own_settings(PLAIN))


def test_a_refresh_token_that_the_provider_renewed_is_no_other_setting_and_a_new_one_is() -> None:
    granted = replace(PLAIN, refresh_token=Secret("first"), modified_at=1)
    renewed = replace(granted, refresh_token=Secret("second"))
    assert own_settings(renewed) == own_settings(granted)
    assert own_settings(replace(renewed, modified_at=2)) != own_settings(granted)


def test_secrets_do_not_show_in_what_is_compared() -> None:
    assert "sesame" not in repr(own_settings(PLAIN))
