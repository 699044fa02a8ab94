"""how a value is written in the formats that programs read, so that it comes out as it was

A recipe's text has the quotes, a value goes between them; where the format knows quotes only for
some values (``.env``, ini files) the value brings its own. No value has a control character or a
line break: `policy.connecting` refuses those before they come here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from pillarbox.terms.errors import PillarboxError

Quote = Callable[[str], str]

_BARE: Final = re.compile(r"[A-Za-z0-9._@+:/,=%-]*")
_DNS: Final = re.compile(r"[A-Za-z0-9._-]+")


class NotWritable(PillarboxError):
    """A value cannot be written in the format that the program reads."""

    code = "invalid_value"


def _as_it_is(value: str) -> str:
    return value


def _in_double_quotes(value: str) -> str:
    """Python, JavaScript, JSON, YAML, Go, Java, C# and curl's files agree on these two."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _in_single_quotes(value: str) -> str:
    """PHP, Ruby and Perl: nothing is interpolated, and a backslash stands for itself."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _shell(value: str) -> str:
    """Between single quotes, where not even a backslash means anything."""
    return value.replace("'", "'\\''")


def _dotenv(value: str) -> str:
    """A whole value, as shells, Docker and the libraries of PHP, Python and Node all read it.

    They agree on bare words and on single quotes around what has neither a single quote nor a
    backslash. Of what double quotes need, the backtick is what they do not agree on.
    """
    if _BARE.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    if "`" in value:
        raise NotWritable(
            "programs do not agree on how a value with a backtick and quotes is written here"
        )
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def _ini(value: str) -> str:
    """A whole value of Grafana's settings, where ``#`` and ``;`` begin comments."""
    if _BARE.fullmatch(value):
        return value
    if '"' in value or "`" in value or "$" in value or "%" in value:
        raise NotWritable('an ini file has no way to write a value with ", `, $ or % in it')
    return f'"""{value}"""'


def _rest_of_line(value: str) -> str:
    """Taken up to the end of the line, as it stands."""
    if value != value.strip():
        raise NotWritable("a value with blanks at its ends cannot be written here")
    return value


def _msmtp(value: str) -> str:
    """Up to the end of the line; one pair of quotes around all of it is taken away."""
    if value != value.strip() or value[:1] == '"' == value[-1:]:
        return f'"{value}"'
    return value


def _main_cf(value: str) -> str:
    """Postfix replaces ``$name`` by the setting of that name."""
    return _rest_of_line(value).replace("$", "$$")


def _exim(value: str) -> str:
    """Exim expands what it reads: a dollar sign begins a variable, a backslash an escape."""
    return _rest_of_line(value).replace("\\", "\\\\").replace("$", "\\$")


def _zone(value: str) -> str:
    if not _DNS.fullmatch(value):
        raise NotWritable("only host names are written into a zone")
    return value


def _url(value: str) -> str:
    """A part of an address (RFC 3986 §2.1): everything but letters, digits and ``-._``.

    The tilde could stand as it is in an address, but a shell would take it for a home directory.
    """
    return quote(value, safe="").replace("~", "%7E")


def _before_colon(value: str) -> str:
    """The user name where a colon ends it."""
    if ":" in value:
        raise NotWritable("a user name with a colon cannot be written here: it would end there")
    return value


def _no_quotes(value: str) -> str:
    """What a program writes into a second format by itself, without care for quotes."""
    if "'" in value or '"' in value or "\\" in value:
        raise NotWritable("quotes and backslashes are not taken here by the program itself")
    return value


def _exim_list(value: str) -> str:
    """In what Exim sends as a login: a colon ends the item, ``^`` is the separator of PLAIN."""
    return value.replace(":", "::").replace("^", "^^")


def _ruby_text(value: str) -> str:
    """Between double quotes, where ``#`` may begin something to be evaluated."""
    return re.sub(r'([\\"#])', r"\\\1", value)


def _php_text(value: str) -> str:
    """Between double quotes, where a dollar sign begins a variable."""
    return re.sub(r'([\\"$])', r"\\\1", value)


QUOTES: Final[Mapping[str, Quote]] = {
    "text": _as_it_is,
    "csharp": _in_double_quotes,
    "curl": _in_double_quotes,
    "dotenv": _dotenv,
    "exim": _exim,
    "go": _in_double_quotes,
    "ini": _ini,
    "java": _in_double_quotes,
    "javascript": _in_double_quotes,
    "main.cf": _main_cf,
    "map": _rest_of_line,
    "msmtp": _msmtp,
    "perl": _in_single_quotes,
    "php": _in_single_quotes,
    "python": _in_double_quotes,
    "ruby": _in_single_quotes,
    "shell": _shell,
    "swaks": _rest_of_line,
    "zone": _zone,
}
"""What a piece of a recipe may be written in, and what that does to every value in it."""

FIRST: Final[Mapping[str, Quote]] = {
    "url": _url,
    "shell_word": shlex.quote,
    "before_colon": _before_colon,
    "no_quotes": _no_quotes,
    "exim_list": _exim_list,
    "ruby_text": _ruby_text,
    "php_text": _php_text,
}
"""What a single place may ask for besides, done before: ``{{username|url}}``.

A program in a shell's quotes has strings of its own.
"""
