"""Requests and results between a process and the supervisor of a program: one JSON object, then bytes, over a socket.

JSON and not pickle: neither side can be made to run anything by what the other sends.
"""

import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

__all__ = ["receive", "send"]


def send(connection: socket.socket, header: Mapping[str, Any], blobs: Sequence[bytes | BinaryIO] = ()) -> None:
    """An open file stands for its content, which nobody changes meanwhile and which is never in this process's memory."""
    sizes = [len(blob) if isinstance(blob, bytes) else os.fstat(blob.fileno()).st_size for blob in blobs]
    text = json.dumps({**header, "blobs": sizes}).encode()
    connection.sendall(struct.pack("=I", len(text)) + text)
    for blob, size in zip(blobs, sizes, strict=True):
        if isinstance(blob, bytes):
            connection.sendall(blob)
        elif size:
            connection.sendfile(blob, 0, size)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[bytes]]:
    """The header and the bytes that follow it.

    Raises:
        EOFError: the other side is gone.
    """
    (length,) = struct.unpack("=I", _exactly(connection, 4))
    header = json.loads(_exactly(connection, length))
    return header, [_exactly(connection, size) for size in header.pop("blobs")]


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(size - len(data), 1 << 20))
        if not part:
            raise EOFError("the other side is gone")
        data += part
    return bytes(data)
