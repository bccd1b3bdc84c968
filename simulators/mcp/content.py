"""Between MCP's results and ours: what an agent reads of an answer is text, and here is the rule that makes it.

Text blocks are joined by newlines; an embedded text resource is its text; images, sounds and other bytes become one
line that names type, size and digest, never base64; a resource link is one line with its address. Where a server sends
structured content alone, the agent reads its JSON. Text beyond a limit is cut, and says so.
"""

import base64
import binascii
import hashlib
import json
from typing import Any

from mcp import types

from simulators.worlds import ToolResult
from trajectories.canonical import canonical_value

__all__ = ["from_wire", "to_wire"]


def to_wire(result: ToolResult) -> types.CallToolResult:
    """Our result as the protocol carries it."""
    return types.CallToolResult(
        content=[types.TextContent(text=result.content)],
        structured_content=result.structuredContent,
        is_error=result.isError,
    )


def from_wire(result: types.CallToolResult, max_characters: int) -> ToolResult:
    """The protocol's result as an agent may see it; structured content that is no object becomes ``{"result": ...}``.

    Raises:
        ValueError: bytes that are not base64, or a number that is not JSON.
    """
    structured = canonical_value(result.structured_content)
    parts = [_text_of(block) for block in result.content]
    if not parts and structured is not None:
        parts = [json.dumps(structured, separators=(",", ":"), ensure_ascii=False)]
    text = "\n".join(parts)
    if len(text) > max_characters:
        text = f"{text[:max_characters]}\n[cut: {len(text) - max_characters} more characters]"
    if result.is_error or structured is None:
        return ToolResult(text, None, result.is_error)
    return ToolResult(text, structured if isinstance(structured, dict) else {"result": structured}, False)


def _text_of(block: types.ContentBlock) -> str:
    if isinstance(block, types.TextContent):
        return block.text
    if isinstance(block, types.ResourceLink):
        return f"[link {block.name} {block.uri}]"
    if isinstance(block, types.EmbeddedResource):
        resource = block.resource
        if isinstance(resource, types.TextResourceContents):
            return resource.text
        return _described("resource", resource.mime_type, resource.blob)
    return _described(block.type, block.mime_type, block.data)


def _described(kind: str, mime_type: Any, data: str) -> str:
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the {kind} in the answer is not base64: {error}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    return f"[{kind} {mime_type or 'application/octet-stream'}, {len(content)} bytes, sha256 {sha256[:16]}]"
