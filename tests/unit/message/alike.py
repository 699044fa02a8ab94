"""documents of the same markup, with other words and addresses, strange ones among them"""

from __future__ import annotations

import re

from hypothesis import strategies as st

_SHEETS = (
    b"p { color: red } td { margin: 0 } a { color: blue } b + a { top: 0 }",
    b"p:empty { color: red } td:empty, div:empty { left: 0 } :not(:empty) { right: 0 }",
    b'a[href^="h"] { color: red } img[src=""] { left: 0 } p { top: 0 !important }',
    b"a[title] { color: red } [alt~=x] { left: 0 } p:first-child { top: 0 }",
    b"[\\68 ref=h] { color: red } a:link { left: 0 } p ~ p { top: 0 }",
    b".x, #y { color: red } table p { left: 0 } td:only-child { top: 0 }",
    b"head:not(:empty) + body p { color: red } p:nth-of-type(2) { left: 0 }",
)
_WORDS = (
    b"", b" ", b"\r\n", b"word", b" word", b"word ", b"&amp;", b"&#32;", b"&#32;a", b"&Tab;", b" &#9;",
    b"&NewLine;", b"&nbsp;", b"h", b"x y", b"-->", b"a > b", b"caf\xc3\xa9", b"\xc2\xa0", b"]]>", b"=",
    b"a < b", b"\x00", b' pb-n="1" style="top: 9px"', b"\xef\xbb\xbf", b"&", b"&#x20", b"\x0b",
)  # fmt: skip
_VALUES = (b"", b"h", b"x", b"h?a=1&amp;b=2", b"x y", b"a>b", b"<b>", b"style=h", b"caf\xc3\xa9")
_MARKUP = tuple(
    b"<p>|</p>|<p style='top: 1px'>|<a href=~>|<A HREF = '~' class=x>|<a title=\"~\" style=\"left: 1px\""
    b" href=\"~\">|</a>|<img src=\"~\" alt='~'>|<img alt=\"~\" style=left:0 src='~'/>|<table>|<tr>|<td>|"
    b"</td>|</tr>|</table>|<div id=y class=x>|</div>|<b>|</b>|<i>|</i>|<!-- c -->|<!--[if mso]><p>|"
    b"<![endif]-->|<![if !mso]>|<![endif]>|<!-->|<!--->|<?xml a?>|<br>|<br/>|<title>|</title>|<textarea>|"
    b"</textarea>|<pre>|</pre>|<col>|<colgroup>|<caption>|</body>|</html>|<head>|<body>|<html>|<li>|<ul>|"
    b"<style>p { bottom: 0 }</style>|<style>|</style>|<style =\"x>y\">|</style x>|<a =\"~>\">|<a x=\"|<p|<|</|</3>|"
    b"<svg>|</svg>|<select>|</select>|<template>|<script>|</script>|<script><!--<script>|<noscript>|"
    b"<frameset>|<input type=hidden>|<form>|<button>|<h1>|</h1>|<font color=~>|<a/href=~>|<link href=~>|"
    b"<!doctype html>|<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 3.2//EN\">|<! <p x=\"~>|<p title=~/>|"
    b"<nobr>|<option>|<a href=~ href=\"~\" style=\"right: 0\" style=top:0>|<p title=\"~\"\n>".split(b"|")
)  # fmt: skip


@st.composite
def alike(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Two documents of the same markup, with other words and addresses."""
    pieces = draw(st.lists(st.sampled_from(_MARKUP), max_size=14))
    one = [b"<style>", draw(st.sampled_from(_SHEETS)), b"</style>"]
    other = list(one)
    for piece in pieces:
        for made in (one, other):
            made.append(re.sub(b"~", lambda _: draw(st.sampled_from(_VALUES)), piece))
            made.append(draw(st.sampled_from(_WORDS)))
    return b"".join(one), b"".join(other)
