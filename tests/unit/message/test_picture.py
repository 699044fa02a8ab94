from __future__ import annotations

import pytest

from pillarbox.message.picture import PIXEL, image_type

IMAGES = [
    (b"\x89PNG\r\n\x1a\n" + bytes(20), "image/png"),
    (b"\xff\xd8\xff\xe0" + bytes(20), "image/jpeg"),
    (b"GIF87a" + bytes(20), "image/gif"),
    (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
    (b"\0\0\0\x20ftypavif" + bytes(20), "image/avif"),
    (b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(20), "image/bmp"),
    (b"\0\0\1\0\1\0" + bytes(20), "image/x-icon"),
]
OTHERS = [
    b"",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"<?xml version='1.0'?><svg/>",
    b"<!doctype html><script>alert(1)</script>",
    b"RIFF\x10\0\0\0WAVEfmt ",
    b"\0\0\0\x20ftypmp42" + bytes(20),
    b"BM, said the car" + bytes(20),
    b"%PDF-1.7",
    b"PNG",
    b"\x1f\x8b\x08\0" + bytes(20),
]


@pytest.mark.parametrize("data, media_type", IMAGES)
def test_an_image_is_known_by_its_first_bytes(data: bytes, media_type: str) -> None:
    assert image_type(data) == media_type


@pytest.mark.parametrize("data", OTHERS)
def test_what_is_no_image_or_can_run_is_none(data: bytes) -> None:
    assert image_type(data) == ""


def test_the_pixel_is_a_whole_image_of_one_pixel() -> None:
    assert image_type(PIXEL) == "image/gif"
    assert PIXEL[6:10] == b"\1\0\1\0" and PIXEL.endswith(b";")
    assert len(PIXEL) == 43
