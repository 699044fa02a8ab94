"""makes `tests.doubles` importable however the tests are started, and shared certificates"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402

from tests.doubles.certificates import CertificateFiles, issue_certificate  # noqa: E402


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """A certificate for localhost and 127.0.0.1, and the authority that issued it."""
    return issue_certificate(tmp_path_factory.mktemp("certificate"))
