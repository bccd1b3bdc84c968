"""An MCP server over stdio whose tools answer in every way that the protocol knows, and in some that it does not."""

import asyncio
import base64
import os
import sys

import anyio
from mcp import MCPError, types
from mcp.server import Server
from mcp.server.stdio import stdio_server

ANY = {"type": "object"}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
COUNT_TITLE = os.environ.get("COUNT_TITLE", "Count")
TOOLS = [
    types.Tool(name="count", title=COUNT_TITLE, input_schema=ANY, output_schema=NUMBER if "DRIFT" not in os.environ else ANY),
    *(types.Tool(name=name, input_schema=ANY) for name in ("mixed", "bare", "fail", "reject", "crash", "die", "sleep", "long")),
    types.Tool(name="lie", input_schema=ANY, output_schema=NUMBER),
]
counted = 0


async def list_tools(context, params):
    """Two pages, as large servers have."""
    if params is None or params.cursor is None:
        return types.ListToolsResult(tools=TOOLS[:3], next_cursor="more")
    return types.ListToolsResult(tools=TOOLS[3:])


async def call_tool(context, params):
    global counted
    match params.name:
        case "count":
            counted += 1
            return result(f"n is {counted}", structured={"n": float(counted)})
        case "mixed":
            return types.CallToolResult(
                content=[
                    types.TextContent(text="first"),
                    types.ImageContent(data=base64.b64encode(b"pixels").decode(), mime_type="image/png"),
                    types.EmbeddedResource(resource=types.TextResourceContents(uri="file:///a", text="inside")),
                    types.ResourceLink(name="b", uri="file:///b"),
                ]
            )
        case "bare":
            return types.CallToolResult(content=[], structured_content={"x": 1.5})
        case "fail":
            return result("that did not work", is_error=True)
        case "reject":
            raise MCPError(types.INVALID_PARAMS, "q is required")
        case "crash":
            raise MCPError(types.INTERNAL_ERROR, "a bug")
        case "lie":
            return result("n is many", structured={"n": "many"})
        case "long":
            return result("x" * 1000)
        case "sleep":
            await anyio.sleep(30)
        case "die":
            print("out of cheese", file=sys.stderr, flush=True)
            os._exit(3)


def result(text, structured=None, is_error=False):
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=structured, is_error=is_error)


async def main():
    server = Server("odd", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


asyncio.run(main())
