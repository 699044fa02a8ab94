"""the mail libraries of other languages: a script for each, told what to do on standard input"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.components import NODEMAILER
from tests.e2e.zoo.client import ALWAYS_DATED, NO_UTF8, Client, Door, Said
from tests.e2e.zoo.letters import ATTACHMENT_NAME, KINDS, OPTION, Letter

SCRIPTS: Final = Path(__file__).parent / "scripts"
_JARS: Final = "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar"

Job = Mapping[str, str | int | bool | list[str]]


class Scripted(Client):
    """A client whose script reads a job."""

    whole: tuple[str, ...] = ()
    """Letters that it is given as whole messages; of the others it is given the parts."""

    async def hand(self, letter: Letter, door: Door) -> Said:
        job = self.job(letter, door)
        said = self.folder / "said.eml"
        said.unlink(missing_ok=True)
        await self.run(*await self.command(), stdin=self.told(job), **self.environment(door))
        if said.exists():
            return Said(said.read_bytes())
        assert letter.kind in self.whole, "what it composes it has to write down"
        return Said(letter.content)

    @abstractmethod
    async def command(self) -> tuple[str, ...]:
        """How to start it."""

    def environment(self, door: Door) -> dict[str, str]:
        """What it finds there."""
        return {}

    def told(self, job: Job) -> bytes:
        """The job as its language reads it."""
        return json.dumps(job).encode()

    def job(self, letter: Letter, door: Door) -> Job:
        """Where, as whom, what."""
        text = letter.text.encode()
        attached = self.file("attachment", letter.attachment) if letter.attachment else ""
        return {
            "host": door.host,
            "port": door.port,
            "implicit": door.security == "TLS",
            "mechanism": door.mechanism,
            "username": door.username,
            "password": door.password,
            "ca": str(door.ca),
            "return_path": letter.return_path,
            "recipients": list(letter.recipients),
            "shown": list(letter.shown),
            "hidden": letter.hidden,
            "subject": letter.subject,
            "option": list(OPTION),
            "utf8": letter.utf8,
            "whole": letter.kind in self.whole,
            "message_file": str(self.file("letter.eml", letter.content)),
            "text_file": str(self.file("text", text)),
            "attachment_file": str(attached),
            "attachment_name": ATTACHMENT_NAME,
            "said_file": str(self.folder / "said.eml"),
        }


class PhpMailer(Scripted):
    """What most of the web's forms send with."""

    name = "phpmailer"
    needs = ("php", "phpmailer")
    lacks = NO_UTF8 | ALWAYS_DATED
    package = "libphp-phpmailer"

    async def command(self) -> tuple[str, ...]:
        return ("php", str(SCRIPTS / "phpmailer.php"))


class Nodemailer(Scripted):
    """JavaScript; a pool of connections."""

    name = "nodemailer"
    needs = ("node", "nodemailer")
    whole = ("undated", "utf8", "dots")

    @classmethod
    def version(cls) -> str:
        found: str = json.loads((NODEMAILER / "package.json").read_text())["version"]
        return found

    async def command(self) -> tuple[str, ...]:
        return ("node", str(SCRIPTS / "nodemailer.js"))

    def job(self, letter: Letter, door: Door) -> Job:
        return {**super().job(letter, door), "nodemailer": str(NODEMAILER)}


class RubyMail(Scripted):
    """The gem that web frameworks in Ruby send with, over net-smtp."""

    name = "ruby-mail"
    needs = ("ruby", "ruby-mail")
    lacks = NO_UTF8
    whole = ("undated", "dots")

    async def command(self) -> tuple[str, ...]:
        return ("ruby", str(SCRIPTS / "mail.rb"))

    def environment(self, door: Door) -> dict[str, str]:
        return {"SSL_CERT_FILE": str(door.ca)}


class NetSmtp(Scripted):
    """Perl's own, with what Authen::SASL and IO::Socket::SSL add."""

    name = "net-smtp"
    needs = ("perl", "perl-sasl", "perl-tls")
    package = "perl"
    lacks = NO_UTF8
    whole = KINDS

    async def command(self) -> tuple[str, ...]:
        return ("perl", str(SCRIPTS / "net_smtp.pl"))


class GoSmtp(Scripted):
    """net/smtp, which says SMTPUTF8 and BODY=8BITMIME to whoever offers them."""

    name = "go"
    needs = ("go",)
    package = "golang-go"
    whole = KINDS

    def asks_utf8(self, letter: Letter) -> bool:
        return True

    async def command(self) -> tuple[str, ...]:
        made = self.folder / "send"
        if not made.exists():
            source = str(SCRIPTS / "send.go")
            await self.run("go", "build", "-o", str(made), source, CGO_ENABLED="0")
        return (str(made),)


class JavaMail(Scripted):
    """What programs on the JVM send with."""

    name = "javamail"
    needs = ("javac", "javamail")
    package = "libmail-java"
    whole = ("undated", "utf8", "dots")

    async def command(self) -> tuple[str, ...]:
        classes = self.folder / "classes"
        if not classes.exists():
            source = str(SCRIPTS / "Send.java")
            await self.run("javac", "-encoding", "UTF-8", "-cp", _JARS, "-d", str(classes), source)
        return ("java", "-Dfile.encoding=UTF-8", "-cp", f"{classes}:{_JARS}", "Send")

    def told(self, job: Job) -> bytes:
        option_name, option_value = OPTION
        values: dict[str, object] = {
            **job,
            "option_name": option_name,
            "option_value": option_value,
        }
        lines = [f"{name}={_property(value)}\n" for name, value in values.items()]
        return "".join(lines).encode()


def _property(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value).replace("\\", "\\\\")
