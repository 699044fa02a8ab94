from __future__ import annotations

import pytest

from pillarbox.net.acme import AcmeConfig, certifiable
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import InvalidSetting


def test_a_host_name_is_taken_in_the_spelling_of_the_dns() -> None:
    assert certifiable(" Track.Example.COM. ") == "track.example.com"
    assert certifiable("spur.bücher.example") == "spur.xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("*.example.com", "many names"),
        ("localhost", "no domain"),
        ("192.0.2.7", "host name"),
        ("a b.example", "host name"),
        ("", "host name"),
        ("x" * 300 + ".example", "host name"),
    ],
)
def test_what_port_80_cannot_prove_is_refused_with_the_reason(host: str, why: str) -> None:
    with pytest.raises(InvalidSetting, match=why):
        certifiable(host)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"directory": "http://acme.example/dir"}, "https"),
        ({"hosts": ("track.example.com",)}, "agree_terms"),
        ({"hosts": ("localhost",), "agree_terms": True}, "no domain"),
        ({"binding_id": "kid"}, "come together"),
        ({"binding_key": Secret("c2VjcmV0")}, "come together"),
    ],
)
def test_settings_that_could_not_work_are_refused(values: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidSetting, match=why):
        AcmeConfig(**values)  # type: ignore[arg-type]
