"""rotation: a login gets a new password, and the old one ends now or some time later"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import check_json_type, read_shape
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.v1.credentials import a_password, another_username, former_view, named, shown
from pillarbox.policy.credential import Former, PasswordStyle
from pillarbox.services.submission.authenticate import hash_secret

LONGEST_OVERLAP_SECONDS: Final = 7 * 86_400


class Rotation(Struct):
    """How a login is rotated; all of it may be left out."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=LONGEST_OVERLAP_SECONDS)] = 0
    """So long the former password works beside the new one."""
    username: bool = False
    """Whether it gets another user name as well."""
    password_style: PasswordStyle = PasswordStyle.PLAIN


async def rotate_credential(call: Call) -> Response:
    """A new password; the former one fails from now on, or when the overlap is over.

    There is one former password. Where the one before that still worked, it ends now, and the
    answer says so in `ended`.
    """
    app, credential = await named(call)
    check_json_type(call.request)
    wanted = read_shape(await call.body() or b"{}", Rotation)
    password, now_ms = a_password(wanted.password_style), call.now_ms
    former = Former(
        credential.username,
        credential.password_hash,
        now_ms + wanted.overlap_seconds * 1000,
        now_ms,
    )
    changed = replace(
        credential,
        username=another_username(credential.name) if wanted.username else credential.username,
        password_hash=hash_secret(password),
        former=former,
    )
    await call.rooms.storage.directory.save_credential(changed)
    ended = former_view(credential) if credential.holds_former(now_ms) else None
    view = await shown(call, app, changed)
    return answer({**view, "ended": ended, "password": password.reveal()})


ENTRIES: Final = (
    Entry("POST", "/credentials/{credential}/rotate", Verb.MANAGE, rotate_credential),
)
