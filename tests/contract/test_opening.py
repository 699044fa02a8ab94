"""a database that cannot be opened: what it is, why, and what to do, and never its password"""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from pillarbox.storage import postgres_opening
from pillarbox.storage.interface.errors import BadStoreUrl, StorageTrouble
from pillarbox.storage.open import open_storage
from tests.contract.post import NOW
from tests.doubles.ports import free_port
from tests.doubles.postgres import PostgresServer

pytestmark = pytest.mark.needs("postgres")


async def refused(url: str, folder: Path) -> StorageTrouble:
    with pytest.raises(StorageTrouble) as found:
        await open_storage(folder, now_ms=NOW, on_broken=lambda _: None, database=url)
    error = found.value
    assert "geheim" not in f"{error.sentence} {error.detail} {error.fix}"
    assert error.fix
    return error


async def test_where_nobody_answers_the_place_is_named(tmp_path: Path) -> None:
    port = free_port()
    error = await refused(f"postgresql://ann:geheim@127.0.0.1:{port}/mail", tmp_path)
    assert (
        error.sentence == f"PostgreSQL does not answer at postgresql://ann@127.0.0.1:{port}/mail."
    )
    assert "PILLARBOX_DATABASE_URL" in error.fix


async def test_the_database_is_not_there(postgres: PostgresServer, tmp_path: Path) -> None:
    url = f"postgresql://postgres:geheim@/nowhere?host={postgres.folder}"
    error = await refused(url, tmp_path)
    assert error.sentence.startswith("There is no database at postgresql://postgres@/nowhere")
    assert "createdb" in error.fix


async def test_the_user_is_unknown(postgres: PostgresServer, tmp_path: Path) -> None:
    url = f"postgresql://nobody:geheim@/postgres?host={postgres.folder}"
    error = await refused(url, tmp_path)
    assert error.sentence.startswith("PostgreSQL does not let us in")


async def test_the_user_may_make_no_tables(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    owner = await asyncpg.connect(url)
    await owner.execute("CREATE ROLE guest LOGIN")
    await owner.close()
    error = await refused(url.replace("postgres@", "guest:geheim@"), tmp_path)
    assert error.sentence.startswith("We may not make tables in")


async def test_the_server_is_too_old(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_opening, "OLDEST", 99)
    error = await refused(postgres.database(), tmp_path)
    assert "99 or newer is needed" in error.sentence


async def test_a_url_that_cannot_be_read_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadStoreUrl) as found:
        await open_storage(
            tmp_path, now_ms=NOW, on_broken=lambda _: None, database="postgresql://ann:ge/heim@db/x"
        )
    assert "heim" not in str(found.value)
