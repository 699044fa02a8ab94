"""what may be changed about the REST face without code"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.terms.setting import InvalidSetting, setting


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """How much the REST face takes, and how long it may make a caller wait."""

    max_body_mb: int = setting(
        40,
        about="Largest request body in megabytes; attachments in base64 need a third more room.",
    )
    max_message_mb: int = setting(
        25, about="Largest message made from a request, in megabytes, as it is handed on."
    )
    max_small_body_kb: int = setting(
        1024, about="Largest body of a request that carries no message, in kilobytes."
    )
    body_seconds: float = setting(120.0, about="Time a request body may take to arrive.")
    bodies_mb: int = setting(
        256, about="How much all request bodies in memory may have together, in megabytes."
    )
    answer_seconds: float = setting(
        20.0, about="How long the email service waits for the fate of a message before it answers."
    )
    show_server_passwords: bool = setting(
        True,
        about="Whether the compatible server API gives the passwords of servers back, to users who may"
        " change servers, over TLS or from this machine alone; otherwise it shows a mask.",
    )

    def __post_init__(self) -> None:
        """Raises `InvalidSetting`."""
        numbers = (
            self.max_body_mb,
            self.max_message_mb,
            self.max_small_body_kb,
            self.body_seconds,
            self.bodies_mb,
        )
        if min(numbers) <= 0 or not 0 < self.answer_seconds <= _LONGEST_ANSWER_SECONDS:
            raise InvalidSetting(
                "sizes and times of the API are above 0, and answer_seconds is at most 300"
            )


_LONGEST_ANSWER_SECONDS = 300
