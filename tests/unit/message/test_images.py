"""embedded images that may leave their message"""

from __future__ import annotations

import base64
import hashlib

import pytest

from pillarbox.message.images import content_id_of, embedded_images, removals
from pillarbox.message.links import find_spots
from pillarbox.message.markup import spliced
from pillarbox.message.parts import read_parts

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))


def image(
    content_id: bytes = b"<logo>", data: bytes = PNG, media_type: bytes = b"image/png",
    encoding: bytes = b"base64",
) -> bytes:  # fmt: skip
    body = base64.encodebytes(data).replace(b"\n", b"\r\n") if encoding == b"base64" else data
    return b"Content-Type: %b\r\nContent-ID: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        media_type,
        content_id,
        encoding,
        body,
    )


def related(*parts: bytes) -> bytes:
    html = b"Content-Type: text/html\r\n\r\n<img src=cid:logo>"
    inner = b"".join(b"\r\n--b\r\n" + part for part in (html, *parts))
    return (
        b"Subject: x\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
        + inner
        + b"\r\n--b--\r\n"
    )


def found_in(content: bytes) -> list[str]:
    return list(embedded_images(content, read_parts(content)))


def test_an_image_is_found_by_its_id_with_its_octets_and_their_digest() -> None:
    content = related(image())
    (found,) = embedded_images(content, read_parts(content)).values()
    assert found.data == PNG
    assert found.digest == hashlib.sha256(PNG).hexdigest()
    assert found.media_type == "image/png"


def test_its_part_leaves_with_its_boundary_and_nothing_else_does() -> None:
    other = image(b"<other>")
    content = related(image(), other)
    found = embedded_images(content, read_parts(content))
    assert spliced(content, removals([found["logo"]])) == related(other)
    assert spliced(content, removals(found.values())) == related()


@pytest.mark.parametrize(
    "part",
    [
        image(data=b"<svg onload=alert(1)>"),
        image(media_type=b"image/svg+xml", data=b"<svg/>"),
        image(media_type=b"application/pdf"),
        image(media_type=b"image/jpeg"),
        image(content_id=b""),
        image(encoding=b"quoted-printable"),
        b"Content-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\nA",
    ],
)  # fmt: skip
def test_what_is_not_the_image_that_it_says_it_is_stays(part: bytes) -> None:
    assert found_in(related(part)) == []


def test_of_two_with_one_id_neither_leaves() -> None:
    assert found_in(related(image(), image(data=PNG + b"2"), image(b"<third>"))) == ["third"]


def test_nothing_leaves_what_is_signed_or_enclosed() -> None:
    inner = related(image())
    signed = inner.replace(b"multipart/related", b"multipart/signed")
    enclosed = b"Content-Type: message/rfc822\r\n\r\n" + inner
    assert found_in(signed) == found_in(enclosed) == []


@pytest.mark.parametrize(
    ("url", "content_id"),
    [("cid:logo", "logo"), ("CID:logo%40shop", "logo@shop"), ("https://example.com/", "")],
)
def test_the_id_that_an_address_names(url: str, content_id: str) -> None:
    _, (spot,), _ = find_spots(f'<img src="{url}">'.encode(), "utf-8")
    assert content_id_of(spot) == content_id
