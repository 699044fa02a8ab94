"""consent over the API and at the terminal: from the invitation to mail that goes out"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from pillarbox.policy.delivery import State
from pillarbox.policy.server import Grant, OAuth
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.doubles.token_endpoint import TokenEndpoint, refusal
from tests.e2e.clerk import API, ask
from tests.fix_house import Running


async def test_a_person_consents_and_mail_goes_out_with_the_token_that_was_given(running: Running):
    endpoint = TokenEndpoint(rotates=True)
    server = BadServer(tokens=endpoint.tokens, auth_in_clear=True, require_auth=True)
    async with endpoint, server:
        made = await running.add_server(
            "gmail", server.port, username="relay@example.com", client_secret=Secret("s3cret"),
            oauth=OAuth("google", Grant.REFRESH_TOKEN, "c", token_url=endpoint.url("/t")),
        )  # fmt: skip
        invited = await ask(running, "POST", f"{API}/servers/gmail/authorize", {})
        assert invited.status == 200, invited.body
        state = parse_qs(urlsplit(invited.json()["url"]).query)["state"][0]
        wrong = await ask(
            running, "POST", f"{API}/servers/gmail/authorize/finish", {"address": "http://x/"}
        )
        assert wrong.status == 422
        assert "not the address" in wrong.json()["detail"]
        done = await ask(
            running, "POST", f"{API}/servers/gmail/authorize/finish",
            {"address": f"http://127.0.0.1:53682/?state={state}&code=4/abc"},
        )  # fmt: skip
        assert done.json() == {"done": True, "interval": 0}
        stored = await running.house.storage.directory.server(made.id)
        assert stored.refresh_token == Secret("refresh-1")
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER
    assert [form["grant_type"] for form in endpoint.asked] == [
        "authorization_code", "refresh_token",
    ]  # fmt: skip
    assert endpoint.asked[1]["refresh_token"] == "refresh-1"


async def test_a_provider_that_refuses_is_told_in_its_own_words(running: Running):
    endpoint = TokenEndpoint()
    endpoint.answer_always = refusal("invalid_client", "", 401)
    async with endpoint:
        await running.add_server(
            "gmail", 25, username="relay@example.com", client_secret=Secret("s3cret"),
            oauth=OAuth("google", Grant.REFRESH_TOKEN, "c", token_url=endpoint.url("/t")),
        )  # fmt: skip
        invited = await ask(running, "POST", f"{API}/servers/gmail/authorize", {})
        state = parse_qs(urlsplit(invited.json()["url"]).query)["state"][0]
        done = await ask(
            running, "POST", f"{API}/servers/gmail/authorize/finish",
            {"address": f"http://127.0.0.1:53682/?state={state}&code=4/abc"},
        )  # fmt: skip
    assert done.status == 502
    assert "client id or client secret are wrong" in done.json()["detail"]
    assert b"s3cret" not in done.body and b"4/abc" not in done.body


async def test_where_there_is_nothing_to_consent_to_that_is_said(running: Running):
    await running.add_server("plain", 25)
    answer = await ask(running, "POST", f"{API}/servers/plain/authorize", {})
    assert answer.status == 422
    assert "--grant refresh_token" in answer.json()["fix"]
