"""The Model Context Protocol, both ways: any world as an MCP server, and any MCP server's tools as an environment's.

`WorldServer` serves; `MCPSession` imports, `RecordingSession` writes down what it answers and `ReplaySession` answers
from what was written; `MCPWorld` puts any of the three under an `Environment`.
"""

from simulators.mcp.listening import Listening, listening
from simulators.mcp.recording import Recording, RecordingError, RecordingSession
from simulators.mcp.replay import ReplaySession
from simulators.mcp.schemas import SchemaDriftError, check_schemas, schema_fingerprint
from simulators.mcp.server import WorldServer
from simulators.mcp.session import MCPSession
from simulators.mcp.source import MCPFault, MCPToolSource
from simulators.mcp.world import MCPWorld

__all__ = [
    "Listening", "MCPFault", "MCPSession", "MCPToolSource", "MCPWorld", "Recording", "RecordingError",
    "RecordingSession", "ReplaySession", "SchemaDriftError", "WorldServer", "check_schemas", "listening",
    "schema_fingerprint",
]  # fmt: skip
