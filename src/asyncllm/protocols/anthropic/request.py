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
from typing import Any

from ...errors import BadRequestError, UnsupportedParameterError
from ...schema.request import ProviderTool, Request, Tool, ToolChoice
from ..base import Context, WireRequest
from ..merge import deep_merge
from .blocks import BlockWriter
from .conversation import write_conversation
from .dialect import AnthropicDialect
from .part_writer import Block
from .schema import constrain
from .thinking import ModelRules, ThinkingPlan, plan_thinking, rules_for, unthought

_SAMPLING = ("temperature", "top_p", "top_k")
_JSON_HEADER = ("content-type", "application/json")


def encode_request(request: Request, context: Context, dialect: AnthropicDialect) -> WireRequest:
    """Writes a request; raises what `AnthropicMessages.encode` says."""
    rules = rules_for(request.model)
    writer = BlockWriter(context, file_ids=dialect.file_ids)
    system, messages = write_conversation(request.messages, writer, rules)
    plan = unthought(plan_thinking(request.reasoning, request.model, rules, context), messages, _kind_of)
    if plan.warning:
        writer.warn(plan.warning)
    body: dict[str, Any] = {"model": request.model} if dialect.model_in_body else {}
    body["max_tokens"] = _max_tokens(request, rules, plan, dialect)
    if system:
        body["system"] = system
    body["messages"] = messages
    if request.stream and dialect.stream_in_body:
        body["stream"] = True
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    _sampling(request, rules, plan, body, writer)
    _reasoning_and_format(request, plan, body, context)
    _tools(request, rules, plan, body, writer, context)
    if dialect.adapt is not None:
        body = dialect.adapt(body)
    return _finish(request, body, writer, context, dialect)


def _kind_of(block: Block) -> str:
    return str(block.get("type"))


def _finish(
    request: Request, body: dict[str, Any], writer: BlockWriter, context: Context, dialect: AnthropicDialect
) -> WireRequest:
    """The version, the betas, and what the caller adds; then bytes."""
    extra = request.extra_body or {}
    version = dialect.version
    if dialect.sampling_version is not None and any(name in body or name in extra for name in _SAMPLING):
        version = dialect.sampling_version
    headers = {name.lower(): value for name, value in (request.extra_headers or {}).items()}
    betas = _betas(dialect.betas, headers.pop("anthropic-beta", ""))
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
        headers=(_JSON_HEADER, *(pair for pair in headers.items() if pair[0] != "content-type")),
        body=context.json.dumps(body),
        warnings=writer.warnings,
    )


def _betas(ours: tuple[str, ...], theirs: str) -> list[str]:
    """Both lists as one, each name once."""
    return list(dict.fromkeys([*ours, *(name.strip() for name in theirs.split(",") if name.strip())]))


def _max_tokens(request: Request, rules: ModelRules | None, plan: ThinkingPlan, dialect: AnthropicDialect) -> int:
    if request.max_tokens is not None:
        return request.max_tokens
    most = rules.most_output if rules is not None else None
    return plan.budget + (dialect.max_tokens if most is None else min(most, dialect.max_tokens))


def _sampling(
    request: Request, rules: ModelRules | None, plan: ThinkingPlan, body: dict[str, Any], writer: BlockWriter
) -> None:
    """Sampling hints; one the model would refuse is dropped with a warning."""
    thinks = plan.thinking is not None and plan.thinking["type"] != "disabled"
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is None:
            continue
        if rules is not None and not rules.sampling:
            writer.warn(f"{name} was left out: {request.model} takes no sampling parameters")
        elif thinks and name == "temperature" and value != 1:
            writer.warn("temperature was left out: a model that thinks takes none but 1")
        else:
            body[name] = value
    if request.seed is not None:
        writer.warn("seed was left out: the Messages API has none")


def _reasoning_and_format(request: Request, plan: ThinkingPlan, body: dict[str, Any], context: Context) -> None:
    if plan.thinking is not None:
        body["thinking"] = plan.thinking
    output: dict[str, Any] = {} if plan.effort is None else {"effort": plan.effort}
    wanted = request.response_format
    if wanted is not None:
        if wanted.schema is None:
            raise UnsupportedParameterError(
                "response_format='json' needs a schema here: give a JSON schema or a pydantic model, "
                "or ask for JSON in the prompt",
                provider=context.provider,
                model=request.model,
            )
        schema = wanted.schema
        if wanted.description and "description" not in schema:
            schema = {**schema, "description": wanted.description}
        output["format"] = {"type": "json_schema", "schema": _constrained(schema, context)}
    if output:
        body["output_config"] = output


def _constrained(schema: Mapping[str, Any], context: Context) -> Any:
    return constrain(schema, lambda value: context.json.dumps(value).decode())


def _tools(
    request: Request,
    rules: ModelRules | None,
    plan: ThinkingPlan,
    body: dict[str, Any],
    writer: BlockWriter,
    context: Context,
) -> None:
    if not request.tools:
        return
    tools = request.tools
    choice = request.tool_choice
    if choice is not None and choice.mode in ("auto", "required") and choice.names:
        tools, choice = _narrowed(tools, choice, writer, context)
    body["tools"] = [_tool(tool, writer, context) for tool in tools]
    wire: dict[str, Any] | None = None
    if choice is not None:
        wire = {"type": {"required": "any"}.get(choice.mode, choice.mode)}
        if choice.mode == "tool":
            wire["name"] = choice.names[0]
        if choice.mode in ("required", "tool"):
            _check_forced(rules, plan, context)
    if request.parallel_tool_calls is False and (wire is None or wire["type"] != "none"):
        wire = {**(wire or {"type": "auto"}), "disable_parallel_tool_use": True}
    if wire is not None:
        body["tool_choice"] = wire


def _check_forced(rules: ModelRules | None, plan: ThinkingPlan, context: Context) -> None:
    """A forced call is refused by some models, and by every model that thinks within a budget."""
    budgeted = plan.thinking is not None and plan.thinking["type"] == "enabled"
    if budgeted or (rules is not None and not rules.forced_tools):
        why = "together with a thinking budget" if budgeted else "by this model"
        raise UnsupportedParameterError(
            f"a forced tool call is refused {why}: use tool_choice='auto' and ask for the call in the prompt",
            provider=context.provider,
            model=context.model,
        )


def _narrowed(
    tools: tuple[Tool | ProviderTool, ...], choice: ToolChoice, writer: BlockWriter, context: Context
) -> tuple[tuple[Tool | ProviderTool, ...], ToolChoice]:
    """Only the tools that may be used; a single one that must be is a forced tool."""
    names = {_name(tool) for tool in tools}
    missing = [name for name in choice.names if name not in names]
    if missing:
        raise BadRequestError(
            f"tool_choice names {missing[0]!r}, which is not among the tools",
            provider=context.provider,
            model=context.model,
        )
    if choice.mode == "required" and len(choice.names) == 1:
        return tools, ToolChoice("tool", choice.names)
    kept = tuple([tool for tool in tools if _name(tool) in choice.names])
    if len(kept) < len(tools):
        left = ", ".join(str(_name(tool)) for tool in tools if tool not in kept)
        writer.warn(f"the tools that tool_choice does not name were left out: {left}")
    return kept, ToolChoice(choice.mode)


def _name(tool: Tool | ProviderTool) -> Any:
    return tool.name if isinstance(tool, Tool) else tool.definition.get("name")


def _tool(tool: Tool | ProviderTool, writer: BlockWriter, context: Context) -> Block:
    if isinstance(tool, ProviderTool):
        return dict(tool.definition)
    schema: Mapping[str, Any] = tool.parameters or {"type": "object", "properties": {}}
    if "type" not in schema:
        schema = {"type": "object", **schema}
    if schema["type"] != "object":
        raise UnsupportedParameterError(
            f"the parameters of the tool {tool.name} must be a JSON schema of type object, not {schema['type']!r}; "
            "wrap the value in an object",
            provider=context.provider,
            model=context.model,
        )
    block: Block = {"name": tool.name}
    if tool.description:
        block["description"] = tool.description
    block["input_schema"] = _constrained(schema, context) if tool.strict else schema
    if tool.strict is not None:
        block["strict"] = tool.strict
    if tool.extra:
        block.update(tool.extra)
    if tool.cache is not None:
        writer.mark(block, tool.cache)
    return block
