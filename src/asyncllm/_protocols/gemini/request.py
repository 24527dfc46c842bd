"""Request -> ``generateContent`` body.

What the wire has no word for is refused before anything is sent (`UnsupportedParameterError`, so that another model
of the chain may be tried) when leaving it out would change the answer, and left out with a warning when it would
not.

Thinking: a word is a ``thinkingLevel`` on Gemini 3 and later and a ``thinkingBudget`` on 2.5. Thoughts are asked for
whenever thinking is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.facts import ReasoningRules
from ..._schema.hosted import CodeExecution, FileSearch, HostedTool, MCPServer, WebSearch
from ..._schema.request import Request, Tool, ToolChoice
from ...errors import UnsupportedParameterError
from ..codec import Context, WireRequest, deep_merge
from ..history import repaired
from ..hosted_tools import Hosted, Write, bearer, offer, refuse_domains
from ..json_schemas import with_object_root
from ..parts import PartWriter, refuse_compaction, settings_without_tools
from ..reasoning import ask, sampling_hints
from ..schema_subsets import for_gemini
from .dialect import GeminiDialect
from .messages import ContentsWriter

_UNKNOWN = ReasoningRules(efforts=("minimal", "low", "medium", "high"), budgets=(1, None), optional=True)
"""What is assumed of tuned models and endpoints, of which nothing is known."""


def write_request(request: Request, context: Context, dialect: GeminiDialect) -> WireRequest:
    """Writes the whole HTTP request but for its credential; raises as `WireProtocol.encode` says."""
    path = dialect.path(request.model, "streamGenerateContent" if request.stream else "generateContent")
    writer = ContentsWriter(context, dialect)
    writer.write(repaired(request.messages, writer))
    if request.compact_at is not None:
        raise refuse_compaction(writer)
    config = _generation_config(request, writer)  # first: a format may add an instruction
    body: dict[str, Any] = {}
    if writer.system:
        body["systemInstruction"] = {"parts": writer.system}
    body["contents"] = writer.contents
    _add_tools(body, request, dialect, writer)
    if config:
        body["generationConfig"] = config
    if dialect.safety_settings:
        body["safetySettings"] = [dict(setting) for setting in dialect.safety_settings]
    if dialect.labels:
        body["labels"] = dict(dialect.labels)
    if dialect.service_tier:
        body["serviceTier"] = dialect.service_tier
    if request.extra_body:
        body = deep_merge(body, request.extra_body)
    headers = {"content-type": "application/json"}
    headers.update({name.lower(): value for name, value in (request.extra_headers or {}).items()})
    return WireRequest(
        method="POST",
        path=path,
        query="alt=sse" if request.stream else "",
        headers=tuple(headers.items()),
        body=context.json.dumps(body),
        left_out=writer.left_out,
        warnings=writer.warnings,
    )


def _generation_config(request: Request, writer: ContentsWriter) -> dict[str, Any]:
    rules = writer.context.facts.rules
    asked = ask(request, _UNKNOWN if rules is None else rules, writer)
    hints = sampling_hints(request, writer, asked)
    values: dict[str, Any] = {
        "temperature": hints.get("temperature"),
        "topP": hints.get("top_p"),
        "maxOutputTokens": request.max_tokens,
        "stopSequences": list(request.stop) or None,
        "seed": request.seed,
    }
    config = {key: value for key, value in values.items() if value is not None}
    _add_format(config, request, writer)
    if asked.value is not None:
        config["thinkingConfig"] = _thinking(asked.value, off=request.reasoning in ("none", 0))
    return config


def _thinking(value: str | int, *, off: bool) -> dict[str, Any]:
    """Writes ``thinkingConfig``: a level for Gemini 3 and later, a budget for 2.5; a budget of 0 switches it off."""
    if value == "none":
        return {"thinkingBudget": 0}
    config: dict[str, Any] = {"thinkingBudget": value} if isinstance(value, int) else {"thinkingLevel": value.upper()}
    return config if off else {**config, "includeThoughts": True}


def _add_format(config: dict[str, Any], request: Request, writer: ContentsWriter) -> None:
    wanted = request.response_format
    if wanted is None:
        return
    if 0 < (writer.context.facts.generation or 0) < 3 and any(isinstance(tool, Tool) for tool in request.tools):
        raise UnsupportedParameterError(
            f"{request.model} cannot be held to a response_format while it has tools: "
            "leave one of them out, or use Gemini 3 or later"
        )
    config["responseMimeType"] = "application/json"
    if wanted.schema is not None:
        schema = for_gemini(with_object_root(wanted.schema), writer.json)
        if schema is None:  # only JSON is promised, and the shape is asked for in words
            writer.warn("the JSON schema was sent as an instruction: Google's subset cannot say its shape")
            rule = "Answer with one JSON object, and nothing else, that fits this JSON schema: "
            writer.system.append({"text": rule + writer.json(wanted.schema)})
            return
        if wanted.description and "description" not in schema:
            schema = {**schema, "description": wanted.description}
        config["responseJsonSchema"] = schema


# -- tools ----------------------------------------------------------------------------------------------------------


def _add_tools(body: dict[str, Any], request: Request, dialect: GeminiDialect, writer: ContentsWriter) -> None:
    if not request.tools:
        settings_without_tools(request, writer)
        return
    tools: list[dict[str, Any]] = []
    declarations: list[dict[str, Any]] = []
    found = offer(request, writer, dialect.hosted_tools, _HOSTED)
    for tool in found.tools:
        if not isinstance(tool, Tool):
            tools.append(dict(tool.definition))
            continue
        if not declarations:
            tools.append({"functionDeclarations": declarations})
        if tool.cache is not None:
            writer.warn("the prompt-cache marks of tools were left out: this wire has none")
        declarations.append(_declaration(tool))
    if tools:
        body["tools"] = tools
    if declarations and 0 < (writer.context.facts.generation or 0) < 3:
        _refuse_both(request)
    if declarations and request.parallel_tool_calls is False:
        raise UnsupportedParameterError(
            f"{dialect.host} has no way to forbid parallel tool calls: "
            "leave parallel_tool_calls out and answer every call"
        )
    calling = _function_calling(request.tool_choice, found.tools)
    if dialect.stream_arguments and request.stream and declarations:
        calling["streamFunctionCallArguments"] = True
    if calling:
        body["toolConfig"] = {"functionCallingConfig": calling}


def _refuse_both(request: Request) -> None:
    for tool in request.tools:
        if isinstance(tool, HostedTool):
            raise UnsupportedParameterError(
                f"{request.model} cannot have {type(tool).__name__} and functions at the same time: "
                "leave one of them out, or use Gemini 3 or later"
            )


def _declaration(tool: Tool) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters:
        declaration["parametersJsonSchema"] = tool.parameters
    return deep_merge(declaration, tool.extra) if tool.extra else declaration


def _function_calling(choice: ToolChoice | None, tools: tuple[Any, ...]) -> dict[str, Any]:
    strict = any(isinstance(tool, Tool) and tool.strict for tool in tools)
    if choice is None:
        return {"mode": "VALIDATED"} if strict else {}
    if choice.mode == "none":
        return {"mode": "NONE"}
    if choice.mode == "auto":
        # The wire takes names with ANY and VALIDATED only; ANY would force a call.
        config: dict[str, Any] = {"mode": "VALIDATED" if strict or choice.names else "AUTO"}
    else:
        config = {"mode": "ANY"}
    if choice.names:
        config["allowedFunctionNames"] = list(choice.names)
    return config


# Tools that Google runs. Sources: google-genai 3.4 (``types.Tool``), and recorded traffic.


def _web_search(tool: WebSearch, writer: PartWriter[Any]) -> Hosted:
    refuse_domains(tool, writer, "domains", "blocked_domains")
    if tool.max_uses is not None:
        writer.leave_out("max_uses", "Google has no limit for its searches")
    if tool.country is not None:
        writer.leave_out("country", "Google's search takes none")
    return Hosted(tool={"googleSearch": {}})


def _code_execution(tool: CodeExecution, writer: PartWriter[Any]) -> Hosted:
    return Hosted(tool={"codeExecution": {}})


def _file_search(tool: FileSearch, writer: PartWriter[Any]) -> Hosted:
    if tool.max_results is not None:
        writer.leave_out("max_results", "Google has no limit for the passages of a search")
    return Hosted(tool={"fileSearch": {"fileSearchStoreNames": list(tool.stores)}})


def _mcp(tool: MCPServer, writer: PartWriter[Any]) -> Hosted:
    if tool.tools:
        raise writer.refuse_keyword("tools", "Google offers all tools of an MCP server; leave MCPServer(tools=...) out")
    headers = bearer(tool)
    transport = {"url": tool.url, **({"headers": headers} if headers else {})}
    return Hosted(tool={"mcpServers": [{"name": tool.label, "streamableHttpTransport": transport}]})


_HOSTED: Mapping[str, Write] = {
    "web_search": _web_search,
    "code_execution": _code_execution,
    "file_search": _file_search,
    "mcp": _mcp,
}
