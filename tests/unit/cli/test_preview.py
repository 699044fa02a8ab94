from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pillarbox.cli.errors import Exit
from pillarbox.cli.main import run
from pillarbox.message.dkim import Algorithm, new_key
from tests.unit.cli.conftest import Canned

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
PAGE = (
    b'From: a@example.com\nContent-Type: text/html\n\n<a href="https://example.com/x">there</a>\n'
)


@pytest.fixture
def page(directory: Path) -> Path:
    """A small message in the working directory."""
    file = directory / "page.eml"
    file.write_bytes(PAGE)
    return file


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """What a preview says as JSON."""

    def asking(*arguments: str) -> Any:
        assert run(["message", "preview", "--json", *arguments]) == Exit.DONE
        return json.loads(capsys.readouterr().out)

    return asking


# --- files ----------------------------------------------------------------------------------------


def test_a_file_is_previewed_and_no_data_directory_is_made(
    page: Path, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["message", "preview", "page.eml", "--track-clicks"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "https://example.com/x" in said
    assert "changed: leads through the tracking host" in said
    assert "trackclicks (by the request)" in said
    assert "track.invalid is made up" in said
    assert [each.name for each in directory.iterdir()] == ["page.eml"]


def test_the_json_is_a_list_with_the_fields_of_the_api(page: Path, told: Any) -> None:
    document = told("page.eml", "--track-clicks", "--tracking-host", "Clicks.example.com")
    assert document["next"] is None
    (item,) = document["items"]
    assert item["name"] == "page.eml"
    assert item["links"][0]["instead"].startswith("https://clicks.example.com/")
    assert set(item) == {
        "name", "subject", "renderer", "difference", "options", "ignored", "links", "more_links",
        "images", "more_images", "hosted", "signed_by", "remarks", "recipient", "sent",
    }  # fmt: skip


def test_every_option_has_a_flag_and_the_samples_show_what_it_does(told: Any) -> None:
    flags = (
        "--inline-css", "--track-clicks", "--track-opens", "--prevent-scam", "--hosted-images",
        "--unsubscribe",
    )  # fmt: skip
    document = told(
        str(SAMPLES / "newsletter.eml"), str(SAMPLES / "transactional.eml"), *flags,
        "--tracking-host", "track.example.com", "--exception", "partner.example.edu",
    )  # fmt: skip
    newsletter, transactional = document["items"]
    assert {each["name"] for each in newsletter["options"]} == {
        "inlinecss", "trackclicks", "trackopens", "preventscam", "images", "unsubscribe",
        "tags",
    }  # fmt: skip
    assert {each["verdict"] for each in newsletter["links"]} == {
        "tracked", "not_web", "label_is_link", "marked", "exception", "unsubscribe", "one_time",
        "template", "ours", "too_long",
    }  # fmt: skip
    assert newsletter["hosted"]
    assert [each["kind"] for each in transactional["images"]] == ["pixel"]


def test_a_flag_that_says_no_is_an_option_as_well(page: Path, told: Any) -> None:
    (item,) = told("page.eml", "--no-track-clicks", "--no-hosted-images")["items"]
    assert {(each["name"], each["value"]) for each in item["options"]} == {
        ("trackclicks", "false"),
        ("images", "default"),
    }
    assert item["links"] == []


def test_a_field_for_unsubscribing_is_among_the_fields(page: Path, told: Any) -> None:
    (item,) = told("page.eml", "--unsubscribe")["items"]
    added = {each["name"] for each in item["difference"]["fields"] if each["fate"] == "added"}
    assert {"List-Unsubscribe", "List-Unsubscribe-Post"} <= added
    assert any("made up" in each for each in item["remarks"])


def test_a_message_is_signed_with_each_key_that_is_named(
    page: Path, directory: Path, told: Any
) -> None:
    for name in ("one", "two"):
        key = new_key("example.com", name, Algorithm.ED25519)
        (directory / f"{name}.pem").write_text(key.private_text().reveal())
    (item,) = told(
        "page.eml", "--sign", "example.com:one:one.pem", "--sign", "example.com:two:two.pem",
        "--output", "signed.eml",
    )["items"]  # fmt: skip
    assert item["signed_by"] == ["example.com/one", "example.com/two"]
    assert (directory / "signed.eml").read_bytes().count(b"DKIM-Signature:") == 2


def test_many_files_go_into_one_folder(page: Path, directory: Path, told: Any) -> None:
    (directory / "other").write_bytes(PAGE)
    told("page.eml", "other", "--track-clicks", "--output", "changed")
    written = {each.name for each in (directory / "changed").iterdir()}
    assert written == {"page.eml", "other.eml"}
    assert b"track.invalid" in (directory / "changed" / "page.eml").read_bytes()
    assert page.read_bytes() == PAGE


def test_what_would_leave_goes_to_standard_output_and_nothing_else_does(
    page: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["message", "preview", "page.eml", "--output", "-"]) == Exit.DONE
    out = capfdbinary.readouterr().out
    assert out.endswith(PAGE[-20:].replace(b"\n", b"\r\n"))
    assert out.startswith(b"Message-ID: <")


@pytest.mark.parametrize(
    "arguments",
    [
        ["page.eml", "--output", "page.eml"],
        ["page.eml", "--output", "link.eml"],
        ["page.eml", "--output", "."],
        ["page.eml", "sub/page.eml", "--output", "out"],
        ["page.eml", "other.eml", "--output", "-"],
        ["page.eml", "--output", "-", "--json"],
        ["page.eml", "--output", "missing/out.eml"],
        ["page.eml", "--sign", "example.com"],
        ["page.eml", "--sign", "example.com:one:missing.pem"],
        ["page.eml", "--sign", "example.com:one:page.eml"],
        ["page.eml", "--sign", "exa mple:one:page.eml"],
        ["page.eml", "--tracking-host", "https://x"],
        ["page.eml", "--recipient", "a@example.com"],
        ["nowhere.eml"],
        ["msg_0A1B2C3D4E5F", "--sign", "example.com:one:one.pem"],
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_overwritten(
    page: Path, directory: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "link.eml").symlink_to(page)
    (directory / "sub").mkdir()
    (directory / "sub" / "page.eml").write_bytes(PAGE)
    assert run(["message", "preview", *arguments]) == Exit.USAGE
    assert capsys.readouterr().err.startswith(("error:", "{"))
    assert page.read_bytes() == PAGE


def test_what_cannot_be_previewed_is_named_and_the_others_are_done(
    page: Path, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "nobody.eml").write_bytes(b"Subject: x\n\nHi\n")
    arguments = ["message", "preview", "page.eml", "nobody.eml", "missing.eml"]
    assert run([*arguments, "--json"]) == Exit.PARTLY
    items = json.loads(capsys.readouterr().out)["items"]
    assert [each["name"] for each in items] == ["page.eml", "nobody.eml", "missing.eml"]
    assert [each.get("problem", {}).get("code") for each in items] == [
        None, "message_malformed", "usage",
    ]  # fmt: skip
    assert run(arguments) == Exit.PARTLY
    said = capsys.readouterr()
    assert "nobody.eml\nerror:" in said.err
    assert "page.eml" in said.out


def test_names_alone_are_printed_where_nothing_else_is_wanted(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["message", "preview", "page.eml", "-q"]) == Exit.DONE
    assert capsys.readouterr().out == "page.eml\n"


def test_for_a_server_of_seven_bits_parts_are_rewritten(directory: Path, told: Any) -> None:
    (item,) = told(str(SAMPLES / "transactional.eml"), "--seven-bit")["items"]
    assert [part["fate"] for part in item["difference"]["parts"]] == ["rewritten", "rewritten"]


def test_a_file_that_is_too_large_is_not_read_into_memory_whole(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (directory / "huge.eml").open("wb") as file:
        file.truncate(1 << 34)
    assert run(["message", "preview", "huge.eml"]) != Exit.DONE
    assert "larger than 64.0 MB" in capsys.readouterr().err


def test_what_strangers_wrote_steers_no_terminal(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "bad.eml").write_bytes(
        b"From: a@example.com\nSubject: \x1b[2J\nX-Pillarbox-\x1b: \x1b]0;x\x07\n"
        b"X-Pillarbox-Odd: \x1b[31m\nContent-Type: text/html\nContent-ID: \x1b\n\n"
        b'<a href="https://x/\x1b[2J">\x1b[2J\xe2\x80\xae</a>\n'
    )
    assert run(["message", "preview", "bad.eml", "--track-clicks", "--all"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\u202e" not in said


@pytest.mark.parametrize("flag", ["--inline-css", "--no-inline-css"])
def test_names_and_subjects_that_no_charset_can_write_do_no_harm(
    directory: Path, told: Any, flag: str
) -> None:
    name = os.fsdecode(b"odd-\xff.eml")
    (directory / name).write_bytes(b"Subject: =?utf-7?q?+2AA-?=\n" + PAGE)
    (item,) = told(name, flag)["items"]
    assert (item["name"], item["subject"]) == ("odd-?.eml", "\N{REPLACEMENT CHARACTER}")


def test_the_features_that_people_ask_for_are_seen_in_the_passages(
    directory: Path, told: Any
) -> None:
    (directory / "styled.eml").write_bytes(
        b"From: a@example.com\nContent-Type: text/html\n\n"
        b"<style>td { color: red }</style><table><tr><td>1</td></tr></table>"
        b"<a href='http://www.example.com'>www.example.com</a>"
        b"<a href='http://www.example.com'>our site</a>"
        b"<a href='http://www.example.com'>www.example.org</a>\n"
    )
    flags = ("--inline-css", "--track-clicks", "--prevent-scam")
    (item,) = told("styled.eml", *flags)["items"]
    passages = item["difference"]["parts"][0]["passages"]
    assert ("<td>", '<td style="color: red">') == (passages[0]["before"], passages[0]["after"])
    assert [each["before"] for each in passages[1:]] == ["<a href='http://www.example.com'>"] * 2
    assert [each["verdict"] for each in item["links"]] == ["label_is_link", "tracked", "tracked"]


# --- messages that were taken ---------------------------------------------------------------------


def test_a_message_that_was_taken_is_previewed(do) -> None:
    message = do("send", "--to", "you@example.com", "--subject", "Hi", "-q").out.strip()
    said = do("message", "preview", message)
    assert said.code == Exit.DONE
    assert said.out.startswith(f'{message}   "Hi"\n')
    assert "Leaves octet for octet as it came." in said.out
    (item,) = json.loads(do("message", "preview", message, "--json").out)["items"]
    assert item["recipient"] == "you@example.com"


def test_options_for_a_message_that_was_taken_are_asked_of_its_pillarbox(
    do, directory: Path
) -> None:
    message = do("send", "--to", "you@example.com", "--html", "<p>x", "-q").out.strip()
    said = do("message", "preview", message, "--inline-css", "--output", "out.eml", "--json")
    (item,) = json.loads(said.out)["items"]
    assert item["options"] == [{"name": "inlinecss", "value": "true", "origin": "request"}]
    assert "content_base64" not in item
    assert b"<p>x" in (directory / "out.eml").read_bytes()


def test_a_message_that_is_not_there_is_not_found(do) -> None:
    assert do("message", "preview", "msg_00000000000").code == Exit.NOT_FOUND


def test_a_recipient_is_passed_on(answering: Callable[[object], Canned]) -> None:
    canned = answering({"problem": 1})
    run(["message", "preview", "msg_00000000000", "--recipient", "b@example.com", "--json"])
    assert canned.asked[0][1].endswith("/preview?recipient=b%40example.com")


def test_a_file_named_like_an_id_is_meant_where_it_is_there(directory: Path, told: Any) -> None:
    (directory / "msg_00000000000").write_bytes(PAGE)
    (item,) = told("msg_00000000000")["items"]
    assert item["difference"]["parts"][0]["media_type"] == "text/html"
