"""programs for a terminal or a script: swaks, msmtp, curl, s-nail, esmtp"""

from __future__ import annotations

from email.utils import quote
from urllib.parse import quote as url_quote

from tests.e2e.zoo.client import ALWAYS_DATED, NO_UTF8, Client, Door, Said
from tests.e2e.zoo.letters import ATTACHMENT_NAME, KINDS, OPTION, Letter


class Swaks(Client):
    """The one that postmasters test with."""

    name = "swaks"
    needs = ("swaks",)
    lacks = NO_UTF8

    async def hand(self, letter: Letter, door: Door) -> Said:
        # A lone dot at the end is taken for the end of the content, which may be there already.
        message = self.file("letter.eml", letter.content + b".\r\n")
        tls = ("--tls",) if door.security == "STARTTLS" else ("--tls-on-connect",)
        many = letter.kind == "many"
        await self.run(
            "swaks", "--silent", "2", "--server", door.host, "--port", str(door.port), *tls,
            *(("--pipeline",) if many else ()), "--tls-verify", "--tls-ca-path", str(door.ca),
            "--auth", door.mechanism, "--auth-user", door.username,
            "--auth-password", door.password, "--from", letter.return_path,
            "--to", ",".join(letter.recipients), "--data", f"@{message}",
        )  # fmt: skip
        return Said(letter.content)


class Msmtp(Client):
    """What stands in for sendmail on many machines; GnuTLS."""

    name = "msmtp"
    needs = ("msmtp",)
    lacks = NO_UTF8

    async def hand(self, letter: Letter, door: Door) -> Said:
        settings = self.file(
            "msmtprc",
            (
                f"account default\nhost {door.host}\nport {door.port}\ntls on\n"
                f"tls_starttls {'on' if door.security == 'STARTTLS' else 'off'}\n"
                f"tls_trust_file {door.ca}\nauth {door.mechanism.lower()}\n"
                f"user {door.username}\npassword {quote_word(door.password)}\n"
                f"from {letter.return_path}\nremove_bcc_headers off\nset_date_header off\n"
                "set_msgid_header off\n"
            ).encode(),
        )
        await self.run(
            "msmtp", f"--file={settings}", "--", *letter.recipients, stdin=letter.content
        )
        return Said(letter.content)


class Curl(Client):
    """OpenSSL, SIZE=, and its own way of stuffing dots."""

    name = "curl"
    needs = ("curl",)

    async def hand(self, letter: Letter, door: Door) -> Said:
        scheme = "smtp" if door.security == "STARTTLS" else "smtps"
        await self.run(
            "curl", "--silent", "--show-error", "--max-time", "45", "--ssl-reqd",
            "--cacert", str(door.ca), "--url", f"{scheme}://{door.host}:{door.port}/curl.example.com",
            "--login-options", f"AUTH={door.mechanism}", "--config", "-",
            "--mail-from", letter.return_path,
            *(word for each in letter.recipients for word in ("--mail-rcpt", each)),
            "--upload-file", str(self.file("letter.eml", letter.content)),
            stdin=f'user = "{quote(f"{door.username}:{door.password}")}"\n'.encode(),
        )  # fmt: skip
        return Said(letter.content)


class Snail(Client):
    """mailx as Debian has it: it composes, and can be told to do so twice in the same way."""

    name = "s-nail"
    needs = ("s-nail",)
    lacks = NO_UTF8 | ALWAYS_DATED

    async def hand(self, letter: Letter, door: Door) -> Said:
        login = f"{url_quote(door.username, safe='')}:{url_quote(door.password, safe='')}"
        starttls = door.security == "STARTTLS"
        scheme = "smtp" if starttls else "smtps"
        how = [
            f"smtp-auth={door.mechanism.lower()}", f"tls-ca-file={door.ca}", "tls-verify=strict",
            "tls-ca-no-defaults", *(["smtp-use-starttls"] if starttls else []),
        ]  # fmt: skip
        dump = self.folder / "said.mbox"
        dump.unlink(missing_ok=True)
        await self._compose(letter, "mta=test://said.mbox")
        await self._compose(letter, f"mta={scheme}://{login}@{door.host}:{door.port}", *how)
        _, _, message = dump.read_bytes().partition(b"\n")  # the mailbox file's own line
        return Said(as_wired(message.removesuffix(b"\n")))

    async def _compose(self, letter: Letter, *settings: str) -> None:
        said = (
            "v15-compat", "ttycharset=utf-8", "sendcharsets=utf-8", "mime-encoding=8b",
            "hostname=snail.example.com",
            f"from=Shop <{letter.return_path}>", f"customhdr={OPTION[0]}: {OPTION[1]}", *settings,
        )  # fmt: skip
        attached: tuple[str, ...] = ()
        if letter.attachment:
            attached = ("-a", str(self.file(ATTACHMENT_NAME, letter.attachment)))
        await self.run(
            "s-nail", "-:/", *(word for each in said for word in ("-S", each)),
            "-s", letter.subject, "-b", letter.hidden, *attached, *letter.shown,
            stdin=letter.text.replace("\r\n", "\n").encode(),
            # Dates and boundaries follow from it, so that what is said twice is said alike.
            SOURCE_DATE_EPOCH="1774000000", MAILRC="/dev/null",
        )  # fmt: skip


class Esmtp(Client):
    """libESMTP: it trusts whom one file in the home directory names, and knows STARTTLS only.

    It hands over nothing here: where session tickets of TLS 1.3 arrive before it has written what
    comes next, it waits for ever for an answer to what it has not said. But it can refuse.
    """

    name = "esmtp"
    needs = ("esmtp",)
    lacks = frozenset(KINDS)
    securities = ("STARTTLS",)
    ends_seconds = 3.0

    async def hand(self, letter: Letter, door: Door) -> Said:
        settings = self.file(
            "esmtprc",
            (
                f"hostname = {door.host}:{door.port}\nhelo = esmtp.example.com\n"
                f'username = "{door.username}"\npassword = "{door.password}"\n'
                "starttls = required\n"
            ).encode(),
        )
        trusted = self.folder / ".config/libesmtp"
        trusted.mkdir(mode=0o700, parents=True, exist_ok=True)
        trusted.parent.chmod(0o700)
        self.file(".config/libesmtp/ca.pem", door.ca.read_bytes())
        await self.run(
            "esmtp", "-C", str(settings), "-f", letter.return_path, *letter.recipients,
            stdin=letter.content.replace(b"\r\n", b"\n"),
        )  # fmt: skip
        return Said(letter.content)


def as_wired(local: bytes) -> bytes:
    """What a program of this machine wrote, with the line ends of the wire."""
    return local.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def quote_word(text: str) -> str:
    """In quotes where it has blanks, for configuration files that know no escapes."""
    return f'"{text}"' if " " in text else text
