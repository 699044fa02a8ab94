"""what tests need beyond Python packages: how to tell that it is here, and where to get it

A test says what it needs with a marker::

    @pytest.mark.needs("strace", "mkfs.ext4")      # any command, by name
    @pytest.mark.postfix                           # short for needs("postfix")

Where something is missing the test is skipped and the end of the run says so. With CI=true it
fails instead: what is not tested must not look tested.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where administrators' commands lie; not on every user's PATH."""

_HERE = Path(__file__).parent
NODEMAILER = _HERE / "e2e/node/node_modules/nodemailer"
MAILAUTH = _HERE / "e2e/node/node_modules/mailauth"
"""Where ./do puts what tests/e2e/node/package-lock.json pins."""
_UNPACKED_EXIM = _HERE.parent / ".programs/exim/usr/sbin/exim4"
"""Debian's Exim, unpacked by ./do and not installed: installing it would remove Postfix."""


@dataclass(frozen=True, slots=True)
class Component:
    """Something outside Python that a test may need."""

    is_here: Callable[[], bool]
    how_to_get: str


def path_of(command: str) -> str | None:
    """Where a command lies, also when only root's PATH would find it."""
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def exim_path() -> str | None:
    """Where Exim lies, installed or only unpacked."""
    if _UNPACKED_EXIM.exists():
        return str(_UNPACKED_EXIM)
    return path_of("exim4") or path_of("exim")


def _file(path: str, package: str) -> Component:
    """A library that has no command."""
    return Component(Path(path).exists, f"apt-get install {package}")


def _is_root() -> bool:
    return os.geteuid() == 0


@cache
def _may_make_namespaces() -> bool:
    unshare = path_of("unshare")
    if unshare is None:
        return False
    command = [unshare, "--net", "--", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@cache
def _may_mount() -> bool:
    """A container may be root and yet not be allowed to mount."""
    unshare = path_of("unshare")
    if unshare is None or not _is_root():
        return False
    script = "mount -t tmpfs none /mnt"
    command = [unshare, "--mount", "--", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


NAMED: dict[str, Component] = {
    "root": Component(_is_root, "run as root"),
    "postfix": Component(lambda: path_of("postfix") is not None, "apt-get install postfix"),
    "postgres": Component(
        lambda: bool(path_of("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))),
        "apt-get install postgresql",
    ),
    "chromium": Component(lambda: path_of("chromium") is not None, "apt-get install chromium"),
    "exim": Component(lambda: exim_path() is not None, "./do test unpacks it, as root on Debian"),
    "nodemailer": Component(NODEMAILER.exists, "./do test installs it, where npm is"),
    "mailauth": Component(MAILAUTH.exists, "./do test installs it, where npm is"),
    "dkimpy": _file("/usr/lib/python3/dist-packages/dkim/__init__.py", "python3-dkim"),
    "mail-dkim": _file("/usr/share/perl5/Mail/DKIM/Verifier.pm", "libmail-dkim-perl"),
    "phpmailer": _file("/usr/share/php/libphp-phpmailer/autoload.php", "libphp-phpmailer"),
    "ruby-mail": _file("/usr/lib/ruby/vendor_ruby/mail.rb", "ruby-mail"),
    "perl-sasl": _file("/usr/share/perl5/Authen/SASL.pm", "libauthen-sasl-perl"),
    "perl-tls": _file("/usr/share/perl5/IO/Socket/SSL.pm", "libio-socket-ssl-perl"),
    "javamail": _file("/usr/share/java/javax.mail.jar", "libmail-java"),
    "namespaces": Component(_may_make_namespaces, "root, and leave to make network namespaces"),
    "atheris": Component(
        lambda: _is_installed("atheris"),
        "it has wheels for Linux on x86-64 alone, and for Python 3.11 to 3.13",
    ),
    "mounts": Component(_may_mount, "root, and leave to mount"),
}

_PACKAGES = {
    "go": "golang-go",
    "javac": "default-jdk-headless",
    "mkfs.ext4": "e2fsprogs",
    "losetup": "mount",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "saslpasswd2": "sasl2-bin",
    "node": "nodejs",
    "php": "php-cli",
    "smtp-source": "postfix",
    "smtp-sink": "postfix",
}


def find(name: str) -> Component:
    """A named component, or the command of that name."""
    if name in NAMED:
        return NAMED[name]
    package = _PACKAGES.get(name, name)
    return Component(lambda: path_of(name) is not None, f"apt-get install {package}")


def missing(names: tuple[str, ...]) -> str:
    """What of `names` is not here and how to get it, in one line; empty where all is here."""
    lacking = [(name, find(name)) for name in names]
    return "; ".join(
        f"{name} is missing ({component.how_to_get})"
        for name, component in lacking
        if not component.is_here()
    )


def postfix_version() -> str:
    """Of the Postfix installed here; empty where there is none."""
    postconf = path_of("postconf")
    if postconf is None:
        return ""
    # -d: Debian's package without a configuration has no main.cf to read.
    command = [postconf, "-d", "-h", "mail_version"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
