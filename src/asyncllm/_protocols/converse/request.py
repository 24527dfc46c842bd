"""`Request` -> the body of ``POST /model/{id}/converse`` or ``/converse-stream``.

The body is the same for a whole answer and a stream; the path says which. ``inferenceConfig`` has four settings; what a
model takes besides goes into ``additionalModelRequestFields``, which reach it as they are. ``seed`` does not exist.

``extra_body`` is merged last, object by object: its keys win. Source: botocore 1.44.5, bedrock-runtime
``ConverseRequest``.
"""

from __future__ import annotations

from typing import Any

from ..._schema.request import Request
from ..anthropic.schema import constrain
from ..anthropic.thinking import rules_for as claude_rules
from ..anthropic.tool_rules import schema_of
from ..base import Context, WireRequest
from ..merge import deep_merge
from .blocks import BlockWriter
from .conversation import write_conversation
from .dialect import ConverseDialect
from .models import ModelRules, rules_for
from .path import model_path
from .reasoning import ReasoningPlan, plan_reasoning
from .tools import ToolPlan

_JSON_HEADER = ("content-type", "application/json")


def encode_request(request: Request, context: Context, dialect: ConverseDialect) -> WireRequest:
    """Writes a request; raises what `Converse.encode` says."""
    rules = rules_for(request.model)
    claude = claude_rules(request.model) if rules.claude else None
    writer = BlockWriter(context, rules)
    system, messages = write_conversation(
        request.messages, writer, takes_system=claude is not None and claude.system_messages
    )
    plan = plan_reasoning(request.reasoning, request.model, rules, context, messages)
    if plan.warning:
        writer.warn(plan.warning)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    settings = _settings(request, rules, plan, writer, dialect)
    if settings:
        body["inferenceConfig"] = settings
    fields = dict(plan.fields)
    tools, choice = ToolPlan(request, rules, writer).write(messages, plan.thinks)
    if tools is not None:
        body["toolConfig"] = tools
    if choice is not None:
        fields["tool_choice"] = choice
    output = _output(request, plan, writer)
    if output:
        body["outputConfig"] = output
    headers = {name.lower(): value for name, value in (request.extra_headers or {}).items()}
    if rules.claude and "anthropic-beta" in headers:
        fields["anthropic_beta"] = [name.strip() for name in headers.pop("anthropic-beta").split(",") if name.strip()]
    if fields:
        body["additionalModelRequestFields"] = fields
    if dialect.fields:
        body = deep_merge(dialect.fields, body)
    if dialect.adapt is not None:
        body = dialect.adapt(body)
    if request.extra_body:
        body = deep_merge(body, request.extra_body)
    return WireRequest(
        method="POST",
        path=model_path(request.model, "converse-stream" if request.stream else "converse"),
        headers=(_JSON_HEADER, *(pair for pair in headers.items() if pair[0] != "content-type")),
        body=context.json.dumps(body),
        warnings=writer.warnings,
    )


def _settings(
    request: Request, rules: ModelRules, plan: ReasoningPlan, writer: BlockWriter, dialect: ConverseDialect
) -> dict[str, Any]:
    """``inferenceConfig``; a hint the model would refuse is dropped with a warning."""
    settings: dict[str, Any] = {}
    most = request.max_tokens if request.max_tokens is not None else dialect.max_tokens
    if most is not None:
        settings["maxTokens"] = most
    known = claude_rules(request.model) if rules.claude else None
    sampling = rules.sampling and (known is None or known.sampling)
    for name, field, value in (
        ("temperature", "temperature", request.temperature),
        ("top_p", "topP", request.top_p),
    ):
        if value is None:
            continue
        if not sampling:
            writer.warn(f"{name} was left out: {request.model} takes no sampling parameters")
        elif plan.thinks is not None and name == "temperature" and value != 1:
            writer.warn("temperature was left out: a model that thinks takes none but 1")
        else:
            settings[field] = value
    if request.stop:
        settings["stopSequences"] = list(request.stop)
    if request.seed is not None:
        writer.warn("seed was left out: Converse has none")
    return settings


def _output(request: Request, plan: ReasoningPlan, writer: BlockWriter) -> dict[str, Any]:
    output: dict[str, Any] = {} if plan.effort is None else {"effort": plan.effort}
    wanted = request.response_format
    if wanted is None:
        return output
    schema = constrain(schema_of(wanted, writer), writer.json)
    definition = {"schema": writer.json(schema), "name": wanted.name}
    if wanted.description:
        definition["description"] = wanted.description
    output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    return output
