"""credential show --for: how a program is connected, ready to paste"""

from __future__ import annotations

import os
import plistlib
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.client import segment
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Option
from pillarbox.cli.output import Column, clean, run_as
from pillarbox.terms.secret import Secret

CONNECT: Final = "Connecting a program"
ALL: Final = "list"
_WIDTH: Final = 90
_STANDARD_OUTPUT: Final = "-"


def connecting_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What can be said about connecting a program."""
    for option in reversed(
        (
            _option(
                "--for",
                "what",
                metavar="WHAT",
                help=f"How to connect a program: thunderbird, postfix, django...; {ALL} names all.",
            ),
            _option(
                "--via",
                type=click.Choice(["tls", "starttls"]),
                metavar="WAY",
                help="tls (from the first byte) or starttls. Default: what suits the program.",
            ),
            _option(
                "--profile",
                metavar="FILE",
                help="Write a mail account for Apple's devices; - for standard output.",
            ),
            _option(
                "--incoming",
                metavar="URL",
                help="For --profile: where mail is read, as in imaps://mail.example.com.",
            ),
            _option("--address", metavar="ADDRESS", help="For --profile: the address it is for."),
            _option(
                "--password-file",
                metavar="FILE",
                help="Fill in the password from a file; - reads standard input.",
            ),
        )
    ):
        function = option(function)
    return function


def show_connection(
    call: Call, name: str, *, what: str | None, profile: str | None, **how: Any
) -> bool:
    """Print what was asked for about connecting; False where nothing of it was.

    `how` is what `connecting_options` adds besides.
    """
    given = [option for option, value in how.items() if value is not None]
    if what is not None and profile is not None:
        raise WrongUsage("--for and --profile are two things", fix="ask for one after the other")
    for option in ("incoming", "address"):
        if profile is None and option in given:
            raise WrongUsage(f"--{option} says something about a profile", fix="add --profile FILE")
    if profile is not None:
        _write_profile(call, name, profile, **how)
    elif what == ALL:
        _print_list(call, name)
    elif what is not None:
        _print_recipe(call, name, what, how["via"], how["password_file"])
    elif given:
        raise WrongUsage(
            f"--{given[0].replace('_', '-')} says something about connecting a program",
            fix="add --for WHAT, or --profile FILE",
        )
    return what is not None or profile is not None


def pointer_to_recipes(name: str) -> str:
    """The line that leads from a new login to how it is used."""
    return (
        f"Connect a program: {run_as()} credential show {name} --for WHAT   ({ALL} names them all)"
    )


def _print_list(call: Call, name: str) -> None:
    with call.client() as client:
        found = client.get(f"/credentials/{segment(name)}/connect")

    def words() -> None:
        rows = [[each["name"], each["caption"]] for each in found["items"]]
        call.screen.table([Column("for", fixed=True), Column("what it is")], rows)

    call.result(found, "name", words)


def _print_recipe(
    call: Call, name: str, what: str, via: str | None, password_file: str | None
) -> None:
    password = call.secret("Password", password_file) if password_file else None
    with call.client() as client:
        found = client.get(f"/credentials/{segment(name)}/connect", **{"for": what, "via": via})
    if password is not None:
        found = _with_password(found, password)
    if call.as_json:
        call.screen.document(found)
    elif call.quiet:
        _say_texts(call, found)
    else:
        _say_all(call, found, needs_password=password is None)


def _with_password(found: Mapping[str, Any], password: Secret) -> dict[str, Any]:
    """The recipe anew, here: a password is sent nowhere, and must be written as each format asks."""
    from pillarbox.api.v1.connecting import recipe_view
    from pillarbox.policy.connecting import LoginFacts, Security
    from pillarbox.policy.recipe import fill
    from pillarbox.wiring.recipes import load_recipes

    values = dict(found["values"])
    values |= {"security": Security(values["security"]), "password": password.reveal()}
    facts = LoginFacts(**values)
    return recipe_view(fill(load_recipes().recipe(found["for"]), facts), facts)


def _say_texts(call: Call, found: Mapping[str, Any]) -> None:
    """For a script: nothing but what is pasted, or entered where nothing is."""
    for each in found["files"]:
        _say_text(call, each["text"])
    for each in () if found["files"] else found["form"]:
        call.screen.say(clean(f"{each['label']}: {each['value']}"))


def _say_all(call: Call, found: Mapping[str, Any], *, needs_password: bool) -> None:
    screen = call.screen
    screen.say(screen.paint(clean(found["caption"]), "bold"))
    _say_prose(call, found["about"])
    if found["form"]:
        screen.say()
        screen.fields([(clean(each["label"]), each["value"]) for each in found["form"]])
    for each in found["files"]:
        about = f"   ({clean(each['about'])})" if each["about"] else ""
        screen.say()
        screen.say(screen.paint(f"--- {clean(each['name'])}{about}", "grey"))
        _say_text(call, each["text"])
    if found["steps"]:
        screen.say()
        for number, step in enumerate(found["steps"], 1):
            _say_prose(call, step, first=f"{number:>3}. ", rest="     ")
    if found["test"]:
        screen.say()
        screen.say(screen.paint(f"--- test: {clean(found['test']['name'])}", "grey"))
        _say_text(call, found["test"]["text"])
    screen.say()
    _say_prose(call, f"When it works: {found['seen']}")
    screen.say()
    screen.say("When it says:")
    for each in found["failures"]:
        screen.say(f"  {screen.paint(clean(each['said']), 'red')}")
        _say_prose(call, f"{each['means']} {each['do']}", first="    ", rest="    ")
    if needs_password:
        name, stands = found["values"]["credential"], found["values"]["password"]
        screen.say()
        _say_prose(
            call,
            f"{stands} stands for the password, of which only a hash is kept; --password-file "
            f"fills it in. A new one: `pillarbox credential rotate {name}`",
        )


def _say_text(call: Call, text: str) -> None:
    """What is copied must keep its tabs; anything else that steers a terminal goes."""
    for line in text.split("\n"):
        call.screen.say("\t".join(clean(part) for part in line.split("\t")))


def _say_prose(call: Call, text: str, *, first: str = "", rest: str = "") -> None:
    """Wrapped at blanks only, so that commands and addresses stay whole."""
    # Backticks mark what is typed; a terminal shows it as it is, called as it is here.
    shown = clean(text).replace("`pillarbox ", f"`{run_as()} ").replace("`", "")
    if shown:
        call.screen.say(
            textwrap.fill(
                shown,
                _WIDTH,
                initial_indent=first,
                subsequent_indent=rest,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def _write_profile(
    call: Call,
    name: str,
    file: str,
    *,
    via: str | None,
    incoming: str | None,
    address: str | None,
    password_file: str | None,
) -> None:
    password = call.secret("Password", password_file) if password_file else None
    asked = {"via": via, "incoming": incoming, "address": address}
    with call.client() as client:
        profile = client.raw(f"/credentials/{segment(name)}/profile", **asked)
    if password is not None:
        # Put in here: a password is sent nowhere.
        document = plistlib.loads(profile)
        document["PayloadContent"][0]["OutgoingPassword"] = password.reveal()
        profile = plistlib.dumps(document)
    if file == _STANDARD_OUTPUT:
        sys.stdout.buffer.write(profile)
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    try:
        path.unlink(missing_ok=True)
        # Exclusive, so that a link somebody put there meanwhile is not followed.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(profile)
    except OSError as wrong:
        raise WrongUsage(f"cannot write {file}", detail=str(wrong)) from wrong
    call.talk(f"Wrote {clean(path)}. Send it to the device and open it there; it is not signed.")


def _option(*names: str, **attributes: Any) -> Callable[..., Any]:
    return click.option(*names, cls=Option, section=CONNECT, **attributes)
