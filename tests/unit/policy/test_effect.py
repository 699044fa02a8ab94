from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.credential import Credential, CredentialKind, Former, Once, OverLimit
from pillarbox.policy.directory import Account, App, Mode, Uncertain
from pillarbox.policy.effect import effect_of
from pillarbox.terms.ids import new_object_id

NOW = 1_800_000_000_000
ACCOUNT = Account(new_object_id(), "default")
APP = App(new_object_id(), ACCOUNT.id, "shop", mode=Mode.LIVE)
WEB = Credential(new_object_id(), APP.id, "shop-web", "shop-web", b"h" * 32)
ORDINARY = "Mail from shop-web may use any sender and leaves as it came."


def effect(app: App = APP, account: Account = ACCOUNT, **facts: object) -> str:
    return effect_of(replace(WEB, **facts), app, account, NOW)


def test_a_login_of_which_nothing_was_said_changes_nothing_and_has_no_limit():
    assert effect() == ORDINARY


def test_senders_features_and_a_limit_make_one_sentence():
    said = effect(
        allowed_senders=("example.com",),
        options={"trackclicks": "true", "inlinecss": "true", "trackopens": "false"},
        per_hour=500,
    )
    assert said == (
        "Mail from shop-web may use any @example.com sender, gets links tracked and CSS inlined, "
        "at most 500 recipients an hour; beyond that it is told to wait (451)."
    )


def test_what_the_app_says_holds_where_the_login_says_nothing():
    app = replace(APP, options={"trackclicks": "true", "trackopens": "true"})
    assert "gets links tracked and opens tracked." in effect(app)
    assert "gets opens tracked." in effect(app, options={"trackclicks": "false"})


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (("ann@example.com",), "may use ann@example.com and"),
        (("example.com", "*.example.org"), "any @example.com sender or any sender below"),
        (("*@example.com",), "any @example.com sender and"),
        (("a.org", "b.org", "c.org", "d.org", "e.org"), "any @c.org sender or 2 more and"),
    ],
)
def test_senders_are_told_in_words(patterns: tuple[str, ...], words: str):
    assert words in effect(allowed_senders=patterns)
    assert words in effect(replace(APP, allowed_senders=patterns))


def test_where_login_and_app_have_a_list_both_are_told():
    said = effect(replace(APP, allowed_senders=("example.com",)), allowed_senders=("a@x.org",))
    assert "both lists allow, its own (a@x.org) and that of its app (any @example.com" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trackclicks": "true", "preventscam": "true"}, "links tracked (but for those"),
        ({"trackbounces": "true"}, "gets bounces collected here."),
        ({"images": "hosted"}, "gets embedded images hosted here."),
        ({"tags": "shop"}, "gets the tag shop."),
        ({"tags": "shop,spring"}, "gets the tags shop and spring."),
        ({"preventscam": "true", "images": "default", "tags": ""}, "leaves as it came."),
    ],
)
def test_features_are_told_in_words(options: dict[str, str], words: str):
    assert words in effect(options=options)


def test_what_needs_a_tracking_host_is_said_to_do_nothing_without_one():
    asked = replace(WEB, options={"trackclicks": "true", "images": "hosted", "inlinecss": "true"})
    said = effect_of(asked, APP, ACCOUNT, NOW, tracking=False)
    assert "Without a tracking host trackclicks and images do nothing: set tracking.host" in said
    assert "Without" not in effect_of(asked, APP, ACCOUNT, NOW)
    styled = replace(WEB, options={"inlinecss": "true", "trackopens": "false"})
    assert "Without" not in effect_of(styled, APP, ACCOUNT, NOW, tracking=False)
    of_app = replace(APP, options={"trackopens": "true"})
    assert "trackopens does nothing" in effect_of(WEB, of_app, ACCOUNT, NOW, tracking=False)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (OverLimit.DEFER, "told to wait (451)."),
        (OverLimit.HOLD, "taken and held for a person."),
        (OverLimit.REJECT, "refused (550)."),
    ],
)
def test_what_follows_a_limit_is_told(over: OverLimit, words: str):
    said = effect(per_minute=5, per_day=1000, over_limit=over)
    assert "at most 5 recipients a minute and 1000 recipients a day; beyond that" in said
    assert said.endswith(words)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"kind": CredentialKind.RELAY}, "Option headers in it are removed and not obeyed."),
        ({"fixed_options": ("tags", "images")}, "Headers cannot change tags or images."),
        ({"max_message_bytes": 10 << 20}, "A message may have 10 MB at most."),
        ({"max_message_bytes": 1 << 19}, "A message may have 0.5 MB at most."),
        (
            {"allowed_addresses": ("192.0.2.7/32", "2001:db8::/32")},
            "It logs in from 192.0.2.7 and 2001:db8::/32 only.",
        ),
        ({"forward_address": "b@example.com"}, "Bounces are sent on to b@example.com."),
        ({"once": Once.MESSAGE_ID}, "What comes again with one Message-ID is not sent again."),
        (
            {"uncertain": Uncertain.HOLD},
            "A message that may have been taken elsewhere waits for a person.",
        ),
        ({"expires_at": NOW + 60_000}, "It ends at 2027-01-15 08:01 UTC."),
        (
            {"former": Former("shop-web", b"o", NOW + 1)},
            "Its former password works too, until 2027-01-15 08:00 UTC.",
        ),
        (
            {"former": Former("old", b"o", NOW + 1)},
            "Its former login old works too, until 2027-01-15 08:00 UTC.",
        ),
    ],
)
def test_what_else_holds_is_a_sentence_each(facts: dict, words: str):
    said = effect(**facts)
    assert said.endswith(words)
    assert said.startswith(ORDINARY) or CredentialKind.RELAY in facts.values()


def test_an_mta_passes_on_what_others_wrote():
    assert effect(kind=CredentialKind.RELAY).startswith("Mail that shop-web passes on may use")


@pytest.mark.parametrize(
    ("mode", "own", "words"),
    [
        (Mode.SANDBOX, None, "Nothing is sent out: it is kept in the sandbox."),
        (Mode.LIVE, Mode.SANDBOX, "Nothing is sent out: it is kept in the sandbox."),
        (Mode.HOLD, Mode.LIVE, "It waits until a person releases it."),
    ],
)
def test_the_stricter_mode_is_told(mode: Mode, own: Mode | None, words: str):
    assert effect(replace(APP, mode=mode), mode=own) == f"{ORDINARY} {words}"


@pytest.mark.parametrize(
    ("facts", "app", "account", "why"),
    [
        ({"active": False}, {}, {"may_send": False}, "this login is switched off"),
        ({"expires_at": NOW}, {}, {}, "this login has ended, at 2027-01-15 08:00 UTC"),
        ({}, {"active": False}, {"may_send": False}, "the account has no permission to send email"),
        ({}, {"active": False}, {}, "the app shop is not active"),
        ({"mode": Mode.OFF}, {}, {}, "sending is switched off for this login"),
        ({}, {"mode": Mode.OFF}, {}, "sending is switched off for the app shop"),
    ],
)
def test_why_nothing_is_taken_comes_first(facts: dict, app: dict, account: dict, why: str):
    said = effect(replace(APP, **app), replace(ACCOUNT, **account), **facts)
    assert said == f"Nothing is taken now: {why}. {ORDINARY}"
