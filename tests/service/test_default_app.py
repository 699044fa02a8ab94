"""the app that MAIL_ variables describe: made once, compared afterwards, never with its password told"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.observe.news import EventLine, News
from pillarbox.policy.directory import App, Mode
from pillarbox.policy.server import Encryption
from pillarbox.settings import mail_variables
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from pillarbox.wiring.default_app import take_variables
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import issue_certificate
from tests.e2e.product import Pillarbox
from tests.fix_house import Running

SAID = {
    "MAIL_MAILER": "smtp",
    "MAIL_HOST": "smtp.example.com",
    "MAIL_USERNAME": "user",
    "MAIL_PASSWORD": "s3cret",
    "MAIL_FROM_ADDRESS": "shop@example.com",
}


async def take(running: Running, **changed: str) -> list[EventLine]:
    """A start with these variables; what is told."""
    lines: list[EventLine] = []
    news = News()
    news.listen(lines.append)
    await take_variables({**SAID, **changed}, running.house.storage.directory, news, 1000)
    assert "s3cret" not in repr(lines)
    return lines


async def test_the_app_and_its_server_are_made_once_in_the_sandbox(running: Running):
    directory = running.house.storage.directory
    (line,) = await take(running)
    assert "smtp.example.com:587" in line.text
    app = await directory.app_named("email")
    assert (app.mode, app.active, app.from_address) == (Mode.SANDBOX, True, "shop@example.com")
    (server,) = await directory.servers(app.id)
    assert (server.host, server.port, server.encryption) == (
        "smtp.example.com", 587, Encryption.STARTTLS,
    )  # fmt: skip
    assert (server.username, server.password) == ("user", Secret("s3cret"))
    assert await take(running) == []
    assert len(await directory.servers(app.id)) == 1


async def test_afterwards_what_is_stored_holds_and_a_difference_is_a_warning(running: Running):
    directory = running.house.storage.directory
    await take(running)
    (line,) = await take(running, MAIL_PASSWORD="s3cret2", MAIL_HOST="other.example.com")
    assert line.word == "warning"
    assert line.text.startswith("MAIL_HOST, MAIL_PASSWORD differ from what is stored")
    app = await directory.app_named("email")
    (server,) = await directory.servers(app.id)
    assert (server.host, server.password) == ("smtp.example.com", Secret("s3cret"))


async def test_an_app_of_that_name_that_was_there_before_is_left_alone(running: Running):
    directory = running.house.storage.directory
    await directory.save_app(replace(running.app, name="email"))
    (line,) = await take(running)
    assert "MAIL_HOST differs" in line.text
    assert await directory.servers(running.app.id) == []


async def test_one_half_made_is_taken_up_again(running: Running):
    directory = running.house.storage.directory
    await directory.save_app(
        App(new_object_id(), running.account.id, "email",
            description="Being made from MAIL_ variables", active=False)
    )  # fmt: skip
    await take(running)
    app = await directory.app_named("email")
    assert app.active
    assert len(await directory.servers(app.id)) == 1


async def test_what_cannot_be_used_is_a_warning_and_makes_nothing(running: Running):
    (line,) = await take(running, MAIL_PORT="none")
    assert line.word == "warning" and "MAIL_PORT" in line.text
    assert [app.name for app in await running.house.storage.directory.apps()] == ["first-app"]


@pytest.mark.parametrize("said", [{}, {"MAIL_MAILER": "log"}])
async def test_who_does_not_send_by_smtp_gets_no_app(running: Running, said: dict[str, str]):
    news = News()
    await take_variables(said, running.house.storage.directory, news, 1000)
    assert [app.name for app in await running.house.storage.directory.apps()] == ["first-app"]


def test_the_environment_goes_before_the_file_of_the_data_directory(tmp_path: Path):
    assert mail_variables({"MAIL_HOST": "a", "PATH": "/"}, tmp_path / "missing") == {
        "MAIL_HOST": "a"
    }
    (tmp_path / ".env").write_text("MAIL_HOST=b\nMAIL_PORT=25\nAPP_KEY=x\n")
    assert mail_variables({"MAIL_HOST": "a"}, tmp_path) == {"MAIL_HOST": "a", "MAIL_PORT": "25"}
    (tmp_path / ".env").write_bytes(b"MAIL_HOST=b\xff\n" + b"x" * 100_000)
    assert "MAIL_HOST" in mail_variables({}, tmp_path)


def send(product: Pillarbox, text: str) -> None:
    """One mail through the service ``email``."""
    document = {"to": [{"email": "john@example.org"}], "subject": "Hello", "body_text": text}
    request = urllib.request.Request(
        f"{product.url}/api/v2/email",
        json.dumps(document).encode(),
        {"content-type": "application/json", "x-dreamfactory-api-key": product.first.key},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


@pytest.mark.slow
async def test_d85_the_variables_in_a_file_make_a_service_that_sends_through_their_server(
    tmp_path: Path,
):
    certificate = issue_certificate(tmp_path / "tls")
    tls = certificate.server_context()
    async with BadServer(tls=tls, credentials={"relay": "s3cret"}, require_auth=True) as server:
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        (data / ".env").write_text(
            f"MAIL_DRIVER=smtp\nMAIL_HOST=localhost\nMAIL_PORT={server.port}\n"
            "MAIL_USERNAME=relay\nMAIL_PASSWORD=s3cret\nMAIL_ENCRYPTION=tls\n"
            'MAIL_FROM_ADDRESS=shop@example.com\nMAIL_FROM_NAME="The Shop"\n'
        )
        product = Pillarbox(tmp_path)
        product.env["SSL_CERT_FILE"] = str(certificate.ca)
        async with product:
            product.call("app", "set", "email", "--mode", "live", "--yes")
            await asyncio.to_thread(send, product, "Good morning.")
            await server.until(lambda: bool(server.messages))
            await product.restart({"MAIL_PORT": "1"})
            await product.until(lambda: "MAIL_PORT differs" in product.text())
            await asyncio.to_thread(send, product, "Good evening.")
            await server.until(lambda: len(server.messages) == 2)
        text = product.text()
    first = server.messages[0]
    assert first.username == "relay" and first.tls
    assert first.return_path == "shop@example.com"
    assert b"The Shop" in first.content and b"Good morning." in first.content
    assert "s3cret" not in text
