"""`Request` -> the body of ``POST /model/{id}/converse`` or ``/converse-stream``.

Reasoning: Claude is asked as on its own API, other families by the field that their facts name, in
``additionalModelRequestFields``. A model of which nothing is known is asked by Converse's own ``outputConfig.effort``
(botocore 1.44.5, ``OutputConfig``).

Tools and the choice among them -> ``toolConfig``, and what Claude is told beside it.

* ``toolChoice`` is ``auto``, ``any`` or ``tool``. It has no ``none`` and no switch for parallel calls. Claude has both
  in its own ``tool_choice``, which goes into ``additionalModelRequestFields`` and then stands instead of Converse's:
  the API refuses the two together. For every other model ``none`` leaves the tools out.
* The API refuses a history with tool calls or results in a request without tools. Where the caller gives none (or
  forbids them), the names in the history are declared, with a warning: with an open schema, and forbidden to Claude.
* ``names`` of a choice are kept to the letter: one required name is a forced tool; otherwise the tools that may not be
  used are left out, since the wire has no such list.

Sources: botocore 1.44.5 (``ToolConfiguration``), pydantic-ai 2.68 (``models/bedrock``).

The body is the same for a whole answer and a stream; the path says which. ``inferenceConfig`` has four settings; what a
model takes besides goes into ``additionalModelRequestFields``, which reach it as they are. ``seed`` does not exist.

``extra_body`` is merged last, object by object: its keys win. Source: botocore 1.44.5, bedrock-runtime
``ConverseRequest``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..._schema.content import CacheMark
from ..._schema.facts import ReasoningRules
from ..._schema.hosted import CodeExecution
from ..._schema.request import ProviderTool, Request, Tool, ToolChoice
from ..answer_tool import by_tool
from ..aws_shapes import model_path
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
from ..claude import ROOM_FOR_THE_ANSWER, plan_thinking, unthought
from ..codec import Context, WireRequest, deep_merge
from ..history import repaired
from ..hosted_tools import Hosted, Write, offer
from ..parts import PartWriter, as_dict, refuse_compaction, settings_without_tools
from ..reasoning import NOTHING, WORDS, Amount, ask, sampling_hints
from .dialect import ASKING, ConverseDialect
from .messages import write_conversation
from .parts import ConverseWriter

_WORDS: Mapping[str, str] = {"reasoningContent": "thinking", "toolResult": "tool_result"}


_UNKNOWN = ReasoningRules(efforts=WORDS[2:], optional=True)
"""What Converse's own effort takes."""


class ReasoningPlan(NamedTuple):
    """Holds what is sent to ask for reasoning.

    Attributes:
        fields: for ``additionalModelRequestFields``.
        effort: for ``outputConfig``.
        thinks: Claude's ``thinking.type``; None where it is not asked to think.
        budget: tokens that Claude sets aside for thinking; 0 where there is no budget.
        asked: how much reasoning is asked for.
    """

    fields: dict[str, Any]
    effort: str | None = None
    thinks: str | None = None
    budget: int = 0
    asked: Amount = NOTHING


def plan_reasoning(
    request: Request, writer: ConverseWriter, messages: Sequence[Mapping[str, Any]], max_tokens: int | None
) -> ReasoningPlan:
    """Returns what is sent for an effort word, a budget in tokens, or nothing.

    Args:
        request: the request.
        writer: is told what differs from what the caller asked for.
        messages: as they will be sent: which of them are Claude's decides whether it may think within a budget.
        max_tokens: what bounds the output; None for the model's own limit.
    """
    if writer.claude:
        return _claude(request, writer, messages, max_tokens)
    known = writer.context.facts.rules
    rules = _UNKNOWN if known is None else known
    asked = ask(request, rules, writer)
    if asked.value is None:
        return ReasoningPlan({})
    word = str(asked.value)
    if rules.field is not None:
        return ReasoningPlan(ASKING[rules.field](word), asked=asked)
    if word == "none":
        writer.leave_out("reasoning", f"how {request.model} is told 'none' is not known here")
        return ReasoningPlan({})
    return ReasoningPlan({}, effort=word, asked=asked)


def _claude(
    request: Request, writer: ConverseWriter, messages: Sequence[Mapping[str, Any]], max_tokens: int | None
) -> ReasoningPlan:
    plan = plan_thinking(request, writer, max_tokens=max_tokens, room=ROOM_FOR_THE_ANSWER)
    plan = unthought(plan, messages, _kind_of)
    if plan.warning:
        writer.warn(plan.warning)
    fields: dict[str, Any] = {} if plan.thinking is None else {"thinking": plan.thinking}
    if plan.effort is not None:
        fields["output_config"] = {"effort": plan.effort}
    thinks = None if plan.thinking is None else str(plan.thinking["type"])
    return ReasoningPlan(fields, thinks=None if thinks == "disabled" else thinks, budget=plan.budget, asked=plan.asked)


def _kind_of(block: Mapping[str, Any]) -> str:
    return next((word for key, word in _WORDS.items() if key in block), "other")


_CLAUDE_WORDS: Mapping[str, str] = {"required": "any"}
_CONVERSE_WORDS: Mapping[str, str] = {"auto": "auto", "required": "any", "tool": "tool"}


class ToolPlan:
    """Writes the tools of one request and the choice among them."""

    __slots__ = ("_claude", "_facts", "_request", "_writer")

    def __init__(self, request: Request, writer: ConverseWriter) -> None:
        self._request = request
        self._facts = writer.context.facts
        self._claude = writer.claude
        self._writer = writer

    def write(
        self, messages: list[dict[str, Any]], thinks: str | None
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Writes the body's ``toolConfig`` and Claude's ``tool_choice``; None for what is not sent.

        Args:
            messages: as they will be sent.
            thinks: Claude's ``thinking.type``, where it thinks.

        Raises:
            UnsupportedParameterError: a forced call that the model refuses, or a schema that is no object's.
            BadRequestError: a choice that names no tool.
        """
        tools: tuple[AnyTool, ...] = ()
        if self._request.tools:
            tools = offer(self._request, self._writer, _words(self._request.model, self._writer), _HOSTED).tools
        choice = self._request.tool_choice
        if choice is not None and choice.mode in ("auto", "required") and choice.names:
            tools, choice = narrowed(tools, choice, _name, self._writer)
        if choice is not None and choice.mode in ("required", "tool"):
            check_forced(self._facts, thinks, self._writer)
        forbidden = choice is not None and choice.mode == "none"
        names = _names_in(messages) if not tools or forbidden else {}
        if not tools and not (forbidden and names):
            settings_without_tools(self._request, self._writer)
        if not tools or (forbidden and not self._claude and not names):
            return self._from_history(names, forbidden and bool(tools))
        config: dict[str, Any] = {"tools": self._tools(tools)}
        native = self._native(choice)
        if native is None and choice is not None and not forbidden:
            word = _CONVERSE_WORDS[choice.mode]
            config["toolChoice"] = {word: {"name": choice.names[0]} if word == "tool" else {}}
        elif forbidden and native is None:
            self._writer.leave_out("tool_choice", "the history holds calls, and this model has no such mode")
        return config, native

    def _from_history(
        self, names: Mapping[str, bool], left_out: bool
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        if left_out:
            self._writer.warn("the tools were left out: that is how tool_choice='none' is said to this model")
        if not names:
            return None, None
        self._writer.warn("the tools called in the history were declared: Bedrock refuses calls without their tools")
        tools: list[Block] = [
            {"systemTool": {"name": name}}
            if system
            else {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}
            for name, system in names.items()
        ]
        return {"tools": tools}, {"type": "none"} if self._claude else None

    def _native(self, choice: ToolChoice | None) -> dict[str, Any] | None:
        """Writes Claude's own ``tool_choice``, where Converse's cannot say what was asked for."""
        one_by_one = self._request.parallel_tool_calls is False
        if not self._claude:
            if one_by_one:
                self._writer.leave_out("parallel_tool_calls", "Converse has no such switch for this model")
            return None
        if choice is not None and choice.mode == "none":
            return {"type": "none"}
        if not one_by_one:
            return None
        native: dict[str, Any] = {"type": "auto"}
        if choice is not None:
            native["type"] = _CLAUDE_WORDS.get(choice.mode, choice.mode)
            if choice.mode == "tool":
                native["name"] = choice.names[0]
        return {**native, "disable_parallel_tool_use": True}

    def _tools(self, tools: tuple[AnyTool, ...]) -> list[Block]:
        written: list[Block] = []
        for tool in tools:
            if isinstance(tool, ProviderTool):
                written.append(dict(tool.definition))
                continue
            written.append({"toolSpec": self._spec(tool)})
            if tool.cache is not None:
                self._mark(written, tool.cache)
        return written

    def _mark(self, written: list[Block], cache: CacheMark) -> None:
        """Adds the block of a cache mark, where the model takes marks among its tools."""
        if self._facts.cache_marks is False or self._facts.tool_cache_marks is False:
            self._writer.warn(f"a cache mark on a tool was left out: {self._request.model} takes none there")
        else:
            written.append(self._writer.cache_point(cache))

    def _spec(self, tool: Tool) -> Block:
        spec: Block = {"name": tool.name}
        if tool.description:
            spec["description"] = tool.description
        spec["inputSchema"] = {"json": parameters_of(tool, self._writer)}
        if tool.strict is not None:
            spec["strict"] = tool.strict
        return {**spec, **(tool.extra or {})}


def _name(tool: AnyTool) -> Any:
    if isinstance(tool, Tool):
        return tool.name
    found = next(iter(tool.definition.values()), None)
    return found.get("name") if isinstance(found, Mapping) else None


def _names_in(messages: list[dict[str, Any]]) -> dict[str, bool]:
    """Returns the names of the tools called in a history, each with whether Bedrock ran it."""
    names: dict[str, bool] = {}
    for message in messages:
        for block in message["content"]:
            call = as_dict(block.get("toolUse"))
            if isinstance(call.get("name"), str):
                names[call["name"]] = call.get("type") == "server_tool_use"
    return names


_JSON_HEADER = ("content-type", "application/json")


def write_request(request: Request, context: Context, dialect: ConverseDialect) -> WireRequest:
    """Writes a request; raises what `asyncllm._protocols.codec.WireProtocol.encode` says."""
    writer = ConverseWriter(context, dialect)
    if request.compact_at is not None:
        raise refuse_compaction(writer)
    request = cached(request, writer)
    takes_system = context.facts.system_messages is True
    system, messages = write_conversation(
        repaired(request.messages, writer, unique=True), writer, takes_system=takes_system
    )
    most = request.max_tokens if request.max_tokens is not None else dialect.max_tokens
    plan = plan_reasoning(request, writer, messages, most)
    forced = _needs_tool(request, plan, writer)
    if forced and request.response_format is not None:
        request = by_tool(request, request.response_format)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    settings = _settings(request, plan, most, writer)
    if settings:
        body["inferenceConfig"] = settings
    fields = dict(plan.fields)
    tools, choice = ToolPlan(request, writer).write(messages, plan.thinks)
    if tools is not None:
        body["toolConfig"] = tools
    if choice is not None:
        fields["tool_choice"] = choice
    wanted = request.response_format
    if wanted is not None and wanted.schema is not None and not can_be_held(wanted):
        body["system"] = [*system, {"text": as_instruction(wanted, writer)}]
        request = replace(request, response_format=None)
    output = _output(request, plan, writer)
    if output:
        body["outputConfig"] = output
    headers = {name.lower(): value for name, value in (request.extra_headers or {}).items()}
    if writer.claude and "anthropic-beta" in headers:
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
        left_out=writer.left_out,
        warnings=writer.warnings,
        answer_tool=forced,
    )


def _needs_tool(request: Request, plan: ReasoningPlan, writer: ConverseWriter) -> bool:
    """Whether the answer is asked for by a forced tool: the schema cannot be held, and a call can be demanded."""
    wanted, known = request.response_format, writer.context.facts.forced_tools
    if wanted is None or wanted.schema is None or request.tools or can_be_held(wanted):
        return False
    return plan.thinks is None and (known is not False if writer.claude else known is True)


_HINTS: Mapping[str, str] = {"temperature": "temperature", "top_p": "topP"}


def _settings(request: Request, plan: ReasoningPlan, most: int | None, writer: ConverseWriter) -> dict[str, Any]:
    """Writes ``inferenceConfig``; leaves out, with a warning, a hint that the model would refuse."""
    settings: dict[str, Any] = {}
    if most is None and plan.budget:
        most = plan.budget + ROOM_FOR_THE_ANSWER  # the model's own limit may be smaller than the budget
    if most is not None:
        settings["maxTokens"] = most
    for name, value in sampling_hints(request, writer, plan.asked).items():
        if plan.thinks is not None and name == "temperature" and value != 1:
            writer.leave_out(name, "a model that thinks takes none but 1")
        else:
            settings[_HINTS[name]] = value
    if request.stop:
        settings["stopSequences"] = list(request.stop)
    if request.seed is not None:
        writer.leave_out("seed", "Converse has none")
    return settings


def _output(request: Request, plan: ReasoningPlan, writer: ConverseWriter) -> dict[str, Any]:
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


# Tools that Bedrock runs: ``systemTool``, by name (recorded traffic).


def _words(model: str, writer: ConverseWriter) -> frozenset[str]:
    """Returns the words of the tools that Bedrock runs for a model."""
    return frozenset([word for word, (mark, _) in writer.dialect.system_tools.items() if mark in model])


def _code_execution(tool: CodeExecution, writer: PartWriter[Any]) -> Hosted:
    return Hosted(tool={"systemTool": {"name": writer.dialect.system_tools[tool.word][1]}})


_HOSTED: Mapping[str, Write] = {"code_execution": _code_execution}
