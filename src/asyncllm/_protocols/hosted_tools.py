"""Tools that a provider runs itself, from one word each to the words of a host.

A wire format has a table: for each word of `asyncllm._schema.hosted` a function that writes it. A dialect names the
words that its host has. What a host lacks is refused by name, so that another host of the chain may be asked.

What a host cannot hold to is refused where it would change what the model may see (domains), and left out with a
warning where it only bounds how often (``max_uses``, ``max_results``).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._schema.hosted import HostedTool, MCPServer, WebSearch
from .._schema.request import ProviderTool, Request, Tool
from .parts import PartWriter

AnyTool = Tool | ProviderTool
"""A tool as a codec writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """Holds one tool in the words of a host.

    Attributes:
        tool: what stands among the tools; None where it stands elsewhere.
        body: what the body gets besides; lists of several tools are joined.
        betas: beta features that it needs.
    """

    tool: Mapping[str, Any] | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    betas: tuple[str, ...] = ()


Write = Callable[[Any, PartWriter[Any]], Hosted]
"""Writes one tool of `asyncllm._schema.hosted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Holds the tools of a request in the words of a host.

    Attributes:
        tools: all of them, in order.
        body: what the body gets besides.
        betas: beta features that they need.
    """

    tools: tuple[AnyTool, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    betas: tuple[str, ...] = ()


def offer(request: Request, writer: PartWriter[Any], has: Container[str], rows: Mapping[str, Write]) -> Offer:
    """Writes the tools that the provider runs in the words of the host.

    Args:
        request: its tools are written.
        writer: is told what is left out.
        has: the words that the host has.
        rows: how the format writes each word.

    Raises:
        UnsupportedParameterError: the host has no such tool, or cannot hold to what it says.
    """
    tools: list[AnyTool] = []
    body: dict[str, Any] = {}
    betas: list[str] = []
    for tool in request.tools:
        if not isinstance(tool, HostedTool):
            tools.append(tool)
            continue
        name = type(tool).__name__
        if tool.word not in has or tool.word not in rows:
            raise writer.refuse_keyword(
                "tools",
                f"{writer.context.provider} ({writer.api}) has no {name} that it runs itself for {request.model}; "
                "leave it out, or use a provider that has it",
            )
        found = rows[tool.word](tool, writer)
        if found.tool is not None:
            tools.append(ProviderTool(found.tool))
        for key, value in found.body.items():
            body[key] = [*body[key], *value] if isinstance(value, list) and key in body else value
        betas += found.betas
    return Offer(tools=tuple(tools), body=body, betas=tuple(dict.fromkeys(betas)))


def refuse_domains(tool: WebSearch, writer: PartWriter[Any], *names: str) -> None:
    """Refuses what a host's search cannot hold to.

    Args:
        tool: what was asked for.
        writer: makes the exception.
        *names: the fields that the host has no word for.

    Raises:
        UnsupportedParameterError: one of them says something.
    """
    for name in names:
        if getattr(tool, name):
            raise writer.refuse_keyword(
                "tools", f"the web search of {writer.context.provider} ({writer.api}) takes no {name}; leave them out"
            )


def bearer(server: MCPServer) -> dict[str, str]:
    """Returns the headers that an MCP server is shown, the token among them."""
    return {**server.headers, **({} if server.token is None else {"Authorization": f"Bearer {server.token}"})}
