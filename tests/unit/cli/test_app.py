from __future__ import annotations

import json

import pytest

from pillarbox.cli.app import the_app
from pillarbox.cli.client import Client
from pillarbox.cli.errors import Exit, WrongUsage
from pillarbox.cli.offline import OfflineTransport


def test_apps_are_listed_with_their_modes(do) -> None:
    done = do("app", "list")
    assert done.code == Exit.DONE
    assert "first-app  sandbox" in done.out


def test_an_app_is_added_shown_changed_and_removed(do) -> None:
    done = do("app", "add", "shop", "--from-address", "shop@example.com", "--from-name", "Shop")
    assert "Added the app shop, in the sandbox." in done.out
    shown = do("app", "show", "shop").out
    assert "Shop <shop@example.com>" in shown
    assert "mail is kept here" in shown
    changed = do("app", "set", "shop", "--label", "The shop", "--option", "trackopens=true")
    assert "label none -> The shop" in changed.out
    assert json.loads(do("app", "show", "shop", "--json").out)["options"] == {"trackopens": "true"}
    assert do("app", "set", "shop", "--label", "The shop").out == "shop: nothing changed\n"
    assert do("app", "set", "shop", "--rename", "store").out == "store: name shop -> store\n"
    assert do("app", "remove", "store", "--confirm", "store").code == Exit.DONE
    assert do("app", "list", "-q").out == "first-app\n"


def test_an_app_that_asks_for_tracking_in_vain_is_told_so_once(do) -> None:
    said = do("app", "set", "first-app", "--trackclicks").out
    assert "Without a tracking host trackclicks does nothing: set tracking.host" in said
    assert "Without a tracking host" in do("app", "show", "first-app").out
    assert "Without a tracking host" not in do("app", "set", "first-app", "--label", "Shop").out
    off = do("app", "set", "first-app", "--no-trackclicks").out
    assert "trackclicks" in off and "Without a tracking host" not in off
    assert "Without a tracking host" in do("app", "add", "shop", "--trackopens").out
    assert json.loads(do("app", "show", "shop", "--json").out)["note"].startswith("Without a")


def test_what_an_app_prefers_for_its_readers_is_said_shown_and_taken_back(do) -> None:
    changed = do("app", "set", "first-app", "--visits", "private", "--tracked-images", "redirect")
    assert "visits default -> private" in changed.out
    assert "tracked images default -> redirect" in changed.out
    shown = do("app", "show", "first-app").out
    assert "private, counted without address and program" in shown
    assert "redirect, readers are sent to where tracked ones lie" in shown
    do("app", "set", "first-app", "--visits", "default", "--tracked-images", "default")
    assert "private" not in do("app", "show", "first-app").out
    assert do("app", "set", "first-app", "--visits", "none").code == Exit.USAGE
    do("app", "add", "shop", "--visits", "full")
    assert json.loads(do("app", "show", "shop", "--json").out)["visits"] == "full"


def test_going_live_asks_once_on_a_terminal(do) -> None:
    do("server", "add", "relay", "--host", "smtp.example.com")
    done = do("app", "set", "first-app", "--mode", "live", said="live\n")
    assert done.code == Exit.DONE
    assert "first-app will now send real mail through relay. Type live to confirm" in done.err
    assert "mode sandbox -> live" in done.out
    assert "From now on mail is sent out." in done.out
    again = do("app", "set", "first-app", "--mode", "live", said="")
    assert again.code == Exit.DONE, "what is live already needs no question"


def test_going_live_needs_the_word(do) -> None:
    assert do("app", "set", "first-app", "--mode", "live", said="yes\n").code == Exit.CONFLICT
    assert json.loads(do("app", "show", "first-app", "--json").out)["mode"] == "sandbox"


def test_a_script_is_never_asked_but_told_the_flag(do) -> None:
    done = do("app", "set", "first-app", "--mode", "live")
    assert done.code == Exit.USAGE
    assert "add --yes" in done.err
    assert do("app", "set", "first-app", "--mode", "live", "--yes").code == Exit.DONE


def test_going_live_without_a_server_is_pointed_out(do) -> None:
    done = do("app", "set", "first-app", "--mode", "live", "--yes")
    assert "has no server yet" in done.err
    assert "server add NAME --app first-app" in done.err


def test_an_app_is_removed_by_its_name_only(do) -> None:
    do("app", "add", "shop")
    assert do("app", "remove", "shop", "--confirm", "first-app").code == Exit.USAGE
    assert do("app", "remove", "shop", said="first-app\n").code == Exit.CONFLICT
    assert do("app", "remove", "shop", said="shop\n").code == Exit.DONE


def test_an_unknown_app_is_guessed_at(do) -> None:
    done = do("app", "show", "frist-app")
    assert done.code == Exit.NOT_FOUND
    assert "first-app" in done.err


def test_an_app_that_exists_is_not_added_again(do) -> None:
    assert do("app", "add", "first-app").code == Exit.CONFLICT


def test_an_inactive_app_is_shown_as_such(do) -> None:
    do("app", "set", "first-app", "--inactive")
    assert "inactive" in do("app", "list").out


def test_the_only_app_needs_no_name(do, house: OfflineTransport) -> None:
    client = Client(house)
    assert the_app(client, None) == "first-app"
    assert the_app(client, "other") == "other"
    do("app", "add", "shop")
    with pytest.raises(WrongUsage, match="several apps"):
        the_app(client, None)
    for name in ("shop", "first-app"):
        do("app", "remove", name, "--confirm", name)
    with pytest.raises(WrongUsage, match="no app yet"):
        the_app(client, None)
