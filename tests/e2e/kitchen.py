"""a place where recipes are followed to the letter: their files written, their tests typed

A recipe comes from a running product as its user gets it. The password, which nobody else knows, is
put where ``YOUR_PASSWORD`` stands; nothing else is touched. The product's data directory has a
blank, quotes and a dollar sign in its name, so that the path of its certificate has them too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.components import exim_path
from tests.doubles.bad_server import BadServer
from tests.doubles.postfix import Postfix
from tests.doubles.process import clean_environment
from tests.doubles.records import MessageRecord
from tests.e2e.product import Pillarbox

HARD_NAME = "it's a $box"
SENT = b"Sent through Pillarbox."
_HERE = Path(__file__).parent
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass
class Dish:
    """One recipe for one login, and the folder it is followed in."""

    recipe: dict[str, Any]
    folder: Path
    address: str
    """Author and recipient of its test."""
    password: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[dict[str, str]]:
        """Its texts, with the password in its place."""
        return [{**each, "text": self._whole(each["text"])} for each in self.recipe["files"]]

    @property
    def test(self) -> str:
        """What is typed to try it."""
        return self._whole(self.recipe["test"]["text"])

    def _whole(self, text: str) -> str:
        return text.replace("YOUR_PASSWORD", self.password)

    def text_of(self, name: str, about: str = "") -> str:
        """Of the file with that name; `about` tells two of one name apart."""
        (found,) = (
            each["text"] for each in self.files if each["name"] == name and about in each["about"]
        )
        return found

    def put(self, name: str, text: str) -> Path:
        """A file in the folder, readable for its owner only."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    def put_all(self) -> None:
        """Every file of the recipe under its own name; ``~`` is the folder."""
        for each in self.files:
            self.put(each["name"].removeprefix("~/"), each["text"])

    async def type(self, *command: str, stdin: str = "") -> str:
        """The recipe's test, or a `command`, in the folder; what was said. It must succeed."""
        line = command or ("bash", "-e", "-o", "pipefail", "-c", self.test)
        process = await asyncio.create_subprocess_exec(
            *line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
            env=clean_environment(
                {
                    "HOME": str(self.folder),
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:{_SYSTEM_PATH}",
                    **self.environment,
                }
            ),
        )
        said, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 55)
        assert process.returncode == 0, said.decode(errors="replace")
        return said.decode(errors="replace")


@dataclass
class Kitchen:
    """A product that is live, and the far end where its mail must come out."""

    product: Pillarbox
    sink: BadServer
    home: Path

    def open(self) -> None:
        """Mail leaves from now on."""
        self._ask(
            "POST", "/apps/first-app/servers",
            {"name": "sink", "host": "127.0.0.1", "port": self.sink.port,
             "encryption": "none"},
        )  # fmt: skip
        self._ask("PATCH", "/apps/first-app", {"mode": "live"})

    def take(self, what: str, via: str, name: str = "") -> Dish:
        """The recipe of that name for a login made for it."""
        name = name or f"{what}-{via}"
        address = f"{name}@example.org"
        login = self._ask(
            "POST", "/credentials",
            {"name": name, "username": f"{name}+1@example.com", "allowed_senders": [address]},
        )  # fmt: skip
        query = urllib.parse.urlencode({"for": what, "via": via})
        recipe = self._ask("GET", f"/credentials/{login['id']}/connect?{query}")
        assert recipe["values"]["sender"] == address
        assert HARD_NAME in recipe["values"]["ca_path"]
        folder = self.home / name
        folder.mkdir()
        return Dish(recipe, folder, address, login["password"])

    async def arrived(self, dish: Dish) -> MessageRecord:
        """The dish's message, once it has come out at the far end."""

        def found() -> list[MessageRecord]:
            return [
                message
                for message in self.sink.delivered
                if [each.address for each in message.recipients] == [dish.address]
            ]

        await self.sink.until(lambda: bool(found()), seconds=20)
        (message,) = found()
        return message

    def _ask(self, method: str, path: str, document: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.product.url}/pillarbox/v1{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Authorization": f"Bearer {self.product.first.key}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


Cook = Callable[[Dish], Awaitable[None]]
"""Follows a recipe until its message was handed over."""


async def as_it_stands(dish: Dish) -> None:
    """Most recipes: write the files, type the test."""
    dish.put_all()
    await dish.type()


async def sourced(dish: Dish) -> None:
    """Variables, read by a shell and used by a program that knows nothing but them."""
    dish.put_all()
    program = (
        "import os, smtplib, ssl, urllib.parse as p; e = os.environ;"
        "url = p.urlsplit(e['SMTP_URL']);"
        "assert p.unquote(url.username) == e['SMTP_USERNAME'];"
        "assert p.unquote(url.password) == e['SMTP_PASSWORD'];"
        "assert (url.hostname, str(url.port)) == (e['SMTP_HOST'], e['SMTP_PORT']);"
        "tls = e['SMTP_ENCRYPTION'] == 'tls'; assert tls == (url.scheme == 'smtps');"
        "trust = ssl.create_default_context();"  # knows SSL_CERT_FILE
        "s = smtplib.SMTP_SSL(url.hostname, url.port, context=trust) if tls"
        " else smtplib.SMTP(url.hostname, url.port);"
        "tls or s.starttls(context=trust);"
        "s.login(e['SMTP_USERNAME'], e['SMTP_PASSWORD']);"
        "f = e['MAIL_FROM'];"
        "s.sendmail(f, [f], f'From: {f}\\r\\n\\r\\nSent through Pillarbox.\\r\\n')"
    )
    await dish.type(
        "bash",
        "-e",
        "-c",
        f'set -a; . ./.env; set +a; exec "{sys.executable}" -c "$1"',
        "",
        program,
    )


async def phpmailer(dish: Dish) -> None:
    """Debian's PHPMailer where Composer would have put it."""
    dish.put("vendor/autoload.php", "<?php require '/usr/share/php/libphp-phpmailer/autoload.php';")
    await as_it_stands(dish)


async def wordpress(dish: Dish) -> None:
    """The plugin in a WordPress that can do nothing but mail, with the PHPMailer it ships."""
    dish.put_all()
    dish.put("wp-config.php", "<?php\n" + dish.text_of("wp-config.php"))
    dish.put(
        "wordpress.php",
        """<?php
        require '/usr/share/php/libphp-phpmailer/autoload.php';
        $hooks = [];
        function add_filter($name, $call) { global $hooks; $hooks[$name] = $call; }
        function add_action($name, $call) { add_filter($name, $call); }
        require 'wp-config.php';
        require 'wp-content/mu-plugins/pillarbox.php';
        $from = $hooks['wp_mail_from']('wordpress@localhost');
        $mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
        $mail->setFrom($from);
        $mail->addAddress($from);
        $mail->Subject = 'From WordPress';
        $mail->Body = 'Sent through Pillarbox.';
        $hooks['phpmailer_init']($mail);
        $mail->send();
        """,
    )
    await dish.type("php", "wordpress.php")


async def nodemailer(dish: Dish) -> None:
    """The library where npm would have put it."""
    (dish.folder / "node_modules").symlink_to(_HERE / "node/node_modules")
    await as_it_stands(dish)


async def rails(dish: Dish) -> None:
    """Its settings, in the hands of the gem that sends for Rails."""
    settings = dish.text_of("config/environments/production.rb")
    dish.put(
        "rails.rb",
        f"""require 'mail'
        require 'ostruct'
        config = OpenStruct.new(action_mailer: OpenStruct.new)
        {settings}
        mailer = config.action_mailer
        from = mailer.default_options[:from]
        Mail.defaults {{ delivery_method mailer.delivery_method, mailer.smtp_settings }}
        Mail.deliver {{ from from; to from; subject 'From Rails'; body 'Sent through Pillarbox.' }}
        """,
    )
    dish.environment["SMTP_PASSWORD"] = dish.password
    await dish.type("ruby", "rails.rb")


async def postfix(dish: Dish) -> None:
    """A Postfix of its own, configured with the recipe's lines."""
    lines = dish.text_of("/etc/postfix/main.cf").splitlines()
    settings = dict(line.split(" = ", 1) for line in lines)
    assert len(settings) == len(lines)
    passwords = dish.text_of("/etc/postfix/sasl_passwd") + "\n"
    async with Postfix(settings, files={"config/sasl_passwd": passwords}) as started:
        dish.environment["MAIL_CONFIG"] = str(started.home / "config")
        await dish.type()
        await _until(lambda: "status=sent (250 2.0.0 Ok: queued as msg_" in started.log())


EXIM = """
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/spool/%slog
primary_hostname = exim.example.test
keep_environment =
domainlist local_domains =
trusted_users = root
begin routers
{routers}
begin transports
{transports}
begin authenticators
{authenticators}
"""
# Debian's Exim starts only where there is a user Debian-exim, so each call sees files that have
# one, in a mount namespace of its own.
CALL_EXIM = """#!/bin/sh
exec unshare --mount -- sh -ec '
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
config=$1/exim.conf program=$2
shift 2
exec "$program" -C "$config" "$@"
' sh '{folder}' '{program}' "$@"
"""
EXIM_UID = 65533


async def exim(dish: Dish) -> None:
    """An Exim with nothing configured but the recipe's three pieces."""
    program = exim_path()
    assert program is not None
    folder = dish.folder
    routers, transports, authenticators = (each["text"] for each in dish.files)
    pieces = {"routers": routers, "transports": transports, "authenticators": authenticators}
    config = dish.put("exim.conf", EXIM.format(folder=folder, program=program, **pieces))
    config.chmod(0o640)
    os.chown(config, 0, EXIM_UID)
    for name, line in (("passwd", "{0}:x:{1}:{1}::/:/bin/false"), ("group", "{0}:x:{1}:")):
        known = Path("/etc", name).read_text().rstrip()
        dish.put(name, f"{known}\n{line.format('Debian-exim', EXIM_UID)}").chmod(0o644)
    (folder / "spool").mkdir()
    os.chown(folder / "spool", EXIM_UID, EXIM_UID)
    # It sends as that user, who must get to its spool and, as the recipe says, to the certificate.
    certificate = Path(dish.recipe["values"]["ca_path"])
    for way in (folder, *certificate.parents):
        if folder.parent in way.parents:
            way.chmod(way.stat().st_mode | 0o011)
    call = dish.put("bin/exim", CALL_EXIM.format(folder=folder, program=program))
    call.chmod(0o755)
    dish.environment["PATH"] = f"{call.parent}:{os.environ['PATH']}"
    said = await dish.type()
    log = (folder / "spool/mainlog").read_text()
    assert 'C="250 2.0.0 Ok: queued as msg_' in log, said + log


async def go(dish: Dish) -> None:
    """Compiled first, with a cache that the next one shares."""
    dish.environment["GOCACHE"] = str(dish.folder.parent / "go-cache")
    await as_it_stands(dish)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


NEEDS: Mapping[str, tuple[str, ...]] = {
    "env": (), "python": (), "perl": ("perl", "perl-sasl", "perl-tls"),
    "php": ("php", "phpmailer"), "wordpress": ("php", "phpmailer"),
    "nodemailer": ("node", "nodemailer"), "ruby": ("ruby", "ruby-mail"),
    "rails": ("ruby", "ruby-mail"), "postfix": ("postfix", "root"), "exim": ("exim", "mounts"),
    "curl": ("curl",), "swaks": ("swaks",), "msmtp": ("msmtp",),
}  # fmt: skip
"""The components a recipe's program consists of."""

COOKS: Mapping[str, Cook] = {
    "curl": as_it_stands, "swaks": as_it_stands, "msmtp": as_it_stands, "python": as_it_stands,
    "perl": as_it_stands, "ruby": as_it_stands, "env": sourced, "php": phpmailer,
    "wordpress": wordpress, "nodemailer": nodemailer, "rails": rails, "postfix": postfix,
    "exim": exim, "go": go,
}  # fmt: skip
"""How each recipe is followed that can be followed without a screen or a framework."""
