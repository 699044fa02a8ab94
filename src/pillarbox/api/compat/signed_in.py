"""who is signed in to the server API: /auth/login, and the token it gives"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pillarbox.api.compat.parameters import of_body
from pillarbox.api.compat.plain import answer, hex_id
from pillarbox.api.problems import RequestError
from pillarbox.api.rooms import Rooms
from pillarbox.policy.directory import Account, App
from pillarbox.policy.disclosure import Channel
from pillarbox.policy.user import LONGEST_PASSWORD, User
from pillarbox.services.people.sign_in import SignInRefused
from pillarbox.storage.interface.errors import NotFound
from pillarbox.terms.secret import Secret

_MEMBER: Final = "USER"
_ADMIN: Final = "ADMIN"
_FORBIDDEN: Final = 403
_MOST_KB: Final = 16
"""Of whoever nobody knows yet."""


class NotSignedIn(RequestError):
    """User not authorized"""

    code = "auth_required"


class MayNotEdit(RequestError):
    """User not authorized: this user may look and not change."""

    def __init__(self) -> None:
        super().__init__(status=401, code="permission_denied")


class WrongCredentials(RequestError):
    """Credentials not valid"""

    def __init__(self, sentence: str | None = None, retry_after_seconds: int = 0) -> None:
        """`retry_after_seconds` where the address is to wait."""
        headers = {"Retry-After": str(retry_after_seconds)} if retry_after_seconds else None
        super().__init__(sentence, status=_FORBIDDEN, code="auth_failed", headers=headers)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever calls: a user, or the owner of the data directory, who may do everything."""

    account: Account
    user: User | None
    channel: Channel

    @property
    def name(self) -> str:
        """What the history says of them."""
        return "owner" if self.user is None else self.user.email

    @property
    def email(self) -> str:
        """What an app is set to where it says nothing itself."""
        return "" if self.user is None else self.user.email

    @property
    def may_edit(self) -> bool:
        """Whether apps and servers are theirs to change."""
        return self.user is None or self.user.may_edit

    def require_edit(self) -> None:
        """Raises `MayNotEdit`."""
        if not self.may_edit:
            raise MayNotEdit

    def sees(self, app: App) -> bool:
        """Whether an app exists for them; what belongs to others does not."""
        return self.user is None or app.account == self.account.id


async def identify(rooms: Rooms, request: Request, *, owner: bool) -> Visitor:
    """The visitor, by ``Authorization: Bearer``. Raises `NotSignedIn`."""
    channel = channel_of(request)
    if owner:
        return Visitor((await rooms.storage.directory.accounts())[0], None, channel)
    scheme, _, shown = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn
    user = await rooms.sign_in.user_of(shown.strip())
    if user is None:
        raise NotSignedIn
    try:
        account = await rooms.storage.directory.account(user.account)
    except NotFound:
        raise NotSignedIn from None
    return Visitor(account, user, channel)


async def log_in(rooms: Rooms, request: Request) -> Response:
    """A token for a user name and a password."""
    parameters = await of_body(request, rooms, most_kb=_MOST_KB)
    username = parameters.required("username")
    password = Secret(parameters.required("password", most=LONGEST_PASSWORD))
    address = channel_of(request).address
    try:
        opened = await rooms.sign_in.open(username, password, address)
    except SignInRefused as refused:
        if refused.retry_after_seconds:
            raise WrongCredentials(refused.sentence, refused.retry_after_seconds) from None
        raise WrongCredentials from None
    user = opened.user
    return answer(
        {
            "token": opened.token.reveal(),
            "role": _ADMIN if user.may_edit else _MEMBER,
            "userId": hex_id(user.id),
            "username": user.email,
            "clientId": hex_id(user.account),
        }
    )


def channel_of(request: Request) -> Channel:
    """How a request came in."""
    headers = request.headers
    forwarded = any(
        name in headers for name in ("x-forwarded-for", "x-forwarded-proto", "forwarded")
    )
    said = headers.get("x-forwarded-proto", "")
    if not said:
        pairs = (part.strip().partition("=") for part in headers.get("forwarded", "").split(";"))
        said = next((value.strip('"') for name, _, value in pairs if name.lower() == "proto"), "")
    return Channel(
        request.url.scheme, request.client.host if request.client else "", forwarded, said.strip()
    )
