"""DKIM signatures: what they cover, what they look like, and which keys make them"""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from pillarbox.message.canonical import relaxed_body, relaxed_field
from pillarbox.message.dkim import Algorithm, SigningKey, new_key, read_key, sign, signed_names
from pillarbox.message.errors import UnusableKey
from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.terms.secret import Secret

RSA = new_key("example.com", "r1")
ED = new_key("example.com", "e1", Algorithm.ED25519)
AT = 1_774_000_000
CONTENT = (
    b"Received: by mail.example.com\r\nFrom: Ann <ann@example.com>\r\nTo: bob@example.org\r\n"
    b"Subject: Hello\r\nDate: Fri, 20 Mar 2026 09:30:00 +0000\r\n\r\nHello\r\n"
)


def tags(signed: bytes) -> dict[str, str]:
    """Of the uppermost signature."""
    value = HeaderBlock.parse(split_content(signed)[0]).fields[0].value.decode()
    pairs = (part.partition("=") for part in value.split(";"))
    return {name.strip(): "".join(text.split()) for name, _, text in pairs}


def names_of(content: bytes) -> list[bytes]:
    return signed_names(HeaderBlock.parse(split_content(content)[0]).fields)


def pem(key: object) -> Secret:
    assert hasattr(key, "private_bytes")
    made: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Secret(made.decode())


# --- what a signature says ------------------------------------------------------------------------


def test_a_signature_has_the_tags_that_verifiers_need_and_none_that_weakens_it() -> None:
    found = tags(sign(CONTENT, [RSA], AT))
    assert found.keys() == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}
    assert (found["a"], found["c"]) == ("rsa-sha256", "relaxed/relaxed")
    assert (found["d"], found["s"], found["t"]) == ("example.com", "r1", str(AT))


def test_everything_below_the_signature_keeps_its_bytes() -> None:
    signed = sign(CONTENT, [RSA, ED], AT)
    assert signed.endswith(b"\r\n" + CONTENT)
    assert signed.count(b"DKIM-Signature:") == 2


def test_each_key_signs_in_the_order_given() -> None:
    signed = sign(CONTENT, [RSA, ED], AT)
    assert re.findall(rb"a=([a-z0-9-]+)", signed) == [b"rsa-sha256", b"ed25519-sha256"]
    assert signed.endswith(sign(CONTENT, [ED], AT))


def test_same_content_keys_and_instant_give_the_same_bytes() -> None:
    assert sign(CONTENT, [RSA, ED], AT) == sign(CONTENT, [RSA, ED], AT)
    assert sign(CONTENT, [RSA], AT) != sign(CONTENT, [RSA], AT + 1)


def test_no_line_of_a_signature_is_long() -> None:
    many = CONTENT.replace(b"To: ", b"Cc: x@example.org\r\n" * 50 + b"To: ")
    field = sign(many, [RSA], AT).partition(b"Received:")[0]
    assert max(map(len, field.split(b"\r\n"))) <= 78


def test_without_keys_or_without_an_author_nothing_is_signed() -> None:
    assert sign(CONTENT, [], AT) is CONTENT
    for nobody in (CONTENT.replace(b"From:", b"Sender:"), b"\r\nFrom: x\r\n", b""):
        assert sign(nobody, [RSA], AT) is nobody


# --- what it covers -------------------------------------------------------------------------------


def test_from_is_signed_once_more_than_it_occurs() -> None:
    assert names_of(CONTENT).count(b"from") == 2
    two = CONTENT.replace(b"To:", b"FROM: eve@example.net\r\nTo:")
    assert names_of(two).count(b"from") == 3


def test_each_field_is_signed_as_often_as_it_occurs_and_trace_fields_never() -> None:
    names = names_of(CONTENT.replace(b"To:", b"Cc: a@example.org\r\nCC: b@example.org\r\nTo:"))
    assert names.count(b"cc") == 2 and names.count(b"to") == 1
    assert b"received" not in names


def test_unsubscribing_and_its_one_click_are_covered() -> None:
    # RFC 8058 §4: a signature covers both, or receivers do not offer it.
    names = names_of(
        CONTENT.replace(
            b"To:",
            b"List-Unsubscribe: <https://x.example/u>\r\n"
            b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nTo:",
        )
    )
    assert b"list-unsubscribe" in names and b"list-unsubscribe-post" in names


@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
def test_what_is_signed_is_what_the_field_says(key: SigningKey) -> None:
    content = CONTENT.replace(b"To:", b"Cc: one@example.org\r\nCc: \t two@example.org \r\nTo:")
    signed = sign(content, [key], AT)
    found = tags(signed)
    header, body = split_content(content)
    digest = hashlib.sha256(relaxed_body(body)).digest()
    assert base64.b64decode(found["bh"]) == digest
    fields = list(HeaderBlock.parse(header).fields)
    covered = b""
    for name in found["h"].split(":"):
        for field in reversed(fields):
            if field.name.lower().decode() == name:
                covered += relaxed_field(field.raw)
                fields.remove(field)
                break
    own = signed.removesuffix(content)
    unsigned = own[: own.rindex(b"b=") + 2]
    covered += relaxed_field(unsigned)[:-2]
    made = base64.b64decode(found["b"])
    public = key.key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(made, covered, padding.PKCS1v15(), hashes.SHA256())
    else:
        public.verify(made, hashlib.sha256(covered).digest())


def test_the_example_of_rfc_8463_has_the_signature_that_is_printed_there() -> None:
    raw = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = Ed25519PrivateKey.from_private_bytes(raw)
    assert SigningKey("football.example.com", "brisbane", key).record == (
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    )
    fields = [
        b"From: Joe SixPack <joe@football.example.com>\r\n",
        b"To: Suzie Q <suzie@shopping.example.net>\r\n",
        b"Subject: Is dinner ready?\r\n",
        b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n",
        b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n",
    ]
    body = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
    digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    assert digest == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
    own = (
        b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
        b" d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
        b" subject : date : message-id : from : subject : date;\r\n"
        b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b="
    )
    covered = b"".join(map(relaxed_field, fields)) + relaxed_field(own)[:-2]
    made = base64.b64encode(key.sign(hashlib.sha256(covered).digest()))
    assert made == (
        b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    )


# --- keys -----------------------------------------------------------------------------------------


def test_an_rsa_key_has_2048_bits_and_its_record_the_public_half() -> None:
    assert isinstance(RSA.key, RSAPrivateKey) and RSA.key.key_size == 2048
    assert RSA.record.startswith("v=DKIM1; k=rsa; p=")
    public = serialization.load_der_public_key(base64.b64decode(RSA.record.partition("p=")[2]))
    assert public == RSA.key.public_key()
    assert RSA.algorithm is Algorithm.RSA and ED.algorithm is Algorithm.ED25519


@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
def test_a_key_is_read_back_from_its_private_text(key: SigningKey, is_ours: bool) -> None:
    text = key.private_text()
    assert "PRIVATE" not in repr(text) and "PRIVATE" not in str(text)
    again = read_key(key.domain, key.selector, text, is_ours=is_ours)
    assert again.record == key.record
    assert sign(CONTENT, [again], AT) == sign(CONTENT, [key], AT)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (Secret(""), "not a private key"),
        (Secret("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "not a private"),
        (Secret("\ud800"), "not a private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither an RSA nor an Ed25519"),
        (pem(dsa.generate_private_key(1024)), "neither an RSA nor an Ed25519"),
    ],
)
def test_what_is_no_usable_key_is_refused_without_a_word_of_it(text: Secret, why: str) -> None:
    with pytest.raises(UnusableKey, match=why) as caught:
        read_key("example.com", "s", text)
    assert "BEGIN" not in str(caught.value) and "AAAA" not in str(caught.value)


def test_a_key_with_a_passphrase_is_refused() -> None:
    locked = RSA.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    with pytest.raises(UnusableKey, match="without a passphrase"):
        read_key("example.com", "s", Secret(locked.decode()))


@pytest.mark.parametrize(
    ("bound", "bits", "why"),
    [("_LEAST", 2049, "trusted by nobody"), ("_MOST", 2047, "too long for many receivers")],
)
def test_a_key_that_receivers_do_not_take_is_refused(
    monkeypatch: pytest.MonkeyPatch, bound: str, bits: int, why: str
) -> None:
    # Keys as long as that take minutes to make, and such short ones the library makes no more.
    monkeypatch.setattr(f"pillarbox.message.dkim.{bound}_RSA_BITS", bits)
    with pytest.raises(UnusableKey, match=f"2048 bits is {why}"):
        read_key("example.com", "s", RSA.private_text())
