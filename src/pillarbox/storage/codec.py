"""documents in storage: MessagePack behind a version number"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from pillarbox.storage.interface.errors import StorageTrouble

T = TypeVar("T")

VERSION: Final = 1
_PREFIX: Final = bytes([VERSION])
_encoder: Final = msgspec.msgpack.Encoder()
_decoders: dict[type[object], msgspec.msgpack.Decoder[object]] = {}


def encode(document: object) -> bytes:
    """A dataclass or Struct as bytes."""
    return _PREFIX + _encoder.encode(document)


def decode(data: bytes, kind: type[T]) -> T:
    """Read what `encode` wrote. Raises `StorageTrouble` where it is damaged or from the future."""
    if data[:1] != _PREFIX:
        raise StorageTrouble(
            "A stored document has a version this program does not know.",
            detail=f"version byte {data[:1]!r}, wanted {_PREFIX!r}",
            fix="Run the version of Pillarbox that wrote it, or a newer one.",
        )
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(data[1:])  # type: ignore[return-value]
    except msgspec.DecodeError as error:
        raise StorageTrouble("A stored document is damaged.", detail=str(error)) from error
