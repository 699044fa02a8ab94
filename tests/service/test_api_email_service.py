"""the email service's contract: POST /api/v2/{service}, its forms and its answers"""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import urlencode

import pytest

from pillarbox.api.config import ApiConfig
from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts, ServerFacts
from pillarbox.storage.interface.errors import StorageTrouble
from tests.fix_api_face import CLOCK, Face

BASIC = {
    "to": [{"email": "john@example.org", "name": "John Doe"}],
    "subject": "Test Email",
    "body_text": "This is a test email.",
}
SEVERAL = {
    "to": [{"email": "one@example.org", "name": "User One"},
           {"email": "two@example.org", "name": "User Two"}],
    "cc": [{"email": "manager@example.org", "name": "Manager"}],
    "bcc": [{"email": "hidden@example.org"}],
    "subject": "Team Update",
    "body_text": "Here is the weekly team update...",
}  # fmt: skip
DEFAULT_REPLY_TO = {"reply_to_address": "d@example.com", "reply_to_name": "D"}


async def mail(face: Face) -> Any:
    """The last message taken."""
    content = await face.storage.messages.content(face.door.receipts[-1].message)
    return message_from_bytes(content, policy=policy.default)


def envelope(face: Face) -> list[str]:
    return [recipient.address for recipient in face.door.envelopes[-1].recipients]


def refused(answer: Any, status: int, message: str) -> None:
    """The envelope of errors, to the letter."""
    assert answer.status == status
    error = answer.json()["error"]
    assert set(error) == {"code", "context", "message", "status_code"}
    assert error["status_code"] == status
    assert message in error["message"]


# --- what is sent -----------------------------------------------------------------------------


async def test_the_basic_sample_is_answered_with_its_count(face: Face) -> None:
    answer = await face.post_email(BASIC)
    assert (answer.status, answer.json()) == (200, {"count": 1})
    assert answer.headers["content-type"] == "application/json"
    message = await mail(face)
    assert message["to"] == "John Doe <john@example.org>"
    assert message["subject"] == "Test Email"
    assert message.get_content().strip() == "This is a test email."


async def test_d35_without_from_email_the_default_author_is_named(face: Face) -> None:
    await face.post_email(BASIC)
    assert (await mail(face))["from"] == "shop@example.com"
    await face.own("PATCH", "/apps/first-app", {"from_name": "Shop"})
    await face.post_email(BASIC)
    assert (await mail(face))["from"] == "Shop <shop@example.com>"


async def test_d15_html_and_text_are_alternatives_text_first(face: Face) -> None:
    await face.post_email({**BASIC, "body_html": "<p>Hello</p>"})
    message = await mail(face)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


async def test_d16_a_body_of_one_kind_makes_a_mail_of_that_kind_alone(face: Face) -> None:
    await face.post_email({"to": "a@example.org", "body_html": "<p>Hello</p>"})
    assert (await mail(face)).get_content_type() == "text/html"
    await face.post_email({"to": "a@example.org", "body_text": "Hello"})
    assert (await mail(face)).get_content_type() == "text/plain"


async def test_d25_d26_several_recipients_get_one_message_and_are_counted(face: Face) -> None:
    answer = await face.post_email(SEVERAL)
    assert answer.json() == {"count": 4}
    assert len(face.door.receipts) == 1
    assert envelope(face) == [
        "one@example.org", "two@example.org", "manager@example.org", "hidden@example.org",
    ]  # fmt: skip
    message = await mail(face)
    assert message["cc"] == "Manager <manager@example.org>"
    assert "hidden" not in message.as_string()


async def test_d36_without_a_reply_to_in_the_request_it_is_the_default(face: Face) -> None:
    await face.own("PATCH", "/apps/first-app", DEFAULT_REPLY_TO)
    await face.post_email(BASIC)
    assert (await mail(face))["reply-to"] == "D <d@example.com>"


async def test_d32_d34_d37_the_sender_of_the_request_beats_the_default(face: Face) -> None:
    await face.own("PATCH", "/apps/first-app", DEFAULT_REPLY_TO)
    await face.post_email(
        {**BASIC, "from_name": "Support Team", "from_email": "support@example.com",
         "reply_to_email": "help@example.com", "reply_to_name": "Help"}
    )  # fmt: skip
    message = await mail(face)
    assert message["from"] == "Support Team <support@example.com>"
    assert message["reply-to"] == "Help <help@example.com>"
    assert face.door.envelopes[-1].return_path == "support@example.com"


async def test_d33_reply_to_email_alone_makes_a_reply_to(face: Face) -> None:
    await face.post_email({**BASIC, "reply_to_email": "help@example.com"})
    assert (await mail(face))["reply-to"] == "help@example.com"


async def attached(face: Face, *files: dict[str, str]) -> list[Any]:
    """The attachments of a message that was sent with these."""
    answer = await face.post_email({**BASIC, "attachments": list(files)})
    assert answer.status == 200, answer.body
    return list((await mail(face)).iter_attachments())


async def test_d41_attachments_stay_in_their_order(face: Face) -> None:
    names = ["b.pdf", "a.txt", "c", "a.txt"]
    files = await attached(face, *({"name": name, "content": "aGk="} for name in names))
    assert [each.get_filename() for each in files] == names


async def test_d40_without_a_content_type_the_name_tells_it_or_it_is_bytes(face: Face) -> None:
    files = await attached(
        face, {"name": "notes.txt", "content": "aGk="}, {"name": "a.pdf", "content": "aGk="},
        {"name": "blob", "content": ""}, {"name": "x.nobody-knows", "content": "aGk="},
    )  # fmt: skip
    octets = "application/octet-stream"
    kinds = [each.get_content_type() for each in files]
    assert kinds == ["text/plain", "application/pdf", octets, octets]


async def test_d44_of_a_path_in_a_name_only_the_last_part_is_kept(face: Face) -> None:
    names = ["dir/invoice.pdf", "/etc/passwd", "../../x.txt", "C:\\dir\\y.txt"]
    files = await attached(face, *({"name": name, "content": "aGk="} for name in names))
    assert [each.get_filename() for each in files] == ["invoice.pdf", "passwd", "x.txt", "y.txt"]


async def test_d39_base64_may_be_in_lines_and_must_be_base64(face: Face) -> None:
    wrapped = base64.encodebytes(b"%PDF-1.4" * 50).decode()
    for lines in (wrapped, wrapped.replace("\n", "\r\n")):
        (file,) = await attached(face, {"name": "a.pdf", "content": lines})
        assert file.get_content() == b"%PDF-1.4" * 50
    taken = len(face.door.receipts)
    for bad in ("a*", "aGk", "not base64", "=aGk"):
        answer = await face.post_email({**BASIC, "attachments": [{"name": "a", "content": bad}]})
        refused(answer, 400, "attachments[0]")
    assert len(face.door.receipts) == taken


@pytest.mark.parametrize("name", ["attachment", "import_url"])
async def test_files_from_elsewhere_are_refused_and_not_left_out(face: Face, name: str) -> None:
    refused(await face.post_email({**BASIC, name: "https://example.com/x"}), 400, name)
    assert not face.door.receipts


async def test_unicode_arrives_intact(face: Face) -> None:
    await face.post_email({**BASIC, "subject": "Größe ✓", "body_text": "日本"})
    message = await mail(face)
    assert message["subject"] == "Größe ✓"
    assert message.get_content().strip() == "日本"


# --- the forms of addresses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "addresses"),
    [
        ([{"email": "a@example.org"}], ["a@example.org"]),
        ({"email": "a@example.org", "name": "A", "more": 1}, ["a@example.org"]),
        ("a@example.org", ["a@example.org"]),
        (["a@example.org", "b@example.org"], ["a@example.org", "b@example.org"]),
        (["a@example.org", {"email": "b@example.org"}], ["a@example.org", "b@example.org"]),
        ({"email": " a@example.org ", "name": None}, ["a@example.org"]),
        (["a@example.org", "a@example.org"], ["a@example.org"]),
    ],
)
async def test_d18_d19_d20_d21_d22_addresses_come_in_many_forms(
    face: Face, to: Any, addresses: list[str]
) -> None:
    answer = await face.post_email({**BASIC, "to": to})
    assert answer.json() == {"count": len(addresses)}
    assert envelope(face) == addresses


@pytest.mark.parametrize(
    ("to", "shown"),
    [
        ("not-an-address", "not-an-address"),
        ([{"email": "a@example.org"}, {"email": "nope"}], "nope"),
        ("a@example.org, b@example.org", "a@example.org, b@example.org"),
        ([], ""),
        ("", ""),
        (None, ""),
        ([""], ""),
        ({}, ""),
        ({"name": "Ann"}, ""),
        ("Ann <a@example.org> b", "Ann &lt;a@example.org&gt; b"),
        ('"x"y@example.org', "&quot;x&quot;y@example.org"),
        (17, "17"),
        ([["a@example.org"]], '[[&quot;a@example.org&quot;]]'),
        ("a@example.org\r\nBcc: v@example.org", "a@example.org\r\nBcc: v@example.org"),
    ],
)  # fmt: skip
async def test_d28_an_invalid_address_stops_everything(face: Face, to: Any, shown: str) -> None:
    answer = await face.post_email({**BASIC, "to": to})
    refused(answer, 400, "")
    assert answer.json()["error"]["message"] == f"Invalid email - '{shown}'."
    assert not face.door.receipts


@pytest.mark.parametrize("field", ["cc", "bcc", "from_email", "reply_to_email"])
async def test_d29_invalid_addresses_elsewhere_stop_everything_too(face: Face, field: str) -> None:
    answer = await face.post_email({**BASIC, field: "nope"})
    refused(answer, 400, "Invalid email - 'nope'.")
    assert not face.door.receipts


async def test_d23_no_address_needs_a_name(face: Face) -> None:
    fields = ("to", "cc", "bcc")
    bare = {field: [{"email": f"{field}@example.org"}] for field in fields}
    assert (await face.post_email({**BASIC, **bare})).json() == {"count": 3}
    assert envelope(face) == [f"{field}@example.org" for field in fields]
    message = await mail(face)
    assert (message["to"], message["cc"]) == ("to@example.org", "cc@example.org")
    one = {field: {"email": f"{field}@example.org"} for field in fields}
    assert (await face.post_email({**BASIC, **one})).json() == {"count": 3}


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
async def test_d30_a_name_before_an_address_never_becomes_part_of_it(
    face: Face, field: str
) -> None:
    others = [] if field == "to" else ["b@example.org"]
    for text in ("Ann <a@example.org>", '"Ann B" <a@example.org>', "<a@example.org>"):
        await face.post_email({**BASIC, "to": "b@example.org", field: text})
        assert envelope(face) == [*others, "a@example.org"]
    taken = len(face.door.receipts)
    for text in (
        "Ann <a@x.org> b",
        "Ann a@x.org",
        "Ann <a@x.org",
        "Ann <b> <a@x.org>",
        "Ann @x.org",
    ):
        refused(await face.post_email({**BASIC, field: text}), 400, "Invalid email - 'Ann ")
    assert len(face.door.receipts) == taken


async def test_d27_a_missing_to_is_an_invalid_address(face: Face) -> None:
    refused(await face.post_email({"subject": "x", "body_text": "x"}), 400, "Invalid email - ''.")


async def test_d17_a_message_without_any_body_is_refused(face: Face) -> None:
    refused(await face.post_email({"to": "a@example.org", "subject": "x"}), 400, "No valid data")


async def test_without_any_sender_the_request_is_refused(face: Face) -> None:
    await face.own("PATCH", "/apps/first-app", {"from_address": ""})
    refused(await face.post_email(BASIC), 400, "Invalid email - ''.")


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "x\r\nBcc: v@example.org"},
        {"from_name": "x\nBcc: v@example.org"},
        {"from_email": "s@example.com\r\nBcc: v@example.org"},
        {"to": "a@example.org\r\nBcc: v@example.org"},
        {"cc": [{"email": "a@example.org\nBcc: v@example.org"}]},
        {"to": [{"email": "a@example.org", "name": "x\r\nBcc: v@example.org"}]},
        {"reply_to_email": "r@example.org", "reply_to_name": "x\rBcc: v"},
        {"subject": "{x}", "template_data": {"x": "a\r\nBcc: v@example.org"}},
        {"attachments": [{"name": "a\r\nBcc: v", "content": "", "content_type": "a/b\r\nBcc: v"}]},
    ],
)
async def test_d31_line_breaks_add_no_headers(face: Face, change: dict[str, Any]) -> None:
    answer = await face.post_email({**BASIC, **change})
    assert answer.status in (200, 400)
    if answer.status == 200:
        message = await mail(face)
        assert all("bcc" not in [n.lower() for n in part] for part in message.walk())


# --- placeholders -----------------------------------------------------------------------------


async def filled(face: Face, text: str, **more: Any) -> str:
    """What becomes of a text body."""
    await face.post_email({"to": "a@example.org", "body_text": text, **more})
    return str((await mail(face)).get_content()).strip()


async def test_d45_placeholders_are_filled_in_subject_and_both_bodies(face: Face) -> None:
    await face.post_email(
        {
            "to": "a@example.org", "subject": "Welcome, {first_name}!",
            "body_html": "<h1>{company} {first_name}</h1>", "body_text": "{company}: {first_name}",
            "template_data": {"first_name": "John", "company": "<b>Acme</b>"},
        }
    )  # fmt: skip
    message = await mail(face)
    assert message["subject"] == "Welcome, John!"
    assert message.get_body(("plain",)).get_content().strip() == "<b>Acme</b>: John"
    assert "<h1><b>Acme</b> John</h1>" in message.get_body(("html",)).get_content()


async def test_d46_d47_fields_of_the_request_fill_them_too_unless_template_data_does(
    face: Face,
) -> None:
    data = {"first_name": "John"}
    text = "{first_name} {last_name}"
    said = await filled(face, text, first_name="Ann", last_name="Doe", template_data=data)
    assert said == "John Doe"
    assert await filled(face, text, first_name="Ann", last_name="Doe") == "Ann Doe"


async def test_d48_what_has_no_value_stays(face: Face) -> None:
    text = "{unknown} {list} {} { first_name } {first_name"
    assert await filled(face, text, template_data={"first_name": "J", "list": [1]}) == text


async def test_d50_numbers_are_filled_in_as_text(face: Face) -> None:
    data = {"count": 3, "price": 9.5, "below": -1}
    assert await filled(face, "{count} {price} {below}", template_data=data) == "3 9.5 -1"


async def test_d51_what_a_value_contains_is_not_filled_again(face: Face) -> None:
    data = {"a": "{b}", "b": "{a}", "c": "{top}"}
    assert await filled(face, "{a} {b} {c}", template_data=data, top="T") == "{b} {a} {top}"


async def test_d52_braces_of_css_are_left_alone(face: Face) -> None:
    css = "<style>td { color: red } p{margin:0} @media print{a{color:{top}}}</style>"
    await face.post_email({"to": "a@example.org", "body_html": css, "color": "x", "margin": "y"})
    assert (await mail(face)).get_content().strip() == css


async def test_d55_secrets_of_the_caller_are_no_placeholders(face: Face) -> None:
    document = {**BASIC, "body_text": "{api_key} {session_token}", "session_token": "tok"}
    answer = await face.ask("POST", "/api/v2/first-app", {**document, "api_key": face.key})
    assert answer.status == 200
    assert (await mail(face)).get_content().strip() == "{api_key} {session_token}"


async def test_smtp_placeholders_are_left_alone(face: Face) -> None:
    await face.post_email({**BASIC, "body_text": "{$x}", "x": "1", "template_data": {"x": "2"}})
    assert (await mail(face)).get_content().strip() == "{$x}"


async def test_filling_cannot_be_made_to_explode(face: Face) -> None:
    answer = await face.post_email({**BASIC, "body_text": "{x}" * 100_000, "x": "y" * 1_000_000})
    refused(answer, 413, "too large")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("template", "Email Template 'x' not found"),
        ("template_id", "Email Template id 'x' not found"),
    ],
)
async def test_d54_templates_that_are_not_there_are_not_found(
    face: Face, field: str, message: str
) -> None:
    refused(await face.post_email({**BASIC, field: "x"}), 404, message)


# --- who may ----------------------------------------------------------------------------------


async def test_d3_d4_the_name_of_the_service_is_that_of_the_app_in_any_case(face: Face) -> None:
    await face.new_app("other", from_address="other@example.com")
    for name, author in (("FIRST-App", "shop"), ("first-app", "shop"), ("Other", "other")):
        assert (await face.post_email(BASIC, service=name)).status == 200
        assert (await mail(face))["from"] == f"{author}@example.com"


@pytest.mark.parametrize("version", ["v2", "V2", "v2.0", "v1", "v10.3.1"])
async def test_any_version_is_taken(face: Face, version: str) -> None:
    answer = await face.ask(
        "POST", f"/api/{version}/first-app", BASIC, headers={"x-dreamfactory-api-key": face.key}
    )
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/api/x2/first-app", "/api/first-app", "/api/v2/first-app/more"])
async def test_what_is_no_service_is_not_found(face: Face, path: str) -> None:
    answer = await face.ask("POST", path, BASIC, headers={"x-dreamfactory-api-key": face.key})
    refused(answer, 404, "")


async def test_d5_an_unknown_service_is_not_found(face: Face) -> None:
    refused(await face.post_email(BASIC, service="nope"), 404, "Could not find a service for nope")


async def test_d6_without_a_key_nothing_is_sent(face: Face) -> None:
    refused(await face.ask("POST", "/api/v2/first-app", BASIC), 401, "")
    refused(await face.ask("POST", "/api/v2/nope", BASIC), 401, "")
    assert not face.door.receipts


@pytest.mark.parametrize("key", ["0" * 64, "x", "x" * 10_000])
async def test_d7_an_unknown_key_is_refused(face: Face, key: str) -> None:
    answer = await face.post_email(BASIC, headers={"x-dreamfactory-api-key": key})
    refused(answer, 401, "")


async def test_a_key_of_the_native_scheme_does_not_open_the_service(face: Face) -> None:
    answer = await face.ask(
        "POST", "/api/v2/first-app", BASIC, headers={"authorization": f"Bearer {face.key}"}
    )
    refused(answer, 401, "")


async def test_d8_the_key_may_stand_in_query_or_body(face: Face) -> None:
    assert (await face.ask("POST", f"/api/v2/first-app?api_key={face.key}", BASIC)).status == 200
    in_body = {**BASIC, "api_key": face.key}
    assert (await face.ask("POST", "/api/v2/first-app", in_body)).status == 200


async def test_without_a_shown_key_only_a_small_body_is_read(face: Face) -> None:
    large = {**BASIC, "api_key": face.key, "body_text": "x" * (1 << 20)}
    refused(await face.ask("POST", "/api/v2/first-app", large), 413, "")


@pytest.mark.parametrize(
    "key",
    [{"verbs": ("read", "manage")}, {"active": False}],
)
async def test_a_key_that_may_not_send_is_forbidden(face: Face, key: dict[str, Any]) -> None:
    secret = await face.new_key(**key)
    answer = await face.post_email(BASIC, headers={"x-dreamfactory-api-key": secret})
    refused(answer, 403, "")
    assert not face.door.receipts


async def test_a_key_that_may_only_send_sends(face: Face) -> None:
    secret = await face.new_key(verbs=("send",))
    answer = await face.post_email(BASIC, headers={"x-dreamfactory-api-key": secret})
    assert answer.status == 200


async def test_a_key_of_another_app_is_forbidden(face: Face) -> None:
    other = await face.new_app("other")
    secret = await face.new_key(app=other.id)
    answer = await face.post_email(BASIC, headers={"x-dreamfactory-api-key": secret})
    refused(answer, 403, "POST access to service 'first-app' is not allowed")


async def test_d84_an_inactive_service_is_forbidden(face: Face) -> None:
    await face.own("PATCH", "/apps/first-app", {"active": False})
    refused(await face.post_email(BASIC), 403, "Service first-app is deactivated.")


async def test_a_sender_that_is_not_allowed_is_forbidden(face: Face) -> None:
    secret = await face.new_key(allowed_senders=("example.com",))
    answer = await face.post_email(
        {**BASIC, "from_email": "a@other.test"}, headers={"x-dreamfactory-api-key": secret}
    )
    refused(answer, 403, "a@other.test")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "PROPFIND"])
async def test_d70_other_methods_are_refused_in_the_known_words(face: Face, method: str) -> None:
    answer = await face.ask(
        method, "/api/v2/first-app", BASIC, headers={"x-dreamfactory-api-key": face.key}
    )
    refused(
        answer, 400,
        f"{method} requests without a resource are not currently supported by the"
        " 'first-app' service.",
    )  # fmt: skip
    assert not face.door.receipts


async def test_a_method_is_not_tunnelled(face: Face) -> None:
    answer = await face.ask(
        "GET", "/api/v2/first-app?method=POST", BASIC,
        headers={"x-dreamfactory-api-key": face.key, "x-http-method-override": "POST"},
    )  # fmt: skip
    assert answer.status == 400


# --- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"{]", b'{"to": }', b"[]", b"[1]", b"hello"])
async def test_d68_d69_a_body_that_cannot_be_read_is_refused(face: Face, body: bytes) -> None:
    refused(await face.post_email(body=body, headers={"content-type": "application/json"}), 400, "")


async def test_d67_every_error_has_the_one_envelope_and_its_own_status(face: Face) -> None:
    no_sender = {"x-dreamfactory-api-key": await face.new_key(verbs=("read",))}
    known, wrong = ({"x-dreamfactory-api-key": key} for key in (face.key, "0" * 64))
    told = [
        (400, await face.post_email({**BASIC, "to": "nobody"})),
        (400, await face.post_email({"to": "a@example.org"})),
        (400, await face.post_email(body=b"{")),
        (400, await face.ask("GET", "/api/v2/first-app", headers=known)),
        (401, await face.ask("POST", "/api/v2/first-app", BASIC)),
        (401, await face.post_email(BASIC, headers=wrong)),
        (403, await face.post_email(BASIC, headers=no_sender)),
        (404, await face.post_email(BASIC, service="nobody")),
        (404, await face.post_email({**BASIC, "template": "nobody"})),
        (413, await face.post_email({**BASIC, "body_text": "{x}" * 100_000, "x": "y" * 1_000_000})),
    ]
    await face.go_live()
    face.door.script = ends(failure("unreachable"))
    told.append((500, await face.post_email(BASIC)))
    for status, answer in told:
        refused(answer, status, "")
        assert set(answer.json()) == {"error"}
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]["message"]


async def test_d81_json_is_recognised_without_its_type(face: Face) -> None:
    body = b'  {"to": "a@example.org", "body_text": "x"}'
    assert (await face.post_email(body=body)).json() == {"count": 1}
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await face.post_email(body=body, headers=form)).json() == {"count": 1}


async def test_d80_a_form_says_the_same_as_json(face: Face) -> None:
    body = urlencode(
        [
            ("to[0][email]", "a@example.org"), ("to[0][name]", "Ann"), ("to[1]", "b@example.org"),
            ("cc[]", "c@example.org"), ("subject", "Hi {x}"), ("body_text", "x"),
            ("template_data[x]", "Y"), ("from_name", "Größe"),
        ]
    ).encode()  # fmt: skip
    answer = await face.post_email(
        body=body, headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    )
    assert answer.json() == {"count": 3}
    message = await mail(face)
    assert message["to"].addresses[0].display_name == "Ann"
    assert message["subject"] == "Hi Y"
    assert message["from"].addresses[0].display_name == "Größe"
    recipients = envelope(face)
    same = await face.post_email(
        {
            "to": [{"email": "a@example.org", "name": "Ann"}, "b@example.org"],
            "cc": ["c@example.org"], "subject": "Hi {x}", "body_text": "x",
            "template_data": {"x": "Y"}, "from_name": "Größe",
        }
    )  # fmt: skip
    assert same.json() == {"count": 3}
    as_json = await mail(face)
    for field in ("from", "to", "cc", "subject"):
        assert as_json[field] == message[field]
    assert (as_json.get_content(), envelope(face)) == (message.get_content(), recipients)


@pytest.mark.parametrize(
    "body",
    [b"a[[]=1", b"a[b][c][d][e]=1", b"a=1&a[b]=2", b"a=%ff", b"&".join([b"a=1"] * 6000)],
)
async def test_an_odd_form_is_refused(face: Face, body: bytes) -> None:
    refused(
        await face.post_email(
            body=body, headers={"content-type": "application/x-www-form-urlencoded"}
        ),
        400,
        "",
    )


async def test_an_upload_is_refused_in_words(face: Face) -> None:
    answer = await face.post_email(
        body=b"--x", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    refused(answer, 400, "Uploads are not taken here")


# --- waiting for the outcome ------------------------------------------------------------------

TAKEN = (State.HANDED_OVER, AttemptFacts(number=1, category="taken", words="took it", code=250))


def ends(*outcomes: tuple[State, AttemptFacts], uncertain: bool = False) -> Any:
    async def script(face: Face, receipt: Any) -> None:
        await face.settle(receipt, *outcomes, uncertain=uncertain)

    return script


def failure(category: str, code: int = 0, text: str = "") -> tuple[State, AttemptFacts]:
    facts = AttemptFacts(number=1, category=category, code=code, status="", text=text, words="w")
    return State.FAILED, facts


async def test_live_mail_is_answered_once_it_was_taken(face: Face) -> None:
    await face.go_live()
    face.door.script = ends(TAKEN, TAKEN, TAKEN, TAKEN)
    assert (await face.post_email(SEVERAL)).json() == {"count": 4}
    assert face.door.asked[0]["answer_by"] > CLOCK.now_ms()


async def test_some_taken_is_the_smaller_count(face: Face) -> None:
    await face.go_live()
    face.door.script = ends(TAKEN, failure("no_such_recipient", 550), TAKEN, TAKEN)
    assert (await face.post_email(SEVERAL)).json() == {"count": 3}


@pytest.mark.parametrize(
    ("category", "code", "words", "shown"),
    [
        ("login_refused", 535, "Authentication failed", 535),
        ("login_required", 530, "Authentication failed", 530),
        ("unreachable", 0, "Connection refused", 500),
        ("no_answer", 0, "Connection timed out", 500),
        ("tls_failed", 0, "Certificate error", 500),
        ("no_route", 0, "The service has no active server", 500),
    ],
)
async def test_nobody_taken_is_said_in_the_words_of_the_table(
    face: Face, category: str, code: int, words: str, shown: int
) -> None:
    await face.go_live()
    face.door.script = ends(failure(category, code, "text of the server"))
    answer = await face.post_email(BASIC)
    refused(answer, 500, words)
    error = answer.json()["error"]
    assert error["code"] == shown
    assert error["message"].startswith(words)
    assert error["message"].endswith("Nothing was delivered.")
    assert "text of the server" not in error["message"]


async def test_a_refusal_repeats_the_server_but_nothing_that_was_configured(face: Face) -> None:
    await face.go_live()
    await face.own(
        "POST", "/apps/first-app/servers",
        {"host": "smtp.internal.test", "username": "relay-user", "password": "xyzzy-secret"},
    )  # fmt: skip
    said = "no xyzzy-secret for relay-user at SMTP.internal.test: unknown user"
    face.door.script = ends(failure("no_such_recipient", 550, said))
    answer = await face.post_email(BASIC)
    refused(answer, 500, "550 no *** for *** at ***: unknown user")
    assert answer.json()["error"]["code"] == 550


async def test_a_paused_server_is_said_by_what_it_was_paused_for(face: Face) -> None:
    await face.go_live()
    await face.storage.events.append(
        CLOCK.now_ms(), face.app.id, "server.paused",
        ServerFacts(server=b"x" * 12, name="one", errors=5, category="unreachable"),
    )  # fmt: skip
    face.door.script = ends(failure("paused"))
    refused(await face.post_email(BASIC), 500, "Connection refused")


async def test_when_the_time_is_over_nothing_can_leave_any_more(face: Face) -> None:
    await face.go_live()
    face.rebuild(ApiConfig(answer_seconds=0.05))
    answer = await face.post_email(SEVERAL)
    refused(answer, 500, "Connection timed out")
    rows = await face.storage.messages.deliveries(face.door.receipts[0].message)
    assert [row.state for row in rows] == [State.FAILED] * 4
    assert await face.storage.queue.waiting() == []


async def test_what_was_taken_before_the_time_was_over_is_counted(face: Face) -> None:
    await face.go_live()
    face.rebuild(ApiConfig(answer_seconds=0.3))
    face.door.script = ends(TAKEN)
    answer = await face.post_email(SEVERAL)
    assert answer.json() == {"count": 1}
    rows = await face.storage.messages.deliveries(face.door.receipts[0].message)
    assert [row.state for row in rows] == [State.HANDED_OVER] + [State.FAILED] * 3


async def test_an_earlier_reason_is_told_when_the_time_is_over(face: Face) -> None:
    await face.go_live()
    face.rebuild(ApiConfig(answer_seconds=0.3))
    later = AttemptFacts(number=1, category="unreachable", words="could not be reached")
    face.door.script = ends((State.DEFERRED, later))
    refused(await face.post_email(BASIC), 500, "Connection refused")


async def test_what_was_being_sent_may_have_been_delivered(face: Face) -> None:
    await face.go_live()
    face.rebuild(ApiConfig(answer_seconds=0.2))

    async def begin(face: Face, receipt: Any) -> None:
        await face.storage.queue.mark_started([delivery for delivery, _, _ in receipt.deliveries])

    face.door.script = begin
    refused(await face.post_email(BASIC), 500, "The message may have been delivered.")


async def test_a_line_lost_behind_the_dot_may_have_been_delivered(face: Face) -> None:
    await face.go_live()
    face.door.script = ends(failure("uncertain"), uncertain=True)
    refused(await face.post_email(BASIC), 500, "The message may have been delivered.")


async def test_an_outcome_that_cannot_be_read_is_no_success(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> bool:
        raise StorageTrouble(detail="disk gone")

    await face.go_live()
    monkeypatch.setattr(face.storage.queue, "wait_settled", broken)
    answer = await face.post_email(BASIC)
    refused(answer, 500, "The message may have been delivered.")
    assert "disk gone" not in answer.json()["error"]["message"]


@pytest.mark.parametrize("value", [True, "true", 1, "1"])
async def test_whoever_does_not_want_to_wait_is_answered_at_once(face: Face, value: Any) -> None:
    await face.go_live()
    answer = await face.post_email({**SEVERAL, "async": value})
    assert answer.json() == {"count": 4}
    assert face.door.asked[0]["answer_by"] is None


@pytest.mark.parametrize("mode", ["sandbox", "hold"])
async def test_what_is_kept_or_held_is_answered_at_once_and_has_no_deadline(
    face: Face, mode: str
) -> None:
    await face.own("PATCH", "/apps/first-app", {"mode": mode})
    assert (await face.post_email(SEVERAL)).json() == {"count": 4}
    assert face.door.asked[0]["answer_by"] is None


async def test_a_key_may_be_stricter_than_the_app(face: Face) -> None:
    await face.go_live()
    secret = await face.new_key(mode="sandbox")
    answer = await face.post_email(BASIC, headers={"x-dreamfactory-api-key": secret})
    assert answer.json() == {"count": 1}
    assert face.door.receipts[0].deliveries[0][2] is State.SANDBOXED


async def test_sending_that_is_off_is_refused(face: Face) -> None:
    await face.own("PATCH", "/apps/first-app", {"mode": "off"})
    refused(await face.post_email(BASIC), 403, "")


async def test_the_owner_needs_no_key_here_either(face: Face) -> None:
    answer = await face.ask("POST", "/api/v2/first-app", BASIC, owner=True)
    assert answer.json() == {"count": 1}
