from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pillarbox.settings import (
    SERVED,
    Entry,
    InvalidSettings,
    Mistake,
    Sources,
    all_rooms,
    as_served,
    check,
    known,
    load,
    machine_name,
    read_sources,
)
from pillarbox.settings import sources as sources_module
from pillarbox.terms.setting import InvalidSetting, setting


@dataclass(frozen=True, slots=True)
class PorchConfig:
    """A room made up for these tests."""

    ports: tuple[int, ...] = setting((2525,), "Where to listen.")
    max_message_mb: int = setting(25, "Largest message taken.")
    idle_seconds: float = setting(300.0, "Patience.")
    cert_file: str = setting("", "A certificate.")
    greeting: str = setting("", "What is said first.")
    password: str = setting("", "What nobody may see.", secret=True)

    def __post_init__(self) -> None:
        if len(set(self.ports)) < len(self.ports):
            raise InvalidSetting("ports has one twice")


@dataclass(frozen=True, slots=True)
class CellarConfig:
    """Another."""

    keep_days: int = setting(30, "How long content is kept.")


ROOMS: dict[str, type] = {"porch": PorchConfig, "cellar": CellarConfig}


def gathered(sources: Sources) -> tuple[dict[str, Entry], dict[str, Any], list[str]]:
    entries, configs, mistakes = check(sources, ROOMS)
    return {entry.key: entry for entry in entries}, configs, [str(each) for each in mistakes]


def from_file(directory: Path, text: str, **more: Any) -> Sources:
    (directory / "pillarbox.toml").write_text(text)
    return read_sources({}, {}, directory=directory, system_file=directory / "none", **more)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_word_said_everything_has_its_default(directory: Path) -> None:
    entries, configs, mistakes = gathered(
        read_sources({}, {}, directory=directory, system_file=directory / "none")
    )
    assert not mistakes
    assert configs == {"porch": PorchConfig(), "cellar": CellarConfig()}
    assert {entry.origin for entry in entries.values()} == {"default"}
    assert entries["data_dir"].value == directory / "pillarbox-data"


def test_flag_beats_environment_beats_named_file_beats_found_files(directory: Path) -> None:
    names = ["greeting", "cert_file", "idle_seconds", "max_message_mb", "ports"]
    lines = {
        "greeting": 'greeting = "{}"',
        "cert_file": 'cert_file = "/{}"',
        "idle_seconds": "idle_seconds = {}",
        "max_message_mb": "max_message_mb = {}",
        "ports": "ports = [{}]",
    }

    def file(name: str, count: int, value: int) -> Path:
        path = directory / name
        path.write_text("\n".join(["[porch]", *(lines[n].format(value) for n in names[:count])]))
        return path

    system = file("system.toml", 5, 5)
    file("pillarbox.toml", 4, 4)
    named = file("named.toml", 3, 3)
    sources = read_sources(
        {"porch.greeting": "1"},
        {"PILLARBOX_PORCH__GREETING": "2", "PILLARBOX_PORCH__CERT_FILE": "/2"},
        named,
        directory=directory,
        system_file=system,
    )
    entries, configs, mistakes = gathered(sources)
    assert not mistakes
    assert configs["porch"] == PorchConfig(
        greeting="1", cert_file="/2", idle_seconds=3.0, max_message_mb=4, ports=(5,)
    )
    assert [entries[f"porch.{name}"].origin for name in names] == [
        "--set porch.greeting",
        "PILLARBOX_PORCH__CERT_FILE",
        "named.toml:4",
        "pillarbox.toml:5",
        "system.toml:6",
    ]


def test_a_file_that_is_named_and_found_is_read_once(directory: Path) -> None:
    sources = from_file(directory, "nonsense = 1", config_file=directory / "pillarbox.toml")
    assert len(gathered(sources)[2]) == 1


def test_all_mistakes_are_reported_at_once_with_their_lines(directory: Path) -> None:
    text = """\
data_dri = "/var"
[porch]
max_size_mb = 25
idle_seconds = "long"
ports = [25, 99999]
[celar]
keep_days = 1
sweep_days = 2
[cellar]
keep_days = -1
"""
    mistakes = gathered(from_file(directory, text))[2]
    assert mistakes == [
        "pillarbox.toml:1: unknown key data_dri; did you mean data_dir?",
        "pillarbox.toml:3: unknown key porch.max_size_mb; did you mean porch.max_message_mb?",
        "pillarbox.toml:7: there is no section celar; did you mean cellar?",
        "pillarbox.toml:5: porch.ports is a port, from 0 to 65535, found 99999",
        'pillarbox.toml:4: porch.idle_seconds wants a number, found "long"',
        "pillarbox.toml:10: cellar.keep_days cannot be less than 0, found -1",
    ]


def test_a_key_of_another_section_is_found_there(directory: Path) -> None:
    mistakes = gathered(from_file(directory, "[porch]\nkeep_days = 3\n"))[2]
    assert mistakes == [
        "pillarbox.toml:2: unknown key porch.keep_days; did you mean cellar.keep_days?"
    ]


def test_a_word_that_resembles_nothing_gets_no_guess(directory: Path) -> None:
    mistakes = gathered(from_file(directory, "zzz = 1\n"))[2]
    assert mistakes == ["pillarbox.toml:1: unknown key zzz"]


def test_what_a_room_refuses_is_blamed_on_the_line_it_names(directory: Path) -> None:
    mistakes = gathered(from_file(directory, "[porch]\nmax_message_mb = 1\nports = [25, 25]\n"))[2]
    assert mistakes == ["pillarbox.toml:3: ports has one twice"]


def test_a_file_that_is_no_toml_names_the_line(directory: Path) -> None:
    (mistake,) = gathered(from_file(directory, "[porch]\nports = [1,\nx y\n"))[2]
    assert mistake.startswith("pillarbox.toml:3: is not TOML")


def test_a_named_file_that_is_missing_is_a_mistake(directory: Path) -> None:
    sources = read_sources({}, {}, directory / "gone.toml", directory=directory)
    assert [str(each) for each in sources.mistakes] == [
        "gone.toml: cannot be read: No such file or directory"
    ]


def test_a_file_that_is_not_utf8_is_a_mistake(directory: Path) -> None:
    (directory / "pillarbox.toml").write_bytes(b"\xff\xfe")
    sources = read_sources({}, {}, directory=directory)
    assert "not UTF-8" in str(sources.mistakes[0])


def test_a_found_file_that_everybody_may_change_is_not_believed(directory: Path) -> None:
    path = directory / "pillarbox.toml"
    path.write_text("[porch]\nmax_message_mb = 1\n")
    path.chmod(0o666)
    sources = read_sources({}, {}, directory=directory)
    assert "changed by everybody" in str(sources.mistakes[0])
    assert sources.given("porch.max_message_mb") is None


def test_a_found_file_of_another_user_is_not_believed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "pillarbox.toml").write_text("")
    owner = os.stat(directory / "pillarbox.toml").st_uid
    if owner == 0:
        os.chown(directory / "pillarbox.toml", 4242, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    sources = read_sources({}, {}, directory=directory)
    assert "another user" in str(sources.mistakes[0])


def test_the_environment_is_read_as_text() -> None:
    sources = read_sources(
        {}, {"PILLARBOX_PORCH__PORTS": "25,587", "PILLARBOX_HOSTNAME": "Mail.Example.COM"}
    )
    entries, configs, mistakes = gathered(sources)
    assert not mistakes
    assert configs["porch"].ports == (25, 587)
    assert entries["hostname"].value == "mail.example.com"


def test_a_wrong_variable_is_named() -> None:
    mistakes = gathered(read_sources({}, {"PILLARBOX_PORCH__IDLE_SECONDS": "long"}))[2]
    assert mistakes == [
        'PILLARBOX_PORCH__IDLE_SECONDS: porch.idle_seconds wants a number, found "long"'
    ]


def test_a_mistyped_variable_is_a_mistake_and_a_foreign_one_is_not() -> None:
    sources = read_sources({}, {"PILLARBOX_DATADIR": "/x", "PILLARBOX_SERVICE_HOST": "10.0.0.1"})
    assert [str(each) for each in sources.mistakes] == [
        "PILLARBOX_DATADIR: is no setting; did you mean PILLARBOX_DATA_DIR?"
    ]


def test_a_secret_may_come_from_a_file_the_environment_names(directory: Path) -> None:
    path = directory / "secret"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    entries, configs, mistakes = gathered(
        read_sources({}, {"PILLARBOX_PORCH__PASSWORD_FILE": str(path)})
    )
    assert not mistakes
    assert configs["porch"].password == "s3cret"
    assert entries["porch.password"].origin == "PILLARBOX_PORCH__PASSWORD_FILE"


def test_a_secret_that_others_can_read_is_refused(directory: Path) -> None:
    path = directory / "secret"
    path.write_text("s3cret\n")
    path.chmod(0o644)
    _, _, (mistake,) = check(read_sources({}, {"PILLARBOX_PORCH__PASSWORD_FILE": str(path)}), ROOMS)
    assert mistake.code == "config_secret_world_readable"
    assert "chmod 600" in mistake.sentence


def test_a_settings_file_with_a_secret_must_be_private(directory: Path) -> None:
    sources = from_file(directory, '[porch]\npassword = "s3cret"\n')
    assert "can be read by others" in gathered(sources)[2][0]
    (directory / "pillarbox.toml").chmod(0o600)
    assert not gathered(sources)[2]


def test_a_secret_file_that_is_missing_is_a_mistake() -> None:
    mistakes = gathered(read_sources({}, {"PILLARBOX_PORCH__PASSWORD_FILE": "/nowhere/x"}))[2]
    assert len(mistakes) == 1
    assert "cannot read /nowhere/x" in mistakes[0]


def test_file_means_a_file_only_for_secrets() -> None:
    mistakes = gathered(read_sources({}, {"PILLARBOX_PORCH__GREETING_FILE": "/x"}))[2]
    assert "unknown key porch.greeting_file" in mistakes[0]


def test_paths_in_a_file_are_meant_from_its_directory(directory: Path) -> None:
    (directory / "etc").mkdir()
    named = directory / "etc" / "mine.toml"
    named.write_text('data_dir = "data"\n[porch]\ncert_file = "cert.pem"\n')
    sources = read_sources({}, {}, named)
    entries, configs, _ = gathered(sources)
    assert entries["data_dir"].value == directory / "etc" / "data"
    assert sources.data_dir() == directory / "etc" / "data"
    assert configs["porch"].cert_file == str(directory / "etc" / "cert.pem")


def test_the_data_directory_can_be_asked_for_alone(directory: Path) -> None:
    assert read_sources({}, {}).data_dir() == directory / "pillarbox-data"
    assert read_sources({"data_dir": "x"}, {"PILLARBOX_DATA_DIR": "/y"}).data_dir() == (
        directory / "x"
    )


@pytest.mark.parametrize("name", ["no spaces", "-x.example", ""])
def test_a_hostname_must_be_one(name: str) -> None:
    mistakes = gathered(read_sources({"hostname": name}, {}))[2]
    assert len(mistakes) == 1
    assert mistakes[0].startswith("--hostname: hostname must be a domain name")


def test_localhost_is_a_hostname() -> None:
    assert gathered(read_sources({"hostname": "localhost"}, {}))[0]["hostname"].value == "localhost"


@pytest.mark.parametrize(
    ("node", "beside", "name"),
    [
        ("mail.example.com", [], "mail.example.com"),
        ("mail", ["mail.example.com", "mail"], "mail.example.com"),
        ("mail", ["mail"], "localhost"),
        ("mail", ["not_a.name!"], "localhost"),
    ],
)
def test_the_machine_is_called_as_it_says_itself(
    node: str, beside: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uname:
        nodename = node

    monkeypatch.setattr(os, "uname", Uname)
    monkeypatch.setattr(sources_module, "_names_beside", lambda _: beside)
    assert machine_name() == name


def test_loading_raises_all_mistakes_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(read_sources({"smtp.nonsense": "1", "http.port": "x"}, {}))
    assert len(caught.value.mistakes) == 2
    assert caught.value.sentence == "the settings have 2 mistakes"


def test_a_single_mistake_is_the_sentence() -> None:
    error = InvalidSettings([Mistake("pillarbox.toml:1", "is wrong")])
    assert error.sentence == "pillarbox.toml:1: is wrong"


@pytest.mark.parametrize(
    ("flags", "command"),
    [
        ({"http.port": "x"}, "config explain http.port"),
        ({"smtp.nonsense": "1", "http.port": "x"}, "config explain http.port"),
        ({"tracking_host.listen": "x"}, "config explain tracking_host.listen"),
        ({"smtp.nonsense": "1"}, "config reference"),
    ],
)
def test_the_way_out_names_the_setting_that_is_wrong(flags: dict[str, str], command: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(read_sources(flags, {}))
    assert caught.value.fix is not None
    assert caught.value.fix.startswith(f"pillarbox {command} ")


def test_every_room_of_the_house_can_be_filled_from_nothing(directory: Path) -> None:
    settings = load(read_sources({}, {}, directory=directory, system_file=directory / "none"))
    assert settings.data_dir == directory / "pillarbox-data"
    assert settings.http.port == 8480
    assert settings.smtp.starttls_ports == (2525,)


def test_every_file_of_a_list_is_meant_from_where_the_list_stands(directory: Path) -> None:
    (directory / "conf").mkdir()
    file = directory / "conf/pillarbox.toml"
    file.write_text(
        '[tls]\ncert_file = "a.pem"\nkey_file = "/k/a.key"\nmore_cert_files = ["b.pem", "/c.pem"]\n'
    )
    settings = load(read_sources({}, {}, file, directory=directory, system_file=directory / "none"))
    there = directory / "conf"
    assert settings.tls.pairs == (
        (f"{there}/a.pem", "/k/a.key"),
        (f"{there}/b.pem", f"{there}/b.pem"),
        ("/c.pem", "/c.pem"),
    )


def test_what_serve_opens_is_the_weakest_word(directory: Path) -> None:
    (directory / "pillarbox.toml").write_text("[smtp]\ntls_ports = [465, 456]\n")
    given = read_sources(
        {"smtp.listen": "::1, 192.0.2.1"}, {"PILLARBOX_SMTP__BOUNCE_PORTS": ""},
        directory=directory, system_file=directory / "none",
    )  # fmt: skip
    smtp = load(as_served(given)).smtp
    assert smtp.addresses == ("::1", "192.0.2.1")
    assert (smtp.starttls_ports, smtp.tls_ports, smtp.bounce_ports) == ((587, 2525), (465, 456), ())


def test_every_value_that_serve_begins_with_is_one_its_setting_takes() -> None:
    entries, _, mistakes = check(as_served(Sources(())), all_rooms())
    assert not mistakes
    assert {each.key for each in entries if each.origin == "serve"} == set(SERVED)


def test_every_setting_says_what_it_is_about() -> None:
    silent = [entry.key for entry in known(all_rooms()) if len(entry.about) < 10]
    assert not silent
