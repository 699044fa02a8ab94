"""a database is shown without its password, and what cannot be taken apart is not shown at all"""

from __future__ import annotations

import pytest

from pillarbox.storage.interface.errors import BadStoreUrl
from pillarbox.storage.interface.store_url import parse_store_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://ann:pw@db.example.com:5433/mail",
            "postgresql://ann@db.example.com:5433/mail",
        ),
        ("postgresql://ann@db/mail", "postgresql://ann@db/mail"),
        ("postgres://:pw@db/mail", "postgresql://db/mail"),
        ("postgresql://ann:pw@one:1,two:2/mail", "postgresql://ann@one:1,two:2/mail"),
        ("postgresql://ann:pw@[::1]:5432/mail", "postgresql://ann@[::1]:5432/mail"),
        ("postgresql://ann:p@w@db/mail", "postgresql://ann@db/mail"),
        (
            "postgresql://ann@/mail?host=/run/pg&password=pw&sslmode=require",
            "postgresql://ann@/mail?host=/run/pg&sslmode=require",
        ),
    ],
)
def test_the_password_of_a_database_is_never_shown(url: str, shown: str) -> None:
    found = parse_store_url(url)
    assert found.shown == shown
    assert found.database.reveal() == url
    assert "pw" not in repr(found)


@pytest.mark.parametrize(
    "rest", ["p/pw@db/mail", "1/pw@db/mail", "1#pw@db/mail", "1?pw@db", "pw/mail"]
)
def test_what_might_be_a_piece_of_a_password_is_refused_and_not_repeated(rest: str) -> None:
    with pytest.raises(BadStoreUrl) as refused:
        parse_store_url(f"postgresql://ann:{rest}")
    assert "pw" not in str(refused.value)
    assert "%40" in refused.value.fix
