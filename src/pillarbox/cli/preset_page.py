"""the page about known services, made from the presets"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from pillarbox.cli.markdown import opening, page, paragraph, table
from pillarbox.policy.presets import Preset, Presets
from pillarbox.wiring.presets import load_presets

_PAGE: Final = "docs/providers.md"


def presets_page(presets: Presets) -> str:
    """Every known service: what to say, which password it wants, what it permits."""
    rows = [
        [
            f"[{each.caption}](#{_anchor(each)})",
            f"`{each.name}`",
            _number(each.max_per_day) or "by account",
            "OAuth, or as below" if each.oauth else "password",
        ]
        for each in presets.by_name.values()
    ]
    lines = [
        *opening("Known services"),
        *paragraph(
            "Services whose servers people send through, and what is known of them: the same that "
            "`pillarbox server presets` lists and `GET /pillarbox/v1/presets` answers. A preset "
            "fills in host, port, encryption and limits; whatever is said beside it is stronger. "
            "[Servers](servers.md) tells how one is set up and checked."
        ),
        "",
        *paragraph(
            "Limits count recipients, the services mostly count messages: with one recipient each "
            "both are the same, and otherwise ours is the stricter one. Services change their "
            "terms; each section says where they are published and when that was last read."
        ),
        "",
        *table(("service", "preset", "recipients a day", "login"), rows),
        "",
    ]
    for preset in presets.by_name.values():
        lines += _section(preset)
    return page(lines)


def _section(preset: Preset) -> Iterator[str]:
    yield f"## {preset.caption}"
    yield ""
    region = f" --region {next(iter(preset.regions))}" if preset.regions else ""
    yield from (
        "```console",
        f"$ pillarbox server add --preset {preset.name}{region} --username NAME",
    )
    yield from ("```", "")
    yield from table(("", ""), _facts(preset))
    yield ""
    for sentence in preset.about:
        yield from (*paragraph(sentence), "")


def _facts(preset: Preset) -> Iterator[list[str]]:
    hosts = [f"`{host}` ({region})" for region, host in preset.regions.items()]
    yield ["host", f"`{preset.host}`" if preset.host else ", ".join(hosts)]
    yield ["port", f"{preset.port}, {preset.encryption}"]
    yield ["user name", preset.username]
    yield ["password", preset.password]
    yield ["permits", preset.limits]
    limits = [
        f"{_number(getattr(preset, f'max_per_{period}'))} a {period}"
        for period in ("second", "minute", "day")
        if getattr(preset, f"max_per_{period}")
    ]
    if limits:
        yield ["limits set", f"{', '.join(limits)} (recipients)"]
    pages = ", ".join(f"[{_site(each)}]({each})" for each in preset.sources)
    yield ["published", f"{pages}, read {preset.checked}"]


def _number(count: float) -> str:
    return f"{count:,g}" if count else ""


def _site(url: str) -> str:
    """Whose page it is: the last two labels of its host."""
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def _anchor(preset: Preset) -> str:
    kept = "".join(c for c in preset.caption.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


PRESET_PAGES: Final[Mapping[str, Callable[[], str]]] = {
    _PAGE: partial(presets_page, load_presets())
}
"""The page, from the root of the repository, and what makes its text."""
