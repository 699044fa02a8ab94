"""where the test mails of an app go"""

from __future__ import annotations

from dataclasses import replace

from pillarbox.api.rooms import Rooms
from pillarbox.policy.directory import App
from pillarbox.policy.user import UserRole
from pillarbox.terms.ids import ObjectId


async def owner_email(rooms: Rooms, account: ObjectId) -> str:
    """Of the first owner of an account, or where it has none its first user; empty where nobody
    signs in to it.
    """
    people = [user for user in await rooms.storage.users.users() if user.account == account]
    people.sort(key=lambda user: (user.role is not UserRole.OWNER, user.created_at, user.id))
    return people[0].email if people else ""


async def with_test_address(rooms: Rooms, app: App) -> App:
    """The app with an address for test mails: its own, or its owner's, and empty where there is
    neither.
    """
    if app.test_address:
        return app
    return replace(app, test_address=await owner_email(rooms, app.account))
