"""Tools and the choice among them -> ``toolConfig``, and what Claude is told beside it.

* ``toolChoice`` is ``auto``, ``any`` or ``tool``. It has no ``none`` and no switch for parallel calls. Claude has both
  in its own ``tool_choice``, which goes into ``additionalModelRequestFields`` and then stands instead of Converse's:
  the API refuses the two together. For every other model ``none`` leaves the tools out.
* The API refuses a history with tool calls or results in a request without tools. Where the caller gives none (or
  forbids them), the names in the history are declared, with a warning: with an open schema, and forbidden to Claude.
* ``names`` of a choice are kept to the letter: one required name is a forced tool; otherwise the tools that may not be
  used are left out, since the wire has no such list.

Sources: botocore 1.44.5 (``ToolConfiguration``), pydantic-ai 2.68 (``models/bedrock``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.request import ProviderTool, Request, Tool, ToolChoice
from ..anthropic.part_writer import Block
from ..anthropic.thinking import rules_for as claude_rules
from ..anthropic.tool_rules import AnyTool, check_forced, narrowed, parameters_of
from ..shapes import as_dict
from .blocks import BlockWriter
from .models import ModelRules

_CLAUDE_WORDS: Mapping[str, str] = {"required": "any"}
_CONVERSE_WORDS: Mapping[str, str] = {"auto": "auto", "required": "any", "tool": "tool"}


class ToolPlan:
    """The tools of one request, as they will be sent."""

    __slots__ = ("_request", "_rules", "_writer")

    def __init__(self, request: Request, rules: ModelRules, writer: BlockWriter) -> None:
        self._request = request
        self._rules = rules
        self._writer = writer

    def write(
        self, messages: list[dict[str, Any]], thinks: str | None
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The body's ``toolConfig`` and Claude's ``tool_choice``; None for what is not sent.

        Args:
            messages: as they will be sent.
            thinks: Claude's ``thinking.type``, where it thinks.

        Raises:
            UnsupportedParameterError: a forced call that the model refuses, or a schema that is no object's.
            BadRequestError: a choice that names no tool.
        """
        tools, choice = self._request.tools, self._request.tool_choice
        if choice is not None and choice.mode in ("auto", "required") and choice.names:
            tools, choice = narrowed(tools, choice, _name, self._writer)
        if choice is not None and choice.mode in ("required", "tool"):
            known = claude_rules(self._request.model) if self._rules.claude else None
            check_forced(known, thinks, self._writer)
        forbidden = choice is not None and choice.mode == "none"
        names = _names_in(messages) if not tools or forbidden else {}
        if not tools or (forbidden and not self._rules.claude and not names):
            return self._from_history(names, forbidden and bool(tools))
        config: dict[str, Any] = {"tools": self._tools(tools)}
        native = self._native(choice)
        if native is None and choice is not None and not forbidden:
            word = _CONVERSE_WORDS[choice.mode]
            config["toolChoice"] = {word: {"name": choice.names[0]} if word == "tool" else {}}
        elif forbidden and native is None:
            self._writer.warn(
                "tool_choice='none' was left out: the history holds calls, and the model has no such mode"
            )
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
        return {"tools": tools}, {"type": "none"} if self._rules.claude else None

    def _native(self, choice: ToolChoice | None) -> dict[str, Any] | None:
        """Claude's own ``tool_choice``, where Converse's cannot say it."""
        one_by_one = self._request.parallel_tool_calls is False
        if not self._rules.claude:
            if one_by_one:
                self._writer.warn("parallel_tool_calls=False was left out: Converse has no such switch for this model")
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
                written.append(self._writer.cache_point(tool.cache))
        return written

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
    """The names of the tools called in a history, each with whether Bedrock ran it."""
    names: dict[str, bool] = {}
    for message in messages:
        for block in message["content"]:
            call = as_dict(block.get("toolUse"))
            if isinstance(call.get("name"), str):
                names[call["name"]] = call.get("type") == "server_tool_use"
    return names
