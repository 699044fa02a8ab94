"""what EHLO offers and what the peer offered"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

_ALWAYS: Final = frozenset({"SIZE", "BODY"})
_DSN: Final = frozenset({"RET", "ENVID"})
_UNDER_TLS: Final = frozenset({"REQUIRETLS"})
_DSN_OF_RECIPIENT: Final = frozenset({"NOTIFY", "ORCPT"})


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a listener allows and offers."""

    max_message_bytes: int
    max_recipients: int
    block_bytes: int = 262_144
    """Content comes in blocks of this size; only the last one differs."""
    max_command_bytes: int = 512
    """With line end. MAIL and RCPT may have 2,048, AUTH and its responses 12,288."""
    max_errors: int = 10
    """Commands refused by the session and logins refused before 421; a message taken forgives."""
    max_idle_commands: int = 1 << 30
    """NOOP, RSET, EHLO and the like before 421; a message taken begins the count anew."""
    tls: Literal["none", "starttls", "active"] = "none"
    require_tls: bool = False
    """Whether MAIL has to wait for TLS."""
    auth: Literal["tls", "clear", "none"] = "tls"
    """Whether logins are taken under TLS only, in clear as well, or never."""
    require_login: bool = False
    mail_parameters: frozenset[str] = frozenset()
    """What MAIL may have beside SIZE and BODY. Naming SMTPUTF8 offers it; REQUIRETLS too, but under
    TLS only; RET or ENVID, DSN.
    """

    def of_mail(self, *, tls: bool) -> frozenset[str]:
        """The names MAIL may have; those of RFC 3461 come together or not at all."""
        names = _ALWAYS | self.mail_parameters | (_DSN if self._dsn else frozenset())
        return names if tls else names - _UNDER_TLS

    def of_rcpt(self) -> frozenset[str]:
        """The names RCPT may have."""
        return _DSN_OF_RECIPIENT if self._dsn else frozenset()

    def takes_login(self, *, tls: bool) -> bool:
        """Whether AUTH is open to a client in clear or, with `tls`, under TLS."""
        return self.auth == "clear" or (self.auth == "tls" and tls)

    @property
    def _dsn(self) -> bool:
        return not self.mail_parameters.isdisjoint(_DSN)


def offered_keywords(
    limits: ServerLimits, mechanisms: Iterable[str], *, tls: bool, logged_in: bool
) -> list[str]:
    """The lines of our answer to EHLO below the host name: what the client may use right now."""
    # Not BINARYMIME: to send binary content on, nearly every next hop would need it rewritten in
    # base64, which breaks signatures (RFC 3030 §3); clients that see no offer encode it themselves.
    lines = [
        "PIPELINING",
        f"SIZE {limits.max_message_bytes}",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
    ]
    if "SMTPUTF8" in limits.mail_parameters:
        lines.append("SMTPUTF8")
    if limits.of_rcpt():
        lines.append("DSN")
    if tls and "REQUIRETLS" in limits.mail_parameters:  # RFC 8689 §2
        lines.append("REQUIRETLS")
    if limits.tls == "starttls" and not tls:
        lines.append("STARTTLS")
    if limits.takes_login(tls=tls) and not logged_in:
        lines.append(f"AUTH {' '.join(mechanisms)}")
    return lines


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a peer's answer to EHLO offered; empty for HELO."""

    keywords: Mapping[str, str] = field(default_factory=dict)
    """Upper-case keyword to the text behind it."""

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Extensions:
        """Read the lines below the peer's name. The first of two equal keywords counts."""
        keywords: dict[str, str] = {}
        for line in lines:
            keyword, _, rest = line.strip().partition(" ")
            name = keyword.upper()
            if name.startswith("AUTH="):  # as servers wrote it before RFC 2554, and some still do
                name, rest = "AUTH", f"{keyword[5:]} {rest}"
            if name:
                keywords.setdefault(name, rest.strip())
        return cls(keywords)

    def has(self, keyword: str) -> bool:
        """Whether `keyword`, in upper case, was offered."""
        return keyword in self.keywords

    @property
    def size_limit(self) -> int | None:
        """The largest message in octets; None where the peer names none (RFC 1870 §4)."""
        text = self.keywords.get("SIZE", "")
        return (int(text) or None) if text.isascii() and text.isdigit() else None

    @property
    def mechanisms(self) -> frozenset[str]:
        """The AUTH mechanisms, in upper case."""
        return frozenset(self.keywords.get("AUTH", "").upper().split())
