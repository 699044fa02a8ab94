"""two messages of a shop that does not exist: one about an order, and a newsletter

Both are what such mail is: text and HTML beside it, tables for layout, a style sheet with media
queries and classes, a conditional comment for Outlook, quoted-printable because of accents and long
lines. Always the same octets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from email.utils import formatdate
from functools import cache

from pillarbox.message.transfer import quoted_printable
from tests.doubles.letters import VOCABULARY

AUTHOR = "orders@shop.example.test"
READER = "reader@example.test"

_SECONDS = 1_780_000_000
_STORIES = 10
_SHEET = """\
body { margin: 0; padding: 0; background-color: #f4f1ea; font-family: Georgia, serif; }
table { border-collapse: collapse; }
td { padding: 0; vertical-align: top; }
img { border: 0; display: block; line-height: 100%; }
a { color: #0b5c72; text-decoration: underline; }
p { margin: 0 0 14px; font-size: 16px; line-height: 24px; color: #333333; }
h1 { margin: 0 0 20px; font-size: 28px; line-height: 34px; color: #1d2b30; }
h2 { margin: 0 0 8px; font-size: 20px; line-height: 26px; color: #1d2b30; }
.page { width: 600px; background-color: #ffffff; }
.head { padding: 24px 32px; border-bottom: 4px solid #0b5c72; }
.head a { color: #1d2b30; text-decoration: none; }
.lead { font-size: 18px; line-height: 27px; font-style: italic; }
.story { padding: 20px 32px; }
.story h2 a { text-decoration: none; }
.story p.date { color: #777777; font-size: 13px; text-transform: uppercase; }
.picture { width: 160px; padding-right: 20px; }
.button a { display: inline-block; padding: 10px 22px; background-color: #0b5c72; color: #ffffff; }
.foot { padding: 24px 32px; font-size: 12px; background-color: #e7e2d6; }
.foot p { font-size: 12px; line-height: 18px; color: #666666; }
.foot a { color: #666666 !important; }
@media only screen and (max-width: 600px) {
  .page { width: 100% !important; }
  .picture { display: block !important; width: 100% !important; }
}
"""
_SHORT_SHEET = """\
body { margin: 0; background: #ffffff; font-family: Arial, sans-serif; }
p, td { font-size: 15px; line-height: 22px; color: #222222; }
h1 { font-size: 22px; margin: 0 0 16px; }
.sum td { border-top: 2px solid #cccccc; font-weight: bold; }
.right { text-align: right; }
.button { padding: 10px 20px; background: #0b5c72; color: #ffffff !important; }
.small { font-size: 12px; color: #777777; }
@media (max-width: 480px) { .wide { width: 100% !important; } }
"""


@cache
def transactional() -> bytes:
    """An order, about 4 KB, with three links and an image."""
    rows = "".join(
        f'<tr><td>{count} × {name}</td><td class="right">€&nbsp;{price}</td></tr>\n'
        for count, name, price in (
            (2, "Café mug, stoneware, 300 ml", "19,80"),
            (1, "Enamel pot with lid", "34,50"),
            (3, "Linen tea towel, striped", "26,85"),
            (1, "Salt cellar of olive wood, hand-made in Crête", "18,00"),
            (1, "Parcel and packing, climate-neutral, to Zürich", "6,95"),
        )
    )
    text = (
        "Thank you for your order 20417.\r\n\r\n2 mugs, 1 pot and 3 tea towels will leave our "
        "warehouse tomorrow.\r\nFollow them here: https://shop.example.test/orders/20417/parcel\r\n"
        "\r\nTotal: 106,10 euro, paid by card.\r\n\r\nSomething wrong? Send it back within 30 days: "
        "https://shop.example.test/help/returns\r\n"
    )
    html = f"""\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Your order 20417</title>
<style type="text/css">
{_SHORT_SHEET}</style></head>
<body>
<table class="wide" width="560" align="center" cellpadding="0" cellspacing="0"><tr><td>
<a href="https://shop.example.test/?from=mail&amp;kind=order"><img src="https://img.example.test/\
mail/logo@2x.png?v=7" alt="The pottery" width="140" height="40"></a>
<h1>Thank you for your order</h1>
<p>Dear Zoë, we have packed order <b>20417</b>, and it will leave our warehouse tomorrow:</p>
<table width="100%">
{rows}<tr class="sum"><td>Total, VAT included</td><td class="right">€&nbsp;106,10</td></tr>
</table>
<p>It comes with <i>Parcels &amp; Letters</i> between ten in the morning and noon, and needs no \
signature: where nobody opens, it is left with the neighbours you named, at number 14.</p>
<p><a class="button" href="https://shop.example.test/orders/20417/parcel?ref=mail&amp;step=2#map">\
Follow your parcel</a></p>
<p class="small">Something wrong? <a href="https://shop.example.test/help/returns">Send it \
back</a> within 30 days, unused and in what it came in, or write to <a href="mailto:help@shop.example.test">us</a>.</p>
<p class="small">Your mugs are thrown and glazed by hand, so no two are alike: small dots, drops \
and shades are no faults. Wash the pot by hand, and never put it into a cold oven when it is hot.</p>
<p class="small">You bought as a guest. With an account you see all of your orders and bills in one \
place, and need not type your address again.</p>
<p class="small">The pottery, Kiln Lane 3, 1017 Exampletown. What you paid is kept for the tax \
office for ten years, your address for as long as your parcel takes.</p>
</td></tr></table>
</body></html>
""".replace("\n", "\r\n")
    return _mail("Your order 20417 is on its way", "order-20417", text, html)


@cache
def newsletter() -> bytes:
    """News, about 30 KB, with twenty links and five images worth the name, and unsubscribing."""
    dice = random.Random(20_260_728)
    stories = "".join(_stories(dice))
    text = "\r\n".join(
        f"{_sentence(dice)}\r\nhttps://shop.example.test/stories/{number}\r\n"
        for number in range(1, _STORIES + 1)
    )
    html = f"""\
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" \
"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8" />
<title>News of July</title>
<!--[if mso]><style>td {{ font-family: Arial, sans-serif !important; }}</style><![endif]-->
<style type="text/css">
{_SHEET}</style></head>
<body bgcolor="#f4f1ea">
<!-- what is shown in lists of mail -->
<table width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center">
<table class="page" width="600" cellpadding="0" cellspacing="0" border="0">
<tr><td class="head"><h1><a href="https://shop.example.test/news?edition=2026-07">News of \
July</a></h1>
<p class="lead">{_sentence(dice)}</p></td></tr>
{stories}<tr><td class="foot"><p>You get this because you asked for it on our pages.
<a href="https://shop.example.test/unsubscribe?reader=8842">Unsubscribe</a> ·
<a href="https://shop.example.test/privacy">Privacy</a></p></td></tr>
</table></td></tr></table>
</body></html>
""".replace("\n", "\r\n")
    return _mail("News of July", "news-2026-07", text, html)


def _stories(dice: random.Random) -> Iterator[str]:
    for number in range(1, _STORIES + 1):
        address = f"https://shop.example.test/stories/{number}/{_slug(dice)}"
        picture = (
            f'<td class="picture" width="160"><img src="https://img.example.test/news/2026/07/'
            f'{number}.jpg?w=320&amp;q=80" width="160" height="120" alt="{_slug(dice)}" /></td>'
            if number % 2
            else ""
        )
        body = "\n".join(f"<p>{_paragraph(dice)}</p>" for _ in range(4))
        button = (
            f'<p class="button"><a href="{address}?from=button#more" title="Read on">Read on</a></p>'
            if number < _STORIES
            else ""
        )
        yield f"""\
<tr><td class="story"><table width="100%" cellpadding="0" cellspacing="0"><tr>{picture}<td>
<p class="date">{number} July</p>
<h2 style="letter-spacing: 0.2px"><a href="{address}?from=title&amp;edition=2026-07">\
{_sentence(dice)}</a></h2>
{body}
{button}</td></tr></table></td></tr>
"""


def _paragraph(dice: random.Random) -> str:
    return " ".join(_sentence(dice) for _ in range(dice.randint(5, 7)))


def _sentence(dice: random.Random) -> str:
    words = [dice.choice(VOCABULARY) for _ in range(dice.randint(7, 15))]
    if dice.random() < 0.2:
        words[dice.randrange(len(words))] = dice.choice(["café", "naïve", "Zürich", "déjà", "à la"])
    return " ".join(words).capitalize() + "."


def _slug(dice: random.Random) -> str:
    return "-".join(dice.choice(VOCABULARY) for _ in range(3))


def _mail(subject: str, name: str, text: str, html: str) -> bytes:
    parts = (
        ("plain", text.encode("utf-8")),
        ("html", html.encode("utf-8")),
    )
    boundary = f"=_{name}"
    body = "".join(
        f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        f"{quoted_printable(content).decode('ascii')}\r\n"
        for kind, content in parts
    )
    return (
        f"From: The pottery <{AUTHOR}>\r\nTo: Zoe Reader <{READER}>\r\nSubject: {subject}\r\n"
        f"Date: {formatdate(_SECONDS)}\r\nMessage-ID: <{name}@shop.example.test>\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
        f"{body}--{boundary}--\r\n"
    ).encode("ascii")
