"""Writes a canonical request as ``POST /responses``.

Calls are stateless: ``store`` is false and reasoning is asked for encrypted, unless ``extra_body`` says otherwise.
Order: the fields of the request, the dialect's ``adapt``, then ``extra_body`` merged into it. Nothing the caller gave
is changed in place.

This wire has no ``stop`` and no ``seed``. Leaving out a stop sequence would change what comes back, so it is refused; a
seed is a hint, so it is left out with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._schema.hosted import CodeExecution, FileSearch, HostedTool, MCPServer, WebSearch
from ..._schema.request import ProviderTool, Request, ResponseFormat
from ..codec import Context, WireRequest, deep_merge
from ..history import repaired
from ..hosted_tools import AnyTool, Hosted, Write, offer, refuse_domains
from ..openai_api import post
from ..parts import PartWriter, refuse_compaction, settings_without_tools
from ..reasoning import ANY_EFFORT, Amount, ask, sampling_hints
from .dialect import ResponsesDialect
from .messages import write_input
from .parts import ItemWriter

PATH = "/responses"
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
ENCRYPTED = "reasoning.encrypted_content"


def write_request(request: Request, context: Context, dialect: ResponsesDialect) -> WireRequest:
    """Writes the request; see `asyncllm._protocols.codec.WireProtocol.encode`."""
    writer = ItemWriter(context, dialect, "responses")
    extra = request.extra_body or {}
    stored = bool(extra.get("store", False))
    detached = bool(extra.get("previous_response_id") or extra.get("conversation"))
    messages = repaired(request.messages, writer, unique=True, detached=detached)
    body: dict[str, Any] = {
        "model": request.model,
        "input": write_input(messages, writer, stored=stored),
        "store": False,
    }
    rules = context.facts.rules
    asked = ask(request, ANY_EFFORT if rules is None else rules, writer)
    if rules is None or rules.reasons:
        body["include"] = [ENCRYPTED]
    _sampling(body, request, asked, writer)
    if asked.value is not None:
        body["reasoning"] = _reasoning(str(asked.value), writer)
    if request.tools:
        _tools(body, request, writer)
    elif request.tool_choice is not None or request.parallel_tool_calls is not None:
        settings_without_tools(request, writer)
    if request.response_format is not None:
        body["text"] = {"format": _format(request.response_format, writer)}
    if request.compact_at is not None:
        if not dialect.compaction:
            raise refuse_compaction(writer)
        body["context_management"] = [{"type": "compaction", "compact_threshold": request.compact_at}]
    if request.stream:
        body["stream"] = True
    return post(PATH, body, request, writer, dialect.adapt)


def _sampling(body: dict[str, Any], request: Request, asked: Amount, writer: ItemWriter) -> None:
    body.update(sampling_hints(request, writer, asked))
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    if request.stop:
        raise writer.cannot("stop", "takes no stop sequences; cut the text yourself, or use chat completions")
    if request.seed is not None:
        writer.leave_out("seed", "the Responses API has none")


def _reasoning(effort: str, writer: ItemWriter) -> dict[str, Any]:
    summary = writer.dialect.reasoning_summary
    return {"effort": effort} if effort == "none" or summary is None else {"effort": effort, "summary": summary}


def _tools(body: dict[str, Any], request: Request, writer: ItemWriter) -> None:
    found = offer(request, writer, writer.dialect.hosted_tools, _HOSTED)
    body["tools"] = [_tool(tool, writer) for tool in found.tools]
    body.update(found.body)
    _limit(body, request, writer)
    if request.tool_choice is not None:
        if request.tool_choice.mode == "tool" and not request.tool_choice.names:
            raise writer.bad("tool_choice: mode 'tool' needs the name of a tool")
        body["tool_choice"] = _tool_choice(request, found.tools)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _tool(tool: AnyTool, writer: ItemWriter) -> dict[str, Any]:
    if isinstance(tool, ProviderTool):
        return dict(tool.definition)
    empty = {"type": "object", "properties": {}}
    given = tool if tool.parameters else replace(tool, parameters=empty if not tool.strict else _NO_ARGUMENTS)
    written: dict[str, Any] = {"type": "function", "name": tool.name, **writer.parameters(given)}
    if tool.description:
        written["description"] = tool.description
    writer.unmarked(tool.cache)
    return written if tool.extra is None else deep_merge(written, tool.extra)


def _named(name: str, tools: tuple[AnyTool, ...]) -> dict[str, Any]:
    """Returns the choice of a tool: by name for a function or the caller's own definition, by type if it is hosted."""
    for tool in tools:
        if isinstance(tool, ProviderTool):
            kind = tool.definition.get("type")
            if name == tool.definition.get("name"):
                return {"type": kind, "name": name}
            if kind == "mcp" and name == tool.definition.get("server_label"):
                return {"type": kind, "server_label": name}
            if name == kind:
                return {"type": kind}
    return {"type": "function", "name": name}


def _tool_choice(request: Request, tools: tuple[AnyTool, ...]) -> str | dict[str, Any]:
    choice = request.tool_choice
    if choice is None or not choice.names or choice.mode == "none":
        return "auto" if choice is None else choice.mode
    if choice.mode == "tool":
        return _named(choice.names[0], tools)
    return {"type": "allowed_tools", "mode": choice.mode, "tools": [_named(name, tools) for name in choice.names]}


def _format(wanted: ResponseFormat, writer: ItemWriter) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", **writer.format(wanted, strict=True)}


# Tools that the host runs. Sources: the SDK's ``tool_param``, and recorded traffic.


def _type(tool: HostedTool, writer: PartWriter[Any]) -> dict[str, Any]:
    return {"type": writer.dialect.hosted_tools[tool.word]}


def _web_search(tool: WebSearch, writer: PartWriter[Any]) -> Hosted:
    written = _type(tool, writer)
    refuse_domains(tool, writer, "blocked_domains")
    if written["type"] != "web_search":  # the preview, which Azure has, takes no filters
        refuse_domains(tool, writer, "domains")
    if tool.domains:
        written["filters"] = {"allowed_domains": list(tool.domains)}
    if tool.country is not None:
        written["user_location"] = {"type": "approximate", "country": tool.country}
    return Hosted(tool=written)


def _code_execution(tool: CodeExecution, writer: PartWriter[Any]) -> Hosted:
    return Hosted(tool={**_type(tool, writer), "container": {"type": "auto"}})


def _file_search(tool: FileSearch, writer: PartWriter[Any]) -> Hosted:
    written = {**_type(tool, writer), "vector_store_ids": list(tool.stores)}
    if tool.max_results is not None:
        written["max_num_results"] = tool.max_results
    return Hosted(tool=written)


def _mcp(tool: MCPServer, writer: PartWriter[Any]) -> Hosted:
    server = {"server_label": tool.label, "server_url": tool.url, "require_approval": "never"}
    written: dict[str, Any] = {**_type(tool, writer), **server}
    if tool.token is not None:
        written["authorization"] = tool.token
    if tool.headers:
        written["headers"] = dict(tool.headers)
    if tool.tools:
        written["allowed_tools"] = list(tool.tools)
    return Hosted(tool=written)


_HOSTED: Mapping[str, Write] = {
    "web_search": _web_search,
    "code_execution": _code_execution,
    "file_search": _file_search,
    "mcp": _mcp,
}


def _limit(body: dict[str, Any], request: Request, writer: ItemWriter) -> None:
    """Writes ``max_uses`` of a search as ``max_tool_calls``, which is only right if no other hosted tool is there."""
    limits = [tool.max_uses for tool in request.tools if isinstance(tool, WebSearch) and tool.max_uses is not None]
    if not limits:
        return
    if sum(isinstance(tool, (HostedTool, ProviderTool)) for tool in request.tools) == 1:
        body["max_tool_calls"] = limits[0]
    else:
        writer.leave_out("max_uses", "it counts all tools of the host together; give max_tool_calls in extra_body")
