"""certificates that the doubles' own tests share"""

from __future__ import annotations

import pytest

from tests.doubles.certificates import CertificateFiles, issue_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """A certificate for localhost and 127.0.0.1, and the authority that issued it."""
    return issue_certificate(tmp_path_factory.mktemp("certificate"))
