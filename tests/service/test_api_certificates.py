"""certificates over the API: asked for, told without their keys, removed"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.certificate import Certificate
from pillarbox.policy.directory import Account
from pillarbox.services.certificates.renewals import Renewals
from pillarbox.storage.interface.certificates import CertificatePair
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from tests.fix_api_face import CLOCK, Face

HOST = "track.example.com"
DAY = 86_400_000


async def test_a_certificate_is_asked_for_and_listed(face: Face) -> None:
    answer = await face.own("POST", "/certificates", {"host": "Track.Example.COM"})
    assert answer.status == 202
    assert answer.json()["host"] == HOST
    (item,) = (await face.own("GET", "/certificates")).json()["items"]
    assert item["state"] == "asked"
    assert item["valid_until"] is None and item["words"] == ""
    assert item["next_try"] is not None


async def test_what_was_obtained_is_told_without_its_key_or_chain(face: Face) -> None:
    now, store = CLOCK.now_ms(), face.storage.certificates
    await store.want(HOST, now)
    held = Certificate(HOST, now - DAY, now + 89 * DAY, now + 59 * DAY, now)
    await store.keep(held, CertificatePair(HOST, "the-chain", Secret("the-key")))
    answer = await face.own("GET", "/certificates")
    (item,) = answer.json()["items"]
    assert item["state"] == "valid"
    assert item["valid_until"] > item["next_try"] > item["valid_from"]
    assert b"the-key" not in answer.body and b"the-chain" not in answer.body
    await store.note_failure(replace(held, failures=1, words="no answer on port 80"))
    (item,) = (await face.own("GET", "/certificates")).json()["items"]
    assert (item["state"], item["words"]) == ("overdue", "no answer on port 80")


async def test_a_certificate_is_renewed_on_request_and_only_one_that_is_there(face: Face) -> None:
    now, store = CLOCK.now_ms(), face.storage.certificates
    assert (await face.own("POST", f"/certificates/{HOST}/renew")).status == 404
    await store.want(HOST, now)
    held = Certificate(HOST, now - DAY, now + 89 * DAY, now + 59 * DAY, now)
    await store.keep(held, CertificatePair(HOST, "chain", Secret("key")))
    assert (await face.own("POST", f"/certificates/{HOST}/renew")).status == 202
    (known,) = await store.certificates()
    assert known.due_at <= CLOCK.now_ms()


async def test_a_certificate_that_was_removed_is_gone(face: Face) -> None:
    await face.own("POST", "/certificates", {"host": HOST})
    assert (await face.own("DELETE", f"/certificates/{HOST}")).status == 204
    assert (await face.own("DELETE", f"/certificates/{HOST}")).status == 404
    assert (await face.own("GET", "/certificates")).json()["items"] == []


@pytest.mark.parametrize("host", ["", "*.example.com", "localhost", "192.0.2.1", "a b.example"])
async def test_what_cannot_have_one_is_refused_with_the_reason(face: Face, host: str) -> None:
    answer = await face.own("POST", "/certificates", {"host": host})
    assert answer.status == 422
    assert (await face.own("GET", "/certificates")).json()["items"] == []


async def test_without_agreement_to_the_terms_nothing_is_asked_for(face: Face) -> None:
    class Directory:
        directory = "https://acme.example.test/dir"

    renewals = Renewals(face.storage, Directory(), lambda _: None, CLOCK)  # type: ignore[arg-type]
    face.rooms = replace(face.rooms, renewals=renewals)
    face.rebuild()
    answer = await face.own("POST", "/certificates", {"host": HOST})
    assert answer.status == 409
    assert "terms" in answer.json()["detail"]


async def test_who_does_not_see_everything_is_told_nothing(face: Face) -> None:
    await face.storage.directory.save_account(Account(new_object_id(), "second"))
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("POST", f"/{HOST}/renew"),
        ("DELETE", f"/{HOST}"),
    ):
        document = {"host": HOST} if (method, path) == ("POST", "") else None
        assert (await face.own(method, f"/certificates{path}", document)).status == 403
    assert (await face.own("GET", "/certificates", owner=True)).status == 200
