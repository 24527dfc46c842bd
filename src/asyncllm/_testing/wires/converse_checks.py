"""What Converse refuses, in its words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .bedrock_errors import bad
from .schema_rules import claude_problem
from .wire import Problem

_ROLES = ("user", "assistant", "system")
_RANGES: Mapping[str, tuple[float, float]] = {"temperature": (0, 1), "topP": (0, 1), "maxTokens": (1, float("inf"))}
_UNKNOWN = ("model", "max_tokens", "stream", "tools")
_TOOL_BLOCKS = ("toolUse", "toolResult")


def check_body(given: Any, signature: Callable[[str], str] | None) -> Problem | None:
    """Returns what is wrong with a request; None if nothing.

    Args:
        given: the body.
        signature: gives the signature of a reasoning text; None not to check any.
    """
    if not isinstance(given, dict):
        return bad("The request body is not valid JSON.")
    for name in _UNKNOWN:
        if name in given:
            return bad(f"Unknown field in the request: {name}")
    messages = given.get("messages")
    if not isinstance(messages, list) or not messages:
        return bad("The value at messages is empty. Add a message and try again.")
    for at, message in enumerate(messages):
        problem = _check_message(at, message, signature)
        if problem is not None:
            return problem
    if messages[0]["role"] == "assistant":
        return bad(
            "A conversation must start with a user message. "
            "Try again with a conversation that starts with a user message."
        )
    return _check_settings(given) or _check_calls(messages) or _check_tools(given, messages)


def _check_message(at: int, message: Any, signature: Callable[[str], str] | None) -> Problem | None:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in _ROLES:
        where = f"messages.{at + 1}.member.role"
        return bad(f"1 validation error detected: Value '{role}' at '{where}' failed to satisfy constraint.")
    content = message.get("content")
    if not isinstance(content, list) or not content:
        return bad(
            f"The content field in the Message object at messages.{at} is empty. "
            "Add a ContentBlock object and try again."
        )
    for number, block in enumerate(content):
        where = f"messages.{at}.content.{number}"
        if len(block) != 1:
            return bad(f"The ContentBlock object at {where} must set one of the following keys: text, image, toolUse.")
        if "text" in block and not block["text"].strip():
            return bad(
                f"The text field in the ContentBlock object at {where} is blank. "
                "Add text to the text field, and try again."
            )
        thought = (block.get("reasoningContent") or {}).get("reasoningText")
        if thought and signature and thought.get("signature") != signature(thought["text"]):
            return bad(f"The model returned the following errors: {where}: Invalid `signature` in `thinking` block")
    return None


def _check_settings(given: Mapping[str, Any]) -> Problem | None:
    settings = given.get("inferenceConfig") or {}
    for name, (least, most) in _RANGES.items():
        value = settings.get(name)
        if value is not None and not least <= value <= most:
            return bad(
                f"1 validation error detected: Value '{value}' at 'inferenceConfig.{name}' "
                "failed to satisfy constraint."
            )
    wanted = (given.get("outputConfig") or {}).get("textFormat") or {}
    schema = ((wanted.get("structure") or {}).get("jsonSchema") or {}).get("schema")
    if wanted and not isinstance(schema, str):
        return bad("outputConfig.textFormat.structure.jsonSchema.schema must be a string that holds a JSON schema.")
    if wanted and not _is_object(str(schema)):
        return bad("outputConfig.textFormat.structure.jsonSchema.schema is not a valid JSON schema.")
    problem = claude_problem(json.loads(str(schema))) if wanted else None
    if problem is not None:
        return bad(f"The model returned the following errors: {problem}")
    return None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _check_calls(messages: Sequence[Mapping[str, Any]]) -> Problem | None:
    """Calls are answered by the next message, all of them, and nothing else is; what Bedrock ran, in the same one."""
    called: list[str] = []
    for at, message in enumerate([*messages, {"content": []}]):
        ran = {use["toolUseId"] for use in _of(message, "toolUse") if use.get("type") == "server_tool_use"}
        results = [one["toolUseId"] for one in _of(message, "toolResult") if one["toolUseId"] not in ran]
        if len(results) > len(called):
            return bad(
                f"The number of toolResult blocks at messages.{at}.content exceeds "
                "the number of toolUse blocks of previous turn."
            )
        missing = [call for call in called if call not in results]
        if missing:
            return bad(
                f"Expected toolResult blocks at messages.{at}.content for the following Ids: {', '.join(missing)}"
            )
        called = [use["toolUseId"] for use in _of(message, "toolUse") if use["toolUseId"] not in ran]
    return None


def _of(message: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return [block[kind] for block in message["content"] if kind in block]


def _check_tools(given: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> Problem | None:
    config = given.get("toolConfig")
    if config is None:
        if any(word in block for message in messages for block in message["content"] for word in _TOOL_BLOCKS):
            return bad("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        return None
    for at, tool in enumerate(config.get("tools") or ()):
        if "toolSpec" in tool and not isinstance((tool["toolSpec"].get("inputSchema") or {}).get("json"), dict):
            return bad(f"The value at toolConfig.tools.{at}.toolSpec.inputSchema.json must be a JSON object.")
    if not any("toolSpec" in tool or "systemTool" in tool for tool in config.get("tools") or ()):
        return bad("The toolConfig field must hold at least one tool.")
    choice = config.get("toolChoice")
    if choice is not None and (len(choice) != 1 or not {"auto", "any", "tool"} & set(choice)):
        return bad("The ToolChoice object must set one of the following keys: auto, any, tool.")
    return None
