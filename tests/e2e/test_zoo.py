"""every mail client anybody has at hand gets its mail through, and every octet of it arrives

A part of what ``./do prove clients`` does in full. With ``--engine postgres`` all of it on
PostgreSQL; the client for asyncio always on both engines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.doubles.certificates import issue_certificate
from tests.e2e.zoo.client import SECURITIES
from tests.e2e.zoo.letters import KINDS, letter
from tests.e2e.zoo.matrix import REFUSING, SMALL, Kind, all_of, dots_of, hand_over
from tests.e2e.zoo.python import Aiosmtplib
from tests.e2e.zoo.stage import Stage
from tests.e2e.zoo.stage import stage as staged

pytestmark = pytest.mark.slow
in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]
) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("zoo"), new_database()) as found:
        yield found


def each(kinds: tuple[Kind, ...], *, on_both_engines: tuple[Kind, ...] = ()) -> list[object]:
    found = []
    for kind in kinds:
        marks = [pytest.mark.needs(*kind.needs)]
        if kind in on_both_engines:
            marks.append(pytest.mark.both_engines)
        found.append(pytest.param(kind, id=kind.name, marks=marks))
    return found


@in_one_loop
@pytest.mark.parametrize("kind", each(tuple(SMALL), on_both_engines=(Aiosmtplib,)))
async def test_mail_of_every_client_arrives_octet_for_octet(
    stage: Stage, kind: Kind, tmp_path: Path
) -> None:
    client, cells = kind(tmp_path), SMALL[kind]
    async with client.running:
        wrong = await hand_over(stage, client, cells, recorded=dots_of(cells))
    assert not wrong, "\n".join(wrong)


@in_one_loop
@pytest.mark.parametrize("kind", each(REFUSING))
async def test_every_client_refuses_us_without_our_authority(
    stage: Stage, kind: Kind, tmp_path: Path
) -> None:
    """So that the checks above are seen to check something; and nobody logs in before he has."""
    stranger = issue_certificate(tmp_path / "tls").ca
    client = kind(tmp_path)
    before = stage.product.text().count('"word": "login"')
    for security in kind.securities:
        sent = letter("plain", f"refused.{kind.name}.{security.lower()}")
        with pytest.raises(Exception, match="(?i)certificate"):
            await client.hand(sent, replace(stage.door(security), ca=stranger))
    assert stage.product.text().count('"word": "login"') == before


def test_every_letter_goes_in_by_every_way_and_every_client_sends_text_and_dots() -> None:
    small = {(kind.name, *cell) for kind, cells in SMALL.items() for cell in cells}
    full = {(kind.name, *cell) for kind in SMALL for cell in all_of(kind)}
    assert small <= full
    assert {cell[1:] for cell in small} >= {
        (kind, security) for kind in KINDS for security in SECURITIES
    }
    for kind in SMALL:
        assert {letter for letter, _ in SMALL[kind]} >= {"plain", "dots"}
