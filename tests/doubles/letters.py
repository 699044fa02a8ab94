"""mail made from a seed: prose that compresses like prose, attachments that do not

Measuring with a body of one repeated letter flatters every store that compresses, so bodies are
sentences over a vocabulary drawn by Zipf's law, and attachments are random bytes in base64. A pool
of bodies is made once; each message gets its own header and, as the last line of its body, its own
id, so that no two bodies are equal and a swap would be seen.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from itertools import accumulate
from typing import Self

# Most used first: the rank decides how often a word is drawn.
VOCABULARY = """
the of and to a in is it that for on with as this be are by you we at or from have not your our
will can has an all if but they one which there was their more when so no what about any only new
up out do time other into some please need also been after work who than over may made would
these its how then first just where most even know back good make order year week day month each
people system message account number report change open send week list group before because same
between both under second while last place still own part since part used must such very through
where much find again down does home point while right use long water small large early late
office team project meeting question answer problem plan price service customer delivery invoice
payment contract address table letter document page paper line field record value result figure
total sum amount rate market company department office building floor window door street city
country region north south east west morning evening night summer winter spring autumn weather
train station ticket journey road bridge river mountain garden kitchen dinner breakfast bread
coffee music book story picture colour green blue red yellow white black paper pencil printer
machine engine server network cable power light sound voice phone screen button keyboard file
folder version update release test error warning limit queue batch draft review approve reject
agree discuss explain describe mention suggest remind confirm receive return replace repair build
design measure compare choose prepare collect share store keep move start stop begin finish close
increase reduce improve support provide require include exclude expect remember forget learn teach
understand believe think feel hope wish promise offer accept refuse deliver carry bring take give
buy sell pay cost spend save lose win meet visit travel arrive leave stay wait watch listen read
write speak talk ask tell show help thank welcome sorry glad happy careful quick slow simple
difficult important possible certain clear strong weak heavy cheap expensive public private local
general special common rare final recent current former next previous following several various
enough almost always never often sometimes usually perhaps probably certainly together apart
instead however therefore although unless until against without within beyond during despite
according regarding quarter budget schedule deadline estimate agenda minutes attachment signature
warehouse shipment carton pallet label barcode inventory supplier purchase discount refund receipt
subscription renewal reminder maintenance outage incident severity rollback migration backup
certificate password login session permission policy audit compliance retention archive
""".split()

_LONGEST_TEXT = 50 * 1024
"""In bytes, of what `Letters.text` gives."""

_HARMLESS_DOTS = (
    b"...and so on, as agreed.\r\n",
    b". a line that begins with a dot\r\n",
    b".\t\r\n",
    b"..\r\n",
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large messages are: between two bounds, every order of magnitude equally often."""

    smallest: int
    largest: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``10k``, ``1k-50k``, ``900-20k``."""
        low, _, high = text.partition("-")
        return cls(_parse_bytes(low), _parse_bytes(high or low))

    def draw(self, dice: random.Random) -> int:
        """One size in bytes."""
        if self.smallest == self.largest:
            return self.smallest
        ratio = self.largest / self.smallest
        return int(self.smallest * ratio ** dice.random())


def _parse_bytes(text: str) -> int:
    text = text.strip().lower()
    factor = {"k": 1024, "m": 1024 * 1024}.get(text[-1:], 1)
    size = int(float(text.rstrip("km")) * factor)
    if size <= 0:
        raise ValueError(f"a size must be positive: {text!r}")
    return size


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, ready to be handed over."""

    identity: str
    """What X-Exp-Id says."""
    content: bytes
    wire: bytes
    """The content dot-stuffed, with the terminator behind it."""
    sha256: str
    """Of the body behind the blank line, not stuffed."""


@dataclass(frozen=True, slots=True)
class _Body:
    header: bytes
    data: bytes
    stuffed: bytes
    digest: hashlib._Hash


class Letters:
    """Makes messages; the same seed gives the same messages."""

    def __init__(
        self,
        sizes: Sizes,
        *,
        seed: int = 1,
        attachment_share: float = 0.2,
        variants: int = 32,
        author: str = "orders@example.test",
    ) -> None:
        """`attachment_share` of the bodies of 4 KB and more carry a base64 attachment.

        Those of more than 32 KB always do, as in life.
        """
        dice = random.Random(seed)
        self.author = author.encode()
        self._cumulated = list(accumulate(1 / (rank + 2) for rank in range(len(VOCABULARY))))
        self._date = formatdate(1_700_000_000 + seed % 1_000_000).encode()
        self._subjects = [self._sentence(dice)[:60].strip(" .?!") for _ in range(variants)]
        self._bodies = [
            self._make_body(dice, sizes.draw(dice), attachment_share) for _ in range(variants)
        ]

    def letter(self, number: int, identity: str, recipients: Sequence[str]) -> Letter:
        """The message of this number, with this id, to these recipients."""
        body = self._bodies[number % len(self._bodies)]
        subject = self._subjects[number * 7 % len(self._subjects)]
        name = identity.encode()
        header = b"".join(
            (
                b"Date: ", self._date,
                b"\r\nFrom: Order Desk <", self.author,
                b">\r\nTo: ", ",\r\n ".join(recipients).encode(),
                b"\r\nSubject: ", subject.encode(),
                b"\r\nMessage-ID: <", name, b"@load.example.test>",
                b"\r\nX-Exp-Id: ", name,
                b"\r\nMIME-Version: 1.0\r\n", body.header, b"\r\n",
            )
        )  # fmt: skip
        mark = b"-- \r\nreference " + name + b"\r\n"
        digest = body.digest.copy()
        digest.update(mark)
        return Letter(
            identity=identity,
            content=b"".join((header, body.data, mark)),
            wire=b"".join((header, body.stuffed, mark, b".\r\n")),
            sha256=digest.hexdigest(),
        )

    def text(self, number: int) -> str:
        """The body of this number as text with LF, for APIs that compose the message."""
        body = self._bodies[number % len(self._bodies)]
        return body.data[:_LONGEST_TEXT].decode("ascii").replace("\r\n", "\n")

    def _make_body(self, dice: random.Random, size: int, attachment_share: float) -> _Body:
        # Header and mark take some 350 bytes of what the message is to have.
        wanted = max(60, size - 350)
        attached = dice.random() < attachment_share
        if size > 32 * 1024 or (size >= 4096 and attached):
            header, data = self._with_attachment(dice, wanted)
        else:
            header = b"Content-Type: text/plain; charset=us-ascii\r\n"
            data = self._prose(dice, wanted)
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        return _Body(header, data, stuffed, hashlib.sha256(data))

    def _prose(self, dice: random.Random, size: int) -> bytes:
        """About `size` bytes of paragraphs, lines of at most some 72 characters."""
        lines: list[bytes] = []
        length = 0
        line = ""
        while length < size:
            for word in self._sentence(dice).split(" "):
                if len(line) + len(word) > 72:
                    lines.append(line.encode() + b"\r\n")
                    length += len(line) + 2
                    line = ""
                line = f"{line} {word}" if line else word
            if dice.random() < 0.2:
                lines.append(line.encode() + b"\r\n\r\n")
                length += len(line) + 4
                line = ""
            if dice.random() < 0.02:
                lines.append(dice.choice(_HARMLESS_DOTS))
                length += len(lines[-1])
        return b"".join(lines)[: size - 2].rstrip(b"\r\n") + b"\r\n"

    def _sentence(self, dice: random.Random) -> str:
        words = dice.choices(VOCABULARY, cum_weights=self._cumulated, k=dice.randint(5, 22))
        if len(words) > 12:
            words[len(words) // 2] += ","
        if dice.random() < 0.15:
            words[-1] = str(dice.randint(2, 99_999))
        return words[0].capitalize() + " " + " ".join(words[1:]) + dice.choice(".....?!")

    def _with_attachment(self, dice: random.Random, size: int) -> tuple[bytes, bytes]:
        boundary = f"=_{dice.getrandbits(80):020x}".encode()
        text = self._prose(dice, min(2000, size // 4))
        raw = dice.randbytes(max(100, int((size - len(text) - 350) * 0.73)))
        encoded = base64.encodebytes(raw).replace(b"\n", b"\r\n")
        header = b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n'
        data = b"".join(
            (
                b"--", boundary, b"\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
                text,
                b"\r\n--", boundary,
                b"\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Transfer-Encoding: base64\r\n"
                b'Content-Disposition: attachment; filename="figures.bin"\r\n\r\n',
                encoded,
                b"--", boundary, b"--\r\n",
            )
        )  # fmt: skip
        return header, data
