"""whatever speaks SMTP or HTTP hands its mail over, and the app's own server gets it unchanged

With ``--engine postgres`` all of it on PostgreSQL; some of it always on both engines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.e2e.hands import (
    SMTP_HANDS,
    USERNAME,
    Hand,
    Scene,
    office,
    over_http,
    pillarbox_send,
)
from tests.e2e.letters import AUTHOR, BODY, body_of
from tests.e2e.product import Pillarbox

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.postfix,
    pytest.mark.root,
    pytest.mark.needs("saslpasswd2", "swaks", "curl"),
    pytest.mark.slow,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]
) -> AsyncIterator[Scene]:
    home = tmp_path_factory.mktemp("clients")
    async with office(home) as place, Pillarbox(home, database=new_database()) as product:
        await asyncio.to_thread(place.connect, product)
        yield Scene(product, place, home)


@pytest.mark.parametrize("hand", SMTP_HANDS, ids=lambda hand: hand.__name__)
async def test_mail_of_every_client_arrives_byte_for_byte(scene: Scene, hand: Hand) -> None:
    recipient = f"{hand.__name__}@example.org"  # type: ignore[attr-defined]
    await hand(scene, recipient)
    message = await scene.office.arrived(recipient)
    assert body_of(message.content) == BODY
    assert message.return_path == AUTHOR
    traces = message.content.count(b"\r\nReceived: ") + message.content.startswith(b"Received: ")
    assert traces >= 2, "ours and the office's"


@pytest.mark.both_engines
async def test_mail_handed_over_with_curl_and_a_key_arrives(scene: Scene) -> None:
    await over_http(scene, "http@example.org")


async def test_a_client_that_checks_certificates_refuses_ours_without_our_authority(
    scene: Scene,
) -> None:
    """So that the checks above are seen to check something."""
    certificate = str(scene.office.certificate.ca)
    with pytest.raises(AssertionError, match="SSL certificate problem"):
        await scene.run(
            "curl", "-sS", "--ssl-reqd", "--cacert", certificate,
            "--url", f"smtp://localhost:{scene.product.port('STARTTLS')}",
        )  # fmt: skip


@pytest.mark.both_engines
async def test_the_app_s_server_saw_our_login_and_tls(scene: Scene) -> None:
    await pillarbox_send(scene, "last@example.org")
    await scene.office.arrived("last@example.org")
    log = (scene.office.postfix.home / "log").read_text()
    assert f"sasl_username={USERNAME}" in log
    assert "TLS connection established from" in log
