"""What the Messages format and Converse write in the same way: parts, tools and schemas.

Schemas are written in the subset that Anthropic's constrained decoding takes. The rules are those the anthropic SDK
documents and applies (2.11, ``lib/_parse/_transform``): every object gets ``additionalProperties: false``; ``required``
stays as given; ``oneOf`` becomes ``anyOf``; a ``$ref`` stands alone; strings keep only the formats the API knows;
``minItems`` may be 0 or 1. Every other keyword (``minimum``, ``pattern``) moves into the description, where the model
still reads it. The caller's schema is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._schema.content import Part, ProviderToolCall, ProviderToolResult, ToolCall, Unknown, parse_arguments
from .._schema.facts import ModelFacts
from .._schema.messages import Message
from .._schema.request import ProviderTool, ResponseFormat, Tool, ToolChoice
from .codec import Context
from .json_schemas import has_open_objects, with_object_root
from .parts import INVALID_JSON, D, PartWriter
from .schema_subsets import ABOUT, described, is_recursive, too_much_for_claude

Block = dict[str, Any]
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_AS_THEY_ARE = frozenset({"type", "title", "enum", "const", "default", "required"})
_MAPS = frozenset({"properties", "$defs", "definitions"})


def constrain(schema: Any, render: Callable[[Any], str]) -> Any:
    """Returns the schema in the API's subset, as a new value.

    Args:
        schema: a JSON schema; booleans are schemas too, and stay what they are.
        render: writes a value as JSON text, for the description.
    """
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        kept = {"$ref": schema["$ref"]}
        for name in ("$defs", "definitions"):  # at the root they stand beside a reference into themselves
            if name in schema:
                kept[name] = _each(schema[name], render)
        return kept
    written: dict[str, Any] = {}
    moved = {
        word: value for word, value in schema.items() if not _keep(word, value, written, render) and word not in ABOUT
    }
    if _is_object(schema):
        written["additionalProperties"] = False
        if moved.get("additionalProperties") in (False, True):
            del moved["additionalProperties"]
    told = described(schema.get("description"), moved, render)
    return written if told is None else {**written, "description": told}


def _keep(word: str, value: Any, written: dict[str, Any], render: Callable[[Any], str]) -> bool:
    """Writes a keyword the API takes; False for one it does not."""
    if word in _AS_THEY_ARE:
        written[word] = value
    elif word in _MAPS:
        written[word] = _each(value, render)
    elif word in ("anyOf", "oneOf", "allOf") and isinstance(value, (list, tuple)):
        name = "allOf" if word == "allOf" else "anyOf"
        written[name] = [*written.get(name, ()), *(constrain(option, render) for option in value)]
    elif word == "items":
        written[word] = constrain(value, render)
    elif (word == "format" and str(value) in _FORMATS) or (word == "minItems" and value in (0, 1)):
        written[word] = value
    else:
        return word == "description"
    return True


def _each(schemas: Any, render: Callable[[Any], str]) -> Any:
    if not isinstance(schemas, Mapping):
        return schemas
    return {name: constrain(schema, render) for name, schema in schemas.items()}


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, (list, tuple)) and "object" in kind) or "properties" in schema


AnyTool = Tool | ProviderTool


class BlockWriter(PartWriter[D]):
    """Writes what the Messages format and Converse have in common."""

    __slots__ = ("last",)

    def __init__(self, context: Context, dialect: D, api: str) -> None:
        super().__init__(context, dialect, api)
        self.last: Message | None = None
        """The last message: a pause may leave a tool of the provider's without its result there."""

    def unanswered(self, parts: tuple[Part, ...]) -> frozenset[str]:
        """Returns the ids of the provider's own tool calls that have no result in the same turn: the API refuses such a
        turn.
        """
        calls = {part.id for part in parts if type(part) is ProviderToolCall}
        if not calls or (self.last is not None and self.last.content is parts):
            return frozenset()
        return frozenset(calls - {part.call_id for part in parts if type(part) is ProviderToolResult})

    def arguments(self, part: ToolCall) -> dict[str, Any]:
        """Returns what a call is given, as the object that ``input`` must be."""
        if part.kind == "custom":
            self.warn(
                f"the call of the free-form tool {part.name} was sent as {{'input': text}}: arguments are objects"
            )
            return {"input": part.raw_arguments}
        arguments = parse_arguments(part.raw_arguments)
        if arguments is None:
            arguments = {INVALID_JSON: part.raw_arguments}
            self.warn(
                f"the arguments of the call of {part.name} are no JSON object, and were sent under {INVALID_JSON}"
            )
        return arguments

    def provider_tool(self, part: ProviderToolCall | ProviderToolResult) -> Block | None:
        """Writes the block of a tool that the provider ran; None if another provider ran it."""
        if not self.is_own(part.origin):
            what = "call" if isinstance(part, ProviderToolCall) else "result"
            self.drop(f"the {what} of a tool the provider ran ({part.name})", part.origin)
            return None
        return dict(part.raw)

    def unknown(self, part: Unknown) -> Block | None:
        """Writes what an `Unknown` part holds, if it may go to this host; else None."""
        if not self.is_own(part.origin) or not isinstance(part.raw, Mapping):
            self.drop(f"content of type {part.type!r}", part.origin)
            return None
        return dict(part.raw)


def narrowed(
    tools: tuple[AnyTool, ...], choice: ToolChoice, name_of: Callable[[AnyTool], Any], writer: BlockWriter[Any]
) -> tuple[tuple[AnyTool, ...], ToolChoice]:
    """Returns only the tools that may be used; a single one that must be used becomes a forced tool.

    Raises:
        BadRequestError: the choice names a tool that is not there.
    """
    names = {name_of(tool) for tool in tools}
    missing = [name for name in choice.names if name not in names]
    if missing:
        raise writer.bad(f"tool_choice names {missing[0]!r}, which is not among the tools")
    if choice.mode == "required" and len(choice.names) == 1:
        return tools, ToolChoice("tool", choice.names)
    kept = tuple([tool for tool in tools if name_of(tool) in choice.names])
    if len(kept) < len(tools):
        left = ", ".join([str(name_of(tool)) for tool in tools if name_of(tool) not in choice.names])
        writer.warn(f"the tools that tool_choice does not name were left out: {left}")
    return kept, ToolChoice(choice.mode)


def check_forced(facts: ModelFacts, thinks: str | None, writer: BlockWriter[Any]) -> None:
    """Refuses a forced tool call where the API does: some models always, all of them while they think within a budget.

    Args:
        facts: of the model.
        thinks: the ``thinking.type`` that is sent.
        writer: of the request.

    Raises:
        UnsupportedParameterError: it would be refused.
    """
    budgeted = thinks == "enabled"
    if budgeted or facts.forced_tools is False:
        why = "together with a thinking budget" if budgeted else "by this model"
        raise writer.refuse_keyword(
            "tool_choice",
            f"a forced tool call is refused {why}: use tool_choice='auto' and ask for the call in the prompt",
        )


def parameters_of(tool: Tool, writer: BlockWriter[Any]) -> Mapping[str, Any]:
    """Returns the schema of a tool's arguments, which must be an object's; that of a strict tool is in the API's
    subset.

    Raises:
        UnsupportedParameterError: it is of another type.
    """
    schema: Mapping[str, Any] = with_object_root(tool.parameters or {"type": "object", "properties": {}})
    if "type" not in schema:
        schema = {"type": "object", **schema}
    if schema["type"] != "object":
        raise writer.refuse_keyword(
            "tools",
            f"the parameters of the tool {tool.name} must be a JSON schema of type object, not {schema['type']!r}; "
            "wrap the value in an object",
        )
    strict: Mapping[str, Any] = constrain(schema, writer.json) if tool.strict else schema
    return strict


def schema_of(wanted: ResponseFormat, writer: BlockWriter[Any]) -> Mapping[str, Any]:
    """Returns the schema that an answer must fit, as the caller gave it.

    Raises:
        UnsupportedParameterError: only JSON was asked for, which the wire cannot say.
    """
    if wanted.schema is None:
        raise writer.refuse_keyword(
            "response_format",
            "'json' needs a schema here: give a JSON schema or a pydantic model, or ask for JSON in the prompt",
        )
    return with_object_root(wanted.schema)


def can_be_held(wanted: ResponseFormat) -> bool:
    """Whether Claude can be held to a schema: no maps, no recursion, and not too many options and unions.

    A constrained answer has closed objects only, so a field with keys of its own would always be empty.
    """
    schema = wanted.schema or {}
    return not (has_open_objects(schema) or is_recursive(schema) or too_much_for_claude(with_object_root(schema)))


def as_instruction(wanted: ResponseFormat, writer: BlockWriter[Any]) -> str:
    """Writes the words that ask for a schema, for a model that can be held to it in no other way."""
    writer.warn(
        "the JSON schema was sent as an instruction: the model cannot be held to it (maps, recursion or its size), "
        "and cannot be made to call a tool here"
    )
    return f"Answer with one JSON object, and nothing else, that fits this JSON schema: {writer.json(wanted.schema)}"
