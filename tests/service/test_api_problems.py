"""why clients could not hand in mail, over the API"""

from __future__ import annotations

from pillarbox.policy.problems import Problem, ProblemKind
from pillarbox.terms.ids import ObjectId, new_object_id
from tests.fix_api_face import CLOCK, Face

HERE = "192.0.2.7"


def noted(face: Face, kind: ProblemKind, username: str = "", whose: ObjectId | None = None) -> str:
    problem = Problem(kind, HERE, 587, username, whose)
    face.storage.problems.note(problem, CLOCK.now_ms())
    return problem.reference


async def credential(face: Face, name: str, app: str = "first-app") -> ObjectId:
    await face.own("POST", "/credentials", {"name": name, "app": app})
    found = await face.storage.directory.credential_with_username(name)
    assert found is not None
    return found.id


async def told(face: Face, query: str = "", **more: object) -> list[dict]:
    answer = await face.own("GET", f"/credentials/problems{query}", **more)
    assert answer.status == 200, answer.body
    return answer.json()["items"]


async def test_without_problems_the_list_is_empty(face: Face) -> None:
    assert await told(face) == []


async def test_a_problem_is_told_in_words_with_how_often_and_when(face: Face) -> None:
    web = await credential(face, "web")
    for _ in range(14):
        reference = noted(face, ProblemKind.WRONG_PASSWORD, "web", web)
    (one,) = await told(face)
    first_at, last_at = one.pop("first_at"), one.pop("last_at")
    assert first_at <= last_at and last_at.endswith("Z")
    assert one == {
        "reference": reference,
        "kind": "wrong_password",
        "what": "Wrong password for web.",
        "fix": "Enter the password again, with its spaces if it has any. If it is lost, pillarbox "
        "credential rotate web makes a new one.",
        "address": HERE,
        "port": 587,
        "username": "web",
        "credential": "web",
        "count": 14,
    }


async def test_the_newest_come_first_and_no_more_than_asked_for(face: Face) -> None:
    for n in range(5):
        face.storage.problems.note(Problem(ProblemKind.NO_LOGIN, f"192.0.2.{n}", 587), 1000 + n)
    assert [one["address"] for one in await told(face, "?limit=2")] == ["192.0.2.4", "192.0.2.3"]
    assert (await face.own("GET", "/credentials/problems?limit=0")).status == 422


async def test_a_reference_finds_its_reasons_and_no_others(face: Face) -> None:
    web = await credential(face, "web")
    reference = noted(face, ProblemKind.WRONG_PASSWORD, "web", web)
    noted(face, ProblemKind.EXPIRED, "web", web)
    noted(face, ProblemKind.UNKNOWN_USERNAME, "wbe")
    found = await told(face, f"?reference={reference.upper()}")
    assert {one["kind"] for one in found} == {"wrong_password", "credential_expired"}
    assert await told(face, "?reference=nothing0") == []


async def test_the_problems_of_one_login_are_asked_for_by_its_name(face: Face) -> None:
    web, other = await credential(face, "web"), await credential(face, "other")
    noted(face, ProblemKind.WRONG_PASSWORD, "web", web)
    noted(face, ProblemKind.DISABLED, "other", other)
    noted(face, ProblemKind.NO_LOGIN)
    assert [one["kind"] for one in await told(face, "?credential=web")] == ["wrong_password"]
    unknown = await face.own("GET", "/credentials/problems?credential=wbe")
    assert unknown.status == 404 and "Did you mean web?" in unknown.json()["detail"]


async def test_a_problem_of_nobody_s_login_has_no_credential_and_no_port_where_none_is_known(
    face: Face,
) -> None:
    face.storage.problems.note(Problem(ProblemKind.THROTTLED, HERE), CLOCK.now_ms())
    noted(face, ProblemKind.DISABLED, "gone", new_object_id())
    throttled, gone = sorted(await told(face), key=lambda one: one["kind"] != "throttled")
    assert (throttled["credential"], throttled["port"]) == (None, None)
    assert gone["credential"] is None


async def test_a_key_of_one_app_sees_what_concerns_its_logins_and_nothing_else(face: Face) -> None:
    app = await face.new_app("other")
    mine, theirs = await credential(face, "mine", "other"), await credential(face, "web")
    reference = noted(face, ProblemKind.WRONG_PASSWORD, "mine", mine)
    hidden = noted(face, ProblemKind.WRONG_PASSWORD, "web", theirs)
    noted(face, ProblemKind.UNKNOWN_USERNAME, "nobody")
    key = await face.new_key(app=app.id)
    assert [one["reference"] for one in await told(face, key=key)] == [reference]
    assert await told(face, f"?reference={hidden}", key=key) == []
    assert (await face.own("GET", "/credentials/problems?credential=web", key=key)).status == 404
    assert len(await told(face)) == len(await told(face, owner=True)) == 3


async def test_a_key_that_only_sends_sees_none_of_them(face: Face) -> None:
    key = await face.new_key(verbs=("send",))
    assert (await face.own("GET", "/credentials/problems", key=key)).status == 403
    assert (await face.own("GET", "/credentials/problems", key=None)).status == 401
