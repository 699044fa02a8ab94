"""the app that MAIL_ variables describe: made once, and compared at each start after that"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.observe.news import News
from pillarbox.policy.directory import App, Mode
from pillarbox.policy.mail_variables import (
    InvalidVariable,
    MailVariables,
    differing,
    read_variables,
)
from pillarbox.policy.server import Server
from pillarbox.storage.interface.directory import DirectoryStore
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.terms.ids import new_object_id

DEFAULT_APP: Final = "email"
_UNFINISHED: Final = "Being made from MAIL_ variables"
_MADE: Final = "Made from MAIL_ variables"

_log = logger("wiring")


async def take_variables(
    said: Mapping[str, str], directory: DirectoryStore, news: News, now_ms: int
) -> None:
    """Make the app where there is none of its name; otherwise tell where it differs.

    What cannot be used is told as well, and stops nothing. No value is told, only names.
    """
    try:
        variables = read_variables(said)
    except InvalidVariable as error:
        _warn(news, now_ms, f"{error.sentence}; no app was made of the MAIL_ variables")
        return
    if variables is None:
        return
    try:
        app = await directory.app_named(DEFAULT_APP)
    except NotFound:
        await _make(variables, directory, news, now_ms)
        return
    servers = await directory.servers(app.id)
    if not servers and app.description == _UNFINISHED:
        await _finish(app, variables, directory, news, now_ms)
        return
    named = [server for server in servers if server.name == DEFAULT_APP]
    server = next(iter([*named, *servers]), None)
    if names := differing(variables, app, server):
        verb = "differs" if len(names) == 1 else "differ"
        _warn(
            news, now_ms,
            f"{', '.join(names)} {verb} from what is stored for the app {DEFAULT_APP}, "
            "and what is stored holds",
        )  # fmt: skip


async def _make(
    variables: MailVariables, directory: DirectoryStore, news: News, now_ms: int
) -> None:
    account = (await directory.accounts())[0]
    # Inactive until it has its server: a process killed in between takes it up again.
    app = App(
        new_object_id(), account.id, DEFAULT_APP, "Email", _UNFINISHED, active=False,
        mode=Mode.SANDBOX, from_address=variables.from_address, from_name=variables.from_name,
        created_at=now_ms,
    )  # fmt: skip
    try:
        await directory.save_app(app)
    except Conflict:
        return  # another node was faster
    await _finish(app, variables, directory, news, now_ms)


async def _finish(
    app: App, variables: MailVariables, directory: DirectoryStore, news: News, now_ms: int
) -> None:
    await directory.save_server(
        Server(
            new_object_id(), app.id, DEFAULT_APP, variables.host, variables.port,
            variables.encryption, username=variables.username,
            password=variables.password or None, created_at=now_ms, modified_at=now_ms,
        )
    )  # fmt: skip
    await directory.save_app(replace(app, active=True, description=_MADE))
    words = f"made from MAIL_ variables, with the server {variables.host}:{variables.port}"
    _log.info("app.made", app=DEFAULT_APP, words=words)
    news.tell(now_ms, "made", DEFAULT_APP, words)


def _warn(news: News, now_ms: int, words: str) -> None:
    _log.warning("variables.not_used", words=words)
    news.tell(now_ms, "warning", DEFAULT_APP, words)
