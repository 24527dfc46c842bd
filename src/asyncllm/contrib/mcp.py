"""The tools of MCP servers in a run, by the official ``mcp`` package (``asyncllm-client[mcp]``).

::

    files = MCPTools.stdio("npx", "-y", "@modelcontextprotocol/server-filesystem", "/data", prefix="files")
    run = await client.run("What is in /data?", tools=[files])

The rules:

* A connection lives in a background task of its own. So it may be opened, used and closed by different tasks, and a
  server that dies cancels nobody.
* It opens when it is first needed. ``async with`` or `MCPTools.aclose` ends it; so does the end of the event loop.
* What goes wrong in a call is for the model to read: the server's own error, or that the server is gone. A call that
  was running when the server died is not repeated, because nobody knows what it did. The next call opens a new
  connection.
* A server that says its tools have changed is asked for them again, before the next step of a run that uses them.
* A call that is cancelled (a timeout of the run, the end of a stream) is cancelled at the server too.
"""

from __future__ import annotations

import logging
import os
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel

from .._engine.lifetime import Background, current_loop, is_alive
from .._schema.content import Audio, Document, Image, Json, ResultPart, Text
from .._schema.redaction import without
from .._version import __version__
from ..errors import BadRequestError, ClientStateError, ConnectError
from ..tools import FunctionTool, ToolError

try:
    import httpx2
    import mcp
    import mcp_types
    from mcp.client.streamable_http import streamable_http_client
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
except ImportError as _error:
    raise ImportError("asyncllm.contrib.mcp needs mcp: python -m pip install 'asyncllm-client[mcp]'") from _error

__all__ = ["MCPTools"]

_log = logging.getLogger("asyncllm")

_LONGEST_NAME = 64
"""The strictest limit on the names of tools, OpenAI's."""
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_PAGES = 100
_SHORTEST_SECRET = 5  # a shorter word may stand in a sentence by chance
_OF_A_SECRET = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)
_CLOSING_SECONDS = 10.0
_LISTEN_AGAIN_SECONDS = 1.0
_READ_SECONDS = 300.0
"""A server may hold the response of a call open; the ``mcp`` package waits as long."""

Open = Callable[[AsyncExitStack], Any]
"""Makes what ``mcp.Client`` connects to: the command of a server, or a transport."""


class MCPTools:
    """The tools of one MCP server, for ``tools=[...]`` of `Client.run`. Make it with `stdio` or `http`.

    It opens by itself in the first run. Use it in ``async with``, or call `aclose`, to end the server for certain.
    """

    def __init__(
        self,
        opening: Open,
        told: str,
        secrets: Sequence[str] = (),
        *,
        prefix: str = "",
        only: Sequence[str] | None = None,
        timeout: float | None = None,
        connect_timeout: float = 30.0,
    ) -> None:
        if isinstance(only, str):
            raise BadRequestError("only must be a list of names of tools, not one string")
        self._opening = opening
        self._told = told
        self._secrets = tuple([secret for secret in secrets if len(secret) > _SHORTEST_SECRET])
        self._prefix = prefix
        self._only = None if only is None else frozenset(only)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._link: _Link | None = None

    @classmethod
    def stdio(
        cls,
        command: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        prefix: str = "",
        only: Sequence[str] | None = None,
        timeout: float | None = None,
        connect_timeout: float = 30.0,
    ) -> MCPTools:
        """A server that is started here as a process, and spoken to over its standard input and output.

        Args:
            command: the program.
            *args: its arguments.
            env: variables for it; it gets a few harmless ones of this process (``PATH``, ``HOME``) besides.
            cwd: the folder it runs in; by default this process's.
            prefix: the tool ``read`` is called ``<prefix>_read``, so that the tools of two servers keep apart.
            only: the names, at the server, of the tools that are offered; all by default.
            timeout: seconds that one call may take; None leaves it to the run.
            connect_timeout: seconds in which the server must be there and have listed its tools.
        """
        server = mcp.StdioServerParameters(
            command=command,
            args=list(args),
            env=None if env is None else dict(env),
            cwd=None if cwd is None else os.fspath(cwd),
        )

        secrets = [value for name, value in (env or {}).items() if _OF_A_SECRET.search(name)]

        def opening(_: AsyncExitStack) -> Any:
            return server

        return cls(
            opening, command, secrets, prefix=prefix, only=only, timeout=timeout, connect_timeout=connect_timeout
        )

    @classmethod
    def http(
        cls,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        http_client: httpx2.AsyncClient | None = None,
        prefix: str = "",
        only: Sequence[str] | None = None,
        timeout: float | None = None,
        connect_timeout: float = 30.0,
    ) -> MCPTools:
        """A server that is reached over streamable HTTP.

        Args:
            url: its address, such as ``https://example.com/mcp``. A user and a password in it are sent as Basic
                authorization; they and the query are not shown anywhere.
            headers: sent with each request, such as ``{"authorization": "Bearer ..."}``. They are not shown anywhere.
            http_client: an ``httpx2.AsyncClient`` of your own instead, for sign-in or a proxy; never closed here.
            prefix: the tool ``read`` is called ``<prefix>_read``, so that the tools of two servers keep apart.
            only: the names, at the server, of the tools that are offered; all by default.
            timeout: seconds that one call may take; None leaves it to the run.
            connect_timeout: seconds in which the server must answer and have listed its tools.
        """
        if headers is not None and http_client is not None:
            raise BadRequestError("give either headers or http_client; a client of your own has its own headers")
        sent = dict(headers or {})
        try:
            address = httpx2.URL(url)
        except (httpx2.InvalidURL, TypeError):
            raise BadRequestError(
                "the address of an MCP server must be a URL such as https://example.com/mcp"
            ) from None
        bare, user = address.copy_with(username=None, password=None), (address.username, address.password)
        secrets = [*(line.rpartition(" ")[2] for line in sent.values()), *user, *address.params.values()]
        patience = httpx2.Timeout(connect_timeout, read=_READ_SECONDS)

        def opening(stack: AsyncExitStack) -> AbstractAsyncContextManager[Any]:
            client = http_client
            if client is None:
                client = httpx2.AsyncClient(headers=sent, timeout=patience, auth=user if any(user) else None)
                stack.push_async_callback(client.aclose)
            return streamable_http_client(url if http_client is not None else str(bare), http_client=client)

        return cls(
            opening,
            str(bare).partition("?")[0],
            secrets,
            prefix=prefix,
            only=only,
            timeout=timeout,
            connect_timeout=connect_timeout,
        )

    def __repr__(self) -> str:
        return f"MCPTools({self._told!r}, prefix={self._prefix!r})"

    async def tools(self) -> tuple[FunctionTool, ...]:
        """The tools of the server; opens the connection where there is none.

        Raises:
            ConnectError: the server does not start, does not answer, or is no MCP server.
            BadRequestError: two tools would have the same name, or ``only`` names one that is not there.
            ClientStateError: the connection is used by another running event loop.
        """
        link = await self._connected()
        if link.offered is None:
            link.offered = self._offered(link.listed)
        elif link.changed:
            try:
                listed = await link.listed_again()
                link.offered = self._offered(listed)
            except (mcp.MCPError, anyio.ClosedResourceError, anyio.BrokenResourceError, BadRequestError) as error:
                _log.warning(
                    "the changed tools of the MCP server %s cannot be used: %s",
                    self._told,
                    _said(error),
                    extra={"event": "mcp_tools"},
                )
        return link.offered

    @property
    def changed(self) -> bool:
        """Whether the server has said that its tools are others now; `tools` then lists them again."""
        return self._link is not None and self._link.changed

    async def aclose(self) -> None:
        """Ends the connection, and a server that was started for it. Closing twice is fine."""
        link, self._link = self._link, None
        if link is not None and link.loop is current_loop():
            await link.aclose()

    async def __aenter__(self) -> MCPTools:
        await self._connected()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _connected(self) -> _Link:
        loop, link = current_loop(), self._link
        if link is not None and link.loop is not loop and is_alive(link.loop):
            raise ClientStateError(
                "these tools are in use by another running event loop; make an MCPTools for each loop"
            )
        if link is None or link.loop is not loop or link.over:
            link = self._link = _Link(loop, self._opening, self._secrets)
        problem: str | None = None
        with anyio.move_on_after(self._connect_timeout):
            await link.opened.wait()
        if link.client is None:
            problem = link.problem or f"it did not answer within {self._connect_timeout:g} s"
            link.leave()
        if problem is not None:
            raise ConnectError(f"the MCP server {self._told} cannot be used: {problem}")
        return link

    def _offered(self, listed: Iterable[mcp_types.Tool]) -> tuple[FunctionTool, ...]:
        made: dict[str, FunctionTool] = {}
        missing = set(self._only or ())
        for tool in listed:
            missing.discard(tool.name)
            if self._only is not None and tool.name not in self._only:
                continue
            whole = f"{self._prefix}_{tool.name}" if self._prefix else tool.name
            name = _NOT_IN_A_NAME.sub("_", whole)[:_LONGEST_NAME]
            if name in made:
                raise BadRequestError(
                    f"two tools of the MCP server {self._told} would be called {name!r}; choose with only=[...]"
                )
            made[name] = FunctionTool(
                partial(self._call, tool.name),
                name=name,
                description=tool.description or tool.title or "",
                parameters=tool.input_schema,
                timeout=self._timeout,
            )
        if missing:
            known = ", ".join(sorted(tool.name for tool in listed)) or "none"
            raise BadRequestError(f"the MCP server {self._told} has no tool {min(missing)!r}; it has {known}")
        return tuple(made.values())

    async def _call(self, tool: str, /, **arguments: Any) -> Any:
        try:
            link = await self._connected()
        except ConnectError as error:
            raise ToolError(error.message) from error
        gone = f"The MCP server {self._told} ended during the call. Whether the call had an effect is not known."
        found: mcp_types.CallToolResult | None = None
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(link.cancel_when_over, group.cancel_scope)
            try:
                found = await link.called(tool, arguments)
            except Exception as error:  # noqa: BLE001  # it is raised below, where no group is around it
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise _told_error(failure, link, gone) from failure
        if found is None:
            raise ToolError(gone)
        blocks = [block.model_dump(mode="json", by_alias=True) for block in found.content]
        content: list[ResultPart] = [part for block in blocks for part in _parts(block)]
        if not content and found.structured_content is not None:
            content = [Json(found.structured_content)]
        if found.is_error:
            raise ToolError(*content) if content else ToolError("The tool failed without saying why.")
        return content or ""


class _Link:
    """One connection, in a background task.

    Attributes:
        loop: the event loop it lives on.
        opened: set when ``client`` is there, or when it could not be made.
        client: the open client; None before and after.
        listed: the tools of the server.
        offered: the same as functions, made once.
        changed: the server has said that its tools are others now.
        problem: why there is no client.
    """

    def __init__(self, loop: object, opening: Open, secrets: Sequence[str]) -> None:
        self.loop = loop
        self.opened = anyio.Event()
        self.client: mcp.Client | None = None
        self.listed: tuple[mcp_types.Tool, ...] = ()
        self.offered: tuple[FunctionTool, ...] | None = None
        self.changed = False
        self.problem: str | None = None
        self._opening = opening
        self._secrets = secrets
        self._leave = anyio.Event()
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self._background = Background()
        self._background.spawn(self._live)

    @property
    def over(self) -> bool:
        """Whether it serves no further call."""
        return self._ended.is_set() or self._leave.is_set()

    def leave(self) -> None:
        """Ends it soon."""
        self._leave.set()
        if not self.opened.is_set():
            self._scope.cancel()

    async def aclose(self) -> None:
        """Ends it, and waits until the server is gone."""
        self.leave()
        with anyio.move_on_after(_CLOSING_SECONDS):
            await self._ended.wait()
        self._background.stop()

    async def called(self, tool: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        """The result of one call.

        Raises:
            mcp.MCPError: the server refuses it, or is gone.
        """
        if self.client is None:
            raise mcp.MCPError(mcp_types.CONNECTION_CLOSED, "Connection closed")
        return await self.client.call_tool(tool, arguments)

    async def listed_again(self) -> tuple[mcp_types.Tool, ...]:
        """The tools of the server now.

        Raises:
            mcp.MCPError: the server refuses to list them, or is gone.
        """
        self.changed = False  # before they are listed: they may change again meanwhile
        if self.client is not None:
            self.listed = await _list(self.client)
        return self.listed

    async def cancel_when_over(self, scope: anyio.CancelScope) -> None:
        """Cancels a call when the connection ends under it."""
        await self._ended.wait()
        scope.cancel()

    async def _live(self) -> None:
        try:
            with self._scope:
                async with AsyncExitStack() as stack:
                    info = mcp_types.Implementation(name="asyncllm", version=__version__)
                    made = mcp.Client(self._opening(stack), client_info=info, message_handler=self._notified)
                    client = await stack.enter_async_context(made)
                    self.listed = await _list(client)
                    self.client = client
                    self.opened.set()
                    tools = client.server_capabilities.tools
                    async with anyio.create_task_group() as group:
                        if tools is not None and tools.list_changed:
                            group.start_soon(self._listen, client)
                        await self._leave.wait()
                        group.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001  # whatever a transport raises: the callers are told
            self.problem = self.concealed(_said(error))
        finally:
            self.client = None
            self._ended.set()
            self.opened.set()

    def concealed(self, text: str) -> str:
        """Returns what a server said, without the secrets that it was sent."""
        for secret in self._secrets:
            text = without(secret, text)
        return text

    async def _notified(self, message: object) -> None:
        """Takes what the server says by itself, in the protocol before 2026-07-28."""
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self.changed = True
        await anyio.lowlevel.checkpoint()

    async def _listen(self, client: mcp.Client) -> None:
        """Takes what the server says by itself, from protocol 2026-07-28 on; a stream that was cut is opened anew."""
        listening = True
        while listening:
            try:
                async with client.listen(tools_list_changed=True) as events:
                    async for _ in events:
                        self.changed = True
                listening = False  # the server has ended it
            except SubscriptionLost:
                self.changed = True  # what was said in between is lost
                await anyio.sleep(_LISTEN_AGAIN_SECONDS)
            except (ListenNotSupportedError, mcp.MCPError, TimeoutError):
                listening = False  # it tells nobody


async def _list(client: mcp.Client) -> tuple[mcp_types.Tool, ...]:
    found: list[mcp_types.Tool] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tuple(found)


def _told_error(error: Exception, link: _Link, gone: str) -> Exception:
    """The failure of a call as the model is told of it; a connection that is gone is used no more."""
    if isinstance(error, mcp.MCPError) and error.code != mcp_types.CONNECTION_CLOSED:
        return ToolError(link.concealed(error.message))
    if isinstance(error, (mcp.MCPError, anyio.ClosedResourceError, anyio.BrokenResourceError)):
        link.leave()
        return ToolError(gone)
    return error


def _said(error: BaseException) -> str:
    """A failure as a sentence, without the groups of failures that it may come in."""
    while (inner := getattr(error, "exceptions", None)) is not None:
        error = inner[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _parts(block: Mapping[str, Any]) -> Sequence[ResultPart]:
    """One block of a result, from its JSON, as parts."""
    kind = block["type"]
    if kind == "text":
        return (Text(block["text"]),)
    if kind == "image":
        return (Image(data=_bytes(block["data"]), media_type=block["mimeType"]),)
    if kind == "audio":
        return (Audio(data=_bytes(block["data"]), media_type=block["mimeType"]),)
    if kind == "resource":
        return (_resource(block["resource"]),)
    shown = ("type", "uri", "name", "title", "description", "mimeType", "size")
    return (Json({key: block[key] for key in shown if block.get(key) is not None}),)


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ToolError("The MCP server gave content that is no base64.") from None


def _resource(resource: Mapping[str, Any]) -> ResultPart:
    """The content of a file or page that the server puts into its result."""
    if resource.get("text") is not None:
        return Text(f"[{resource['uri']}]\n{resource['text']}")
    media_type = str(resource.get("mimeType") or "application/octet-stream")
    data = _bytes(resource["blob"])
    if media_type.startswith("image/"):
        return Image(data=data, media_type=media_type)
    if media_type.startswith("audio/"):
        return Audio(data=data, media_type=media_type)
    return Document(data=data, media_type=media_type, name=str(resource["uri"]).rpartition("/")[2] or None)
