"""ports that refuse, ports that never answer"""

from __future__ import annotations

import socket

import pytest

from tests.doubles.ports import black_hole, free_port, refusing_port


def test_a_free_port_can_be_taken() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_a_refusing_port_refuses() -> None:
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)


def test_connecting_to_a_black_hole_neither_fails_nor_succeeds() -> None:
    with black_hole() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.1)
