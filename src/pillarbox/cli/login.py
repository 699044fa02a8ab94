"""a login as it is shown at the terminal: all that holds for it, and once its password"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pillarbox.cli.call import Call
from pillarbox.cli.connecting import pointer_to_recipes
from pillarbox.cli.moments import at, since
from pillarbox.cli.output import format_bytes
from pillarbox.policy.flags import FLAG_WORDS, Flag

FLAG_COLOURS: Final = {
    FLAG_WORDS[Flag.EXPIRED]: "red",
    FLAG_WORDS[Flag.IN_CLEAR]: "amber",
    FLAG_WORDS[Flag.ROTATION_OPEN]: "amber",
}
_PERIODS: Final = ("minute", "hour", "day")


def flag_words(login: dict[str, Any]) -> str:
    """What is worth a look about it."""
    return ", ".join(FLAG_WORDS[Flag(each)] for each in login["flags"])


def login_fields(login: dict[str, Any]) -> list[tuple[str, object]]:
    """Everything about a login, by its name; what is empty is left out by whoever prints it."""
    limits = [f"{login[f'per_{each}']}/{each}" for each in _PERIODS if login[f"per_{each}"]]
    most, former = login["max_message_bytes"], login["former"]
    return [
        ("Username", login["username"]),
        ("App", login["app"]),
        ("Active", "" if login["active"] else "no"),
        ("Mode", login["mode"] or "as its app"),
        ("Kind", login["kind"]),
        ("Allowed senders", _listed(login["allowed_senders"]) or "any"),
        ("Allowed addresses", _listed(login["allowed_addresses"]) or "any"),
        ("Options", ", ".join(f"{k}={v}" for k, v in login["options"].items())),
        ("Fixed options", _listed(login["fixed_options"])),
        ("Limits", _listed(limits) or "none"),
        ("Over a limit", login["over_limit"] if limits else ""),
        ("Largest message", format_bytes(most) if most else ""),
        ("Bounces go to", login["forward_address"]),
        ("Repeats known by", login["once"]),
        ("When uncertain", login["uncertain"]),
        ("Ends", at(login["expires_at"]) or "never"),
        ("Notes", flag_words(login)),
        ("Last used", login["used_at"] or "never"),
        ("Last login", _use(login["last_use"])),
        ("Former login", _former(former) if former else ""),
        ("Id", login["id"]),
        ("Made", login["created_at"]),
    ]


def print_login(call: Call, made: dict[str, Any], status: dict[str, Any]) -> None:
    """What a program needs to log in, with the password that is shown once."""
    ports = [
        f"{each['host']} port {each['port']} ({each['security']})"
        for each in status.get("listeners", ())
    ]
    call.screen.fields(
        [
            ("SMTP", ", ".join(ports)),
            ("Username", made["username"]),
            ("Password", made["password"]),
            ("CA", status.get("ca_path")),
        ]
    )
    call.screen.say("The password is shown once; only its hash is kept.")
    call.screen.say(pointer_to_recipes(made["name"]))


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def _use(use: dict[str, Any] | None) -> str:
    if use is None:
        return ""
    hello = f" as {use['hello']}" if use["hello"] else ""
    return f"{since(use['at'])} from {use['address']}{hello}, {use['tls'] or 'in clear'}"


def _former(former: dict[str, Any]) -> str:
    used = _use(former["last_use"]) or "not used since it was rotated"
    return f"{former['username']}, works until {at(former['until'])}; {used}"
