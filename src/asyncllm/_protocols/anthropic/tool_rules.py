"""What the Messages format and Converse ask of tools, of the choice among them, and of the schemas of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..._schema.request import ProviderTool, ResponseFormat, Tool, ToolChoice
from .part_writer import PartWriter
from .schema import constrain
from .thinking import ModelRules

AnyTool = Tool | ProviderTool


def narrowed(
    tools: tuple[AnyTool, ...], choice: ToolChoice, name_of: Callable[[AnyTool], Any], writer: PartWriter
) -> tuple[tuple[AnyTool, ...], ToolChoice]:
    """Only the tools that may be used; a single one that must be is a forced tool.

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


def check_forced(rules: ModelRules | None, thinks: str | None, writer: PartWriter) -> None:
    """Refuses a forced call where the API does: some models do always, all do while they think within a budget.

    Args:
        rules: of the Claude model; None where it is none, or none that is known.
        thinks: the ``thinking.type`` that is sent.
        writer: of the request.

    Raises:
        UnsupportedParameterError: it would be refused.
    """
    budgeted = thinks == "enabled"
    if budgeted or (rules is not None and not rules.forced_tools):
        why = "together with a thinking budget" if budgeted else "by this model"
        raise writer.refuse_parameter(
            f"a forced tool call is refused {why}: use tool_choice='auto' and ask for the call in the prompt"
        )


def parameters_of(tool: Tool, writer: PartWriter) -> Mapping[str, Any]:
    """The schema of a tool's arguments, which must be an object's; of a strict tool, in the API's subset.

    Raises:
        UnsupportedParameterError: it is of another type.
    """
    schema: Mapping[str, Any] = tool.parameters or {"type": "object", "properties": {}}
    if "type" not in schema:
        schema = {"type": "object", **schema}
    if schema["type"] != "object":
        raise writer.refuse_parameter(
            f"the parameters of the tool {tool.name} must be a JSON schema of type object, not {schema['type']!r}; "
            "wrap the value in an object"
        )
    strict: Mapping[str, Any] = constrain(schema, writer.json) if tool.strict else schema
    return strict


def schema_of(wanted: ResponseFormat, writer: PartWriter) -> Mapping[str, Any]:
    """The schema that an answer must fit, as the caller gave it.

    Raises:
        UnsupportedParameterError: only JSON was asked for, which the wire cannot say.
    """
    if wanted.schema is None:
        raise writer.refuse_parameter(
            "response_format='json' needs a schema here: give a JSON schema or a pydantic model, "
            "or ask for JSON in the prompt"
        )
    return wanted.schema
