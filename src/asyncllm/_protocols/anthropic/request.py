"""`Request` -> the body and headers of ``POST /v1/messages``.

What the wire needs and the caller need not say: ``max_tokens`` (the dialect's default, on top of a thinking budget),
and the API version. 2026-10-21 has no sampling parameters, so a body that holds ``temperature``, ``top_p`` or ``top_k``
goes out under 2023-06-01, which still has them; models that refuse them in both versions get none, with a warning.
``seed`` does not exist. A prefilled assistant turn is sent as it is: which models take one is the API's business.

``tool_choice`` with ``names`` is kept to the letter: one required name is a forced tool; otherwise the tools that may
not be used are left out of ``tools``, since the wire has no such list (with a warning: it changes the cached prefix).

``extra_body`` is merged last, object by object: its keys win. Sources: anthropic SDK 2.11 (``message_create_params``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._schema.facts import ModelFacts
from ..._schema.hosted import CodeExecution, MCPServer, WebSearch
from ..._schema.request import ProviderTool, Request, Tool
from ..answer_tool import by_tool
from ..blocks import (
    AnyTool,
    Block,
    as_instruction,
    can_be_held,
    check_forced,
    constrain,
    narrowed,
    parameters_of,
    schema_of,
)
from ..caching import cached
from ..claude import NO_THINKING, ThinkingPlan, plan_thinking, unthought
from ..codec import Context, WireRequest, deep_merge
from ..history import repaired
from ..hosted_tools import Hosted, Offer, Write, offer
from ..parts import PartWriter, refuse_compaction, settings_without_tools
from ..reasoning import sampling_hints
from .dialect import AnthropicDialect
from .messages import write_conversation
from .parts import MessagesWriter

_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_COMPACTION = "compact_20260112"  # with its beta: recorded traffic
_COMPACTION_BETA = "compact-2026-01-12"
_JSON_HEADER = ("content-type", "application/json")


def write_request(request: Request, context: Context, dialect: AnthropicDialect) -> WireRequest:
    """Writes a request; raises what `asyncllm._protocols.codec.WireProtocol.encode` says."""
    facts = context.facts
    writer = MessagesWriter(context, dialect, "Messages")
    request = cached(request, writer)
    system, messages = write_conversation(repaired(request.messages, writer, unique=True), writer, facts)
    plan, forced = NO_THINKING, False
    if request.reasoning is not None:
        plan = plan_thinking(request, writer, max_tokens=request.max_tokens, room=_room(facts, dialect))
        plan = unthought(plan, messages, _kind_of)
        if plan.warning:
            writer.warn(plan.warning)
    if request.response_format is not None and _needs_tool(request, facts, plan):
        request, forced = by_tool(request, request.response_format), True
    body: dict[str, Any] = {"model": request.model} if dialect.model_in_body else {}
    body["max_tokens"] = _max_tokens(request, facts, plan, dialect)
    if system:
        body["system"] = system
    body["messages"] = messages
    if request.stream and dialect.stream_in_body:
        body["stream"] = True
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    _sampling(request, plan, body, writer)
    _reasoning_and_format(request, plan, body, writer)
    offered = None
    if request.tools:
        offered = offer(request, writer, dialect.hosted_tools, _HOSTED)
        _tools(request, offered, facts, plan, body, writer)
    else:
        settings_without_tools(request, writer)
    needed = () if offered is None else offered.betas
    if request.compact_at is not None:
        if not dialect.compaction:
            raise refuse_compaction(writer)
        body["context_management"] = {
            "edits": [{"type": _COMPACTION, "trigger": {"type": "input_tokens", "value": request.compact_at}}]
        }
        needed = (*needed, _COMPACTION_BETA)
    if dialect.adapt is not None:
        body = dialect.adapt(body)
    wire = _finish(request, body, writer, context, dialect, needed)
    return replace(wire, answer_tool=True) if forced else wire


def _needs_tool(request: Request, facts: ModelFacts, plan: ThinkingPlan) -> bool:
    """Whether the answer is asked for by a forced tool: the schema cannot be held, and a call can be demanded."""
    wanted = request.response_format
    if wanted is None or wanted.schema is None or request.tools or can_be_held(wanted):
        return False
    return facts.forced_tools is not False and (plan.thinking is None or plan.thinking["type"] == "disabled")


def _kind_of(block: Block) -> str:
    return str(block.get("type"))


def _finish(
    request: Request,
    body: dict[str, Any],
    writer: MessagesWriter,
    context: Context,
    dialect: AnthropicDialect,
    needed: tuple[str, ...],
) -> WireRequest:
    """Adds the version, the betas and what the caller adds, and makes the bytes."""
    extra = request.extra_body or {}
    version = dialect.version
    if dialect.sampling_version is not None and not (_SAMPLING.isdisjoint(body) and _SAMPLING.isdisjoint(extra)):
        version = dialect.sampling_version
    headers: dict[str, str] = {}
    ours, theirs = (*dialect.betas, *needed), ""
    if request.extra_headers:
        headers = {name.lower(): value for name, value in request.extra_headers.items()}
        headers.pop("content-type", None)
        theirs = headers.pop("anthropic-beta", "")
    betas = _betas(ours, theirs) if ours or theirs else None
    if betas and dialect.betas_in_body:
        body["anthropic_beta"] = betas
    elif betas:
        headers["anthropic-beta"] = ",".join(betas)
    if dialect.version_in_body:
        body["anthropic_version"] = version
    else:
        headers.setdefault("anthropic-version", version)
    if extra:
        body = deep_merge(body, extra)
    return WireRequest(
        method="POST",
        path=dialect.path,
        headers=(_JSON_HEADER, *headers.items()),
        body=context.json.dumps(body),
        left_out=writer.left_out,
        warnings=writer.warnings,
    )


def _betas(ours: tuple[str, ...], theirs: str) -> list[str]:
    """Joins both lists of beta names; each name stands there once."""
    return list(dict.fromkeys([*ours, *(name.strip() for name in theirs.split(",") if name.strip())]))


def _room(facts: ModelFacts, dialect: AnthropicDialect) -> int:
    """Returns the longest answer if the caller does not set it."""
    most = facts.max_output_tokens
    return dialect.max_tokens if most is None else min(most, dialect.max_tokens)


def _max_tokens(request: Request, facts: ModelFacts, plan: ThinkingPlan, dialect: AnthropicDialect) -> int:
    return plan.budget + _room(facts, dialect) if request.max_tokens is None else request.max_tokens


def _sampling(request: Request, plan: ThinkingPlan, body: dict[str, Any], writer: MessagesWriter) -> None:
    """Writes the sampling hints; leaves out, with a warning, what the model would refuse."""
    thinks = plan.thinking is not None and plan.thinking["type"] != "disabled"
    for name, value in sampling_hints(request, writer, plan.asked).items():
        if thinks and name == "temperature" and value != 1:
            writer.leave_out(name, "a model that thinks takes none but 1")
        else:
            body[name] = value
    if request.seed is not None:
        writer.leave_out("seed", "the Messages API has none")


def _reasoning_and_format(request: Request, plan: ThinkingPlan, body: dict[str, Any], writer: MessagesWriter) -> None:
    if plan.thinking is not None:
        body["thinking"] = plan.thinking
    output: dict[str, Any] = {} if plan.effort is None else {"effort": plan.effort}
    wanted = request.response_format
    if wanted is not None and wanted.schema is not None and not can_be_held(wanted):
        rule = as_instruction(wanted, writer)
        known = body.get("system", [])
        known = [{"type": "text", "text": known}] if isinstance(known, str) else known
        body["system"] = [*known, {"type": "text", "text": rule}]
    elif wanted is not None:
        schema = schema_of(wanted, writer)
        if wanted.description and "description" not in schema:
            schema = {**schema, "description": wanted.description}
        output["format"] = {"type": "json_schema", "schema": constrain(schema, writer.json)}
    if output:
        body["output_config"] = output


def _tools(
    request: Request,
    offered: Offer,
    facts: ModelFacts,
    plan: ThinkingPlan,
    body: dict[str, Any],
    writer: MessagesWriter,
) -> None:
    tools = offered.tools
    choice = request.tool_choice
    if choice is not None and choice.mode in ("auto", "required") and choice.names:
        tools, choice = narrowed(tools, choice, _name, writer)
    if tools:
        body["tools"] = [_tool(tool, writer) for tool in tools]
    body.update(offered.body)
    wire: dict[str, Any] | None = None
    if choice is not None:
        wire = {"type": {"required": "any"}.get(choice.mode, choice.mode)}
        if choice.mode == "tool":
            wire["name"] = choice.names[0]
        if choice.mode in ("required", "tool"):
            check_forced(facts, plan.thinking["type"] if plan.thinking else None, writer)
    if request.parallel_tool_calls is False and (wire is None or wire["type"] != "none"):
        wire = {**(wire or {"type": "auto"}), "disable_parallel_tool_use": True}
    if wire is not None:
        body["tool_choice"] = wire


def _name(tool: AnyTool) -> Any:
    return tool.name if isinstance(tool, Tool) else tool.definition.get("name")


def _tool(tool: AnyTool, writer: MessagesWriter) -> Block:
    if isinstance(tool, ProviderTool):
        return dict(tool.definition)
    block: Block = {"name": tool.name}
    if tool.description:
        block["description"] = tool.description
    block["input_schema"] = parameters_of(tool, writer)
    if tool.strict is not None:
        block["strict"] = tool.strict
    if tool.extra:
        block.update(tool.extra)
    if tool.cache is not None:
        writer.mark(block, tool.cache)
    return block


# Tools that Anthropic runs. The oldest dated types are taken, which every model knows; sources: ``tool_union_param`` of
# the SDK 2.11, and recorded traffic (``mcp_servers`` with the beta below).

_MCP_BETA = "mcp-client-2025-04-04"


def _web_search(tool: WebSearch, writer: PartWriter[Any]) -> Hosted:
    written: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
    if tool.max_uses is not None:
        written["max_uses"] = tool.max_uses
    if tool.domains:
        written["allowed_domains"] = list(tool.domains)
    if tool.blocked_domains:
        written["blocked_domains"] = list(tool.blocked_domains)
    if tool.country is not None:
        written["user_location"] = {"type": "approximate", "country": tool.country}
    return Hosted(tool=written)


def _code_execution(tool: CodeExecution, writer: PartWriter[Any]) -> Hosted:
    return Hosted(tool={"type": "code_execution_20250825", "name": "code_execution"})


def _mcp(tool: MCPServer, writer: PartWriter[Any]) -> Hosted:
    if tool.headers:
        raise writer.refuse_keyword("tools", f"{writer.context.provider} shows an MCP server a token, but no headers")
    server: dict[str, Any] = {"type": "url", "url": tool.url, "name": tool.label}
    if tool.token is not None:
        server["authorization_token"] = tool.token
    if tool.tools:
        server["tool_configuration"] = {"enabled": True, "allowed_tools": list(tool.tools)}
    return Hosted(body={"mcp_servers": [server]}, betas=(_MCP_BETA,))


_HOSTED: Mapping[str, Write] = {"web_search": _web_search, "code_execution": _code_execution, "mcp": _mcp}
