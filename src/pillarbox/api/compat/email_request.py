"""what a request to the email service says: its fields, in all the forms its clients send"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from pillarbox.api.bodies import read_object
from pillarbox.api.compat.forms import read_form
from pillarbox.api.draft import MOST_ATTACHMENTS, Draft, read_base64
from pillarbox.api.problems import NothingThere, RequestError
from pillarbox.message.compose import Attachment, Mailbox
from pillarbox.message.placeholders import fill
from pillarbox.policy.directory import App
from pillarbox.terms.address import InvalidAddress, parse_address, parse_mailbox
from pillarbox.terms.errors import PillarboxError

KEY_FIELDS: Final = ("api_key", "session_token")
"""What these hold is a secret of the caller: it is never a placeholder."""

_FORM: Final = "application/x-www-form-urlencoded"
_SHOWN_CHARACTERS: Final = 100
_PLACEHOLDER: Final = re.compile(r"\{([^{}]{1,100})\}")
_YES: Final = frozenset({"true", "1", "yes", "on"})
_ELSEWHERE: Final = ("attachment", "import_url")


class InvalidEmail(RequestError):
    """An address cannot be used; nothing was sent to anyone."""

    def __init__(self, value: str, why: str = "") -> None:
        """`value` as it was given."""
        shown = value[:_SHOWN_CHARACTERS]
        super().__init__(f"Invalid email - '{shown}'.", fix=why or None, code="malformed_request")


class _Address(Struct):
    """Further members are passed over, as they always were."""

    email: str | None = None
    name: str | None = None


class _File(Struct):
    name: str = ""
    content: str = ""
    content_type: str | None = None


_Addresses = str | _Address | tuple[str | _Address, ...] | None
_Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of a request, still as JSON."""

    members: Mapping[str, Raw]

    @property
    def key(self) -> str:
        """The key, where it was put into the body; otherwise nothing."""
        return self.text("api_key")

    @property
    def at_once(self) -> bool:
        """Whether the caller does not want to wait for the outcome."""
        raw = self.members.get("async")
        if raw is None:
            return False
        value = _decoded(raw, _Scalar, "async")
        return value is True or str(value).lower() in _YES

    def text(self, name: str) -> str:
        """A text; empty where there is none. Raises `RequestError` where it is something else."""
        raw = self.members.get(name)
        return "" if raw is None else _decoded(raw, str | None, name) or ""


def read_fields(body: bytes, media_type: str) -> Fields:
    """A body that is JSON, whatever it is declared to be, or a form. Raises `RequestError`."""
    start = body[:1024].lstrip()[:1]
    if not body.strip():
        raise RequestError("No valid data in request.")
    if media_type.startswith("multipart/"):
        raise RequestError(
            "Uploads are not taken here.", fix="Send JSON with attachments in base64."
        )
    if start in (b"{", b"[") or media_type != _FORM:
        return Fields(read_object(body))
    # As JSON a form goes the same way as everything else.
    return Fields(read_object(msgspec.json.encode(read_form(body))))


def read_draft(fields: Fields, app: App, most_characters: int) -> Draft:
    """The message that is meant, its placeholders filled. Raises `RequestError`."""
    _refuse_what_is_not_offered(fields)
    text, html = (fields.members.get(name) and fields.text(name) for name in _BODIES)
    if not text and not html:
        raise RequestError("No valid data in request.", fix="Give body_text or body_html, or both.")
    to = _mailboxes(fields, "to")
    if not to:
        raise InvalidEmail("")
    values = _values(fields)
    filled = [
        each and _filled(each, values, most_characters)
        for each in (fields.text("subject"), text, html)
    ]
    return Draft(
        author=_author(fields, app),
        to=to,
        cc=_mailboxes(fields, "cc"),
        bcc=_mailboxes(fields, "bcc"),
        reply_to=_reply_to(fields, app),
        subject=filled[0] or "",
        text=filled[1] or None,
        html=filled[2] or None,
        attachments=_attachments(fields),
    )


_BODIES: Final = ("body_text", "body_html")


def _refuse_what_is_not_offered(fields: Fields) -> None:
    for name, noun in (("template", ""), ("template_id", "id ")):
        raw = fields.members.get(name)
        wanted = "" if raw is None else _decoded(raw, _Scalar, name)
        if wanted not in ("", None):
            raise NothingThere(
                f"Email Template {noun}'{str(wanted)[:_SHOWN_CHARACTERS]}' not found"
            )
    for name in _ELSEWHERE:
        raw = fields.members.get(name)
        if raw is not None and bytes(raw) not in (b"null", b'""', b"[]"):
            raise RequestError(
                f"Files from elsewhere ({name}) are not fetched here.",
                fix="Send the file itself, in base64, in attachments.",
            )


def _mailboxes(fields: Fields, name: str) -> tuple[Mailbox, ...]:
    raw = fields.members.get(name)
    if raw is None:
        return ()
    try:
        value = msgspec.json.decode(raw, type=_Addresses)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise InvalidEmail(bytes(raw)[:_SHOWN_CHARACTERS].decode("utf-8", "replace")) from None
    if value is None or (value == "" and name != "to"):
        return ()
    return tuple(map(_mailbox, value if isinstance(value, tuple) else (value,)))


def _mailbox(value: str | _Address) -> Mailbox:
    given = (value.email or "") if isinstance(value, _Address) else value
    try:
        if isinstance(value, _Address):
            return Mailbox(value.name or "", parse_address(given.strip(" ")).text)
        name, found = parse_mailbox(given)
    except InvalidAddress as error:
        raise InvalidEmail(given, error.sentence) from None
    return Mailbox(name, found.text)


def _author(fields: Fields, app: App) -> Mailbox:
    email = fields.text("from_email") or app.from_address
    if not email:
        raise RequestError(
            "Invalid email - ''.",
            fix="Give from_email, or set the service's default sender.",
        )
    name, address = _mailbox(email)
    return Mailbox(fields.text("from_name") or name or app.from_name, address)


def _reply_to(fields: Fields, app: App) -> Mailbox | None:
    email = fields.text("reply_to_email") or app.reply_to_address
    if not email:
        return None
    name, address = _mailbox(email)
    return Mailbox(fields.text("reply_to_name") or name or app.reply_to_name, address)


def _attachments(fields: Fields) -> tuple[Attachment, ...]:
    raw = fields.members.get("attachments")
    if raw is None:
        return ()
    files = _decoded(raw, list[_File] | None, "attachments") or []
    if len(files) > MOST_ATTACHMENTS:
        raise RequestError(f"There are more than {MOST_ATTACHMENTS} attachments.")
    found = []
    for number, file in enumerate(files):
        try:
            data = read_base64(file.content)
        except PillarboxError as error:
            raise RequestError(f"attachments[{number}]: {error.sentence}.") from None
        found.append(Attachment(file.name, data, file.content_type or ""))
    return tuple(found)


def _values(fields: Fields) -> dict[str, object]:
    """Every text beside the fields, and above them what template_data says."""
    values: dict[str, object] = {
        name: fields.text(name)
        for name, raw in fields.members.items()
        if bytes(memoryview(raw)[:1]) == b'"' and name not in KEY_FIELDS
    }
    raw = fields.members.get("template_data")
    if raw is not None:
        data = _decoded(raw, dict[str, Raw] | None, "template_data") or {}
        for name, inner in data.items():
            if bytes(memoryview(inner)[:1]) not in (b"{", b"[", b"n"):
                values[name] = _decoded(inner, _Scalar, f"template_data.{name[:60]}")
    return values


def _filled(text: str, values: Mapping[str, object], most_characters: int) -> str:
    """`text` with its placeholders filled, unless that would make it larger than any message."""
    if (
        len(text) + sum(len(str(values.get(match[1], ""))) for match in _PLACEHOLDER.finditer(text))
        > most_characters
    ):
        raise RequestError("With its placeholders filled the message is too large.", status=413)
    return fill(text, values)


def _decoded(raw: Raw, kind: Any, name: str) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise RequestError(f"{name}: {str(error).replace('`', '')}.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RequestError(f"{name} is no JSON that could be read.") from None
