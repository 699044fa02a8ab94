"""odd and broken messages pass through a whole house as they came"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.policy.directory import Mode
from tests.doubles.bad_server import BadServer
from tests.doubles.odd_messages import HEAD, odd_messages
from tests.fix_house import Houses

ALL_ON = {
    "inlinecss": "true", "trackclicks": "true", "preventscam": "true", "images": "hosted",
}  # fmt: skip
TIDIED = ("header no colon", "no body", "no blank line")
"""The door ends a header section where its sender did not."""


@pytest.mark.parametrize("options", [{}, ALL_ON], ids=["nothing", "everything"])
async def test_odd_messages_leave_as_they_came(houses: Houses, options: dict[str, str]) -> None:
    odd = [
        content if content.endswith(b"\r\n") else content + b"\r\n"
        for name, content in odd_messages().items()
        if content.startswith(HEAD) and name not in TIDIED
    ]
    async with BadServer() as sink:
        tracking = TrackingConfig(host="clicks.test")
        house = await houses.start(Mode.LIVE, tracking=tracking)
        house.app = replace(house.app, options=options)
        await house.house.storage.directory.save_app(house.app)
        await house.add_server("sink", sink.port)
        receipts = await asyncio.gather(*(house.submit(content=content) for content in odd))
        for receipt in receipts:
            await house.until(receipt.message)
        assert len(receipts) == len(odd) >= 150
        wanted = {
            receipt.id_text.encode(): content
            for receipt, content in zip(receipts, odd, strict=True)
        }
        assert len(sink.delivered) == len(odd)
        for record in sink.delivered:
            (message,) = [each for each in wanted if each in record.content]
            assert record.content[record.content.index(HEAD) :] == wanted[message]
