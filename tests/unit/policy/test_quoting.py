from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.quoting import FIRST, QUOTES, NotWritable

NASTY = "ab 'x\"\\$`:^#;%{}@!~&|<>*?()[]=,é€"
values = st.text(st.sampled_from(NASTY), max_size=12) | st.text(
    st.characters(exclude_categories=("C", "Z")), max_size=12
)


def double_quoted_by_shell(text: str) -> str:
    """POSIX.1-2017, 2.2.3: in double quotes a backslash takes only these with it."""
    return re.sub(r'\\([$`"\\])', r"\1", text)


def dotenv_value(text: str) -> str:
    """What shells and the libraries have in common: a bare word, '...' or \"...\"."""
    if text[:1] == "'":
        assert text[-1:] == "'" and "'" not in text[1:-1] and "\\" not in text
        return text[1:-1]
    if text[:1] == '"':
        assert re.fullmatch(r'"(?:[^"\\`$]|\\["\\$])*"', text), text
        return double_quoted_by_shell(text[1:-1])
    assert re.fullmatch(r"[\w.@+:/,=%-]*", text, re.ASCII), text
    return text


def single_quoted(text: str) -> str:
    """PHP, Ruby and Perl: only the two are escaped, and neither stands alone."""
    assert re.fullmatch(r"(?:[^'\\]|\\['\\])*", text), text
    return re.sub(r"\\(.)", r"\1", text)


def exim_expanded(text: str) -> str:
    """Exim's expansion of a text without items: no variable begins, a backslash takes one along."""
    assert re.fullmatch(r"(?:[^\\$]|\\[\\$])*", text), text
    return re.sub(r"\\(.)", r"\1", text)


def main_cf_value(text: str) -> str:
    assert text == text.strip() and re.fullmatch(r"(?:[^$]|\$\$)*", text)
    return text.replace("$$", "$")


def msmtp_value(text: str) -> str:
    stripped = text.strip()
    return stripped[1:-1] if len(stripped) > 1 and stripped[0] == stripped[-1] == '"' else stripped


def ini_value(text: str) -> str:
    if text.startswith('"""'):
        return text[3:-3]
    assert not set(text) & set("#;`\"'$%") - {"%"}
    return text


READ: dict[str, Callable[[str], str]] = {
    "text": str,
    "csharp": lambda text: str(json.loads(f'"{text}"')),
    "curl": lambda text: str(json.loads(f'"{text}"')),
    "dotenv": dotenv_value,
    "exim": exim_expanded,
    "go": lambda text: str(json.loads(f'"{text}"')),
    "ini": ini_value,
    "java": lambda text: str(json.loads(f'"{text}"')),
    "javascript": lambda text: str(json.loads(f'"{text}"')),
    "main.cf": main_cf_value,
    "map": str.strip,
    "msmtp": msmtp_value,
    "perl": single_quoted,
    "php": single_quoted,
    "python": lambda text: str(ast.literal_eval(f'"{text}"')),
    "ruby": single_quoted,
    "shell": lambda text: shlex.split(f"'{text}'")[0],
    "swaks": str.strip,
    "zone": str,
}
"""How each format is read, written down anew from its manual."""


def test_every_format_is_read_back_here() -> None:
    assert READ.keys() == QUOTES.keys()


@pytest.mark.parametrize("syntax", QUOTES)
@given(value=values)
def test_a_value_is_read_as_it_was_or_not_written_at_all(syntax: str, value: str) -> None:
    try:
        written = QUOTES[syntax](value)
    except NotWritable:
        return
    assert "\n" not in written
    assert READ[syntax](written) == value


@pytest.mark.parametrize("syntax", sorted(QUOTES.keys() - {"zone"}))
@pytest.mark.parametrize("value", ["shop-web", "ann+x@example.com", "pb_9hVx2RkTzqLw", "a_b.c"])
def test_an_ordinary_value_is_always_written_and_never_disguised(syntax: str, value: str) -> None:
    assert QUOTES[syntax](value) == value


def test_a_password_of_words_is_written_everywhere() -> None:
    for syntax in QUOTES.keys() - {"zone"}:
        assert READ[syntax](QUOTES[syntax]("four words of it")) == "four words of it"


@pytest.mark.parametrize("value", ["it's", 'a"b$HOME`id`\\', "$(reboot)", "a b;c#d", "'\\''", "é"])
def test_a_shell_agrees(value: str) -> None:
    line = f"printf %s '{QUOTES['shell'](value)}'"
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode() == value
    try:
        file = f'A={QUOTES["dotenv"](value)}\nprintf %s "$A"'
    except NotWritable:
        assert "`" in value
        return
    done = subprocess.run(["sh", "-c", file], capture_output=True, check=True)
    assert done.stdout.decode() == value


@given(username=values, password=values)
def test_a_login_in_an_address_is_read_as_it_was(username: str, password: str) -> None:
    url = f"smtps://{FIRST['url'](username)}:{FIRST['url'](password)}@mail.example.com:465"
    parts = urlsplit(url)
    assert (parts.hostname, parts.port) == ("mail.example.com", 465)
    assert unquote(parts.username or "") == username
    assert unquote(parts.password or "") == password
    assert QUOTES["dotenv"](url) == url, "an address needs no quotes"


def test_a_colon_ends_a_user_name_where_the_format_says_so() -> None:
    assert FIRST["before_colon"]("ann@example.com") == "ann@example.com"
    with pytest.raises(NotWritable, match="colon"):
        FIRST["before_colon"]("a:b")


@pytest.mark.parametrize("value", ["it's", 'a"b', "a\\b"])
def test_quotes_that_a_program_does_not_take_are_not_given_to_it(value: str) -> None:
    assert FIRST["no_quotes"]("four words $x") == "four words $x"
    with pytest.raises(NotWritable):
        FIRST["no_quotes"](value)


@given(value=values)
def test_exim_sends_a_login_of_any_characters(value: str) -> None:
    written = FIRST["exim_list"](value)
    assert re.fullmatch(r"(?:[^:^]|::|\^\^)*", written)
    assert written.replace("::", ":").replace("^^", "^") == value


@given(value=values)
@pytest.mark.parametrize(("name", "special"), [("ruby_text", "#"), ("php_text", "$")])
def test_a_string_within_a_shell_s_quotes_reads_as_it_was(
    name: str, special: str, value: str
) -> None:
    written = FIRST[name](value)
    assert re.fullmatch(rf'(?:[^\\"{special}]|\\[\\"{special}])*', written)
    assert re.sub(r"\\(.)", r"\1", written) == value


@pytest.mark.parametrize("value", ["a b", "a.example. IN A 192.0.2.1", "ä.example", "", "a;b"])
def test_nothing_but_a_host_name_gets_into_a_zone(value: str) -> None:
    with pytest.raises(NotWritable):
        QUOTES["zone"](value)
