"""rendering as everybody does it: the email package, premailer on lxml, and dkimpy

Each is given what suits it: the message is parsed once, the tree that premailer leaves is the one
whose links are changed, style sheets that it has seen are remembered (its own default), and CSS is
not validated. dkimpy has no wheel; Debian's package is pure Python and is read from where it lies,
so that both sides run in one process and under one interpreter.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import logging
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from lxml import html as lxml_html  # type: ignore[import-untyped]
from premailer import Premailer  # type: ignore[import-untyped]

DKIMPY: Final = Path("/usr/lib/python3/dist-packages/dkim/__init__.py")
_HEAD: Final = struct.Struct(">BHqH")
_MAC_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done to a message."""

    styles: bool = False
    links: bool = False
    images: bool = False
    signed: bool = False

    @property
    def html(self) -> bool:
        """Whether its HTML changes."""
        return self.styles or self.links or self.images


@dataclass(frozen=True, slots=True)
class Identity:
    """With whose keys, and through which host."""

    host: str
    token_key: bytes
    domain: str
    selector: str
    private_pem: bytes
    signed_fields: tuple[bytes, ...]


def dressed(content: bytes, wanted: Wanted, identity: Identity) -> bytes:
    """The message with styles inlined, links and images led through the host, signed."""
    if wanted.html:
        message = message_from_bytes(content, policy=policy.SMTP)
        for part in message.walk():
            if part.get_content_type() == "text/html":
                assert isinstance(part, EmailMessage)
                changed = _changed(part.get_content(), wanted, identity)
                part.set_content(changed, subtype="html", charset="utf-8", cte="quoted-printable")
        content = message.as_bytes()
    return _signed(content, identity) if wanted.signed else content


def _changed(document: str, wanted: Wanted, identity: Identity) -> str:
    tree: Any = lxml_html.document_fromstring(document)
    if wanted.styles:
        Premailer(  # changes the tree that it is given
            tree,
            keep_style_tags=True,
            strip_important=False,
            disable_validation=True,
            allow_network=False,
            cssutils_logging_level=logging.CRITICAL,
        ).transform()
    position = 0
    if wanted.links:
        for element in tree.iter("a", "area"):
            address = element.get("href")
            if address is not None and _is_tracked(address):
                position += 1
                element.set("href", _through(1, position, address, identity))
    if wanted.images:
        for element in tree.iter("img"):
            address = element.get("src")
            if address is not None and _is_tracked(address):
                position += 1
                element.set("src", _through(2, position, address, identity))
    made: str = lxml_html.tostring(
        tree, encoding="unicode", doctype=tree.getroottree().docinfo.doctype
    )
    return made


def _is_tracked(address: str) -> bool:
    return address.startswith(("http://", "https://")) and "unsubscribe" not in address


def _through(kind: int, position: int, address: str, identity: Identity) -> str:
    """A token of the same make as ours: what it says, and an HMAC of that."""
    said = _HEAD.pack(kind, 1, 1 << 60, position) + address.encode("ascii")
    mac = hmac.digest(identity.token_key, said, hashlib.sha256)[:_MAC_OCTETS]
    token = base64.urlsafe_b64encode(said + mac).rstrip(b"=").decode("ascii")
    return f"https://{identity.host}/{token}{urlsplit(address).path}"


def _signed(content: bytes, identity: Identity) -> bytes:
    # Its own function `sign` takes no time, and so would not sign the same twice.
    signature: bytes = dkimpy().sign(
        content,
        identity.selector.encode("ascii"),
        identity.domain.encode("ascii"),
        identity.private_pem,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=list(identity.signed_fields),
    )
    return signature + content


def verified(content: bytes, answers: Callable[[bytes], bytes | None]) -> bool:
    """Whether the signature on top holds, by dkimpy; `answers` is given the name of a TXT record."""

    def dns(name: bytes, timeout: int = 5) -> bytes | None:
        return answers(name)

    return bool(dkimpy().verify(content, dnsfunc=dns))


@cache
def dkimpy() -> ModuleType:
    """Debian's package, without the others that lie beside it."""
    found = importlib.util.spec_from_file_location(
        "dkim", DKIMPY, submodule_search_locations=[str(DKIMPY.parent)]
    )
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["dkim"] = module
    found.loader.exec_module(module)
    return module


def versions() -> dict[str, str]:
    """Of what takes part."""
    told = {name: metadata.version(name) for name in ("premailer", "lxml", "css-inline")}
    for path in DKIMPY.parent.parent.glob("dkimpy-*.egg-info"):
        told["dkimpy"] = path.name.removeprefix("dkimpy-").removesuffix(".egg-info")
    return told
