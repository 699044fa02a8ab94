"""the options that all verbs have in common"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import click

from pillarbox.cli.group import Option

Function = Callable[..., Any]

WHICH: Final = "Which Pillarbox"
HOW: Final = "Output"
_PLACES: Final = ("server", "key_file", "data_dir", "config_file")


def place_options(function: Function) -> Function:
    """Let a command be told which Pillarbox is meant."""
    return _with(
        function,
        _option(
            "--data-dir",
            section=WHICH,
            metavar="DIR",
            help="Its data directory. Default: ./pillarbox-data, or what the settings say.",
        ),
        _option(
            "--config",
            "config_file",
            section=WHICH,
            metavar="FILE",
            envvar="PILLARBOX_CONFIG",
            help="A file of settings, stronger than ./pillarbox.toml.",
        ),
        _option(
            "--server",
            section=WHICH,
            metavar="URL",
            envvar="PILLARBOX_SERVER",
            help="One elsewhere, as in https://mail.example.com; needs a key.",
        ),
        _option(
            "--key-file",
            section=WHICH,
            metavar="FILE",
            envvar="PILLARBOX_KEY_FILE",
            help="The file with the key for --server; - reads it from standard input.",
        ),
    )


def output_options(function: Function) -> Function:
    """Let a command be told how to print."""
    return _with(
        function,
        _option(
            "--json",
            "as_json",
            section=HOW,
            is_flag=True,
            help="One JSON document, with the field names of the HTTP API.",
        ),
        _option("--quiet", "-q", section=HOW, is_flag=True, help="Names or ids, nothing else."),
        _option("--wide", section=HOW, is_flag=True, help="Never cut a table to fit."),
        _option(
            "--no-color", section=HOW, is_flag=True, help="No colours; NO_COLOR=1 says the same."
        ),
    )


def talks(function: Function) -> Function:
    """Make a function a verb's: it has the common options and gets a `Call` as first argument."""
    return output_options(place_options(prints(function)))


def prints(function: Function) -> Function:
    """Give a function its `Call`, made of those common options that its command has."""

    @functools.wraps(function)
    def called(**values: Any) -> Any:
        from pillarbox.cli.call import Call
        from pillarbox.cli.client import Where
        from pillarbox.cli.output import Screen

        above = click.get_current_context().find_root().params
        said = {name: values.pop(name, None) or above.get(name) for name in _PLACES}
        plain = values.pop("no_color", False) or above.get("no_color")
        screen = Screen(colour=False if plain else None, wide=values.pop("wide", False))
        as_json, quiet = values.pop("as_json", False), values.pop("quiet", False)
        return function(Call(Where(**said), screen, as_json, quiet), **values)

    return called


def _option(*names: str, **attributes: Any) -> Callable[[Function], Function]:
    return click.option(*names, cls=Option, **attributes)


def _with(function: Function, *options: Callable[[Function], Function]) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
