"""a pinned server that shows another key is at fault itself: the mail takes the next one"""

from __future__ import annotations

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.server import Encryption
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.fix_house import Houses


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return issue_certificate(tmp_path_factory.mktemp("pins"))


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
async def test_mail_goes_on_to_the_next_server_and_the_words_name_the_key_that_was_shown(
    houses: Houses, files: CertificateFiles, implicit: bool
) -> None:
    running = await houses.start()
    async with (
        BadServer(tls=files.server_context(), implicit_tls=implicit) as wrong,
        BadServer() as right,
    ):
        encryption = Encryption.TLS if implicit else Encryption.STARTTLS
        await running.add_server(
            "wrong", wrong.port, encryption=encryption, pin="ab" * 32, priority=0
        )
        receipt = await running.submit()
        (row,) = await running.until(receipt.message, lambda rows: rows[0].attempts > 0)
        history = await running.house.storage.events.history(row.last_event)
        words = " ".join(getattr(event.data, "words", "") for event in history)
        assert row.state is State.DEFERRED and "another key than the one pinned" in words
        await running.add_server("right", right.port, priority=1)
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER
        assert not wrong.messages and len(right.messages) == 1
