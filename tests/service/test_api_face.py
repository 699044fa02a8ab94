"""what every request and every answer of the REST face has in common"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from pillarbox.api.app import ENTRIES
from pillarbox.api.config import ApiConfig
from pillarbox.handover.gate import Gate
from pillarbox.storage.interface.store import Health
from tests.fix_api_face import Face

ROUTES = [(entry.method, entry.path.replace("{", "").replace("}", "")) for entry in ENTRIES]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_answers_without_a_key(face: Face, method: str, path: str) -> None:
    answer = await face.own(method, path, {}, key=None)
    assert answer.status == 401
    assert answer.json()["code"] == "auth_required"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not face.door.receipts


@pytest.mark.parametrize("key", ["0" * 64, "x", "x" * 5000])
async def test_a_wrong_key_is_refused_and_not_repeated(face: Face, key: str) -> None:
    answer = await face.own("GET", "/apps", key=key)
    assert answer.status == 401
    assert answer.json()["code"] == "auth_failed"
    assert key.encode() not in answer.body or key == "x"


async def test_a_key_that_was_switched_off_is_refused_like_an_unknown_one(face: Face) -> None:
    off = await face.new_key(active=False)
    first = (await face.own("GET", "/apps", key=off)).json()
    second = (await face.own("GET", "/apps", key="0" * 64)).json()
    del first["request_id"], second["request_id"]
    assert first == second


async def test_the_owner_needs_no_key(face: Face) -> None:
    answer = await face.own("GET", "/apps", owner=True)
    assert answer.status == 200
    assert [app["name"] for app in answer.json()["items"]] == ["first-app"]


@pytest.mark.parametrize(
    ("verb", "method", "path"),
    [
        ("read", "POST", "/messages"),
        ("read", "PATCH", "/apps/first-app"),
        ("send", "GET", "/messages"),
        ("send", "GET", "/status"),
        ("manage", "GET", "/messages"),
        ("send", "POST", "/queue/cancel"),
        ("read", "GET", "/keys"),
    ],
)
async def test_a_key_does_only_what_its_verbs_say(
    face: Face, verb: str, method: str, path: str
) -> None:
    key = await face.new_key(verbs=(verb,))
    answer = await face.own(method, path, {}, key=key)
    assert answer.status == 403
    assert answer.json()["code"] == "permission_denied"


async def test_errors_are_problem_documents(face: Face) -> None:
    answer = await face.own("GET", "/apps/nope")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "not_found"
    assert problem["status"] == 404
    assert problem["title"]
    assert problem["fix"]
    assert problem["request_id"] == answer.headers["request-id"]


async def test_a_name_nearly_right_is_guessed(face: Face) -> None:
    answer = await face.own("GET", "/apps/first-ap")
    assert "Did you mean first-app?" in answer.json()["detail"]


async def test_a_given_request_id_is_kept_unless_it_is_odd(face: Face) -> None:
    kept = await face.own("GET", "/apps", headers={"x-request-id": "abc-1"})
    assert kept.headers["request-id"] == "abc-1"
    odd = await face.own("GET", "/apps", headers={"x-request-id": 'a"b c'})
    assert odd.headers["request-id"].startswith("req_")


async def test_answers_are_nobody_elses_business(face: Face) -> None:
    answer = await face.own("GET", "/apps")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/pillarbox/v1/nope", "/pillarbox/v1/apps/", "/pillarbox"])
async def test_what_is_not_there_is_said_as_a_problem(face: Face, path: str) -> None:
    answer = await face.ask("GET", path)
    assert answer.status == 404
    assert answer.json()["code"] == "not_found"


async def test_a_wrong_method_names_the_right_ones(face: Face) -> None:
    answer = await face.own("PUT", "/apps", {})
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST"


async def test_head_is_answered_as_get(face: Face) -> None:
    assert (await face.own("HEAD", "/apps")).status == 200


async def test_all_mistakes_are_named_at_once(face: Face) -> None:
    answer = await face.own(
        "POST",
        "/apps",
        {"name": "Bad Name!", "from_addres": "x", "mode": "live", "label": 7,
         "from_address": "nobody", "allowed_senders": ["example.com", "a b"]},
    )  # fmt: skip
    assert answer.status == 422
    errors = {each["pointer"]: each for each in answer.json()["errors"]}
    assert "did you mean 'from_address'" in errors["/from_addres"]["detail"]
    assert "sandbox" in errors["/mode"]["detail"]
    assert errors["/label"]["detail"] == "expected text, got a whole number"
    assert errors["/from_address"]["code"] == "address_invalid"
    assert "/allowed_senders/1" in errors
    assert "/allowed_senders/0" not in errors
    assert "/name" in errors


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"   ", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"nonsense", 400),
        (b'{"name": NaN}', 400),
        (b'{"name": 1e999}', 422),
        (b'{"name": 99999999999999999999999999}', 422),
        (b'{"name": "\xff"}', 422),
        ('{"name": "x"}'.encode("utf-16"), 400),
        (b'{"name":' + b"[" * 100_000, 400),
        (b'{"name":' + b"[" * 900 + b"]" * 900 + b"}", 422),
        (b"[" * 100_000, 400),
        (b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}", 422),
    ],
    ids=range(15),
)
async def test_hostile_json_is_refused(face: Face, body: bytes, status: int) -> None:
    answer = await face.own(
        "POST", "/apps", body=body, headers={"content-type": "application/json"}
    )
    assert answer.status == status
    assert len(answer.body) < 20_000


HOSTILE = ["\x00", "\ud800", "\U0010ffff", "x" * 100_000, "../../x", "%00", "' OR 1=1 --", "\u202e"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_never_breaks_a_route(face: Face, text: str) -> None:
    document = dict.fromkeys(("name", "label", "host", "username", "app", "message"), text)
    mail = {"to": text, "subject": text, "from": {"email": "a@example.com", "name": text}}
    for method, path in ROUTES:
        for body in (document, {"name": "x", "label": text, "description": text}, mail,
                     {"to": "a@example.com", "text": text, "subject": text}):  # fmt: skip
            answer = await face.own(method, path, body)
            assert answer.status < 500, (method, path, answer.body)
    for name in ("app", "recipient", "since", "before", "after", "state", "lane", "limit"):
        for path in ("/messages", "/queue/deliveries", "/events", "/credentials"):
            answer = await face.own("GET", f"{path}?{urlencode({name: text}, errors='replace')}")
            assert answer.status < 500, (path, name, answer.body)
    again = await face.own("GET", "/apps")
    assert again.status == 200


async def test_every_request_has_its_own_number(face: Face) -> None:
    numbers = {(await face.own("GET", "/apps")).headers["request-id"] for _ in range(50)}
    assert len(numbers) == 50


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/html", "multipart/form-data", "application/xml"]
)
async def test_a_body_that_is_declared_as_something_else_is_refused(face: Face, kind: str) -> None:
    answer = await face.own("POST", "/apps", body=b'{"name":"x"}', headers={"content-type": kind})
    assert answer.status == 415


async def test_json_as_curl_posts_it_is_taken(face: Face) -> None:
    answer = await face.own(
        "POST", "/apps", body=b'{"name":"curl"}',
        headers={"content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert answer.status == 201


async def test_a_declared_size_beyond_the_limit_is_refused_unread(face: Face) -> None:
    answer = await face.own("POST", "/apps", body=b"{}", headers={"content-length": "99999999"})
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


async def test_a_body_is_cut_off_where_it_grows_beyond_the_limit(face: Face) -> None:
    face.rebuild(ApiConfig(max_small_body_kb=1))
    answer = await face.own("POST", "/apps", chunks=[b"{" + b" " * 600, b" " * 600, b"}"])
    assert answer.status == 413
    assert answer.json()["code"] == "message_too_large"


async def test_a_compressed_body_is_refused(face: Face) -> None:
    answer = await face.own("POST", "/apps", body=b"{}", headers={"content-encoding": "gzip"})
    assert answer.status == 415


async def test_all_bodies_together_have_a_bound_that_is_given_back(face: Face) -> None:
    face.rebuild(ApiConfig(bodies_mb=1, max_body_mb=2))
    large = json.dumps({"name": "x" * (1 << 20)}).encode()
    refused = await face.own("POST", "/messages", body=large)
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    for _ in range(3):
        assert (await face.own("POST", "/messages", body=large[: 900 * 1024])).status == 400


async def test_healthz_is_answered_to_anybody(face: Face) -> None:
    answer = await face.ask("GET", "/healthz", client=("203.0.113.9", 1))
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


async def test_readyz_tells_strangers_no_details(face: Face) -> None:
    far = await face.ask("GET", "/readyz", client=("203.0.113.9", 1))
    assert far.status == 200
    assert "free_bytes" not in far.json()
    near = await face.ask("GET", "/readyz")
    assert near.json()["free_bytes"] > 0


async def test_readyz_says_when_mail_is_not_taken(face: Face) -> None:
    gate = Gate(1000, 0)
    gate.look(Health(True, 10, 1, "sqlite"))
    face.rebuild(gate=gate)
    assert (await face.ask("GET", "/readyz")).status == 503


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        (("127.0.0.1", 1), {}, 200),
        (("::1", 1), {}, 200),
        (("203.0.113.9", 1), {}, 403),
        (("127.0.0.1", 1), {"x-forwarded-for": "203.0.113.9"}, 403),
        (("127.0.0.1", 1), {"forwarded": "for=203.0.113.9"}, 403),
        (None, {}, 403),
        (("nonsense", 1), {}, 403),
    ],
)
async def test_metrics_are_shown_to_this_machine_only(
    face: Face, client: tuple[str, int] | None, headers: dict[str, str], status: int
) -> None:
    answer = await face.ask("GET", "/metrics", client=client, headers=headers)
    assert answer.status == status
    assert (b"pillarbox_up" in answer.body) is (status == 200)


async def test_metrics_are_shown_to_the_owner(face: Face) -> None:
    assert (await face.ask("GET", "/metrics", owner=True)).status == 200


async def test_an_unforeseen_error_is_answered_without_its_words(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> list[object]:
        raise ValueError("the secret is xyzzy")

    monkeypatch.setattr(face.storage.directory, "apps", broken)
    answer = await face.own("GET", "/apps")
    assert answer.status == 500
    assert answer.json()["code"] == "internal"
    assert b"xyzzy" not in answer.body
