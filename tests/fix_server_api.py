"""a house with somebody who signs in to the server API, and the hands of such a program"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY

from pillarbox.policy.directory import Account, App
from pillarbox.policy.user import User, UserRole
from pillarbox.terms.ids import new_object_id
from tests.doubles.form_client import FormClient, Reply, Value
from tests.fix_house import Running

EMAIL, PASSWORD = "ann@example.com", "open sesame, says Ann"
NOBODY = "0123456789abcdef01234567"
"""An id that nothing has."""
LOGIN = {"username": "relay-user", "password": "Its Passw0rd &=%"}


@dataclass
class Desk:
    """A program at work: it has signed in, and knows the id of the first app."""

    running: Running
    client: FormClient
    idapp: str
    stranger: FormClient = field(init=False)
    """The same program before it has signed in."""

    def __post_init__(self) -> None:
        self.stranger = FormClient(url_of(self.running))

    async def save(self, **values: Value) -> Reply:
        """A server; the parameters that must be there are, unless said otherwise."""
        usual = {"idapp": self.idapp, "host": "smtp.example.net", "port": 587, **LOGIN}
        given = {name: value for name, value in {**usual, **values}.items() if value != "left out"}
        return await self.client.post("/private/smtps/save", given)

    async def saved(self, **values: Value) -> dict[str, Any]:
        """The object of a server that was taken."""
        reply = await self.save(**values)
        assert reply.status == 200, reply.text
        document: dict[str, Any] = reply.json()
        return document

    async def way(self, port: int, **values: Value) -> dict[str, Any]:
        """A server on this machine that wants no login."""
        return await self.saved(host="127.0.0.1", port=port, username=None, password=None, **values)

    async def found(self, idsmtp: str) -> dict[str, Any]:
        """A server as it is read back."""
        reply = await self.client.get("/private/smtps/findById", idsmtp=idsmtp)
        assert reply.status == 200, reply.text
        document: dict[str, Any] = reply.json()
        return document

    async def listed(self, idapp: str | None = None) -> list[dict[str, Any]]:
        """All servers of an app, as it is told."""
        reply = await self.client.get("/private/smtps/findByApp", idapp=idapp or self.idapp)
        assert reply.status == 200, reply.text
        documents: list[dict[str, Any]] = reply.json()
        return documents

    async def remove(self, **values: Value) -> Reply:
        """A server."""
        return await self.client.post("/private/smtps/remove", values)

    async def save_app(self, **values: Value) -> Reply:
        """An app."""
        return await self.client.post("/private/apps/save", values)


def url_of(running: Running, prefix: str = "") -> str:
    """Where such a program finds it."""
    return f"http://127.0.0.1:{running.http_port}{prefix}"


@cache
def _password_hash() -> str:
    """Hashing takes long by design, so it is done once."""
    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY).hash(PASSWORD)


async def add_user(
    running: Running,
    email: str = EMAIL,
    role: UserRole = UserRole.ADMIN,
    account: Account | None = None,
) -> User:
    """Somebody who can sign in, with the one password of these tests."""
    house = running.house
    user = User(
        new_object_id(), (account or running.account).id, email, role=role,
        password_hash=_password_hash(), created_at=house.clock.now_ms(),
    )  # fmt: skip
    await house.storage.users.save_user(user)
    return user


async def desk_in(running: Running, email: str = EMAIL, role: UserRole = UserRole.ADMIN) -> Desk:
    """A program of a new user of the first account."""
    await add_user(running, email, role)
    client = await FormClient(url_of(running)).signed_in(email, PASSWORD)
    return Desk(running, client, running.app.id.hex())


async def neighbour_of(desk: Desk) -> Desk:
    """Somebody else's program, in an account of its own with an app of its own."""
    running = desk.running
    account = Account(new_object_id(), "neighbour")
    app = App(new_object_id(), account.id, "next-door")
    await running.house.storage.directory.save_account(account)
    await running.house.storage.directory.save_app(app)
    await add_user(running, "nat@example.org", account=account)
    client = await FormClient(url_of(running)).signed_in("nat@example.org", PASSWORD)
    return Desk(running, client, app.id.hex())


@pytest.fixture
async def desk(running: Running) -> Desk:
    """A program that has signed in as somebody who may change servers."""
    return await desk_in(running)
