"""server add and set: a server set up, from a preset where its service is known, and changed"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from pillarbox.cli.app import the_app
from pillarbox.cli.call import Call
from pillarbox.cli.changes import describe
from pillarbox.cli.checking import check_now
from pillarbox.cli.client import segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Option, Verb, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import clean, run_as
from pillarbox.cli.server_oauth import (
    oauth_options,
    secrets_in,
    take_oauth,
    wants_consent,
)
from pillarbox.cli.server_options import (
    LOGIN,
    limits_of,
    of_app,
    place_of,
    protection_of,
    said_of,
    server_options,
)
from pillarbox.cli.server_standing import paused_hint

if TYPE_CHECKING:
    from pillarbox.policy.presets import Preset

_OTHER: Final = "other"
_DIRECT: Final = "direct"


@examples(
    ("server add --preset gmail --username me@gmail.com", "host, port and limits are known"),
    ("server add mycompany --host smtp.example.com --username relay@example.com",
     "asks for the password, unseen"),
    ("server add backup --host 192.0.2.7 --port 25 --encryption none --priority 20",
     "a second way out, tried when the first fails"),
    ("server add --oauth google --client-id ID --client-secret-file F --username me@gmail.com",
     "a login by access token"),
    ("server add --direct --priority 30", "straight to the recipients' servers, last of all"),
)  # fmt: skip
@click.command("add", cls=Verb)
@click.argument("name", required=False)
@click.option("--app", metavar="NAME", help="Its app; not needed where there is only one.")
@click.option("--preset", metavar="SERVICE", help="A known service; see: server presets.")
@click.option("--region", metavar="REGION", help="Of the preset's, where it has several.")
@click.option("--direct", is_flag=True, help="No server: deliver to the recipients' own.")
@server_options
@oauth_options
@talks
def add(
    call: Call,
    name: str | None,
    *,
    app: str | None,
    direct: bool,
    password_file: str | None,
    **values: Any,
) -> None:
    """A new way out for an app, by way of a server or direct. Nothing is sent by this."""
    values = take_oauth(call, said_of({**values, "name": name}))
    if not direct and not {"host", "preset", "oauth"} & values.keys():
        direct = _ask_service(call, values)
    if direct:
        values["kind"] = _DIRECT
    else:
        _ask_login(call, values, password_file)
    with call.client() as client:
        target = the_app(client, app)
        made = client.post(f"/apps/{segment(target)}/servers", values)
        mode = client.get(f"/apps/{segment(target)}")["mode"]

    def words() -> None:
        protection = protection_of(made).replace("none", "not encrypted")
        what = (
            f"direct way {made['name']}" if made["kind"] == _DIRECT
            else f"server {made['name']} ({place_of(made)}, {protection})"
        )  # fmt: skip
        call.screen.say(f"Added the {what} to {made['app']}, priority {made['priority']}.")
        if limits := limits_of(made):
            call.screen.say(f"Recipients that go through it: at most {limits}.")
        for warning in made["warnings"]:
            call.screen.say(call.screen.paint(f"WARNING: {clean(warning)}", "red"))
        if wants_consent(made):
            call.screen.say(f"Sign in for it: {run_as()} server authorize {made['name']}")
        elif made["kind"] != _DIRECT:
            _offer_check(call, made)
        if mode != "live":
            call.screen.say("Nothing is sent yet. To send real mail:")
            call.screen.say(f"  {run_as()} app set {made['app']} --mode live")

    call.result(made, "name", words)


@examples(
    ("server set mycompany --priority 0", "try it first"),
    ("server set mycompany --ask-password", "a new password"),
    ('server set mycompany --allow-from "*@example.com" --from-address relay@example.com',
     "other authors are replaced by the default one"),
)  # fmt: skip
@click.command("set", cls=Verb)
@click.argument("name")
@of_app
@click.option("--rename", metavar="NAME", help="Give it another name.")
@server_options
@oauth_options
@click.option("--ask-password", cls=Option, section=LOGIN, is_flag=True, help="Ask for it.")
@click.option("--forget-password", cls=Option, section=LOGIN, is_flag=True, help="Take it away.")
@talks
def set_(
    call: Call,
    name: str,
    *,
    app: str | None,
    rename: str | None,
    password_file: str | None,
    ask_password: bool,
    forget_password: bool,
    **values: Any,
) -> None:
    """Change a server; what is not named stays as it is."""
    secret = None
    if password_file is not None or ask_password:
        secret = call.secret("Password", password_file)
    with call.client() as client:
        before = client.get(f"/servers/{segment(name)}", app=app)
        document = take_oauth(call, said_of({**values, "name": rename}, before["allowed_senders"]))
        if secret is not None or forget_password:
            document["password"] = secret.reveal() if secret else None
        after = client.patch(f"/servers/{segment(before['id'])}", document)
        stands = client.get(f"/servers/{segment(before['id'])}")
    told = describe(before, after)
    new = [f"a new {each}" for each in secrets_in(document)]
    told = ", ".join(filter(None, (told, *new)))

    def words() -> None:
        call.screen.say(f"{after['name']}: {told or 'nothing changed'}")
        if hint := paused_hint(stands):
            call.screen.say(hint)
        if not after["enabled"]:
            call.screen.say(f"It is disabled; a check that goes well enables it: "
                            f"{run_as()} server check {after['name']}")  # fmt: skip

    call.result(after, "name", words)


# --- questions --------------------------------------------------------------------------------


def _ask_service(call: Call, values: dict[str, Any]) -> bool:
    """Which service it is, where a person can say so; gives whether it is a direct way."""
    from pillarbox.wiring.presets import load_presets

    if not call.screen.may_ask:
        raise WrongUsage("host is missing", fix="add --host HOST, --preset SERVICE or --direct")
    presets = load_presets().by_name
    choices = [*presets, _OTHER, _DIRECT]
    captions = [
        *(preset.caption for preset in presets.values()),
        "Another SMTP server", "Direct to the recipients' servers (needs port 25)",
    ]  # fmt: skip
    call.screen.note("Which service?")
    for number, caption in enumerate(captions, 1):
        call.screen.note(f"  {number:>2}  {caption}")
    chosen = _choice(click.prompt("Number, name or host", default=_OTHER, err=True), choices)
    if chosen == _DIRECT:
        return True
    if chosen not in presets:
        values["host"] = call.ask_text("Host", "--host HOST") if chosen == _OTHER else chosen
        return False
    values["preset"] = chosen
    regions = presets[chosen].regions
    if regions and "region" not in values:
        call.screen.note(f"Regions: {', '.join(regions)}")
        values["region"] = call.ask_text("Region", "--region REGION")
    return False


def _choice(said: str, choices: list[str]) -> str:
    """One of the choices by its number or name, or the host of another server."""
    word = said.strip().lower()
    if word.isdecimal() and 1 <= int(word) <= len(choices):
        return choices[int(word) - 1]
    if word not in choices and "." not in word:
        raise WrongUsage(f"there is no service {clean(said)}", fix=f"one of: {', '.join(choices)}")
    return word


def _preset_of(values: dict[str, Any]) -> Preset | None:
    """What is known of the service that was named, if it is known."""
    from pillarbox.wiring.presets import load_presets

    return load_presets().by_name.get(values["preset"]) if "preset" in values else None


def _explain(call: Call, preset: Preset) -> None:
    """What a person should know before they type a login."""
    call.screen.note(f"{preset.caption}. User name: {preset.username}.")
    call.screen.note(f"Password: {preset.password}.")
    if preset.oauth:
        call.screen.note(f"For a login with OAuth: --oauth {preset.oauth} and what belongs to it.")
    for sentence in preset.about:
        call.screen.note(sentence)


def _ask_login(call: Call, values: dict[str, Any], password_file: str | None) -> None:
    """User name and password, as far as they are missing and somebody can be asked."""
    preset = _preset_of(values)
    wanted = preset is not None and password_file is None and "oauth" not in values
    if preset is not None and wanted and call.screen.may_ask:
        _explain(call, preset)
    if "username" not in values and password_file is None and call.screen.may_ask:
        username = click.prompt(
            "Username (empty: none)", default="", show_default=False, err=True
        ).strip()
        if username:
            values["username"] = username
    if values.get("username") and values.get("auth") is not False and "oauth" not in values:
        if preset is not None and wanted and not call.screen.may_ask:
            raise WrongUsage(
                "password is missing",
                detail=f"Password for {preset.caption}: {preset.password}.",
                fix="add --password-file FILE, or --password-file - to read standard input"
                + (f"; or log in with --oauth {preset.oauth}" if preset.oauth else ""),
            )
        secret = call.secret("Password", password_file)
        values["password"] = secret.reveal() if secret else None


def _offer_check(call: Call, made: dict[str, Any]) -> None:
    """Try it without sending anything, where somebody is there to want it."""
    if call.screen.may_ask and click.confirm(
        "Check it now, without sending anything?", default=True, err=True
    ):
        check_now(call, made, mail=False)
    else:
        call.screen.say(f"Check it: {run_as()} server check {made['name']} --no-mail")
