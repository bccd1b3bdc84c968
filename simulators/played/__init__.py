"""Tools known only by their schemas, played by a chat model that keeps a state document (Kimi K2's tool simulator).

`PlayedTools` is one more source of tools: `simulators.mcp` records it, replays it and puts it under an `Environment`.
Such a world has no ground truth and its tasks cannot be certified: see docs/played.md.
"""

from simulators.played.tool_list import ToolListError, load_tools, parse_tools
from simulators.played.tools import PlayedConfig, PlayedTools

__all__ = ["PlayedConfig", "PlayedTools", "ToolListError", "load_tools", "parse_tools"]
