"""server passwords in clear: for whom, and over which lines"""

from __future__ import annotations

import pytest

from pillarbox.policy.disclosure import MASK, Channel, in_clear, is_mask


@pytest.mark.parametrize(
    ("channel", "private"),
    [
        (Channel("http", ""), True),
        (Channel("http", "127.0.0.1"), True),
        (Channel("http", "127.8.9.1"), True),
        (Channel("http", "::1"), True),
        (Channel("http", "::ffff:127.0.0.1"), True),
        (Channel("https", "192.0.2.7"), True),
        (Channel("HTTPS", "192.0.2.7"), True),
        (Channel("http", "192.0.2.7"), False),
        (Channel("http", "10.0.0.7"), False),
        (Channel("http", "::ffff:192.0.2.7"), False),
        (Channel("http", "fe80::1%eth0"), False),
        (Channel("http", "localhost"), False),
        # a proxy on this machine
        (Channel("http", "127.0.0.1", True, "https"), True),
        (Channel("http", "127.0.0.1", True, "HTTPS"), True),
        (Channel("http", "127.0.0.1", True, "http"), False),
        (Channel("http", "127.0.0.1", True, ""), False),
        # somebody elsewhere who says what a proxy would say
        (Channel("http", "192.0.2.7", True, "https"), False),
        (Channel("https", "192.0.2.7", True, "http"), False),
    ],
)
def test_a_line_is_private_where_nobody_else_can_listen(channel: Channel, private: bool) -> None:
    assert channel.is_private is private


def test_each_condition_is_needed() -> None:
    near, far = Channel("http", "127.0.0.1"), Channel("http", "192.0.2.7")
    assert in_clear(near, enabled=True, may_edit=True)
    assert not in_clear(near, enabled=False, may_edit=True)
    assert not in_clear(near, enabled=True, may_edit=False)
    assert not in_clear(far, enabled=True, may_edit=True)


def test_the_mask_is_recognised_and_nothing_else_is() -> None:
    assert is_mask(MASK)
    assert not any(map(is_mask, ("", MASK[1:], MASK + "*", "password")))
