"""one question to one DNS server: a datagram, or a connection where the answer does not fit

Whoever forges an answer must hit our port, which the kernel draws anew for each question, and the
question's number. What does not belong to the question is passed over until the time is up
(RFC 5452 §9.1).
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dns.message import Message

MAX_DATAGRAM_OCTETS: Final = 1232
"""What passes every network in one piece (DNS flag day 2020)."""
_MOST_STRANGERS: Final = 64
_LENGTH: Final = struct.Struct("!H")


class NoAnswer(Exception):
    """A server did not answer, in words that follow its name."""


async def exchange(question: Message, host: str, port: int, seconds: float) -> Message:
    """What the server at an address answers, within `seconds` for each way. Raises `NoAnswer`."""
    import dns.flags

    answer = await _over_datagram(question, host, port, seconds)
    if answer is not None and not answer.flags & dns.flags.TC:
        return answer
    return await _over_stream(question, host, port, seconds)


class _Exchange(asyncio.DatagramProtocol):
    def __init__(self, question: Message, done: asyncio.Future[Message | None]) -> None:
        self._question = question
        self._done = done
        self._strangers = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        answer = _read(data)
        if self._done.done():
            return
        if answer is not None and self._question.is_response(answer):
            self._done.set_result(answer)
            return
        self._strangers += 1
        if self._strangers >= _MOST_STRANGERS:  # somebody is guessing: guesses need not be right
            self._done.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(NoAnswer(_why(exc)))


async def _over_datagram(question: Message, host: str, port: int, seconds: float) -> Message | None:
    """None where a connection should be tried."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Message | None] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Exchange(question, done), remote_addr=(host, port)
        )
    except OSError as error:
        raise NoAnswer(_why(error)) from error
    try:
        transport.sendto(question.to_wire())
        async with asyncio.timeout(seconds):
            return await done
    except TimeoutError:
        raise NoAnswer("did not answer in time") from None
    except OSError as error:
        raise NoAnswer(_why(error)) from error
    finally:
        transport.close()


async def _over_stream(question: Message, host: str, port: int, seconds: float) -> Message:
    wire = question.to_wire()
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(_LENGTH.pack(len(wire)) + wire)
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            answer = _read(await reader.readexactly(length))
    except TimeoutError:
        raise NoAnswer("did not answer in time") from None
    except asyncio.IncompleteReadError:
        raise NoAnswer("hung up in the middle of its answer") from None
    except OSError as error:
        raise NoAnswer(_why(error)) from error
    finally:
        if writer is not None:
            writer.close()
    if answer is None or not question.is_response(answer):
        raise NoAnswer("answered something else")
    return answer


def _read(wire: bytes) -> Message | None:
    """The message; None where it is none. Records that cannot be read make it unreadable."""
    import dns.exception
    import dns.message

    try:
        return dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, struct.error, NotImplementedError):
        return None


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "is not running"
    return f"cannot be reached: {getattr(error, 'strerror', None) or error}"
