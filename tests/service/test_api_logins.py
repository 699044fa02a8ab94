"""what the API says of logins: features, limits, addresses, ends, rotation"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pillarbox.message.options import OPTIONS
from pillarbox.policy.credential import Credential, Former, LoginUse, Once, OverLimit, Uses
from pillarbox.policy.problems import Problem, ProblemKind
from pillarbox.policy.submitter import Submitter
from pillarbox.terms.secret import Secret
from tests.fix_api_face import Answer, Face

DAY_MS = 86_400_000
EVERYTHING = {
    "fixed_options": ["trackclicks", "tags"],
    "allowed_addresses": ["192.0.2.7/32", "2001:db8::/32"],
    "forward_address": "bounces@example.com",
    "per_minute": 5,
    "per_hour": 50,
    "per_day": 1_000_000_000,
    "over_limit": "hold",
    "max_message_bytes": 10 << 20,
    "expires_at": "2099-01-31T12:00:00.000Z",
    "once": "message-id",
}


async def added(face: Face, **facts: object) -> dict:
    made = await face.own("POST", "/credentials", {"name": "web", **facts})
    assert made.status == 201, made.body
    return made.json()


async def stored(face: Face, username: str = "web") -> Credential:
    found = await face.storage.directory.credential_with_username(username)
    assert found is not None
    return found


async def log_in(face: Face, username: str, password: str) -> Submitter | Problem:
    use = LoginUse(face.rooms.clock.now_ms(), "192.0.2.7", "TLSv1.3 AES", "shop-host")
    return await face.rooms.authenticator.login(username, Secret(password), use, 587)


def mistakes(answer: Answer) -> dict[str, str]:
    assert answer.status == 422, answer.body
    return {each["pointer"]: each["detail"] for each in answer.json()["errors"]}


# --- fields -----------------------------------------------------------------------------------


async def test_a_login_of_which_nothing_was_said_has_no_limits(face: Face) -> None:
    made = await added(face)
    assert {name: made[name] for name in EVERYTHING} == {
        "fixed_options": [], "allowed_addresses": [], "forward_address": "", "per_minute": 0,
        "per_hour": 0, "per_day": 0, "over_limit": "defer", "max_message_bytes": 0,
        "expires_at": None, "once": "key",
    }  # fmt: skip
    assert (made["last_use"], made["former"], made["flags"]) == (None, None, ["never_used"])


@pytest.mark.parametrize("how", ["at its making", "later"])
async def test_everything_about_a_login_is_kept_and_told_as_it_was_said(
    face: Face, how: str
) -> None:
    if how == "later":
        await added(face)
        said = await face.own("PATCH", "/credentials/web", EVERYTHING)
        assert said.status == 200, said.body
    else:
        await added(face, **EVERYTHING)
    shown = (await face.own("GET", "/credentials/web")).json()
    assert {name: shown[name] for name in EVERYTHING} == {
        **EVERYTHING, "allowed_addresses": ["192.0.2.7/32", "2001:db8::/32"],
    }  # fmt: skip
    kept = await stored(face)
    assert kept.expires_at == 4_073_544_000_000
    assert (kept.over_limit, kept.once) == (OverLimit.HOLD, Once.MESSAGE_ID)
    listed = (await face.own("GET", "/credentials")).json()["items"]
    assert [each["name"] for each in listed] == ["web"] and listed[0] == shown


async def test_what_cannot_be_is_refused_and_all_of_it_is_named(face: Face) -> None:
    wrong = {
        "fixed_options": ["trackclick"],
        "allowed_addresses": ["192.0.2.1/24", "nowhere"],
        "forward_address": "nobody",
        "per_minute": -1,
        "per_hour": 1_000_000_001,
        "per_day": 1.5,
        "over_limit": "drop",
        "max_message_bytes": -1,
        "expires_at": "2027-01-01",
        "once": "always",
    }
    said = mistakes(await face.own("POST", "/credentials", {"name": "web", **wrong}))
    assert set(said) == {
        "/fixed_options/0", "/allowed_addresses/0", "/allowed_addresses/1", "/forward_address",
        "/per_minute", "/per_hour", "/per_day", "/over_limit", "/max_message_bytes",
        "/expires_at", "/once",
    }  # fmt: skip
    assert "did you mean 'trackclicks'" in said["/fixed_options/0"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2027-01-31T12:00:00Z", 1_801_396_800_000),
        ("2027-01-31T14:00:00+02:00", 1_801_396_800_000),
        ("2027-01-31T12:00:00.125Z", 1_801_396_800_125),
        ("2027-01-31T12:00:00", None),
        ("2027-13-31T12:00:00Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("tomorrow", None),
        ("", None),
    ],
)
async def test_an_end_is_an_instant_that_says_how_far_it_is_from_utc(
    face: Face, said: str, kept: int | None
) -> None:
    await added(face)
    answer = await face.own("PATCH", "/credentials/web", {"expires_at": said})
    assert answer.status == (422 if kept is None else 200)
    assert (await stored(face)).expires_at == kept


async def test_an_end_is_taken_away_with_null(face: Face) -> None:
    await added(face, expires_at="2000-01-01T00:00:00Z")
    assert "expired" in (await face.own("GET", "/credentials/web")).json()["flags"]
    changed = await face.own("PATCH", "/credentials/web", {"expires_at": None})
    assert changed.json()["expires_at"] is None
    assert "expired" not in changed.json()["flags"]


async def test_a_list_names_nothing_twice(face: Face) -> None:
    made = await added(
        face, allowed_addresses=["192.0.2.7", "192.0.2.7/32"],
        fixed_options=["tags", "X-SMTPeter-Tags"],
    )  # fmt: skip
    assert made["allowed_addresses"] == ["192.0.2.7/32"]
    assert made["fixed_options"] == ["tags"]


@pytest.mark.parametrize("field", ["name", "username"])
@pytest.mark.parametrize("text", ["problems", "Problems"])
async def test_a_login_has_no_name_that_leads_elsewhere(face: Face, field: str, text: str) -> None:
    facts = {"name": "web", field: text}
    said = mistakes(await face.own("POST", "/credentials", facts))
    assert said == {f"/{field}": f"'{text}' is a reserved name"}


# --- features ---------------------------------------------------------------------------------

VALUES = dict.fromkeys(OPTIONS, "true") | {"images": "hosted", "tags": "a,b"}


@pytest.mark.parametrize("name", OPTIONS)
async def test_each_feature_comes_and_goes_by_itself(face: Face, name: str) -> None:
    await added(face, options={"preventscam": "false"})
    before = {"preventscam": "false"}
    on = await face.own("PATCH", "/credentials/web", {"options": {name: VALUES[name]}})
    assert on.json()["options"] == {**before, name: VALUES[name]}
    left = await face.own("PATCH", "/credentials/web", {"options": {name: None}})
    assert left.json()["options"] == {k: v for k, v in before.items() if k != name}
    again = await face.own("PATCH", "/credentials/web", {"options": {name: None}})
    assert again.json() == left.json()


async def test_a_switch_may_be_a_truth_value(face: Face) -> None:
    made = await added(face, options={"trackclicks": True, "TrackOpens": False, "images": None})
    assert made["options"] == {"trackclicks": "true", "trackopens": "false"}
    said = mistakes(await face.own("PATCH", "/credentials/web", {"options": {"images": True}}))
    assert set(said) == {"/options"}


async def test_options_of_an_app_come_and_go_in_the_same_way(face: Face) -> None:
    on = await face.own("PATCH", "/apps/first-app", {"options": {"tags": "a", "inlinecss": True}})
    assert on.json()["options"] == {"tags": "a", "inlinecss": "true"}
    left = await face.own("PATCH", "/apps/first-app", {"options": {"tags": None}})
    assert left.json()["options"] == {"inlinecss": "true"}
    assert (await face.own("PATCH", "/apps/first-app", {"label": "x"})).json()["options"] == {
        "inlinecss": "true"
    }


async def test_what_a_login_will_do_is_told_in_a_sentence(face: Face) -> None:
    made = await added(face, per_hour=500, options={"trackclicks": True})
    assert made["summary"] == (
        "Mail from web may use any sender, gets links tracked, at most 500 recipients an hour; "
        "beyond that it is told to wait (451). Without a tracking host trackclicks does nothing: set "
        "tracking.host, or give its sending domain one. Nothing is sent out: it is kept in the "
        "sandbox."
    )
    await face.storage.directory.save_account(replace(face.account, may_send=False))
    shown = (await face.own("GET", "/credentials/web")).json()
    assert shown["summary"].startswith("Nothing is taken now: the account has no permission")


# --- passwords and rotation -------------------------------------------------------------------


async def test_a_password_may_have_blanks(face: Face) -> None:
    password = (await added(face, password_style="spaced"))["password"]
    groups = password.split(" ")
    assert len(groups) == 8 and all(len(group) == 4 and group.isalnum() for group in groups)
    assert isinstance(await log_in(face, "web", password), Submitter)
    assert isinstance(await log_in(face, "web", password.replace(" ", "")), Problem)
    rotated = await face.own("POST", "/credentials/web/rotate", {"password_style": "spaced"})
    assert rotated.json()["password"].count(" ") == 7


async def test_without_an_overlap_the_former_password_fails_from_now_on(face: Face) -> None:
    first = await added(face)
    second = (await face.own("POST", "/credentials/web/rotate")).json()
    assert (second["former"], second["ended"]) == (None, None)
    assert isinstance(await log_in(face, "web", second["password"]), Submitter)
    failed = await log_in(face, "web", first["password"])
    assert isinstance(failed, Problem)
    assert failed.kind is ProblemKind.ROTATED_PASSWORD, "the operator learns what to change"


async def test_within_an_overlap_both_work_and_who_uses_the_former_is_seen(face: Face) -> None:
    first = await added(face)
    second = (await face.own("POST", "/credentials/web/rotate", {"overlap_seconds": 60})).json()
    assert second["former"]["username"] == "web"
    assert second["former"]["last_use"] is None and second["last_use"] is None
    assert "rotation_open" in second["flags"]
    assert isinstance(await log_in(face, "web", second["password"]), Submitter)
    assert isinstance(await log_in(face, "web", first["password"]), Submitter)
    await face.storage.directory.flush()
    shown = (await face.own("GET", "/credentials/web")).json()
    assert shown["former"]["last_use"] == shown["last_use"] == {
        "at": shown["used_at"], "address": "192.0.2.7", "tls": "TLSv1.3 AES", "hello": "shop-host",
    }  # fmt: skip


async def test_a_use_of_the_password_before_the_last_is_none_of_the_last(face: Face) -> None:
    await added(face)
    now = face.rooms.clock.now_ms()
    kept = await stored(face)
    uses = Uses(LoginUse(now - 5, "192.0.2.7"), LoginUse(now - 5, "192.0.2.7"))
    face.storage.directory.note_use(kept.id, uses.last, former=True)
    await face.storage.directory.flush()
    changed = (await face.own("POST", "/credentials/web/rotate", {"overlap_seconds": 9})).json()
    assert changed["last_use"] is not None
    assert changed["former"]["last_use"] is None


async def test_another_user_name_comes_with_a_rotation_that_asks_for_it(face: Face) -> None:
    first = await added(face)
    wish = {"username": True, "overlap_seconds": 60}
    second = (await face.own("POST", "/credentials/web/rotate", wish)).json()
    assert second["username"].startswith("web-") and second["former"]["username"] == "web"
    assert isinstance(await log_in(face, "web", first["password"]), Submitter)
    assert isinstance(await log_in(face, second["username"], second["password"]), Submitter)
    taken = await face.own("POST", "/credentials", {"name": "other", "username": "web"})
    assert taken.status == 409, "whoever still says it must not reach somebody else"
    wish = {"username": True}
    third = (await face.own("POST", "/credentials/web/rotate", wish)).json()
    assert third["username"] not in ("web", second["username"])
    failed = await log_in(face, second["username"], second["password"])
    assert isinstance(failed, Problem) and failed.kind is ProblemKind.ROTATED_PASSWORD


async def test_a_second_rotation_ends_the_former_login_of_the_first_and_says_so(face: Face) -> None:
    first = await added(face)
    second = (await face.own("POST", "/credentials/web/rotate", {"overlap_seconds": 60})).json()
    third = (await face.own("POST", "/credentials/web/rotate", {"overlap_seconds": 60})).json()
    assert third["ended"] == second["former"]
    assert isinstance(await log_in(face, "web", first["password"]), Problem)
    for each in (second, third):
        assert isinstance(await log_in(face, "web", each["password"]), Submitter)


async def test_what_was_rotated_away_and_is_over_is_not_told(face: Face) -> None:
    await added(face)
    kept = await stored(face)
    former = Former("old", b"o" * 32, face.rooms.clock.now_ms() - 1)
    await face.storage.directory.save_credential(replace(kept, former=former))
    shown = (await face.own("GET", "/credentials/web")).json()
    assert shown["former"] is None and "rotation_open" not in shown["flags"]


@pytest.mark.parametrize(
    "wish",
    [{"overlap_seconds": -1}, {"overlap_seconds": 604_801}, {"username": "x"}, {"overlap": 1}],
)
async def test_a_rotation_that_cannot_be_changes_nothing(face: Face, wish: dict) -> None:
    first = await added(face)
    mistakes(await face.own("POST", "/credentials/web/rotate", wish))
    assert isinstance(await log_in(face, "web", first["password"]), Submitter)


async def test_nothing_secret_is_ever_told_again(face: Face) -> None:
    made = await added(face)
    rotated = (await face.own("POST", "/credentials/web/rotate", {"overlap_seconds": 60})).json()
    kept = await stored(face)
    assert kept.former is not None
    answers = [
        await face.own("GET", "/credentials"),
        await face.own("GET", "/credentials/web"),
        await face.own("PATCH", "/credentials/web", EVERYTHING),
    ]
    for answer in answers:
        assert b"hash" not in answer.body
        for secret in (made["password"], rotated["password"]):
            assert secret.encode() not in answer.body
        for digest in (kept.password_hash, kept.former.password_hash):
            assert digest.hex() not in json.dumps(answer.json())
