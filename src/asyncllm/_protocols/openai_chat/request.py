"""Canonical request -> ``POST /chat/completions``.

Order: the fields of the request, the dialect's ``adapt``, then ``extra_body`` merged into it (objects key by key,
everything else replaced). Nothing the caller gave is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._schema.content import Text
from ..._schema.facts import ReasoningRules
from ..._schema.hosted import WebSearch
from ..._schema.request import ProviderTool, Request, ResponseFormat, Tool
from ..answer_tool import by_tool
from ..caching import cached
from ..codec import Context, WireRequest, deep_merge
from ..history import repaired
from ..hosted_tools import AnyTool, Hosted, Write, offer, refuse_domains
from ..openai_api import post
from ..parts import PartWriter, refuse_compaction, settings_without_tools
from ..reasoning import ANY_EFFORT, NOTHING, Amount, ask, on_chat, sampling_hints, will_reason
from .dialect import ChatDialect
from .messages import write_messages
from .parts import ChatWriter

PATH = "/chat/completions"
_ANY_AMOUNT = replace(ANY_EFFORT, budgets=(1, None))
_SWITCH = ReasoningRules(modes=("on",), optional=True)


def write_request(request: Request, context: Context, dialect: ChatDialect) -> WireRequest:
    """Writes the request; see `asyncllm._protocols.codec.WireProtocol.encode`."""
    writer = ChatWriter(context, dialect, "chat completions")
    if request.cache is not None and dialect.cache_marks == "cache_control":
        request = cached(request, writer)
    asked = NOTHING if request.reasoning is None else _ask(request, writer)
    forced = request.response_format is not None and _needs_tool(request, request.response_format, asked, writer)
    if forced and request.response_format is not None:
        request = by_tool(request, request.response_format)
    messages = request.messages
    if not all(len(one.content) == 1 and type(one.content[0]) is Text and one.role != "tool" for one in messages):
        messages = repaired(messages, writer)
    body: dict[str, Any] = {
        "model": request.model,
        "messages": write_messages(messages, writer, thinking=asked.value != "none"),
    }
    if request.max_tokens is not None:
        body[dialect.max_tokens_field] = request.max_tokens
    if request.seed is not None:
        body[dialect.seed_field] = request.seed
    if request.temperature is not None or request.top_p is not None:
        hints = sampling_hints(request, writer, asked)
        body.update({name: value for name, value in hints.items() if value is not None})
    if request.stop:
        if not dialect.supports_stop:
            raise writer.cannot("stop", "takes no stop sequences; cut the text yourself, or use another provider")
        body["stop"] = list(request.stop)
    if asked.value is not None:
        _reasoning(body, asked.value, writer)
    if request.tools:
        _tools(body, request, asked, writer)
    elif request.tool_choice is not None or request.parallel_tool_calls is not None:
        settings_without_tools(request, writer)
    if request.response_format is not None:
        _response_format(body, request.response_format, writer)
    if request.compact_at is not None:
        raise refuse_compaction(writer)
    if request.stream:
        body["stream"] = True
        if dialect.stream_usage == "option":
            body["stream_options"] = {"include_usage": True}
    wire = post(PATH, body, request, writer, dialect.adapt)
    return replace(wire, answer_tool=True) if forced else wire


def _needs_tool(request: Request, wanted: ResponseFormat, asked: Amount, writer: ChatWriter) -> bool:
    """Whether the answer is asked for by a forced tool: the host takes no schema, and a call can be demanded."""
    dialect = writer.dialect
    if dialect.json_schema == "native" or wanted.schema is None or request.tools:
        return False
    rule, known = dialect.forced_tool_choice, writer.context.facts.rules
    return rule == "yes" or (rule == "not_while_thinking" and known is not None and not will_reason(asked, known))


def _ask(request: Request, writer: ChatWriter) -> Amount:
    """Returns how much reasoning to ask for: what the model takes, within what the host's field can say."""
    dialect, rules = writer.dialect, writer.context.facts.rules
    if rules is not None:
        return ask(request, on_chat(rules), writer)
    if dialect.reasoning_param == "switch":
        return ask(request, _SWITCH, writer)
    budgets = dialect.reasoning_param == "object" or dialect.reasoning_budget_field is not None
    return ask(request, _ANY_AMOUNT if budgets else ANY_EFFORT, writer)


def _reasoning(body: dict[str, Any], value: str | int, writer: ChatWriter) -> None:
    """Writes the amount of reasoning in the host's field."""
    how = writer.dialect.reasoning_param
    if how == "none":
        writer.leave_out("reasoning", "the host has no field for it")
    elif isinstance(value, int):
        if how == "object":
            body["reasoning"] = {"max_tokens": value}
        else:
            body[writer.dialect.reasoning_budget_field or "reasoning_budget"] = value
    elif how == "object":
        body["reasoning"] = {"effort": value}
    elif how == "effort":
        if value != "on":  # such a model reasons without being asked
            body["reasoning_effort"] = value
    else:
        body["thinking"] = {"type": "disabled" if value == "none" else "enabled"}
        if how == "switch_and_effort" and value not in ("none", "on"):
            body["reasoning_effort"] = value


def _tools(body: dict[str, Any], request: Request, asked: Amount, writer: ChatWriter) -> None:
    dialect, choice = writer.dialect, request.tool_choice
    offered = offer(request, writer, dialect.hosted_tools, _HOSTED).tools
    tools = list(offered)
    if choice is not None and choice.names and choice.mode != "tool" and not dialect.allowed_tools:
        tools = [tool for tool in tools if _name_of(tool) in choice.names]
        writer.warn("tools that tool_choice does not name were left out of the request")
    body["tools"] = [_tool(tool, writer) for tool in tools]
    if choice is not None:
        if choice.mode == "tool" and not choice.names:
            raise writer.bad("tool_choice: mode 'tool' needs the name of a tool")
        _demand(request, asked, writer)
        body["tool_choice"] = _tool_choice(request, offered, dialect)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _demand(request: Request, asked: Amount, writer: ChatWriter) -> None:
    """Refuses a demand for a call that the host would refuse, or ignore."""
    if request.tool_choice is None or request.tool_choice.mode not in ("required", "tool"):
        return
    rule = writer.dialect.forced_tool_choice
    if rule == "no":
        raise writer.cannot("tool_choice", "cannot be made to call a tool; use 'auto' and say so in the prompt")
    if rule == "not_while_thinking" and will_reason(asked, writer.context.facts.rules):
        raise writer.cannot("tool_choice", "cannot be made to call a tool while it reasons; use reasoning='none'")


def _tool(tool: AnyTool, writer: ChatWriter) -> dict[str, Any]:
    if isinstance(tool, ProviderTool):
        return dict(tool.definition)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.strict and not writer.dialect.strict_tools:
        writer.warn(f"strict was left out of the tool {tool.name!r}: the host cannot enforce a schema on calls")
        tool = replace(tool, strict=None)
    if tool.parameters:
        function.update(writer.parameters(tool))
    else:
        if writer.dialect.empty_parameters or tool.strict:
            closed = {"additionalProperties": False, "required": []} if tool.strict else {}
            function["parameters"] = {"type": "object", "properties": {}, **closed}
        if tool.strict is not None and writer.dialect.strict_tools:
            function["strict"] = tool.strict
    written = {"type": "function", "function": function}
    if writer.dialect.cache_marks == "cache_control":
        writer.mark(written, tool.cache)
    else:
        writer.unmarked(tool.cache)
    return written if tool.extra is None else deep_merge(written, tool.extra)


def _name_of(tool: AnyTool) -> str | None:
    if isinstance(tool, Tool):
        return tool.name
    for holder in (tool.definition, tool.definition.get(str(tool.definition.get("type")))):
        if isinstance(holder, Mapping) and isinstance(holder.get("name"), str):
            return str(holder["name"])
    return None


def _named(name: str, tools: tuple[AnyTool, ...]) -> dict[str, Any]:
    """Names a tool: ``custom`` if the caller's own definition of that name is a custom tool."""
    custom = any(
        isinstance(tool, ProviderTool) and tool.definition.get("type") == "custom" and _name_of(tool) == name
        for tool in tools
    )
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": name}}


def _tool_choice(request: Request, tools: tuple[AnyTool, ...], dialect: ChatDialect) -> str | dict[str, Any]:
    choice = request.tool_choice
    if choice is None or (not choice.names) or choice.mode == "none":
        return "auto" if choice is None else choice.mode
    if choice.mode == "tool":
        return _named(choice.names[0], tools)
    if not dialect.allowed_tools:
        return choice.mode
    named = [_named(name, tools) for name in choice.names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _response_format(body: dict[str, Any], wanted: ResponseFormat, writer: ChatWriter) -> None:
    how = writer.dialect.json_schema
    if wanted.schema is None:
        if how == "none":
            raise writer.cannot("response_format", "cannot be held to JSON; ask for it in the prompt")
        body["response_format"] = {"type": "json_object"}
    elif how == "native":
        schema = writer.format(wanted, strict=writer.dialect.strict_schemas)
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    else:
        writer.warn("the JSON schema was sent as an instruction: the host cannot be held to it")
        text = writer.json(wanted.schema)
        rule = f"Answer with one JSON object, and nothing else, that fits this JSON schema: {text}"
        messages = body["messages"]
        place = next((at for at, message in enumerate(messages) if message["role"] != "system"), len(messages))
        messages.insert(place, {"role": "system", "content": rule})
        if how == "json_object":
            body["response_format"] = {"type": "json_object"}


# Tools that a host of this format runs. Source: recorded traffic of OpenRouter and Groq.


def _web_search(tool: WebSearch, writer: PartWriter[Any]) -> Hosted:
    refuse_domains(tool, writer, "domains", "blocked_domains")
    written: dict[str, Any] = {"type": writer.dialect.hosted_tools[tool.word]}
    if tool.country is not None:
        writer.leave_out("country", "the host's search takes none")
    if tool.max_uses is not None and written["type"] == _OPENROUTER:
        written["parameters"] = {"max_uses": tool.max_uses}
    elif tool.max_uses is not None:
        writer.leave_out("max_uses", "the host has no limit for its searches")
    return Hosted(tool=written)


_OPENROUTER = "openrouter:web_search"
_HOSTED: Mapping[str, Write] = {"web_search": _web_search}
