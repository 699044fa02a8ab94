from __future__ import annotations

import pytest

from pillarbox.net.progress import ShownCertificate, shown_certificate


@pytest.mark.parametrize(
    ("name", "host", "fits"),
    [
        ("smtp.example.com", "SMTP.example.com", True),
        ("smtp.example.com", "smtp.example.com.", True),
        ("*.example.com", "smtp.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.smtp.example.com", False),
        ("smtp.example.com", "mail.example.com", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("*", "localhost", False),
    ],
)
def test_a_certificate_is_for_the_names_it_bears(name: str, host: str, fits: bool) -> None:
    assert ShownCertificate(0, (name,)).is_for(host) is fits


def test_without_tls_nothing_is_shown() -> None:
    assert shown_certificate(None) is None
