from __future__ import annotations

import ast
import re
import shlex
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.connecting import LoginFacts, Security
from pillarbox.policy.quoting import NotWritable
from pillarbox.policy.recipe import Book, Recipe, Snippet, UnknownRecipe, fill, parse_book
from pillarbox.protocol import replies
from pillarbox.protocol.reply import Reply
from pillarbox.terms.catalogue import CATALOGUE
from pillarbox.wiring.recipes import load_recipes

TLS, STARTTLS = Security.TLS, Security.STARTTLS
FACTS = LoginFacts(
    credential="web",
    username="shop-web",
    host="mail.example.com",
    port=465,
    security=TLS,
    sender="shop@example.com",
    tls_port=465,
    starttls_port=587,
)
PAGES = 'pages = [{ name = "p", title = "P", recipes = ["one"] }]'
FAILURES = (
    '[a]\nsaid = "535 no"\nmeans = "m"\ndo = """\n?tls:T\n?starttls:S\n?hastls:{{tls_port}}\n"""'
)
ONE = 'caption = "One"\nseen = "x"\nfailures = ["a", "a", "a"]\n'
BOOK = load_recipes()

hard = st.text(st.sampled_from("ab'\"\\$`:^#;%{}@!~é "), min_size=1, max_size=10)


def one(more: str = "", pages: str = PAGES, failures: str = FAILURES) -> Recipe:
    files = {"pages.toml": pages, "failures.toml": failures, "one.toml": ONE + more}
    return parse_book(files).recipe("one")


def file_of(text: str, syntax: str = "text") -> str:
    return f"[[files]]\nname = \"f {{{{port}}}}\"\nsyntax = \"{syntax}\"\ntext = '''\n{text}\n'''"


def filled(text: str, syntax: str = "text", facts: LoginFacts = FACTS) -> str:
    return fill(one(file_of(text, syntax)), facts).files[0].text


# --- places and conditions --------------------------------------------------------------------


def test_places_get_their_values() -> None:
    assert filled("{{host}}:{{port}} {{security}} {{domain}}") == (
        "mail.example.com:465 SSL/TLS example.com"
    )
    assert filled("{{security}}", facts=replace(FACTS, security=STARTTLS)) == "STARTTLS"
    assert fill(one(file_of("x")), FACTS).files[0].name == "f 465"


def test_a_value_that_looks_like_a_place_is_left_alone() -> None:
    tricky = replace(FACTS, username="{{password}}", credential="?ca:x")
    assert filled("{{username}} {{credential}}", facts=tricky) == "{{password}} ?ca:x"


def test_braces_of_the_program_are_left_alone() -> None:
    assert filled('{"a": {"b": "{{host}}"}}') == '{"a": {"b": "mail.example.com"}}'


def test_lines_stand_where_their_condition_holds() -> None:
    text = "?tls:tls\n?starttls:start\n?ca:ca\n?!ca:no ca\n?!ca,tls:both\n  ?tls: no condition"
    assert filled(text) == "tls\nno ca\nboth\n  ?tls: no condition"
    with_ca = replace(FACTS, security=STARTTLS, ca_path="/ca")
    assert filled(text, facts=with_ca) == "start\nca\n  ?tls: no condition"
    local = replace(FACTS, host="localhost", tls_port=0, incoming="imaps://i.example")
    text = "?local:l\n?hastls:t\n?hasstarttls:s\n?incoming:{{incoming_service}} {{incoming_host}}"
    assert filled(text, facts=local) == "l\ns\nimaps i.example"


def test_what_is_empty_afterwards_is_left_out() -> None:
    more = 'steps = ["?ca:trust", "go"]\nform = [["?ca:CA", "{{ca}}"], ["Port", "{{port}}"]]\n'
    recipe = fill(one(more + file_of("?ca:x")), FACTS)
    assert recipe.steps == ("go",)
    assert recipe.form == (("Port", "465"),)
    assert recipe.files == ()


def test_what_to_do_about_a_failure_is_one_paragraph() -> None:
    assert fill(one(), FACTS).failures[0].do == "T 465"


def test_a_value_that_cannot_be_written_is_named() -> None:
    with pytest.raises(NotWritable, match="^username: .*colon"):
        filled("{{username|before_colon}}", "map", replace(FACTS, username="a:b"))


# --- the book ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        "surprise = 1", "failures = 3", 'form = [["one"]]', "caption = 'twice'", "[[files]]\nname = 'x'",
        file_of("x", "klingon"), 'via = "tls"',
    ],
)  # fmt: skip
def test_a_recipe_with_a_mistake_is_refused(more: str) -> None:
    with pytest.raises(ValueError, match=r"one\.toml"):
        one(more)


def test_pages_and_recipes_belong_together() -> None:
    with pytest.raises(ValueError, match="differ"):
        one(pages='pages = [{ name = "p", title = "P", recipes = ["one", "two"] }]')


def test_an_unknown_failure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one\.toml"):
        one(failures='[b]\nsaid = ""\nmeans = ""\ndo = ""')


def test_a_mistyped_name_is_answered_with_a_guess() -> None:
    assert BOOK.recipe("Django").name == "django"
    with pytest.raises(UnknownRecipe, match="did you mean django"):
        BOOK.recipe("djnago")
    with pytest.raises(UnknownRecipe) as unknown:
        BOOK.recipe("x" * 10_000)
    assert len(unknown.value.sentence) < 100
    assert Book().recipes == {}


# --- our own recipes --------------------------------------------------------------------------

EVERY = [
    replace(
        FACTS,
        security=security,
        port=465 if security is TLS else 587,
        ca_path=ca,
        host=host,
        incoming=incoming,
        tls_port=465 if security is TLS else 0,
    )
    for security in Security
    for ca in ("", "/srv/mail/ca.pem")
    for host in ("localhost", "mail.example.com")
    for incoming in ("", "imaps://imap.example.com")
]


def texts(recipe: Recipe) -> list[Snippet]:
    return [*recipe.files, *([recipe.test] if recipe.test else [])]


@pytest.mark.parametrize("name", BOOK.recipes)
def test_a_recipe_is_whole_whatever_the_facts(name: str) -> None:
    for facts in EVERY:
        recipe = fill(BOOK.recipes[name], facts)
        said = [recipe.about, recipe.seen, *recipe.steps, *(v for _, v in recipe.form)]
        said += [each.text for each in texts(recipe)]
        said += [line for each in recipe.failures for line in (each.said, each.means, each.do)]
        for text in said:
            assert "{{" not in text and not re.search(r"^\?\w+:", text, re.MULTILINE), text
            assert text.count("`") % 2 == 0 or "\n" in text, text
        assert recipe.files or recipe.form
        assert recipe.test or recipe.steps
        whole = "\n".join(said)
        assert facts.host in whole and str(facts.port) in whole
        if name != "dns":
            assert facts.username in whole and facts.password in whole
            assert facts.sender in whole
        assert facts.ca_path in whole


@pytest.mark.parametrize("name", BOOK.recipes)
def test_no_recipe_switches_a_check_off(name: str) -> None:
    for facts in EVERY:
        text = "\n".join(each.text for each in texts(fill(BOOK.recipes[name], facts)))
        assert not re.search(
            r"insecure|verify.?none|rejectUnauthorized|CERT_NONE|SkipVerify|verify_peer|tls.?certcheck"
            r"|skip_verify|peer_name",
            text,
            re.IGNORECASE,
        )


def test_failures_are_said_in_the_words_of_our_replies() -> None:
    ours = [str(value) for value in vars(replies).values() if isinstance(value, Reply)]
    ours = [line for said in ours for line in said.splitlines()]
    said = {each.said for recipe in BOOK.recipes.values() for each in recipe.failures}
    for words in (each for each in said if each[:3].isdigit()):
        if "..." in words:
            code = words.partition(" ...")[0].split(" ")
            assert any(problem.smtp == " ".join(code[:2]) for problem in CATALOGUE.values())
        else:
            assert words in ours


def test_what_a_browser_or_a_device_shows_first_is_listed_first() -> None:
    names = [name for page in BOOK.pages for name in page.recipes]
    assert list(BOOK.recipes) == names
    assert len(names) == len(set(names))


# --- values of any kind -----------------------------------------------------------------------


def hardened(username: str, password: str, ca: str) -> LoginFacts:
    return replace(FACTS, username=username, password=password, ca_path=f"/x/{ca}/ca.pem")


@given(username=hard, password=hard, ca=hard)
def test_python_reads_what_was_written(username: str, password: str, ca: str) -> None:
    for name in ("python", "django"):
        recipe = fill(BOOK.recipes[name], hardened(username, password, ca))
        for each in recipe.files:
            tree = ast.parse(each.text)
            held = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            assert username in held
            if name == "python":
                assert f"/x/{ca}/ca.pem" in held


@given(username=hard, password=hard, ca=hard)
@pytest.mark.parametrize("name", [n for n, r in BOOK.recipes.items() if r.test])
def test_a_shell_reads_what_was_written(name: str, username: str, password: str, ca: str) -> None:
    try:
        recipe = fill(BOOK.recipes[name], hardened(username, password, ca))
    except NotWritable:
        return
    assert recipe.test is not None
    words = shlex.split(recipe.test.text, comments=False)
    if "SMTP_PASSWORD=" in recipe.test.text:
        assert f"SMTP_PASSWORD={password}" in words
    else:
        assert password not in words, "a password on a command line is seen by everybody"


@given(username=hard, password=hard, ca=hard)
def test_an_address_with_a_login_reads_as_it_was_written(
    username: str, password: str, ca: str
) -> None:
    try:
        env = fill(BOOK.recipes["env"], hardened(username, password, ca)).files[0].text
    except NotWritable:
        assert "`" in username + password + ca
        return
    (line,) = re.findall(r"^SMTP_URL=(.*)$", env, re.MULTILINE)
    url = urlsplit(line)
    assert (unquote(url.username or ""), unquote(url.password or "")) == (username, password)


@given(username=hard, password=hard, ca=hard)
def test_no_value_adds_a_line(username: str, password: str, ca: str) -> None:
    plain, hard_one = hardened("u", "p", "c"), hardened(username, password, ca)
    for recipe in BOOK.recipes.values():
        try:
            got = fill(recipe, hard_one)
        except NotWritable:
            continue
        for easy, difficult in zip(texts(fill(recipe, plain)), texts(got), strict=True):
            assert easy.text.count("\n") == difficult.text.count("\n")
