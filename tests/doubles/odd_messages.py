"""odd and broken MIME messages by name, each as some program might write it"""

from __future__ import annotations

import base64
import itertools

HTML = (
    b'<p>Good <a href="https://example.com/a?b=1">day</a> <img src="https://example.com/i.png"></p>'
)
HEAD = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: odd\r\n"
_SEALED = (
    b"multipart/signed; protocol=\"application/pgp-signature\"", b"multipart/encrypted",
    b"multipart/report; report-type=delivery-status", b"application/pkcs7-mime; smime-type=signed-data",
    b"application/x-pkcs7-mime",
)  # fmt: skip
_TYPES = (
    b"text/plain", b"text/plain; charset=iso-2022-jp", b"text/calendar; method=REQUEST",
    b"message/delivery-status", b"message/rfc822", b"message/partial; id=x; number=1",
    b"application/octet-stream", b"application/pgp-encrypted", b"image/svg+xml", b"text/x-amp-html",
    b"text/enriched", b"text", b"", b"text/html/x", b";charset=x", b"\xff\xfe/\x80",
    b"multipart/mixed", b"multipart/mixed; boundary=", b'multipart/mixed; boundary=""',
)  # fmt: skip
_ENCODINGS = (
    b"", b"7bit", b"8bit", b"binary", b"BASE64", b"base64", b"quoted-printable", b"x-uuencode",
    b"7bit (sic)", b"quoted-printable, base64", b"nonsense", b"\xe9",
)  # fmt: skip
_BODIES = (
    b"", b"\r\n", b"\r\n\r\n\r\n", b"text", b"text\r\n", b"  \r\n\t\r\n", b"a" * 998 + b"\r\n",
    b"--\r\n", b"=\r\n", b"=3D=3", b"caf\xc3\xa9\r\n", b"caf\xe9\r\n", b"\x01\x02\x7f\r\n",
    b"From here on\r\n", b"=?utf-8?q?x?=\r\n", b"&amp; <a href=x>\r\n",
)  # fmt: skip


def wrapped(media_type: bytes, body: bytes, encoding: bytes = b"") -> bytes:
    """A message of one part."""
    field = b"Content-Transfer-Encoding: %b\r\n" % encoding if encoding else b""
    return HEAD + b"MIME-Version: 1.0\r\nContent-Type: %b\r\n%b\r\n%b" % (media_type, field, body)


def several(kind: bytes, boundary: bytes, *parts: bytes, end: bytes = b"--\r\n") -> bytes:
    """A multipart, as a part: its fields and its body."""
    line = b"\r\n--" + boundary
    inner = b"".join(line + b"\r\n" + part for part in parts)
    return b'Content-Type: %b; boundary="%b"\r\n\r\n%b%b%b' % (kind, boundary, inner, line, end)


def nested(levels: int) -> bytes:
    """A part within so many multiparts."""
    part = b"Content-Type: text/plain\r\n\r\ndeep"
    for level in range(levels):
        part = several(b"multipart/mixed", b"b%d" % level, part)
    return part


def odd_messages() -> dict[str, bytes]:
    """None of them has anything in it that a feature may change."""
    found: dict[str, bytes] = {}
    plain = b"Content-Type: text/plain\r\n\r\nplain"
    html = b"Content-Type: text/html\r\n\r\n" + HTML
    for number, media_type in enumerate(_TYPES):
        found[f"type {number}"] = wrapped(media_type, HTML + b"\r\n")
    for (number, encoding), media_type in itertools.product(
        enumerate(_ENCODINGS), (b"text/plain", b"application/x-thing")
    ):
        found[f"encoding {number} of {media_type.decode()}"] = wrapped(media_type, HTML, encoding)
    for (number, body), encoding in itertools.product(
        enumerate(_BODIES), (b"", b"quoted-printable", b"base64", b"8bit")
    ):
        found[f"body {number} in {encoding.decode()}"] = wrapped(b"text/plain", body, encoding)
    for number, sealed in enumerate(_SEALED):
        inner = several(sealed, b"s", plain, html)
        found[f"sealed {number}"] = HEAD + b"MIME-Version: 1.0\r\n" + inner
        outer = several(b"multipart/mixed", b"o", plain, inner)
        found[f"sealed {number} within"] = HEAD + b"MIME-Version: 1.0\r\n" + outer
    for number in (1, 2, 5, 20, 39, 60):
        found[f"nested {number}"] = HEAD + nested(number)
    for name, end in (
        ("open", b""),
        ("cut", b"-"),
        ("blank", b"-- \r\n"),
        ("tail", b"--\r\nepilogue"),
    ):
        found[f"boundary {name}"] = HEAD + several(b"multipart/mixed", b"b", plain, plain, end=end)
    twice = several(b"multipart/mixed", b"b", several(b"multipart/mixed", b"b", plain), plain)
    found["boundary within itself"] = HEAD + twice
    prefix = several(b"multipart/mixed", b"b", several(b"multipart/mixed", b"bb", plain), plain)
    found["boundary beginning with another"] = HEAD + prefix
    found["boundary never there"] = wrapped(b"multipart/mixed; boundary=x", HTML)
    found["boundary of 256"] = HEAD + several(b"multipart/mixed", b"x" * 256, plain)
    found["boundary of 257"] = HEAD + several(b"multipart/mixed", b"x" * 257, plain)
    for name, field in {
        "8-bit header": b"X-Name: caf\xe9\r\n", "utf-8 header": "X: caf\u00e9\r\n".encode(),
        "long field": b"X-Long: " + b"y" * 900 + b"\r\n", "folded": b"X-F: a\r\n\tb\r\n  c\r\n",
        "blank continuation": b"X-B: a\r\n \r\n b\r\n", "no colon": b"this is no field\r\n",
        "blank before colon": b"X-C : d\r\n", "encoded words": b"X: =?utf-8?b?4pyT?= =?x?q?y?=\r\n",
        "twice the type": b"Content-Type: text/plain\r\nContent-Type: image/png\r\n",
        "twice the encoding": b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit\r\n",
        "parameters without end": b'Content-Type: text/plain; charset="utf-8\r\n',
        "continued parameters": b"Content-Type: text/plain; name*0=a; name*1=b\r\n",
        "comments": b"Content-Type: text/plain (a (nested) one)\r\n",
        "attached": b"Content-Type: text/html\r\nContent-Disposition: attachment; filename=x.html\r\n",
    }.items():  # fmt: skip
        found[f"header {name}"] = HEAD + field + b"\r\n" + HTML + b"\r\n"
    for charset in (b"utf-16", b"utf-7", b"iso-2022-jp", b"hz-gb-2312", b"utf-32", b"ebcdic-cp-us"):
        found[f"html in {charset.decode()}"] = wrapped(
            b"text/html; charset=" + charset, b"caf\xe9 " + HTML
        )
    found["html with broken utf-8"] = wrapped(b"text/html; charset=utf-8", b"\xc3\x28 " + HTML)
    found["html in broken base64"] = wrapped(b"text/html", b"PGEgaHJlZj0i!\r\n", b"base64")
    cut = base64.b64encode(HTML)[:41]
    found["html in cut base64"] = wrapped(b"text/html", cut, b"base64")
    found["html in an unknown encoding"] = wrapped(b"text/html", HTML, b"x-gzip64")
    found["html enclosed"] = (
        HEAD + b"Content-Type: message/rfc822\r\n\r\n" + wrapped(b"text/html", HTML)
    )
    found["html without links"] = wrapped(b"text/html", b"<b>bold</b>\r\n")
    found["html with an open tag"] = wrapped(
        b"text/html", b'<b>x</b> <a href="http://example.com/\r\n'
    )
    found["html in a comment"] = wrapped(b"text/html", b"<!-- " + HTML + b" -->\r\n")
    found["html as text of a script"] = wrapped(
        b"text/html", b"<script>'" + HTML + b"'</script>\r\n"
    )
    found["no header"] = b"\r\n" + HTML
    found["no body"] = HEAD
    found["no blank line"] = HEAD + b"Content-Type: text/html\r\n"
    found["only a line"] = b"x"
    found["nothing"] = b""
    return found
