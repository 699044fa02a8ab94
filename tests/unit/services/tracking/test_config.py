from __future__ import annotations

import pytest

from pillarbox.services.tracking.config import TrackingHostConfig, read_place
from pillarbox.terms.setting import InvalidSetting


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8481", ("127.0.0.1", 8481)),
        ("[::1]:443", ("::1", 443)),
        ("*:443", ("*", 443)),
        ("clicks.example.com:80", ("clicks.example.com", 80)),
        (" 0.0.0.0:0 ", ("0.0.0.0", 0)),
    ],
)
def test_a_place_is_an_address_with_a_port(text: str, place: tuple[str, int]) -> None:
    assert read_place(text) == place


@pytest.mark.parametrize(
    "text", ["", "443", "127.0.0.1", ":443", "::1:443", "http://x:80", "a:99999", "a:b", "a b:80"]
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"127\.0\.0\.1:8481"):
        read_place(text)
    with pytest.raises(InvalidSetting, match="listen_tls"):
        TrackingHostConfig(listen_tls=(text,))


@pytest.mark.parametrize("name", ["proxies", "fetch_networks"])
def test_networks_are_checked(name: str) -> None:
    assert getattr(TrackingHostConfig(**{name: ("10.0.0.0/8", "::1")}), name)
    with pytest.raises(InvalidSetting, match=name):
        TrackingHostConfig(**{name: ("10.0.0.1/8",)})


def test_a_fetch_needs_some_time() -> None:
    with pytest.raises(InvalidSetting, match="fetch_seconds"):
        TrackingHostConfig(fetch_seconds=0)
