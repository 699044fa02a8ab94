from __future__ import annotations

import json
from pathlib import Path

import pytest

from pillarbox.cli.config import _line_in_file, _masked, default_text, variable_of
from pillarbox.cli.errors import Exit
from pillarbox.cli.main import run
from pillarbox.settings import Entry

Said = pytest.CaptureFixture[str]


def test_only_what_was_changed_is_shown(directory: Path, capsys: Said) -> None:
    assert run(["config", "show"]) == Exit.DONE
    assert "everything has its default" in capsys.readouterr().out
    (directory / "pillarbox.toml").write_text("[smtp]\nmax_message_mb = 50\n\n[http]\nport = 81\n")
    assert run(["config", "show"]) == Exit.DONE
    assert capsys.readouterr().out == "[smtp]\nmax_message_mb = 50\n\n[http]\nport = 81\n"


def test_the_origin_of_a_value_is_shown_on_request(
    directory: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "pillarbox.toml").write_text("[smtp]\nmax_message_mb = 50\n")
    monkeypatch.setenv("PILLARBOX_HTTP__PORT", "82")
    assert run(["config", "show", "--origin"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "max_message_mb = 50   # pillarbox.toml:2" in said
    assert "port = 82   # PILLARBOX_HTTP__PORT" in said
    assert run(["config", "show", "--json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["http.port"] == {
        "value": 82, "origin": "PILLARBOX_HTTP__PORT", "default": 8480,
    }  # fmt: skip
    assert run(["config", "show", "--all"]) == Exit.DONE
    assert "starttls_ports = [2525]" in capsys.readouterr().out


def test_settings_that_are_in_order_are_said_to_be(capsys: Said) -> None:
    assert run(["config", "check"]) == Exit.DONE
    assert capsys.readouterr().out == "The settings are in order.\n"


def test_all_mistakes_are_found_at_once(directory: Path, capsys: Said) -> None:
    (directory / "pillarbox.toml").write_text(
        '[smtp]\nmax_size_mb = 1\nidle_seconds = "x"\n[tls]\ncert_file = "gone.pem"\n'
    )
    assert run(["config", "check"]) == Exit.FOUND_PROBLEMS
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0].startswith("pillarbox.toml:2: unknown key smtp.max_size_mb")
    assert said[1].startswith("pillarbox.toml:3: smtp.idle_seconds wants a whole number")
    assert said[2].startswith("pillarbox.toml:5: tls.cert_file names ")
    assert run(["config", "check", "--json"]) == Exit.FOUND_PROBLEMS
    assert len(json.loads(capsys.readouterr().out)["items"]) == 3
    assert run(["config", "show"]) == Exit.FOUND_PROBLEMS


def test_a_data_directory_that_cannot_be_made_is_a_mistake(directory: Path, capsys: Said) -> None:
    (directory / "file").touch()
    assert run(["config", "check", "--data-dir", "file/below"]) == Exit.FOUND_PROBLEMS
    assert "cannot be written to" in capsys.readouterr().err


def test_a_setting_is_explained(capsys: Said) -> None:
    assert run(["config", "explain", "smtp.max_message_mb"]) == Exit.DONE
    said = capsys.readouterr().out
    assert said.startswith("smtp.max_message_mb: Largest message taken")
    assert "a whole number" in said
    assert "25 (default)" in said
    assert "[smtp] max_message_mb = 25" in said
    assert "PILLARBOX_SMTP__MAX_MESSAGE_MB" in said
    assert run(["config", "explain", "smtp.tls_ports"]) == Exit.DONE
    assert "[465]" in capsys.readouterr().out, "what serve opens differs from what up does"
    assert run(["config", "explain", "hostname", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["default"] is None


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("smtp.max_mesage_mb", "did you mean smtp.max_message_mb?"),
        ("smtp", "it is a section with smtp.listen, smtp.starttls_ports"),
        ("zzz", "there is no setting zzz\n"),
    ],
)
def test_an_unknown_setting_is_guessed_at(typed: str, told: str, capsys: Said) -> None:
    assert run(["config", "explain", typed]) == Exit.NOT_FOUND
    assert told in capsys.readouterr().err


def test_the_reference_has_every_setting(capsys: Said) -> None:
    assert run(["config", "reference"]) == Exit.DONE
    assert "retention.content_days" in capsys.readouterr().out
    assert run(["config", "reference", "--json"]) == Exit.DONE
    items = json.loads(capsys.readouterr().out)["items"]
    assert {"key", "takes", "default", "about", "environment"} == set(items[0])
    assert run(["config", "reference", "-q"]) == Exit.DONE
    assert "smtp.listen" in capsys.readouterr().out.split()


SECRET = Entry("porch.password", str, "", "A secret.", True, "s3cret", "x")


def test_a_secret_is_never_shown() -> None:
    assert _masked(SECRET) == "****"
    assert variable_of(SECRET).endswith("PILLARBOX_PORCH__PASSWORD_FILE")


def test_a_default_is_the_same_on_every_machine() -> None:
    hostname = Entry("hostname", str, "this-machine", "A name.", False)
    assert default_text(hostname) == "the machine's name"
    assert _line_in_file(hostname) == 'hostname = "..."'
