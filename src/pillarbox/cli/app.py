"""app: sending contexts, their mode and their sender defaults"""

from __future__ import annotations

from typing import Any, Final

import click

from pillarbox.cli.call import Call
from pillarbox.cli.changes import (
    ABOUT_MODE,
    MODE_COLOURS,
    MODES,
    describe,
    named,
    sender_options,
    take_senders,
)
from pillarbox.cli.client import Client, segment
from pillarbox.cli.features import feature_options, take_features
from pillarbox.cli.group import Noun, examples
from pillarbox.cli.options import talks
from pillarbox.cli.output import Column, clean, run_as

ABOUT_VISITS: Final = {
    "default": "",
    "full": "full, with address and program",
    "private": "private, counted without address and program",
}
ABOUT_IMAGES: Final = {
    "default": "",
    "serve": "serve, tracked ones are shown from here",
    "redirect": "redirect, readers are sent to where tracked ones lie",
}


@click.group(
    cls=Noun,
    examples=[
        ("app list", "with their modes"),
        ("app set first-app --mode live", "send real mail; asks once"),
    ],
)
def app() -> None:
    """Sending contexts: each has its mode, its servers, its logins and its sender defaults."""


def app_options(function: Any) -> Any:
    """What can be said about an app."""
    for option in reversed(
        (
            click.option("--label", metavar="TEXT", help="What people call it."),
            click.option("--description", metavar="TEXT", help="What it is for."),
            click.option("--from-address", metavar="ADDRESS", help="Author where none is given."),
            click.option("--from-name", metavar="NAME", help="The author's name."),
            click.option("--reply-to-address", metavar="ADDRESS", help="Where answers go."),
            click.option("--reply-to-name", metavar="NAME", help="The name for answers."),
            click.option("--test-address", metavar="ADDRESS", help="Where checks send to."),
            click.option(
                "--strategy",
                type=click.Choice(["priority", "random"]),
                metavar="ORDER",
                help="In which order its servers are tried: priority (default) or random.",
            ),
            click.option(
                "--visits",
                type=click.Choice(list(ABOUT_VISITS)),
                metavar="DETAIL",
                help="What is kept of readers: private counts them without address and program; "
                "full keeps both; default is as set for all.",
            ),
            click.option(
                "--tracked-images",
                type=click.Choice(list(ABOUT_IMAGES)),
                metavar="WAY",
                help="serve shows copies from here, redirect sends readers to where images lie; "
                "default is as set for all.",
            ),
        )
    ):
        function = option(function)
    return feature_options(sender_options(function))


@examples(("app list", "all apps"), ("app list --json", "for a program"))
@app.command("list")
@talks
def list_(call: Call) -> None:
    """All apps, by name."""
    with call.client() as client:
        items = client.items("/apps")

    def words() -> None:
        columns = [
            Column("name"),
            Column("mode", fixed=True),
            Column("strategy", fixed=True),
            Column("from"),
            Column("label"),
        ]
        rows = [
            [
                item["name"],
                item["mode"] if item["active"] else "inactive",
                item["strategy"],
                _mailbox(item, "from"),
                item["label"],
            ]
            for item in items
        ]
        call.screen.table(columns, rows, MODE_COLOURS)

    call.result({"items": items, "next": None}, "name", words)


@examples(("app show first-app", "everything about it"))
@app.command("show")
@click.argument("name")
@talks
def show(call: Call, name: str) -> None:
    """One app: its mode, defaults, servers and logins."""
    with call.client() as client:
        found = client.get(f"/apps/{segment(name)}")
        servers = client.items(f"/apps/{segment(name)}/servers")
        credentials = client.items("/credentials", app=name)

    def words() -> None:
        mode = found["mode"]
        call.screen.say(call.screen.paint(found["name"], "bold"))
        call.screen.fields(
            [
                ("Mode", f"{mode}, {ABOUT_MODE.get(mode, '')}"),
                ("Active", "" if found["active"] else "no"),
                ("Label", found["label"]),
                ("Description", found["description"]),
                ("From", _mailbox(found, "from")),
                ("Reply to", _mailbox(found, "reply_to")),
                ("Test address", found["test_address"]),
                ("Allowed senders", ", ".join(found["allowed_senders"]) or "any"),
                ("Options", ", ".join(f"{k}={v}" for k, v in found["options"].items())),
                ("", found["note"]),
                ("Visits", ABOUT_VISITS[found["visits"]]),
                ("Images", ABOUT_IMAGES[found["tracked_images"]]),
                ("Servers", ", ".join(each["name"] for each in servers) or "none"),
                ("Order", found["strategy"] if len(servers) > 1 else ""),
                ("Credentials", ", ".join(each["name"] for each in credentials) or "none"),
                ("Id", found["id"]),
                ("Made", found["created_at"]),
            ]
        )

    call.result(found, "name", words)


@examples(
    ("app add shop", "it begins in the sandbox"),
    ("app add shop --from-address shop@example.com", "with an author for mail that names none"),
)
@app.command("add")
@click.argument("name")
@app_options
@talks
def add(call: Call, name: str, **values: Any) -> None:
    """A new app. It begins in the sandbox: mail is kept, nothing is sent out."""
    document = named(take_features(take_senders(values)))
    with call.client() as client:
        made = client.post("/apps", {"name": name, **document})

    def words() -> None:
        call.screen.say(f"Added the app {made['name']}, in the sandbox.")
        if made["note"]:
            call.screen.say(clean(made["note"]))
        call.screen.say(f"Next: {run_as()} credential add NAME --app {made['name']}")

    call.result(made, "name", words)


@examples(
    ("app set first-app --mode live", "send real mail; asks once"),
    ("app set shop --mode sandbox", "keep everything here from now on"),
    ('app set shop --from-name "The shop" --allow-from "*@example.com"', "sender defaults"),
    ("app set shop --visits private", "count its readers, keep nothing of who they are"),
)
@app.command("set")
@click.argument("name")
@click.option(
    "--mode",
    type=MODES,
    metavar="MODE",
    help="sandbox keeps its mail here, hold makes it wait, live sends it, off takes none.",
)
@click.option("--active/--inactive", default=None, help="Whether it takes mail at all.")
@click.option("--rename", metavar="NAME", help="Give it another name.")
@app_options
@click.option("--yes", is_flag=True, help="Do not ask before real mail may leave.")
@talks
def set_(call: Call, name: str, *, yes: bool, rename: str | None, **values: Any) -> None:
    """Change an app; what is not named stays as it is."""
    with call.client() as client:
        before = client.get(f"/apps/{segment(name)}")
        changes = take_features(take_senders(values, before["allowed_senders"]))
        document = named({**changes, "name": rename})
        if document.get("mode") == "live" and before["mode"] != "live":
            _ask_to_go_live(call, client, before["name"], yes=yes)
        after = client.patch(f"/apps/{segment(name)}", document)
    told = describe(before, after)

    def words() -> None:
        call.screen.say(f"{after['name']}: {told or 'nothing changed'}")
        if after["mode"] != before["mode"]:
            call.screen.say(f"From now on {ABOUT_MODE[after['mode']]}.")
        if after["note"] and after["options"] != before["options"]:
            call.screen.say(clean(after["note"]))

    call.result(after, "name", words)


@examples(
    ("app remove shop", "asks for its name"),
    ("app remove shop --confirm shop", "in a script"),
)
@app.command("remove")
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The app's name once more, so as not to be asked.")
@talks
def remove(call: Call, name: str, confirm: str | None) -> None:
    """Remove an app with its servers and logins. Refused while its mail waits."""
    with call.client() as client:
        found = client.get(f"/apps/{segment(name)}")
        call.ask_word(
            f"{found['name']} will be gone, with its servers and logins",
            found["name"],
            answered=confirm == found["name"],
            flag=f"--confirm {found['name']}",
        )
        client.delete(f"/apps/{segment(name)}")
    call.talk(f"Removed the app {found['name']}.")


def the_app(client: Client, wanted: str | None) -> str:
    """The app that was named, or the only one there is."""
    from pillarbox.cli.errors import WrongUsage

    if wanted is not None:
        return wanted
    names = [str(each["name"]) for each in client.items("/apps")]
    if len(names) == 1:
        return names[0]
    if not names:
        raise WrongUsage("there is no app yet", fix="pillarbox app add NAME")
    raise WrongUsage("there are several apps", fix=f"add --app, one of: {', '.join(names)}")


def _ask_to_go_live(call: Call, client: Client, name: str, *, yes: bool) -> None:
    servers = client.items(f"/apps/{segment(name)}/servers")
    usable = [each["name"] for each in servers if each["enabled"]]
    if not usable:
        call.screen.note(f"note: {name} has no server yet, its mail will wait until one is added:")
        call.screen.note(f"      {run_as()} server add NAME --app {name} --host HOST")
    through = f" through {', '.join(usable)}" if usable else ""
    call.ask_word(f"{name} will now send real mail{through}", "live", answered=yes, flag="--yes")


def _mailbox(item: dict[str, Any], which: str) -> str:
    address, name = item[f"{which}_address"], item[f"{which}_name"]
    return f"{name} <{address}>" if name and address else str(address or name)
