"""charsets in which ASCII means ASCII, so that a document in them can be read octet by octet"""

from __future__ import annotations

import codecs
from typing import Final

_HAVE_ASCII: Final = frozenset(
    "ascii utf-8 big5 big5hkscs cp932 cp949 cp950 euc_jp euc_jis_2004 euc_jisx0213 euc_kr gb2312 "
    "gbk gb18030 johab shift_jis shift_jis_2004 shift_jisx0213 koi8-r koi8-t koi8-u kz1048 "
    "mac-cyrillic mac-greek mac-iceland mac-latin2 mac-roman mac-turkish ptcp154 tis-620 "
    "iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 "
    "iso8859-10 iso8859-11 iso8859-13 iso8859-14 iso8859-15 iso8859-16 cp437 cp720 cp737 cp775 "
    "cp850 cp852 cp855 cp857 cp858 cp860 cp861 cp862 cp863 cp865 cp866 cp869 cp874 cp1125 cp1250 "
    "cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258".split()
)
"""By the names that Python's codecs give themselves. Not among them are those that shift states
(ISO-2022, HZ, UTF-7) and those with wider units: in them an octet alone says nothing.
"""
_AS_BROWSERS_READ: Final = {"ascii": "cp1252", "iso8859-1": "cp1252", "gb2312": "gb18030"}
"""Where more is usual than the name permits (WHATWG Encoding)."""
_MOST_CHARACTERS: Final = 40


def codec_for(charset: str, document: bytes) -> str | None:
    """The codec by which a document is read; None where it cannot be read octet by octet.

    Without a charset, or with one that nobody knows, a document is read if it is ASCII or UTF-8.
    """
    name = "utf-8"
    if charset:
        try:
            name = codecs.lookup(charset[:_MOST_CHARACTERS].strip()).name
        except (LookupError, ValueError):
            name = "utf-8"
        if name not in _HAVE_ASCII:
            return None
    if document.isascii():
        return name
    for candidate in dict.fromkeys((name, _AS_BROWSERS_READ.get(name, name))):
        try:
            document.decode(candidate)
        except UnicodeDecodeError:
            continue
        return candidate
    return None
