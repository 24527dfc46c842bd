"""What Anthropic refuses, and the bodies it says it with: ``{"type": "error", "error": {...}, "request_id"}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .provider_runs import SEAL, sealed
from .schema_rules import claude_problem
from .wire import Problem

STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is an issue with your billing or payment information."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: not found"),
    409: ("conflict_error", "The resource was changed by another request."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out while processing."),
    529: ("overloaded_error", "Overloaded"),
}
"""Status -> (type, message)."""

SAMPLING = ("temperature", "top_p", "top_k")
ROLES = ("user", "assistant", "system")


def body(problem: Problem, request_id: str) -> dict[str, Any]:
    """Returns the error body; a machine code goes into ``details.error_code``."""
    other = {503: 529, 408: 504}.get(problem.status, 500 if problem.status >= 500 else 400)
    kind, message = STATUSES.get(problem.status, STATUSES[other])
    error: dict[str, Any] = {"type": kind, "message": problem.message or message}
    if problem.code in {each for each, _ in STATUSES.values()}:
        error["type"] = problem.code
    elif problem.code:
        error["details"] = {"error_code": problem.code}
    return {"type": "error", "error": error, "request_id": request_id}


def check_body(
    given: Any, *, version: str, counting: bool, signature: Callable[[str], str] | None, continued: bool = False
) -> Problem | None:
    """Returns what is wrong with a messages request; None if nothing.

    Args:
        given: the body.
        version: the ``anthropic-version`` header.
        counting: it only counts tokens, so that ``max_tokens`` is not needed.
        signature: gives the signature of a thinking text; None not to check any.
        continued: the thread that it names may be continued, or begun.
    """
    if not isinstance(given, dict):
        return _bad("The request body is not valid JSON")
    for name in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if given.get(name) is None:
            return _bad(f"{name}: Field required")
    limit = given.get("max_tokens")
    if not counting and (not isinstance(limit, int) or limit < 0):
        return _bad("max_tokens: Input should be greater than or equal to 0")
    for name in SAMPLING if version >= "2026-10-21" else ():
        if name in given:
            return _bad(f"{name}: Extra inputs are not permitted")
    temperature = given.get("temperature")
    if isinstance(temperature, (int, float)) and not 0 <= temperature <= 1:
        return _bad("temperature: range: 0..1")
    budget = (given.get("thinking") or {}).get("budget_tokens")
    if budget is not None and not counting and budget >= given["max_tokens"]:
        return _bad("`max_tokens` must be greater than `thinking.budget_tokens`.")
    thread = given.get("thread")
    if thread is not None and not continued:
        if "previous_message_id" in thread:
            message = f"No thread continues after {thread['previous_message_id']}"
            return Problem(status=404, message=message, code="thread_not_found")
        return _bad("thread: Extra inputs are not permitted")
    messages = given["messages"]
    if not isinstance(messages, list) or not messages:
        return _bad("messages: at least one message is required")
    wanted = (given.get("output_config") or {}).get("format")
    problem = None if wanted is None else claude_problem(wanted.get("schema"))
    if problem is not None:
        return _bad(problem)
    return _check_messages(messages, signature) or _check_tools(given.get("tools"))


def _check_messages(messages: Sequence[Any], signature: Callable[[str], str] | None) -> Problem | None:
    called: list[str] = []
    for at, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            return _bad(f"messages.{at}.role: Input should be 'user' or 'assistant'")
        content = message.get("content")
        if content is None:
            return _bad(f"messages.{at}.content: Field required")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        problem = _check_blocks(at, blocks, called, signature)
        if problem is not None:
            return problem
        called = [block["id"] for block in blocks if block.get("type") == "tool_use"]
    return _unanswered(len(messages) - 1, called) if called else None


def _check_blocks(
    at: int, blocks: Sequence[Mapping[str, Any]], called: Sequence[str], signature: Callable[[str], str] | None
) -> Problem | None:
    answered = []
    for number, block in enumerate(blocks):
        where = f"messages.{at}.content.{number}"
        kind = block.get("type")
        if kind is None:
            return _bad(f"{where}.type: Field required")
        if kind == "text" and not block.get("text"):
            return _bad("messages: text content blocks must be non-empty")
        if kind == "thinking" and signature and block.get("signature") != signature(str(block.get("thinking", ""))):
            return _bad(f"{where}: Invalid `signature` in `thinking` block")
        if kind is not None and kind != "tool_result" and kind.endswith("_tool_result"):
            if not any(one.get("id") == block.get("tool_use_id") for one in blocks[:number]):
                return _bad(
                    f"{where}: unexpected `tool_use_id` found in `{kind}` blocks: {block.get('tool_use_id')}. Each "
                    f"`{kind}` block must have a corresponding `server_tool_use` block before it."
                )
            if signature and not _unchanged(block.get("content")):
                return _bad(f"{where}: Invalid `encrypted_content` in `search_result` block")
        if kind == "tool_result":
            if block.get("tool_use_id") not in called:
                return _bad(
                    f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {block.get('tool_use_id')}. "
                    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
            answered.append(block["tool_use_id"])
    missing = [each for each in called if each not in answered]
    return _unanswered(at - 1, missing) if missing else None


def _unchanged(content: Any) -> bool:
    """Whether what a search found is as this server gave it out; what it never gave is not judged."""
    pages = [page for page in content if isinstance(page, dict)] if isinstance(content, list) else []
    return all(
        page.get("encrypted_content") in (None, sealed(str(page.get("url"))))
        or not str(page["encrypted_content"]).startswith(SEAL)
        for page in pages
    )


def _unanswered(at: int, missing: Sequence[str]) -> Problem:
    return _bad(
        f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}"
        ". Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _check_tools(tools: Any) -> Problem | None:
    for at, tool in enumerate(tools or ()):
        if tool.get("type", "custom") != "custom":
            continue
        if not tool.get("name"):
            return _bad(f"tools.{at}.custom.name: Field required")
        if (tool.get("input_schema") or {}).get("type") != "object":
            return _bad(f"tools.{at}.custom.input_schema.type: Field required")
    return None


def _bad(message: str) -> Problem:
    return Problem(status=400, message=message)
