"""Ids of tool calls that a host refuses for their length: replaced by a hash of themselves, so that the same id always
becomes the same one and calls still match their results.
"""

from __future__ import annotations

from hashlib import sha256

LONGEST = 64
"""Characters of ``tool_calls[].id`` and ``call_id`` at OpenAI: "string too long. Expected a string with maximum length
64" (chat completions took 40 until 2026; its own ids have 29)."""


def bounded(ident: str) -> str:
    """The id itself, or one of 45 characters in its place where it is too long."""
    if len(ident) <= LONGEST:
        return ident
    return "call_" + sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()[:40]
