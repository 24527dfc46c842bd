"""What the Responses API refuses, in its words, and how it seals reasoning that clients keep for it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from .openai_errors import bad
from .schema_rules import openai_problem
from .wire import Problem

# Parameters of chat completions that this API does not have.
_UNKNOWN = (
    *("messages", "max_tokens", "max_completion_tokens", "response_format", "reasoning_effort", "stop", "seed", "n"),
    *("frequency_penalty", "presence_penalty", "logit_bias", "prediction"),
)
_ROLES = ("assistant", "system", "developer", "user")
_LEAST_TOKENS = 16
_SEAL = 16


class Sealed:
    """Seals and opens encrypted content: opaque to clients, and worthless once it has been changed."""

    def seal(self, text: str) -> str:
        """Returns the text as opaque content."""
        raw = text.encode("utf-8", "surrogatepass")
        return "gAAAAAB" + urlsafe_b64encode(blake2b(raw, digest_size=_SEAL).digest() + raw).decode()

    def holds(self, content: str) -> bool:
        """Whether this is content that `seal` gave."""
        try:
            raw = urlsafe_b64decode(content.removeprefix("gAAAAAB"))
        except ValueError:
            return False
        return content.startswith("gAAAAAB") and blake2b(raw[_SEAL:], digest_size=_SEAL).digest() == raw[:_SEAL]


SEALED = Sealed()


def check_body(given: Any, *, signatures: bool, continued: bool = False) -> Problem | None:
    """Returns what is wrong with a request; None if nothing.

    Args:
        given: the body.
        signatures: reasoning that comes back must be what was given out.
        continued: the history that it names is known, and in front of its input.
    """
    if not isinstance(given, dict):
        return bad("We could not parse the JSON body of your request.")
    if not given.get("model"):
        return bad("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    for name in _UNKNOWN:
        if name in given:
            return bad(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    items = given.get("input")
    if items is None:
        return bad("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    if not isinstance(items, (str, list)):
        message = "Invalid type for 'input': expected one of an array of objects or string."
        return bad(message, "input", "invalid_type")
    previous = given.get("previous_response_id")
    if previous is not None and given.get("conversation") is not None:
        return bad("Mutually exclusive parameters: 'previous_response_id' and 'conversation'.", "conversation")
    if given.get("conversation") is not None and not continued:
        wanted = given["conversation"]
        message = f"Conversation with id '{wanted.get('id') if isinstance(wanted, dict) else wanted}' not found."
        return Problem(status=404, message=message, param="conversation", code="conversation_not_found")
    if given.get("background") is True and given.get("store") is False:
        return bad("Background responses need 'store' to be true.", "background")
    if previous is not None and not continued:
        message = f"Previous response with id '{previous}' not found."
        return bad(message, "previous_response_id", "previous_response_not_found")
    problem = _check_settings(given) or _check_tools(given.get("tools"))
    if problem is None and isinstance(items, list):
        problem = _check_items(items, signatures=signatures)
    return problem


def _check_settings(given: Mapping[str, Any]) -> Problem | None:
    most = given.get("max_output_tokens")
    if most is not None and most < _LEAST_TOKENS:
        message = "Invalid 'max_output_tokens': integer below minimum value."
        message += f" Expected a value >= {_LEAST_TOKENS}, but got {most} instead."
        return bad(message, "max_output_tokens", "integer_below_min_value")
    wanted = (given.get("text") or {}).get("format") or {}
    for name in ("name", "schema") if wanted.get("type") == "json_schema" else ():
        if not wanted.get(name):
            where = f"text.format.{name}"
            return bad(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
    problem = openai_problem(wanted.get("schema")) if wanted.get("strict") is True else None
    if problem is not None:
        message = f"Invalid schema for response_format '{wanted.get('name')}': {problem}"
        return bad(message, "text.format.schema", "invalid_json_schema")
    if given.get("stream_options") is not None and given.get("stream") is not True:
        return bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    for name, highest in (("temperature", 2), ("top_p", 1)):
        value = given.get(name)
        if isinstance(value, (int, float)) and not 0 <= value <= highest:
            word, sign, bound = ("above maximum", "<=", highest) if value > highest else ("below minimum", ">=", 0)
            message = (
                f"Invalid '{name}': decimal {word} value. Expected a value {sign} {bound}, but got {value} instead."
            )
            return bad(message, name, f"decimal_{word.split()[0]}_{word.split()[1][:3]}_value")
    return None


def _check_tools(tools: Any) -> Problem | None:
    for at, tool in enumerate(tools or ()):
        kind = tool.get("type")
        missing = "type" if kind is None else "name" if kind in ("function", "custom") and not tool.get("name") else ""
        if missing:
            where = f"tools[{at}].{missing}"
            return bad(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
    return None


def _check_items(items: Sequence[Any], *, signatures: bool) -> Problem | None:
    if not items:
        return bad("Invalid 'input': empty array.", "input", "empty_array")
    called: dict[str, bool] = {}
    thoughts: set[str] = set()
    for at, item in enumerate(items):
        kind = item.get("type", "message") if isinstance(item, dict) else None
        problem = None
        if kind == "message" and item.get("role") not in _ROLES:
            expected = ", ".join(f"'{role}'" for role in _ROLES)
            message = f"Invalid value: '{item.get('role')}'. Supported values are: {expected}."
            problem = bad(message, f"input[{at}].role", "invalid_value")
        elif kind == "message" and item.get("content") is None:
            where = f"input[{at}].content"
            problem = bad(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
        elif kind == "reasoning":
            problem = _check_reasoning(item) if signatures else None
            thoughts.add(str(item.get("id")))
        elif kind == "function_call":
            problem = _check_call(item, thoughts) if signatures else None
            called[str(item.get("call_id"))] = False
        elif kind == "function_call_output":
            if item.get("call_id") not in called:
                message = f"No tool call found for function call output with call_id {item.get('call_id')}."
                problem = bad(message, "input")
            called[str(item.get("call_id"))] = True
        elif kind is None:
            problem = bad(f"Invalid type for 'input[{at}]': expected an object.", f"input[{at}]", "invalid_type")
        if problem is not None:
            return problem
    missing = [call for call, answered in called.items() if not answered]
    return bad(f"No tool output found for function call {missing[0]}.", "input") if missing else None


def _check_reasoning(item: Mapping[str, Any]) -> Problem | None:
    content, name = item.get("encrypted_content"), item.get("id")
    if content is None:
        message = f"Item with id '{name}' not found. Items are not persisted when `store` is set to false."
        message += " Try again with `store` set to true, or remove this item from your input."
        return Problem(status=404, message=message, param="input", code="item_not_found")
    if not SEALED.holds(str(content)):
        message = f"The encrypted content for item {name} could not be verified."
        message += " Reason: Encrypted content could not be decrypted or parsed."
        return bad(message, None, "invalid_encrypted_content")
    return None


def _check_call(item: Mapping[str, Any], thoughts: set[str]) -> Problem | None:
    """Checks that a call that came with reasoning comes back with it; its id tells (``fc_<token>r0``)."""
    name = str(item.get("id") or "")
    token, mark, _ = name.removeprefix("fc_").partition("r")
    needed = f"rs_{token}"
    if mark and name.startswith("fc_") and needed not in thoughts:
        message = (
            f"Item '{name}' of type 'function_call' was provided without its required 'reasoning' item: '{needed}'."
        )
        return bad(message, "input")
    return None
