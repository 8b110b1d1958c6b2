"""Messages between an embedder and its worker: four bytes of length, then a msgpack object."""

from __future__ import annotations

from typing import IO, Any

import msgspec

_LENGTH = 4


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message."""
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message, ``None`` at the end of the stream."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head, "big")
    body = stream.read(size)
    return msgspec.msgpack.decode(body) if len(body) == size else None
