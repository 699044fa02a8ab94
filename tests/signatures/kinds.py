"""kinds of messages that signatures have to survive: odd headers, odd bodies, odd ends"""

from __future__ import annotations

from base64 import b64encode

AUTHOR = b"From: Ann <ann@example.com>\r\n"
HEAD = (
    b"Received: from [192.0.2.1] by mail.example.com; Fri, 20 Mar 2026 09:30:00 +0000\r\n"
    + AUTHOR
    + b"To: bob@example.org\r\nSubject: Hello\r\nDate: Fri, 20 Mar 2026 09:30:00 +0000\r\n"
    b"Message-ID: <a@example.com>\r\n"
)
TEXT = b"Hello Bob,\r\n\r\nhow are you?\r\n"
MIME = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
PARTS = (
    HEAD + b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b1"\r\n\r\n'
    b"preamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b1\r\n"
    b"Content-Type: text/html\r\n\r\n<p>Hello</p>\r\n--b1--\r\nepilogue\r\n"
)
EIGHT_BIT = "Grüße aus Köln\r\n".encode()
LATIN = "Grüße\r\n".encode("latin-1")


def with_field(field: bytes, body: bytes = TEXT) -> bytes:
    """One more field, at the end."""
    return HEAD + field + b"\r\n\r\n" + body


def with_body(body: bytes) -> bytes:
    """The usual header before it."""
    return HEAD + b"\r\n" + body


BODIES: dict[str, bytes] = {
    "a plain text": TEXT,
    "an empty body": b"",
    "one empty line": b"\r\n",
    "only empty lines": b"\r\n" * 7,
    "only blanks": b"   ",
    "only blanks and tabs, on a line": b" \t \t\r\n",
    "blank lines of blanks at the end": TEXT + b"  \r\n\t\r\n \t \r\n",
    "empty lines at the end": TEXT + b"\r\n\r\n\r\n",
    "no line end at the end": b"Hello\r\nBob",
    "no line end, and blanks": b"Hello\r\nBob \t ",
    "empty lines, then no line end": b"\r\n\r\n\r\nx",
    "blanks at the ends of lines": b"one  \r\ntwo\t\r\n three \t \r\n",
    "blanks at the starts of lines": b" one\r\n  two\r\n\tthree\r\n",
    "runs of blanks": b"a  b   c\t\td \t e\r\n",
    "blanks before the last line end": b"a \r\n",
    "lines that begin with dots": b".\r\n..\r\n...a\r\n.b\r\n",
    "a line of 998 octets": b"x" * 998 + b"\r\n",
    "a line longer than allowed": b"y" * 5000 + b"\r\n",
    "long lines of blanks": b"a" + b" " * 3000 + b"b\r\n" + b" " * 3000 + b"\r\n",
    "eight bits in UTF-8": EIGHT_BIT,
    "eight bits in Latin-1": LATIN,
    "every octet but line ends and NUL": bytes(
        octet for octet in range(1, 256) if octet not in (10, 13)
    )
    + b"\r\n",
    "something like a header": b"From: eve@example.net\r\nSubject: no\r\n\r\nx\r\n",
    "something like a signature field": b"DKIM-Signature: v=1; a=rsa-sha256; b=abc\r\n",
    "a form feed and other controls": b"a\x0b\x0cb\x1c\x85\r\n",
    "non-breaking blanks": "a\u00a0 \u2003 b\u2028c\r\n".encode(),
    "many lines": b"line of some length, and a number: 1\r\n" * 4000,
    "base64": b64encode(bytes(range(256)) * 30) + b"\r\n",
    "a mailing list's footer": TEXT + b"_______\r\nlist mailing list\r\n",
    "lines of one mark": b"-- \r\nAnn\r\n",
}
FIELDS: dict[str, bytes] = {
    "a folded subject": b"X-Keep: a\r\nComments: one\r\n two\r\n\tthree",
    "a field of blanks": b"Comments:   \t ",
    "an empty field": b"Comments:",
    "a field that is all folding": b"Content-Description:\r\n \r\n\t\r\n x",
    "a line of blanks inside a field": b"In-Reply-To: <a@example.org>\r\n \t\r\n <b@example.org>",
    "blanks around a value": b"References:  \t <x@example.org> \t ",
    "runs of blanks in a value": b"Content-Description: a  b\t\tc \t d",
    "a blank before the colon": b"Content-Description : x",
    "a long field": b"References: " + b" ".join(b"<%d@example.org>" % n for n in range(200)),
    "a very long line": b"Content-Description: " + b"z" * 4000,
    "long folding": b"References:" + b"".join(b"\r\n <%d@example.org>" % n for n in range(300)),
    "a field name in capitals": b"REPLY-TO: Ann@Example.COM",
    "colons in a value": b"Content-Description: a:b:c::d:",
    "encoded words": b"Content-Description: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?utf-8?B?w7w=?=",
    "a field in UTF-8": "Content-Description: Grüße".encode(),
    "a field in Latin-1": "Content-Description: Grüße".encode("latin-1"),
    "unsubscribing": b"List-Unsubscribe: <https://click.example.com/u/x>, <mailto:u@example.com>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    "list fields": b"List-Id: News <news.example.com>\r\nList-Help: <mailto:h@example.com>\r\n"
    b"List-Post: NO\r\nList-Owner: <mailto:o@example.com>",
    "several of a field": b"Cc: a@example.org\r\nCc: b@example.org\r\nCC: c@example.org",
    "resent fields": b"Resent-From: ann@example.com\r\nResent-To: c@example.org\r\n"
    b"Resent-Date: Fri, 20 Mar 2026 10:30:00 +0000\r\nResent-Message-ID: <r@example.com>",
    "groups": b"Cc: A Group:a@example.org,b@example.org;, undisclosed:;",
    "comments": b"Reply-To: ann@example.com (this \\) is (nested) )",
    "quoted strings": b'Reply-To: "Ann \\" B,  C" <ann@example.com>',
    "a foreign signature": b"DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=from; bh=YQ==;\r\n"
    b" b=YQ==",
    "the answer of another checker": b"Authentication-Results: mx.example.org; dkim=pass",
    "many fields": b"\r\n".join(b"X-Field-%d: %d" % (n, n) for n in range(300)),
}
WHOLE: dict[str, bytes] = {
    "parts": PARTS,
    "parts without an end": PARTS.replace(b"--b1--\r\n", b""),
    "an attachment": PARTS.replace(
        b"Content-Type: text/html\r\n",
        b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n',
    ),
    "two authors": HEAD.replace(
        AUTHOR, b"From: Ann <ann@example.com>,\r\n Ben <ben@example.com>\r\n"
    )
    + b"\r\n"
    + TEXT,
    "two From fields": HEAD + b"From: Ben <ben@example.com>\r\n\r\n" + TEXT,
    "three From fields of different case": b"FROM: a@example.com\r\n"
    + HEAD
    + b"from: b@example.com\r\n\r\n"
    + TEXT,
    "a folded From": HEAD.replace(AUTHOR, b"From:\r\n  Ann\r\n\t<ann@example.com>\r\n")
    + b"\r\n"
    + TEXT,
    "an author in UTF-8": HEAD.replace(AUTHOR, "From: Änn <änn@example.com>\r\n".encode())
    + b"\r\n"
    + TEXT,
    "an author below the domain": HEAD.replace(AUTHOR, b"From: ann@news.example.com\r\n")
    + b"\r\n"
    + TEXT,
    "only an author": AUTHOR + b"\r\n" + TEXT,
    "only an author, and no body": AUTHOR + b"\r\n",
    "From as the last field": b"To: bob@example.org\r\nSubject: x\r\n" + AUTHOR + b"\r\n" + TEXT,
    "MIME in UTF-8": HEAD + MIME + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + EIGHT_BIT,
    "quoted-printable": HEAD
    + MIME
    + b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe =\r\nx=20\r\n",
    "no subject": HEAD.replace(b"Subject: Hello\r\n", b"") + b"\r\n" + TEXT,
    "an empty subject": HEAD.replace(b"Subject: Hello", b"Subject:") + b"\r\n" + TEXT,
    "two subjects": HEAD + b"Subject: Hello again\r\n\r\n" + TEXT,
    "a subject with blanks inside": HEAD.replace(b"Subject: Hello", b"Subject:  a \t b ")
    + b"\r\n"
    + TEXT,
}
KINDS: dict[str, bytes] = {
    **{f"body: {name}": with_body(body) for name, body in BODIES.items()},
    **{f"field: {name}": with_field(field) for name, field in FIELDS.items()},
    **WHOLE,
}
"""By what is odd about them. Line ends are CRLF, as the door leaves them."""

UNREADABLE = {"field: a blank before the colon": ("dkimpy", "exim")}
"""To whom. RFC 5322 §4.5 has such fields as obsolete; dkimpy refuses to read the whole message, and
Exim takes the blank for a part of the name and does not find the field."""
TOO_LONG = frozenset(
    name for name, content in KINDS.items() if max(map(len, content.split(b"\r\n"))) > 998
)
"""With lines longer than RFC 5321 §4.5.3.1.6 allows: others may fold them on the way."""
