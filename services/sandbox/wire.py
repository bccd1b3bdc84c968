"""Requests and results as JSON, for sandboxes elsewhere: what a program, its files and its output are made of is base64."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from services.sandbox.interface import Ending, Limits, Program, SandboxResult

__all__ = ["decoded_request", "decoded_result", "encoded_request", "encoded_result"]

_STRICT = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class _Request:
    kind: Literal["python", "command"]
    source: bytes
    """UTF-8, lone surrogates as they are."""
    argv: tuple[str, ...]
    stdin: bytes
    files: dict[str, bytes]
    limits: Limits
    collect: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class _Result:
    ending: Ending
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    files: dict[str, bytes]
    seconds: float
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    reason: str


_requests, _results = TypeAdapter(_Request), TypeAdapter(_Result)


def encoded_request(program: Program, files: Mapping[str, bytes], limits: Limits, collect: Sequence[str]) -> bytes:
    """Raises:
    ValueError: text that is no valid Unicode, outside of a Python program.
    """
    request = _Request(
        kind=program.kind,
        source=program.source.encode(errors="surrogatepass"),
        argv=program.argv,
        stdin=program.stdin,
        files=dict(files),
        limits=limits,
        collect=tuple(collect),
    )
    return _requests.dump_json(request)


def decoded_request(text: bytes) -> tuple[Program, dict[str, bytes], Limits, tuple[str, ...]]:
    """What `encoded_request` was given.

    Raises:
        ValueError: not that, with the keys that are wrong.
    """
    request = _requests.validate_json(text)
    source = request.source.decode(errors="surrogatepass")
    program = Program(kind=request.kind, source=source, argv=request.argv, stdin=request.stdin)
    return program, request.files, request.limits, request.collect


def encoded_result(result: SandboxResult) -> bytes:
    return _results.dump_json(_Result(**{**vars(result), "files": dict(result.files)}))


def decoded_result(text: bytes) -> SandboxResult:
    """Raises:
    ValueError: not what `encoded_result` makes.
    """
    return SandboxResult(**vars(_results.validate_json(text)))
