"""server authorize: a person consents in a browser, and the refresh token is kept"""

from __future__ import annotations

import time
from typing import Any

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import Client, segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Verb, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import clean, run_as
from pillarbox.cli.server_options import of_app
from pillarbox.terms.errors import PillarboxError


@examples(
    ("server authorize gmail", "shows an address, and waits for what comes of it"),
    ("server authorize m365 --app shop", "where several apps have a server of this name"),
)
@click.command("authorize", cls=Verb)
@click.argument("name")
@of_app
@talks
def authorize(call: Call, name: str, *, app: str | None) -> None:
    """Sign in for a server that takes access tokens, so that it gets a refresh token.

    Shows an address for a browser on any machine. Nothing of the token is shown.
    """
    if not call.screen.may_ask:
        raise WrongUsage(
            "a person has to sign in, and nobody is here",
            fix="call it at a terminal, or set a token with --refresh-token-file",
        )
    with call.client() as client:
        found = client.get(f"/servers/{segment(name)}", app=app)
        path = f"/servers/{segment(found['id'])}/authorize"
        invitation = client.post(path, {})
        screen = call.screen
        screen.note(f"Open this in a browser, and sign in as {clean(found['username'])}:")
        screen.note(f"  {clean(invitation['url'])}")
        if invitation["user_code"]:
            screen.note(f"Enter this code there:  {clean(invitation['user_code'])}")
            done = _wait(client, path, invitation)
        else:
            screen.note("At the end the browser shows a page that does not open. Its address")
            address = click.prompt("is what is needed; paste it here", err=True)
            done = client.post(f"{path}/finish", {"address": address.strip()})["done"]
    if not done:
        raise PillarboxError("nobody signed in in time", fix="begin again", code="not_confirmed")
    after = {"name": found["name"], "authorized": True}

    def words() -> None:
        screen.say(f"{clean(found['name'])} has a refresh token now.")
        screen.say(f"Check it: {run_as()} server check {clean(found['name'])} --no-mail")

    call.result(after, "name", words)


def _wait(client: Client, path: str, invitation: dict[str, Any]) -> bool:
    """Look again and again until the person is done, or the code has expired."""
    ends = time.monotonic() + invitation["expires_in"]
    interval = invitation["interval"]
    while time.monotonic() < ends:
        time.sleep(interval)
        answer = client.post(f"{path}/finish", {})
        if answer["done"]:
            return True
        interval = answer["interval"]
    return False
