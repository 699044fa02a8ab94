"""what tests on the wire share: a certificate authority, and a careless server behind the relay"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest

from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles, issue_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """For localhost and 127.0.0.1, from an authority made for this run."""
    return issue_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(certificate: CertificateFiles) -> ssl.SSLContext:
    return certificate.server_context()


@pytest.fixture
def client_tls(certificate: CertificateFiles) -> ssl.SSLContext:
    return certificate.client_context()


@pytest.fixture
async def naive() -> AsyncIterator[BadServer]:
    """A server that ends content at any lone dot."""
    async with BadServer(naive=True) as server:
        yield server
