"""a Pillarbox, the server it delivers to, and a recorder that says what a client really sends"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pillarbox.services.submission.authenticate import hash_secret
from pillarbox.storage.open import open_storage
from pillarbox.terms.secret import Secret
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.journal import wall_ms
from tests.doubles.sink import Sink, SinkSettings
from tests.e2e.product import Pillarbox
from tests.e2e.zoo.accounts import assert_arrived, assert_same, below_traces
from tests.e2e.zoo.client import SECURITIES, Client, Door, Security
from tests.e2e.zoo.letters import letter

USERNAME: Final = "shop@example.com"
PASSWORD: Final = "pa ss word"
"""A login as people bring it along: the name an address, the password with blanks."""
UPSTREAM: Final = ("relay@example.com", "up stream")

_ARRIVES_SECONDS: Final = 30.0


@dataclass
class Stage:
    """What clients act on."""

    product: Pillarbox
    upstream: Sink
    recorders: dict[Security, Sink]
    certificate: CertificateFiles
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    """Messages ``recorded``, ``handed_over``, ``arrived_unchanged``, and how much that was."""

    def door(self, security: Security) -> Door:
        """The product's."""
        product = self.product
        return Door(product.port(security), security, product.ca, USERNAME, PASSWORD)

    def recorder(self, security: Security) -> Door:
        """One behind which nothing happens to mail."""
        port = self.recorders[security].port
        return Door(port, security, self.certificate.ca, USERNAME, PASSWORD)

    async def assert_recorded(self, client: Client, kind: str, security: Security) -> None:
        """A client puts on the wire what it says it does, so that it may be compared with that."""
        sent = letter(kind, f"{client.name}.{security.lower()}.recorded")
        said = await client.hand(sent, self.recorder(security))
        taken = await _taken(self.recorders[security], sent.recipients)
        for each in taken:
            content: bytes = each["content"]
            assert_same(below_traces(content, said.traces), said.content, "at the recorder")
        self.counts["recorded"] += 1

    async def assert_delivered(self, client: Client, kind: str, security: Security) -> None:
        """What it hands to the product arrives at the app's server, every octet."""
        sent = letter(kind, f"{client.name}.{security.lower()}.{kind}")
        said = await client.hand(sent, self.door(security))
        self.counts["handed_over"] += 1
        taken = await _taken(self.upstream, sent.recipients)
        for each in taken:
            assert each["return_path"] == sent.return_path, each["return_path"]
            assert each["bare"] == 0
            to = tuple(each["recipients"])
            assert_arrived(each["content"], said, to, utf8=client.asks_utf8(sent))
            self.counts["octets_arrived"] += len(each["content"])
        self.counts["arrived_unchanged"] += 1
        self.counts["recipients_reached"] += len(sent.recipients)


async def _taken(sink: Sink, recipients: Collection[str]) -> list[dict[str, Any]]:
    """The messages for them once all have theirs, each once; the sink forgets them."""

    def mine() -> list[dict[str, Any]]:
        return [fact for fact in sink.taken if not set(recipients).isdisjoint(fact["recipients"])]

    def reached() -> list[str]:
        return [address for fact in mine() for address in fact["recipients"]]

    await sink.until(lambda: len(reached()) >= len(recipients), seconds=_ARRIVES_SECONDS)
    found = mine()
    assert sorted(reached()) == sorted(recipients), "each once, and nobody else"
    sink.facts[:] = [fact for fact in sink.facts if fact not in found]
    return found


@contextlib.asynccontextmanager
async def stage(folder: Path, database: str = "", **settings: str) -> AsyncIterator[Stage]:
    """A product that is live, with a login that somebody chose; `database` as for `Pillarbox`."""
    certificate = issue_certificate(folder / "tls")
    tls = certificate.server_context()
    keeping = SinkSettings(tls=tls, username=UPSTREAM[0], password=UPSTREAM[1], keep_content=True)
    taking = replace(keeping, username=USERNAME, password=PASSWORD)
    async with (
        Sink(keeping) as upstream,
        Sink(taking) as by_starttls,
        Sink(replace(taking, implicit_tls=True)) as by_tls,
        Pillarbox(folder, database=database) as product,
    ):
        await asyncio.to_thread(_furnish, product, upstream.port, certificate.ca)
        await asyncio.to_thread(product.stop)
        await _choose_password(product, database)
        await product.start()
        recorders: dict[Security, Sink] = {"STARTTLS": by_starttls, "TLS": by_tls}
        assert set(recorders) == set(SECURITIES)
        yield Stage(product, upstream, recorders, certificate, folder)


def _furnish(product: Pillarbox, port: int, ca: Path) -> None:
    product.call(
        "server", "add", "upstream", "--host", "localhost", "--port", str(port),
        "--encryption", "starttls", "--ca-file", str(ca),
        "--username", UPSTREAM[0], "--password-file", "-", stdin=UPSTREAM[1] + "\n",
    )  # fmt: skip
    product.call("app", "set", "first-app", "--mode", "live", "--yes")
    product.call("credential", "add", "zoo", "--username", USERNAME)


async def _choose_password(product: Pillarbox, database: str) -> None:
    """As a login that was brought from elsewhere has one: what we generate has no blanks."""
    storage = await open_storage(
        product.data_dir, now_ms=wall_ms(), on_broken=lambda _: None, database=database
    )
    try:
        found = await storage.directory.credential_with_username(USERNAME)
        assert found is not None
        chosen = replace(found, password_hash=hash_secret(Secret(PASSWORD)))
        await storage.directory.save_credential(chosen)
    finally:
        await storage.close()
