"""recipes followed to the letter by the programs they are for: the mail arrives"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio

from pillarbox.policy.quoting import QUOTES
from tests.components import path_of
from tests.doubles.bad_server import BadServer
from tests.e2e.kitchen import COOKS, HARD_NAME, NEEDS, SENT, Kitchen
from tests.e2e.product import Pillarbox

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CASES = [
    pytest.param(what, via, marks=pytest.mark.needs(*NEEDS[what]), id=f"{what}-{via}")
    for what in sorted(COOKS.keys() - {"go"})
    for via in ("tls", "starttls")
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kitchen() -> AsyncIterator[Kitchen]:
    # Not pytest's own folder: some of the programs work as users of their own, who must walk in.
    with tempfile.TemporaryDirectory(prefix="recipes-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        (home / HARD_NAME).mkdir()
        async with BadServer() as sink, Pillarbox(home / HARD_NAME) as product:
            place = Kitchen(product, sink, home)
            await asyncio.to_thread(place.open)
            yield place


@pytest.mark.parametrize(("what", "via"), CASES)
async def test_a_recipe_followed_to_the_letter_makes_mail_arrive(
    kitchen: Kitchen, what: str, via: str
) -> None:
    await follow(kitchen, what, via)


@pytest.mark.by_design("a compiler only where everything is tried")
@pytest.mark.parametrize("via", ["tls", "starttls"])
async def test_a_recipe_that_is_compiled_makes_mail_arrive(
    kitchen: Kitchen, via: str, size: Literal["small", "full"]
) -> None:
    if size == "small" or path_of("go") is None:
        pytest.skip("takes a compiler, and --size full")
    await follow(kitchen, "go", via)


async def follow(kitchen: Kitchen, what: str, via: str) -> None:
    dish = await asyncio.to_thread(kitchen.take, what, via)
    await COOKS[what](dish)
    message = await kitchen.arrived(dish)
    assert SENT in message.content
    assert message.return_path == dish.address
    assert b"with ESMTPSA id msg_" in message.content, "encrypted, and logged in"


@pytest.mark.needs("msmtp")
async def test_a_password_put_in_by_the_command_line_is_right(kitchen: Kitchen) -> None:
    dish = await asyncio.to_thread(kitchen.take, "msmtp", "tls", "told")
    text = await asyncio.to_thread(
        kitchen.product.call, "credential", "show", "told", "--for", "msmtp", "--via", "tls",
        "--quiet", "--password-file", "-", stdin=dish.password + "\n",
    )  # fmt: skip
    assert text == dish.text_of("~/.msmtprc") + "\n"
    said = await asyncio.to_thread(
        kitchen.product.call, "credential", "show", "told", "--for", "msmtp", "--via", "tls",
        "--json",
    )  # fmt: skip
    assert json.loads(said) == dish.recipe


# --- the languages themselves -------------------------------------------------------------------

HARD = ["it's", 'a"b', "a\\", "\\'", "$x{y}#{z}@w%s", "é€ `id`", "\\n\\x41\\u0041", "'\"\\$`", "#;"]


@pytest.mark.parametrize(
    ("syntax", "command", "program"),
    [
        pytest.param("php", ["php", "-r"], "echo '{}';", marks=pytest.mark.needs("php")),
        pytest.param("ruby", ["ruby", "-e"], "print '{}'", marks=pytest.mark.needs("ruby")),
        pytest.param("perl", ["perl", "-e"], "print '{}'", marks=pytest.mark.needs("perl")),
        pytest.param(
            "javascript", ["node", "-e"], 'process.stdout.write("{}")',
            marks=pytest.mark.needs("node"),
        ),
        pytest.param("python", ["python3", "-c"], 'print("{}", end="")'),
        pytest.param("shell", ["bash", "-c"], "printf %s '{}'"),
    ],
)  # fmt: skip
async def test_a_language_reads_a_value_as_it_was(
    syntax: str, command: list[str], program: str
) -> None:
    """All values in one program, so that an interpreter starts once."""
    separator = program.replace("{}", "|")
    text = ";".join(
        f"{program.replace('{}', QUOTES[syntax](value))};{separator}" for value in HARD
    ).replace(";;", ";")
    done = await asyncio.to_thread(
        subprocess.run, [*command, text], capture_output=True, check=False, timeout=30
    )
    assert done.stdout.decode() == "".join(f"{value}|" for value in HARD), done.stderr.decode()


@pytest.mark.needs("msmtp")
async def test_msmtp_reads_its_file_as_it_was_written(tmp_path: Path) -> None:
    for number, value in enumerate([*HARD, ' a "quoted" one ', '"', '""', "a b"]):
        file = tmp_path / str(number)
        file.write_text(f"account x\nhost h\nuser {QUOTES['msmtp'](value)}\nfrom a@b\n")
        file.chmod(0o600)
        done = await asyncio.to_thread(
            subprocess.run, ["msmtp", "-C", file, "-a", "x", "--pretend", "a@b"],
            capture_output=True, check=True, timeout=30,
        )  # fmt: skip
        assert f"\nuser = {value}\n" in done.stdout.decode()
