"""A real MCP server, run as a process: ``tool_server.py stdio``, or ``tool_server.py http PORT``."""

from __future__ import annotations

import base64
import logging
import os
import sys
from pathlib import Path

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

logging.disable()
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
server = MCPServer("test", log_level="CRITICAL")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def draw() -> Image:
    """Draws a picture."""
    return Image(data=PIXEL, format="png")


@server.tool(name="odd.name/of a tool")
def odd() -> str:
    """Has a name that no provider takes."""
    return "odd"


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("no luck")


@server.tool()
def fail_with_picture() -> CallToolResult:
    """Fails, and shows how."""
    picture = ImageContent(type="image", data=base64.b64encode(PIXEL).decode(), mime_type="image/png")
    return CallToolResult(content=[TextContent(type="text", text="it looks like this:"), picture], is_error=True)


@server.tool()
def everything() -> CallToolResult:
    """Gives a part of every kind."""
    return CallToolResult(
        content=[
            TextContent(type="text", text="text"),
            EmbeddedResource(
                type="resource",
                resource=TextResourceContents(uri="file:///a.txt", text="inside", mime_type="text/plain"),
            ),
            EmbeddedResource(
                type="resource",
                resource=BlobResourceContents(
                    uri="file:///a.pdf", blob=base64.b64encode(b"%PDF-1.4 x").decode(), mime_type="application/pdf"
                ),
            ),
            ResourceLink(type="resource_link", uri="file:///b.txt", name="b"),
        ]
    )


def note(path: str, text: str) -> None:
    Path(path).write_text(text)


@server.tool()
async def wait(path: str, seconds: float = 60) -> str:
    """Waits, and notes in a file when it is cancelled."""
    note(path, "began")
    try:
        await anyio.sleep(seconds)
    except anyio.get_cancelled_exc_class():
        note(path, "cancelled")
        raise
    return "waited"


@server.tool()
def die() -> str:
    """Ends the whole server at once."""
    os._exit(3)


@server.tool()
def environment(name: str) -> str:
    """Tells a variable of the server."""
    return os.environ.get(name, "not set")


def extra() -> str:
    """Was not there before."""
    return "extra"


@server.tool()
async def learn(ctx: Context) -> str:
    """Makes a new tool, and takes one away."""
    server.add_tool(extra)
    server.remove_tool("odd.name/of a tool")
    if ctx.request_context.protocol_version >= "2026-07-28":
        await ctx.notify_tools_changed()
    else:
        await ctx.session.send_tool_list_changed()
    return "learnt"


if __name__ == "__main__":
    if sys.argv[1] == "http":
        server.run("streamable-http", port=int(sys.argv[2]))
    else:
        server.run("stdio")
