"""what a preview shows of a message that has left is, octet for octet, what its server was given"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.message.transfer import with_mail_line_ends
from pillarbox.policy.directory import Mode
from pillarbox.policy.dkim_key import DkimKey, KeyState
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.terms.ids import format_message_id, new_object_id
from tests.doubles.bad_server import BadServer
from tests.doubles.script import Script
from tests.fix_api_face import call
from tests.fix_house import Houses

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
EVERYTHING = {
    "inlinecss": "true",
    "trackclicks": "true",
    "trackopens": "true",
    "images": "hosted",
    "unsubscribe": "true",
}


@pytest.fixture
async def sink() -> AsyncIterator[BadServer]:
    async with BadServer(Script()) as server:
        yield server


@pytest.mark.parametrize("sample", ["newsletter", "transactional"])
async def test_a_preview_shows_each_recipient_what_left_for_him(
    houses: Houses, sink: BadServer, sample: str
) -> None:
    running = await houses.start(Mode.LIVE, tracking=TrackingConfig(host="clicks.test"))
    house = running.house
    running.app = replace(running.app, options=EVERYTHING)
    await house.storage.directory.save_app(running.app)
    await running.add_server("sink", sink.port)
    domain = SendingDomain(new_object_id(), running.app.account, "example.com", "c", proved_at=1)
    signer = new_key("example.com", "s1", Algorithm.ED25519)
    key = DkimKey("s1", Algorithm.ED25519, signer.record, KeyState.ACTIVE, created_at=1)
    await house.storage.domains.save_domain(domain)
    await house.storage.domains.add_keys(domain.id, [(key, signer.private_text())])
    content = with_mail_line_ends((SAMPLES / f"{sample}.eml").read_bytes())
    receipt = await running.submit("a@example.net", "b@example.net", content=content)
    await running.until(receipt.message)
    app = house.app(owner=True)
    left = {record.content for record in sink.delivered}
    assert len(left) == 2
    shown = set()
    for recipient in ("a@example.net", "b@example.net"):
        path = f"/pillarbox/v1/messages/{format_message_id(receipt.message)}/preview"
        told = (await call(app, "GET", f"{path}?recipient={recipient}", [b""], {}, None)).json()
        assert told["sent"]["same"], told["sent"]["words"]
        assert told["signed_by"] == ["example.com/s1"]
        wish = (
            f'{{"message": "{format_message_id(receipt.message)}",'
            f' "recipient": "{recipient}", "content": true}}'
        )
        answer = await call(app, "POST", "/pillarbox/v1/preview", [wish.encode()], {}, None)
        shown.add(base64.b64decode(answer.json()["content_base64"]))
    assert shown == left
