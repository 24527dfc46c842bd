"""What OpenAI refuses, and the bodies it says it with: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._schema.facts import ModelFacts
from .schema_rules import openai_problem
from .wire import Problem, Rules, accepted

STATUSES: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", None, "You are not allowed to sample from this model"),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    409: ("invalid_request_error", "conflict", "The resource was changed by another request."),
    413: ("invalid_request_error", None, "Request body is too large."),
    422: ("invalid_request_error", None, "The request could not be processed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests per min (RPM). Please try again in 1s."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("service_unavailable_error", "server_is_overloaded", "Our servers are currently overloaded."),
}
"""Status -> (type, code, message)."""

_QUOTA = "You exceeded your current quota, please check your plan and billing details."
CODES: Mapping[str, tuple[str, str]] = {
    "insufficient_quota": ("insufficient_quota", _QUOTA),
    "credit_balance_exhausted": ("insufficient_quota", _QUOTA),
    "billing_hard_limit_reached": ("insufficient_quota", "Billing hard limit has been reached."),
    "organization_spend_limit_exceeded": ("insufficient_quota", "The organization has reached its spend limit."),
    "project_spend_limit_exceeded": ("insufficient_quota", "The project has reached its spend limit."),
    "organization_usage_limit_exceeded": ("insufficient_quota", "The organization has reached its usage limit."),
    "slow_down": ("rate_limit_error", "Traffic rose too fast. Please slow down."),
    "flex_unavailable": ("rate_limit_error", "Flex capacity is not available."),
    "context_length_exceeded": ("invalid_request_error", "This model's maximum context length is exceeded."),
    "content_policy_violation": ("invalid_request_error", "The request was rejected by the safety system."),
}
"""Code -> (type, message), where they differ from the status's own."""

_MOST_ANSWERS = 128
_MOST_RUNNERS = 20
ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def body(problem: Problem) -> dict[str, Any]:
    """Returns the error body."""
    kind, code, message = STATUSES.get(problem.status, STATUSES[500 if problem.status >= 500 else 400])
    code = problem.code or (None if problem.message and problem.status in (400, 404) else code)
    if code is not None and code in CODES:
        kind, message = CODES[code]
    return {"error": {"message": problem.message or message, "type": kind, "param": problem.param, "code": code}}


def check_answers(given: Mapping[str, Any]) -> Problem | None:
    """Returns the refusal of more answers, or of more log probabilities, than there are."""
    many, runners = given.get("n"), given.get("top_logprobs")
    if many is not None and not (type(many) is int and 1 <= many <= _MOST_ANSWERS):
        return bad(f"Invalid 'n': expected an integer from 1 to {_MOST_ANSWERS}, but got {many}.", "n", "invalid_value")
    if runners is not None and given.get("logprobs") is not True:
        return bad("'top_logprobs' is only allowed when 'logprobs' is enabled.", "top_logprobs", "invalid_value")
    if runners is not None and not (type(runners) is int and 0 <= runners <= _MOST_RUNNERS):
        message = f"Invalid 'top_logprobs': expected an integer from 0 to {_MOST_RUNNERS}, but got {runners}."
        return bad(message, "top_logprobs", "invalid_value")
    return None


def check_key(headers: Mapping[str, str], rules: Rules) -> Problem | None:
    """Returns the refusal of a missing or wrong key, which is shown as OpenAI shows it: masked."""
    key = headers.get("authorization", "").removeprefix("Bearer ").strip() or headers.get("api-key", "")
    if rules.keys is None or accepted(key, rules.keys):
        return None
    if not key:
        message = "You didn't provide an API key. You need to provide your API key in an Authorization header."
        return Problem(status=401, code="invalid_api_key", message=message)
    masked = f"{key[:7]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "****"
    return Problem(status=401, code="invalid_api_key", message=f"Incorrect API key provided: {masked}.")


def check_model(model: str, rules: Rules) -> Problem | None:
    """Returns the refusal of a model that does not exist."""
    if not model or rules.models is None or model in rules.models:
        return None
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Problem(status=404, code="model_not_found", message=message)


def check_body(given: Any) -> Problem | None:
    """Returns what is wrong with a chat request; None if nothing."""
    if not isinstance(given, dict):
        return bad("We could not parse the JSON body of your request.")
    if not given.get("model"):
        return bad("you must provide a model parameter")
    messages = given.get("messages")
    if messages is None:
        return bad("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    if not isinstance(messages, list):
        return bad("Invalid type for 'messages': expected an array of objects.", "messages", "invalid_type")
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        return bad(message, "messages", "empty_array")
    return (
        _check_numbers(given)
        or _check_messages(messages)
        or _check_tools(given.get("tools"))
        or _check_format(given.get("response_format"))
    )


def _check_format(wanted: Any) -> Problem | None:
    inner = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if not isinstance(inner, dict) or inner.get("strict") is not True:
        return None
    problem = openai_problem(inner.get("schema"))
    if problem is None:
        return None
    message = f"Invalid schema for response_format '{inner.get('name')}': {problem}"
    return bad(message, "response_format", "invalid_json_schema")


def check_chat_model(given: Mapping[str, Any], facts: ModelFacts) -> Problem | None:
    """Returns what chat completions refuse for one of OpenAI's own models, although the Responses API takes it."""
    if facts.responses_only:
        message = "This model is only supported in v1/responses and not in v1/chat/completions."
        return Problem(status=404, code="model_not_found", message=message, param="model")
    if not any(tool.get("type") == "function" for tool in given.get("tools") or ()):
        return None
    effort = given.get("reasoning_effort")
    reasons = bool(facts.rules and facts.rules.by_default) if effort is None else effort != "none"
    if facts.chat_tools is False or (reasons and facts.chat_tools_while_reasoning is False):
        message = (
            f"Function tools with reasoning_effort are not supported for {given['model']} in /v1/chat/completions. "
            "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        )
        return bad(message, "reasoning_effort")
    return None


def _check_numbers(given: Mapping[str, Any]) -> Problem | None:
    if given.get("max_tokens") is not None and given.get("max_completion_tokens") is not None:
        message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        return bad(message, "max_tokens", "invalid_parameter_combination")
    if given.get("stream_options") is not None and given.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        return bad(message, "stream_options")
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = given.get(name)
        if isinstance(value, (int, float)) and value > most:
            message = (
                f"Invalid '{name}': decimal above maximum value. Expected a value <= {most}, but got {value} instead."
            )
            return bad(message, name, "decimal_above_max_value")
    return None


def _check_messages(messages: Sequence[Any]) -> Problem | None:
    open_calls: list[str] = []
    for at, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            expected = ", ".join(f"'{each}'" for each in ROLES)
            text = f"Invalid value: '{role}'. Supported values are: {expected}."
            return bad(text, f"messages[{at}].role", "invalid_value")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                return bad(f"Invalid parameter: {text}", f"messages.[{at}].role")
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            break
        if message.get("content") is None and role != "assistant":
            text = f"Invalid value for 'content': expected a string, got null. (param: messages[{at}].content)"
            return bad(text, f"messages[{at}].content")
        open_calls = [call.get("id") for call in message.get("tool_calls") or ()]
    if open_calls:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}"
        )
        return bad(text, "messages")
    return None


# What compatible hosts run themselves, by type.
_HOSTED = ("openrouter:web_search", "browser_search")


def _check_tools(tools: Any) -> Problem | None:
    for at, tool in enumerate(tools or ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind in _HOSTED:
            continue
        if kind not in ("function", "custom") or not (tool.get(kind) or {}).get("name"):
            name = f"tools[{at}].{'type' if kind is None else f'{kind}.name'}"
            return bad(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    return None


def bad(message: str, param: str | None = None, code: str | None = None) -> Problem:
    """Returns a refusal with 400."""
    return Problem(status=400, code=code, message=message, param=param)
