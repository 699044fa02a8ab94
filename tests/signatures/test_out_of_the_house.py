"""A50: what leaves a running house is signed behind all that was done to it, and passes everywhere"""

from __future__ import annotations

from base64 import b64encode, encodebytes
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from quopri import encodestring

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.message.dkim import Algorithm, SigningKey, new_key
from pillarbox.policy.directory import Mode
from pillarbox.policy.dkim_key import DkimKey, KeyState
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.terms.ids import new_object_id
from tests.doubles.bad_server import DEFAULT_EXTENSIONS, BadServer
from tests.fix_house import Houses, Running
from tests.signatures.kinds import KINDS, UNREADABLE
from tests.signatures.verifying import NEEDED, records_of, wrong_kinds

pytestmark = [pytest.mark.needs(*NEEDED), pytest.mark.slow]

KEYS = [new_key("example.com", "rsa"), new_key("example.com", "ed", Algorithm.ED25519)]
FEATURES = {
    "inlinecss": "true", "trackclicks": "true", "trackopens": "true", "preventscam": "true",
    "images": "hosted",
}  # fmt: skip
HTML = (
    "<html><head><style>td { color: red } a:hover { color: blue }</style></head><body>"
    '<table><tr><td><a href="https://shop.example/a?b=1&amp;c=ü">Grüße</a></td></tr></table>'
    '<img src="https://shop.example/logo.png"><a href="https://shop.example/">shop.example</a>'
    "</body></html>\r\n"
)


def newsletter(coding: str, body: bytes) -> bytes:
    return (
        b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: news\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
        + coding.encode()
        + b"\r\n\r\n"
        + body
    )


IMAGE = (
    b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: news\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/related; boundary="r"\r\n\r\n--r\r\n'
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + encodestring(
        HTML.replace("https://shop.example/logo.png", "cid:logo@shop").replace("\r", "").encode()
    ).replace(b"\n", b"\r\n")
    + b"\r\n--r\r\nContent-Type: image/png\r\nContent-ID: <logo@shop>\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
    + b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60))
    + b"\r\n--r--\r\n"
)
DRESSED = {
    "a newsletter": newsletter("8bit", HTML.encode()),
    "a newsletter in base64": newsletter(
        "base64", encodebytes(HTML.encode()).replace(b"\n", b"\r\n")
    ),
    "an embedded image": IMAGE,
}


async def sign_for_example_com(house: Running) -> None:
    """Its account has proved the domain, and both keys sign."""
    storage = house.house.storage
    domain = SendingDomain(new_object_id(), house.app.account, "example.com", "c", proved_at=1)
    await storage.domains.save_domain(domain)
    await storage.domains.add_keys(domain.id, [(_active(key), key.private_text()) for key in KEYS])


def _active(key: SigningKey) -> DkimKey:
    return DkimKey(key.selector, key.algorithm, key.record, KeyState.ACTIVE)


async def left(
    houses: Houses,
    kinds: Mapping[str, bytes],
    features: Mapping[str, str],
    extensions: Sequence[str],
) -> dict[str, bytes]:
    """What reached a next hop with these extensions, by kind."""
    found = {}
    async with BadServer(extensions=extensions) as sink:
        house = await houses.start(Mode.LIVE, tracking=TrackingConfig(host="clicks.test"))
        house.app = replace(house.app, options=dict(features))
        await house.house.storage.directory.save_app(house.app)
        await house.add_server("sink", sink.port)
        await sign_for_example_com(house)
        for name, content in kinds.items():
            await house.until((await house.submit(content=content)).message)
            found[name] = sink.delivered[-1].content
        assert len(sink.delivered) == len(kinds)
        await houses.stop()
    return found


async def test_a50_everything_that_leaves_is_signed_last(tmp_path: Path, size: str) -> None:
    every = [(name, content) for name, content in KINDS.items() if name not in UNREADABLE]
    kinds = {**dict(every if size == "full" else every[::8]), **DRESSED}
    seven_bits = [each for each in DEFAULT_EXTENSIONS if each != "8BITMIME"]
    found: dict[str, bytes] = {}
    for features, extensions in product(({}, FEATURES), (DEFAULT_EXTENSIONS, seven_bits)):
        variant = f"{len(features)} features, {len(extensions)} extensions"
        # The path of its socket may not be long.
        houses = Houses(tmp_path / str(len(found)))
        for name, content in (await left(houses, kinds, features, extensions)).items():
            found[f"{variant}: {name}"] = content
            if name in DRESSED:
                assert features or extensions is seven_bits or content.endswith(kinds[name])
                assert not (features and content.endswith(kinds[name]))
    wrong = await wrong_kinds(found, records_of(KEYS), "example.com")
    assert wrong == {}
