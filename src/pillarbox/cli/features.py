"""features: mail options as they are said at the terminal, a flag for each"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.group import Option
from pillarbox.cli.output import clean
from pillarbox.message.options import OPTIONS, Kind
from pillarbox.message.options import Option as Feature

_SECTION: Final = "Mail options"


def feature_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """A flag for each mail option, and one that sets or takes away any of them."""
    function = click.option(
        "--option",
        "assignments",
        cls=Option,
        section=_SECTION,
        metavar="NAME=VALUE",
        multiple=True,
        help="A mail option, as in trackopens=true; NAME= takes it away. Repeatable.",
    )(function)
    for feature in reversed(OPTIONS.values()):
        function = _flag(feature)(function)
    return function


def take_features(values: dict[str, Any]) -> dict[str, Any]:
    """Turn what was said about mail options among `values` into changes to their table, None for
    one that is taken away. Raises `WrongUsage`.
    """
    changes: dict[str, str | None] = {}
    for assignment in values.pop("assignments"):
        name, equals, value = assignment.partition("=")
        if not equals:
            raise WrongUsage(f"--option {clean(assignment)} has no value", fix="write NAME=VALUE")
        changes[name] = value or None
    for name in OPTIONS:
        said = values.pop(name)
        if said is not None:
            changes[name] = str(said).lower() if isinstance(said, bool) else said or None
    if changes:
        values["options"] = changes
    return values


def _flag(feature: Feature) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    name = feature.name
    match feature.kind:
        case Kind.SWITCH:
            return click.option(
                f"--{name}/--no-{name}", name, cls=Option, section=_SECTION, default=None,
                help=feature.about,
            )  # fmt: skip
        case Kind.CHOICE:
            return click.option(
                f"--{name}", name, cls=Option, section=_SECTION, metavar="WHAT",
                type=click.Choice(feature.choices),
                help=f"{' or '.join(feature.choices)}. {feature.about}",
            )  # fmt: skip
        case Kind.TAGS:
            return click.option(
                f"--{name}", name, cls=Option, section=_SECTION, metavar="WORDS",
                help=feature.about,
            )  # fmt: skip
