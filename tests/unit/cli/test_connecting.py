from __future__ import annotations

import json
import plistlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pillarbox.cli.errors import Exit
from pillarbox.policy.connecting import ConnectConfig
from pillarbox.policy.recipe import Recipe
from pillarbox.wiring.house import House
from pillarbox.wiring.recipes import load_recipes
from tests.house.test_readme import wrong_word


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ports as a firewall would map them, since nothing listens here."""
    built = House.app

    def app(house: House, *, owner: bool):
        object.__setattr__(
            house.settings, "connect", ConnectConfig(tls_port=465, starttls_port=587)
        )
        object.__setattr__(house.settings, "hostname", "mail.example.com")
        return built(house, owner=owner)

    monkeypatch.setattr(House, "app", app)
    yield


@pytest.fixture
def password(directory: Path) -> str:
    """A file with a password that needs care wherever it is written."""
    (directory / "password").write_text('it\'s a "word" $x\n')
    return str(directory / "password")


def test_a_recipe_is_ready_to_paste_and_says_what_is_missing(do) -> None:
    done = do("credential", "show", "first-app", "--for", "postfix")
    assert done.code == Exit.DONE
    lines = done.out.splitlines()
    assert lines[0] == "Postfix, sending everything through Pillarbox"
    assert "relayhost = [mail.example.com]:465" in lines, "nothing stands before what is copied"
    assert "[mail.example.com]:465 first-app:YOUR_PASSWORD" in lines
    assert "  535 5.7.8 Username or password not accepted" in lines
    assert "YOUR_PASSWORD stands for the password" in done.out
    assert "pillarbox credential rotate first-app" in done.out
    assert "`" not in done.out
    assert max(map(len, done.out.splitlines())) < 120


def test_a_form_is_shown_as_a_form(do) -> None:
    lines = do("credential", "show", "first-app", "--for", "thunderbird").out.splitlines()
    assert "  Server Name             mail.example.com" in lines
    assert "  Port                    465" in lines
    quiet = do("credential", "show", "first-app", "--for", "thunderbird", "-q").out.splitlines()
    assert "Server Name: mail.example.com" in quiet


def test_quiet_gives_the_text_alone(do) -> None:
    text = do("credential", "show", "first-app", "--for", "env", "--quiet").out
    values = dict(line.split("=", 1) for line in text.splitlines())
    assert values["SMTP_USERNAME"] == "first-app"
    assert values["SMTP_PORT"] == "465"
    assert "\tname" not in text


def test_a_tab_of_the_program_s_language_is_kept(do) -> None:
    assert '\n\t"crypto/tls"\n' in do("credential", "show", "first-app", "--for", "go").out


def test_starttls_is_had_by_asking_for_it(do) -> None:
    out = do("credential", "show", "first-app", "--for", "postfix", "--via", "starttls").out
    assert "relayhost = [mail.example.com]:587" in out and "wrappermode" not in out


def test_a_password_from_a_file_is_written_as_the_format_asks(do, password: str) -> None:
    show = ("credential", "show", "first-app", "--password-file", password)
    out = do(*show, "--for", "python").out
    assert "stands for the password" not in out
    (test,) = [line for line in out.splitlines() if line.startswith("SMTP_PASSWORD=")]
    assert shlex.split(test)[0] == 'SMTP_PASSWORD=it\'s a "word" $x'
    found = json.loads(do(*show, "--for", "nodemailer", "--json").out)
    assert found["values"]["password"] == 'it\'s a "word" $x'
    done = do(*show, "--for", "grafana")
    assert done.code == Exit.USAGE and "password: an ini file has no way" in done.err
    assert "word" not in done.err.replace("password", "")


def test_a_password_from_standard_input_is_taken(do) -> None:
    show = ("credential", "show", "first-app", "--for", "env", "-q", "--password-file", "-")
    assert "SMTP_PASSWORD=pb_x\n" in do(*show, said="pb_x\n").out
    assert do(*show, said="\n").code == Exit.USAGE


def test_all_recipes_are_named(do) -> None:
    out = do("credential", "show", "first-app", "--for", "list").out
    assert "django" in out and "Postfix, sending everything" in out
    names = do("credential", "show", "first-app", "--for", "list", "-q").out.split()
    assert {"thunderbird", "postfix", "django", "env", "dns"} <= set(names)
    assert json.loads(do("credential", "show", "first-app", "--for", "list", "--json").out)["items"]


def test_a_mistyped_program_is_answered_with_a_guess(do) -> None:
    done = do("credential", "show", "first-app", "--for", "djnago")
    assert done.code == Exit.NOT_FOUND and "did you mean django" in done.err


@pytest.mark.parametrize(
    "flags",
    [
        ("--via", "tls"),
        ("--password-file", "x"),
        ("--incoming", "imaps://a.example"),
        ("--for", "env", "--address", "a@b.example"),
        ("--for", "env", "--profile", "x"),
        ("--for", "env", "--via", "ssl"),
    ],
)
def test_what_does_not_belong_together_is_refused(do, flags: tuple[str, ...]) -> None:
    assert do("credential", "show", "first-app", *flags).code == Exit.USAGE


def test_without_any_of_it_the_login_is_shown_as_before(do) -> None:
    assert "Allowed senders" in do("credential", "show", "first-app").out


def test_a_profile_is_written_where_only_its_owner_can_read_it(
    do, directory: Path, password: str
) -> None:
    file = directory / "mail.mobileconfig"
    file.write_text("old")
    show = ("credential", "show", "first-app", "--profile", str(file))
    done = do(*show, "--incoming", "imaps://imap.example.com", "--address", "ann@example.com")
    assert done.code == Exit.DONE and "mail.mobileconfig" in done.out
    assert file.stat().st_mode & 0o777 == 0o600
    (account,) = plistlib.loads(file.read_bytes())["PayloadContent"]
    assert account["EmailAddress"] == "ann@example.com"
    assert account["IncomingMailServerHostName"] == "imap.example.com"
    assert account["OutgoingMailServerPortNumber"] == 465
    assert "OutgoingPassword" not in account
    done = do(*show, "--incoming", "imaps://i.example", "--password-file", password)
    (account,) = plistlib.loads(file.read_bytes())["PayloadContent"]
    assert account["OutgoingPassword"] == 'it\'s a "word" $x'


def test_a_profile_may_go_to_standard_output(do) -> None:
    show = ("credential", "show", "first-app", "--profile", "-")
    out = do(*show, "--incoming", "pop3s://pop.example.com").out
    assert plistlib.loads(out.encode())["PayloadType"] == "Configuration"
    done = do(*show)
    assert done.code == Exit.USAGE and "incoming" in done.err


def test_a_profile_that_cannot_be_written_says_so(do, directory: Path) -> None:
    where = str(directory / "no" / "such" / "place")
    done = do(
        "credential", "show", "first-app", "--profile", where, "--incoming", "imaps://a.example"
    )
    assert done.code == Exit.USAGE and "cannot write" in done.err


def test_every_command_that_a_recipe_recommends_exists() -> None:
    texts = [value for recipe in load_recipes().recipes.values() for value in sentences(recipe)]
    commands = [shown for text in texts for shown in re.findall(r"`pillarbox ([^`]*)`", text)]
    assert len(commands) > 20
    assert [shown for shown in commands if wrong_word(shown.split())] == []


def sentences(recipe: Recipe) -> list[str]:
    said = [recipe.about, recipe.seen, *recipe.steps]
    return said + [each.do for each in recipe.failures] + [each.means for each in recipe.failures]


def test_a_new_login_points_to_its_recipes(do) -> None:
    out = do("credential", "add", "shop").out
    assert "pillarbox credential show shop --for WHAT" in out
