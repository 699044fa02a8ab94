"""the contract about sending domains: who may write in whose name, as clients are told"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Account, Mode
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.terms.ids import new_object_id
from tests.e2e.clerk import API, ask, nothing_taken, queued_as
from tests.e2e.porch import BOTH, codes, hand_in, logged_in
from tests.fix_house import Houses, Running


def letter(author: str) -> bytes:
    return f"From: {author}\r\nSubject: hello\r\n\r\nGood morning.\r\n".encode()


@pytest.fixture
async def house(houses: Houses) -> Running:
    """Its account has proved example.com, and enforces that; another has proved example.net."""
    running = await houses.start(Mode.SANDBOX, smtp=BOTH)
    storage = running.house.storage
    (account,) = await storage.directory.accounts()
    other = Account(new_object_id(), "other")
    await storage.directory.save_account(other)
    for owner, name in ((account, "example.com"), (other, "example.net")):
        await storage.domains.save_domain(
            SendingDomain(new_object_id(), owner.id, name, "c", proved_at=1)
        )
    await enforce(running, wanted=True)
    return running


async def enforce(running: Running, *, wanted: bool) -> None:
    directory = running.house.storage.directory
    (app,) = await directory.apps()
    account = await directory.account(app.account)
    await directory.save_account(replace(account, enforces_domains=wanted))


async def told(house: Running, author: str) -> bytes:
    """What is said behind the content."""
    async with logged_in(house, PortKind.TLS) as client:
        return await hand_in(client, letter(author))


@pytest.mark.parametrize(
    ("author", "named"),
    [
        ("Ann <ann@example.org>", b"example.org in the From field"),
        ("ann@EXAMPLE.org", b"example.org in the From field"),
        ("ann@example.com.evil.example", b"example.com.evil.example in the From field"),
        ("ann@example.com, eve@example.org", b"example.org in the From field"),
        ("eve@example.net", b"example.net in the From field"),
    ],
)
async def test_a87_an_author_at_no_sending_domain_is_refused_in_a_sentence_that_names_it(
    house: Running, author: str, named: bytes
) -> None:
    said = await told(house, author)
    assert said.startswith(b"550") and named in said and b"sending domain" in said
    document = {
        "to": [{"email": "bob@example.org"}],
        "subject": "x",
        "body_text": "x",
        "from_email": "ann@example.org",
    }
    assert house.first is not None
    key = {"x-dreamfactory-api-key": house.first.key.reveal()}
    (app,) = await house.house.storage.directory.apps()
    answer = await ask(house, "POST", f"/api/v2/{app.name}", document, **key)
    assert answer.status == 403 and b"example.org in the From field" in answer.body
    assert await nothing_taken(house)


@pytest.mark.parametrize("author", ["ann@example.com", "Ann <ann@news.Example.COM>"])
async def test_a87_authors_at_sending_domains_and_below_are_taken(
    house: Running, author: str
) -> None:
    assert queued_as(await told(house, author))


async def test_where_it_is_not_enforced_only_what_another_account_has_proved_is_refused(
    house: Running,
) -> None:
    await enforce(house, wanted=False)
    assert queued_as(await told(house, "ann@example.org"))
    said = await told(house, "eve@news.example.net")
    assert said.startswith(b"550") and b"news.example.net" in said and b"another account" in said


async def test_enforcement_is_switched_over_the_api_and_holds_for_the_next_message(
    houses: Houses,
) -> None:
    running = await houses.start(Mode.SANDBOX, smtp=BOTH)
    async with logged_in(running, PortKind.TLS) as client:
        for wanted, code in ((False, 250), (True, 550), (False, 250)):
            answer = await ask(
                running, "PATCH", f"{API}/accounts/default", {"enforces_domains": wanted}
            )
            assert answer.status == 200 and answer.json()["enforces_domains"] is wanted
            said = await hand_in(client, letter("ann@example.org"))
            assert codes(said) == [code]
