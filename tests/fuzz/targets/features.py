"""any message, and any HTML document in each encoding, with styles, links and images to be changed

A document travels three times: as it is, in quoted-printable, in base64. What leaves must decode to
the same document each time, and that document has the links and images that came, in their order,
each with the address that it had or the one that was put there.
"""

from __future__ import annotations

import binascii
import random
from collections.abc import Iterator

from pillarbox.message.bodies import Body, find_bodies
from pillarbox.message.errors import TooComplex
from pillarbox.message.features import Changes, Wishes, changes_of
from pillarbox.message.links import find_spots
from pillarbox.message.markup import spliced
from pillarbox.message.parts import Part, read_parts
from pillarbox.message.tokens import TokenKind
from pillarbox.message.transfer import base64_lines
from pillarbox.message.untouched import Rules
from tests.fuzz.targets import Target
from tests.samples.mails import newsletter, transactional

HOST = "t.example.test"
_FIELDS = b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"


def run(data: bytes) -> None:
    """The first octet says what is asked for, and whether the rest is a message or a document."""
    choice, rest = (data[0], data[1:]) if data else (0, b"")
    wishes = Wishes(
        inline_css=bool(choice & 1),
        track_clicks=bool(choice & 2),
        track_opens=bool(choice & 4),
        host_images=bool(choice & 8),
        rules=Rules(HOST, prevent_scam=bool(choice & 16), exceptions=("example.org", "http://a*b")),
    )
    if choice & 32:
        message(rest, wishes)
    else:
        document(rest, wishes)


def address(kind: TokenKind, position: int, target: str, tail: str) -> str:
    """One of its own for each, as long as a real one."""
    return f"https://{HOST}/{kind.name}{position}-{len(target):044}{tail}"


def message(content: bytes, wishes: Wishes) -> None:
    """Whatever its structure: edits lie in it, apart from each other; parts stay but for images."""
    try:
        whole = read_parts(content)
    except TooComplex:
        return
    found = changed(content, whole, wishes)
    after = read_parts(spliced(content, found.edits))
    if not found.hosted:
        assert _shape(after) == _shape(whole)


def document(html: bytes, wishes: Wishes) -> None:
    """In each encoding the same comes of it, and it differs in addresses and styles alone."""
    outcomes = {
        name: _outcome(_FIELDS + b"Content-Transfer-Encoding: " + name + b"\r\n\r\n" + body, wishes)
        for name, body in (
            (b"binary", html),
            (b"quoted-printable", _quoted(html)),
            (b"base64", base64_lines(html)),
        )
    }
    plain = outcomes[b"binary"]
    if plain is None:
        return
    assert all(outcome == plain for outcome in outcomes.values()), "encodings make a difference"
    after, found = plain
    if not wishes.needs_tokens or not wishes.track_clicks:
        return
    links, _, _ = find_spots(after, "utf-8")
    clicks = [each for each in found if each[0] is TokenKind.CLICK]
    assert [spot.url for spot in links] == [instead or url for _, url, instead in clicks]


def _outcome(
    content: bytes, wishes: Wishes
) -> tuple[bytes, list[tuple[TokenKind, str, str]]] | None:
    """The document that leaves, and what became of each link and image."""
    whole = read_parts(content)
    if not any(isinstance(body, Body) for body in find_bodies(content, whole)):
        return None
    found = changed(content, whole, wishes)
    after = spliced(content, found.edits)
    [body] = find_bodies(after, read_parts(after))
    assert isinstance(body, Body), "what could be read cannot be read any more"
    return body.document, [(each.kind, each.url, each.instead) for each in found.findings]


def changed(content: bytes, whole: Part, wishes: Wishes) -> Changes:
    """What is to be changed, which lies in the content, in order, each behind the one before."""
    found = changes_of(content, wishes, address)
    at = 0
    for start, end, _ in found.edits:
        assert at <= start <= end <= len(content)
        at = end
    if not wishes.any:
        assert not found.edits and not found.findings
    assert found.edits == changes_of(content, wishes, address).edits
    return found


def _shape(part: Part) -> tuple[object, ...]:
    return (part.media_type, part.disposition, part.content_id, tuple(map(_shape, part.parts)))


def _quoted(html: bytes) -> bytes:
    """As some program might write it: lines broken and octets escaped here and there."""
    dice = random.Random(binascii.crc32(html))
    pieces: list[bytes] = []
    column = 0
    for at, octet in enumerate(html):
        if html[at : at + 2] == b"\r\n" or (octet == 10 and html[at - 1 : at] == b"\r"):
            plain, column = bytes((octet,)), 0
        elif octet in b"=\r\n\t " or not 32 < octet < 127 or dice.random() < 0.02:
            plain = b" " if octet == 32 and dice.random() < 0.8 else b"=%02X" % octet
            ends = html[at + 1 : at + 3] in (b"\r\n", b"")
            plain = b"=20" if plain == b" " and ends else plain
        else:
            plain = bytes((octet,))
        if column + len(plain) > 70 or (column and plain != b"\n" and dice.random() < 0.01):
            pieces.append(b"=\r\n")
            column = 0
        column += len(plain)
        pieces.append(plain)
    return b"".join(pieces)


def seeds() -> Iterator[bytes]:
    """Messages and documents with something to change in them."""
    documents = [
        b'<p>Read <a href="https://a.example.test/x?y=1&amp;z=2#top">this</a></p>',
        b"<a href=http://a.example.test/x>x</a><img src=http://a.example.test/x.png>",
        b"<A HREF='http://a.example.test/x'\r\n CLASS=b>x</A>\r\n<map><area href=http://b.test/>",
        b'<style>p{color:red} .b{top:1px}</style><p class="b">x<p style="left:1px">y',
        b"<body><p>x</p></body></html>\r\n",
        b'<!--[if mso]><a href="http://a.test/">x</a><![endif]--><!-- <a href="http://b.test/"> -->',
        b'<a href="http://a.test/">http://a.test</a> <a href="mailto:a@b.test">x</a>',
        b"<a href=\"http://a.test/caf\xc3\xa9?x=\xc3\xbc\">\xc3\xa9</a>=\r\n=3D \t\r\n.\r\n",
        b"<title><a href=http://a.test/></title><a href='http://a.test/'>x",
        b"<a href=\"http://a.test/\r\n x\">y</a>\rz\n",
    ]  # fmt: skip
    for choice in (0, 1, 2, 3, 4, 6, 7, 15, 18, 23):
        yield from (bytes([choice]) + each for each in documents)
    image = (
        b"Content-Type: image/png\r\nContent-ID: <1>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    mixed = (
        b"From: a@b.test\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n"
        b'Content-Type: text/html\r\n\r\n<img src="cid:1"><a href="http://a.test/">x</a>\r\n--b\r\n'
        + image + b"iVBORw0KGgo=\r\n--b--\r\n"
    )  # fmt: skip
    for choice in (32, 34, 39, 47):
        yield bytes([choice]) + mixed
        yield bytes([choice]) + transactional()[:3000]
        yield bytes([choice]) + newsletter()[:3000]
        yield bytes([choice]) + mixed.replace(b"multipart/related", b"multipart/signed")


TARGET = Target(
    run,
    seeds,
    (
        b"<a href=", b"<img src=", b"http://a.test/", b"https://", b"</a>", b"</body>", b"<style>",
        b"</style>", b"p{top:1px}", b" style=", b"<!--", b"-->", b"<!--[if mso]>", b"<![endif]-->",
        b'"', b"'", b">", b"&amp;", b"&#38;", b"&#x", b"<title>", b"</title>", b"=\r\n", b"=3D",
        b"\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"Content-Type: text/html\r\n\r\n", b"cid:1",
        b"Content-Transfer-Encoding: base64\r\n", b"boundary=b", b"\xc3\xa9", b"\xff", b"\0", b"<area href=",
        b"data-pillarbox=off", b"<base href=", b"<v:rect href=",
    ),
    3000,
)  # fmt: skip
