"""Tools that a provider runs itself, by one word each. A codec writes them in the words of its host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from typing import ClassVar

from .values import dataclass


class HostedTool:
    """A tool that the provider runs itself: `WebSearch`, `CodeExecution`, `FileSearch` or `MCPServer`.

    Attributes:
        word: what dialects, usage and price lists call it.
    """

    __slots__ = ()
    word: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSearch(HostedTool):
    """The model may search the web.

    Attributes:
        max_uses: the most searches for one reply.
        domains: search only these, such as ``["python.org"]``.
        blocked_domains: never search these; not together with ``domains``.
        country: where the user is, as two letters (``"NO"``), for results that fit.
    """

    word: ClassVar[str] = "web_search"
    max_uses: int | None = None
    domains: Sequence[str] = ()
    blocked_domains: Sequence[str] = ()
    country: str | None = None


@dataclass(frozen=True, slots=True)
class CodeExecution(HostedTool):
    """The model may run code, in a container of the provider's."""

    word: ClassVar[str] = "code_execution"


@dataclass(frozen=True, slots=True)
class FileSearch(HostedTool):
    """The model may search files that were given to the provider before.

    Attributes:
        stores: ids of the provider's own collections: vector stores at OpenAI, file search stores at Gemini.
        max_results: the most passages that one search gives.
    """

    word: ClassVar[str] = "file_search"
    stores: Sequence[str] = ()
    _: KW_ONLY
    max_results: int | None = None


@dataclass(frozen=True, slots=True)
class MCPServer(HostedTool):
    """The model may use the tools of an MCP server that the provider connects to by itself.

    For a server that this process connects to, see `asyncllm.contrib.mcp`.

    Attributes:
        url: its public address.
        name: what the model and the reply call it; by default made of the address.
        token: a bearer token that the provider shows to the server. It is not in the repr.
        headers: further headers for the server, for providers that take some. They are not in the repr.
        tools: only these of its tools; all by default.
    """

    word: ClassVar[str] = "mcp"
    url: str = ""
    _: KW_ONLY
    name: str | None = None
    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tools: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The name, or one that every provider takes, made of the address: ``https://mcp.a.com/x`` is ``mcp_a_com``."""
        host = self.url.partition("://")[2].partition("/")[0].partition(":")[0]
        return self.name or "".join([letter if letter.isalnum() else "_" for letter in host]) or "server"
