"""servers: what they are called, and what they are by default"""

from __future__ import annotations

from pillarbox.policy.server import Encryption, Kind, Server
from pillarbox.terms.ids import new_object_id


def test_a_server_without_a_name_is_called_as_its_host() -> None:
    assert Server(new_object_id(), new_object_id(), "", "mail.example.com").label == (
        "mail.example.com"
    )
    assert Server(new_object_id(), new_object_id(), "ours", "mail.example.com").label == "ours"


def test_out_of_the_box_a_server_is_one_server_and_its_certificate_is_checked() -> None:
    server = Server(new_object_id(), new_object_id(), "", "mail.example.com")
    assert (server.kind, server.encryption, server.verify) == (
        Kind.SMTP, Encryption.STARTTLS, True,
    )  # fmt: skip
