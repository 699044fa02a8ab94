"""accounts over the API: who sees them, and who permits them to send"""

from __future__ import annotations

import pytest

from pillarbox.policy.directory import Account
from pillarbox.terms.ids import new_object_id
from tests.fix_api_face import Face

SUSPENDED = {"may_send": False, "contact": "ops@example.com"}


async def test_there_is_one_account_from_the_start_and_it_may_send(face: Face) -> None:
    (account,) = (await face.own("GET", "/accounts")).json()["items"]
    assert account.pop("id").startswith("acc_")
    assert account == {
        "name": "default",
        "may_send": True,
        "contact": "",
        "enforces_domains": False,
    }


async def test_an_account_is_found_by_name_and_id(face: Face) -> None:
    (account,) = (await face.own("GET", "/accounts")).json()["items"]
    for text in ("default", account["id"]):
        assert (await face.own("GET", f"/accounts/{text}")).json() == account
    unknown = await face.own("GET", "/accounts/defualt")
    assert unknown.status == 404 and "Did you mean default?" in unknown.json()["detail"]


async def test_a_suspended_account_hands_in_nothing_over_http(face: Face) -> None:
    changed = await face.own("PATCH", "/accounts/default", SUSPENDED)
    assert (changed.status, changed.json()["may_send"]) == (200, False)
    refused = await face.own("POST", "/messages", {"to": "a@example.com", "text": "x"})
    assert (refused.status, refused.json()["code"]) == (403, "may_not_send")
    assert refused.json()["detail"] == (
        "This account has no permission to send email; contact ops@example.com."
    )
    email = await face.post_email({"to": "a@example.com", "subject": "x", "body_text": "x"})
    assert email.status == 403 and "no permission to send email" in email.body.decode()
    assert face.door.receipts == []
    assert (await face.own("GET", "/messages")).status == 200, "everything else works"
    await face.own("PATCH", "/accounts/default", {"may_send": True})
    taken = await face.own("POST", "/messages", {"to": "a@example.com", "text": "x"})
    assert taken.status == 202


async def test_a_change_leaves_the_rest_of_an_account_as_it_was(face: Face) -> None:
    await face.own("PATCH", "/accounts/default", SUSPENDED)
    changed = await face.own("PATCH", "/accounts/default", {"contact": "help@example.com"})
    assert (changed.json()["may_send"], changed.json()["contact"]) == (False, "help@example.com")


@pytest.mark.parametrize(
    "wish", [{"contact": "a\r\nb"}, {"contact": "x" * 201}, {"may_send": "no"}, {"name": "x"}]
)
async def test_what_cannot_be_said_of_an_account_is_refused(face: Face, wish: dict) -> None:
    assert (await face.own("PATCH", "/accounts/default", wish)).status == 422


async def test_a_key_of_one_app_knows_nothing_of_accounts(face: Face) -> None:
    key = await face.new_key(app=face.app.id)
    for method, path in (("GET", ""), ("GET", "/default"), ("PATCH", "/default")):
        answer = await face.own(method, f"/accounts{path}", {"may_send": True}, key=key)
        assert answer.status == 403, (method, path)
    reader = await face.new_key(verbs=("read",))
    assert (await face.own("GET", "/accounts", key=reader)).status == 200
    assert (await face.own("PATCH", "/accounts/default", SUSPENDED, key=reader)).status == 403


async def test_an_account_among_others_does_not_permit_itself(face: Face) -> None:
    other = Account(new_object_id(), "other")
    await face.storage.directory.save_account(other)
    seen = (await face.own("GET", "/accounts")).json()["items"]
    assert [account["name"] for account in seen] == ["default"]
    assert (await face.own("GET", "/accounts/other")).status == 404
    assert (await face.own("PATCH", "/accounts/default", {"may_send": True})).status == 403
    changed = await face.own("PATCH", "/accounts/other", SUSPENDED, owner=True)
    assert changed.status == 200
    assert len((await face.own("GET", "/accounts", owner=True)).json()["items"]) == 2
