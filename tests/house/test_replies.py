"""what our server can say lies in one place, well-formed, and all of it is said somewhere"""

from __future__ import annotations

import re

from pillarbox.protocol import errors, replies
from pillarbox.protocol.reply import Reply
from pillarbox.terms.catalogue import CATALOGUE
from tests.house.tree import modules

NAMED = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}
# RFC 2034 §3 gives no status to greetings, to 354 and to the steps of AUTH.
WITHOUT_STATUS = {220, 221, 334, 354}
# Highest detail of each subject in the registry of RFC 5248 §2; those below are all assigned.
REGISTERED = {"0": 0, "1": 10, "2": 4, "3": 6, "4": 7, "5": 6, "6": 10, "7": 30}


def test_a_status_is_of_the_class_of_its_code() -> None:
    for name, reply in NAMED.items():
        if reply.status is None:
            assert reply.code in WITHOUT_STATUS, name
        else:
            assert reply.status[0] == str(reply.code)[0], name
            assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", reply.status), name


def test_enhanced_codes_are_those_of_the_registry() -> None:
    catalogued = {problem.smtp.split()[1] for problem in CATALOGUE.values() if problem.smtp}
    said = {reply.status for reply in NAMED.values() if reply.status}
    for status in catalogued | said:
        _, subject, detail = status.split(".")
        assert int(detail) <= REGISTERED[subject], status


def test_every_line_fits_what_a_client_must_be_able_to_read() -> None:
    """RFC 5321 §4.5.3.1.5: 512 octets with the line end; and plain ASCII, for any client."""
    for name, reply in NAMED.items():
        for line in reply.encode().splitlines(keepends=True):
            assert len(line) <= 512 and line.endswith(b"\r\n") and line.isascii(), name


def test_every_named_reply_is_uttered_somewhere() -> None:
    texts = [module.text for module in modules() if module.name != "protocol.replies"]
    deserved = {getattr(error, "deserves", None) for error in vars(errors).values()}
    silent = [
        name
        for name, reply in NAMED.items()
        if reply not in deserved and not any(re.search(rf"\b{name}\b", text) for text in texts)
    ]
    assert not silent, f"take them out, or say them: {silent}"


def test_replies_are_worded_in_protocol_or_by_a_refusal() -> None:
    elsewhere = {
        module.name
        for module in modules()
        if re.search(r"\bReply(?:\.of)?\(\s*\d", module.text) and module.floor != "protocol"
    }
    assert elsewhere <= {"policy.errors"}, f"give it a name in protocol.replies: {elsewhere}"
