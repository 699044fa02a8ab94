"""a client that was cut off by a kill hands everything in again, and nobody gets it twice"""

from __future__ import annotations

import asyncio
import json
import smtplib
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.doubles.process import crash_at
from tests.e2e.product import Pillarbox

pytestmark = pytest.mark.slow

LETTER = b"From: ann@example.com\r\nSubject: hello\r\nMessage-ID: <order-1@shop.example>\r\n\r\nhello\r\n"
EVERYBODY = [f"bob-{n}@example.org" for n in range(150)]
THIRDS = [EVERYBODY[:50], EVERYBODY[50:100], EVERYBODY[100:]]


def hand_in(product: Pillarbox, password: str, transactions: Sequence[Sequence[str]]) -> int:
    """One message in several transactions, as an MTA does; how many were taken."""
    taken = 0
    context = ssl.create_default_context(cafile=str(product.ca))
    try:
        with smtplib.SMTP_SSL(
            "localhost", product.port("TLS"), timeout=15, context=context
        ) as client:
            client.login("mta", password)
            for recipients in transactions:
                client.sendmail("ann@example.com", recipients, LETTER)
                taken += 1
    except (OSError, smtplib.SMTPException):
        pass  # cut off; the number tells
    return taken


@pytest.mark.both_engines
@pytest.mark.parametrize("point", ["accept-before-commit", "accept-after-commit"])
async def test_what_was_cut_off_by_a_kill_and_comes_again_is_taken_once(
    tmp_path: Path, new_database: Callable[[], str], point: str
) -> None:
    async with Pillarbox(tmp_path, database=new_database()) as product:
        said = await asyncio.to_thread(
            product.call, "credential", "add", "mta", "--once", "message-id", "--json"
        )
        password = json.loads(said)["password"]
        await product.restart(crash_at(point, 2))
        taken = await asyncio.to_thread(hand_in, product, password, THIRDS)
        assert taken == 1, "the second was cut off"
        assert await product.dead() == -9
        await product.start()
        for _ in range(2):
            assert await asyncio.to_thread(hand_in, product, password, THIRDS) == 3
        listed = json.loads(await asyncio.to_thread(product.call, "message", "list", "--json"))
        recipients = []
        for each in listed["items"]:
            shown = await asyncio.to_thread(product.call, "message", "show", each["id"], "--json")
            recipients += [one["recipient"] for one in json.loads(shown)["deliveries"]]
        assert sorted(recipients) == sorted(EVERYBODY)
