"""What tools that a provider runs itself look like on each wire: which ones a request offers, and what a reply holds.

Shapes as public recordings of each provider have them. On every wire the text that follows cites the sources.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any

from ..model import HostedUse, Reply

# How the wires call a tool -> its word in `HostedUse`.
_WORDS: Mapping[str, str] = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "openrouter:web_search": "web_search",
    "browser_search": "web_search",
    "googleSearch": "web_search",
    "code_interpreter": "code_execution",
    "code_execution": "code_execution",
    "codeExecution": "code_execution",
    "nova_code_interpreter": "code_execution",
    "file_search": "file_search",
    "fileSearch": "file_search",
    "mcp": "mcp",
    "mcpServers": "mcp",
}
SEAL = "EqgfCioI"
"""What content that this server has encrypted begins with."""
_DATE = re.compile(r"_20\d\d_?\d\d_?\d\d$")


def offered(names: Iterable[Any]) -> tuple[str, ...]:
    """Returns the words of the tools with these names or types, without those that a provider does not run."""
    found = [_WORDS.get(_DATE.sub("", name)) for name in names if isinstance(name, str)]
    return tuple(dict.fromkeys([word for word in found if word is not None]))


def count(reply: Reply, tool: str) -> int:
    """Returns how often a reply used a tool."""
    return sum(use.tool == tool for use in reply.hosted)


def sources_of(reply: Reply, tool: str = "") -> list[tuple[str, str]]:
    """Returns what was found, each once; of all tools, or of one."""
    return list(dict.fromkeys(source for use in reply.hosted if tool in ("", use.tool) for source in use.sources))


def sealed(text: str) -> str:
    """Returns what a provider would have encrypted: opaque, and always the same for a text."""
    return SEAL + b64encode(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=45).digest()).decode()


# Anthropic: a call and its result are blocks beside the text.

_BASH = "bash_code_execution"
Block = dict[str, Any]


def claude_blocks(reply: Reply, body: Mapping[str, Any], token: str) -> Iterator[tuple[Block, Block]]:
    """Yields the block of each call, and that of its result."""
    limits = {"web_search": _max_uses(body)}
    servers = [one.get("name") for one in body.get("mcp_servers") or () if isinstance(one, dict)] or ["server"]
    done: dict[str, int] = {}
    for at, use in enumerate(reply.hosted):
        ident = f"{'mcptoolu' if use.tool == 'mcp' else 'srvtoolu'}_{token}{at}"
        back = {"tool_use_id": ident}
        if use.tool == "mcp":
            call = {"type": "mcp_tool_use", "id": ident, "name": use.name, "server_name": servers[0]}
            said = {"is_error": use.is_error, "content": [{"type": "text", "text": use.found}]}
            yield {**call, "input": {"question": use.asked}}, {"type": "mcp_tool_result", **back, **said}
            continue
        call = {"type": "server_tool_use", "id": ident}
        if use.tool == "code_execution":
            content: Any = {"type": f"{_BASH}_result", "stdout": "" if use.is_error else use.found, "content": []}
            content |= {"stderr": use.found if use.is_error else "", "return_code": int(use.is_error)}
            yield (
                {**call, "name": _BASH, "input": {"command": use.asked}},
                {"type": f"{_BASH}_tool_result", **back, "content": content},
            )
            continue
        done[use.tool] = done.get(use.tool, 0) + 1
        most = limits.get(use.tool)
        if use.is_error or (most is not None and done[use.tool] > most):
            code = "unavailable" if use.is_error else "max_uses_exceeded"
            content = {"type": "web_search_tool_result_error", "error_code": code}
        else:
            content = [
                {"type": "web_search_result", "title": title, "url": url, "encrypted_content": sealed(url)}
                | {"page_age": None}
                for url, title in use.sources
            ]
        yield (
            {**call, "name": "web_search", "input": {"query": use.asked}},
            {"type": "web_search_tool_result", **back, "content": content},
        )


def _max_uses(body: Mapping[str, Any]) -> int | None:
    found = [tool.get("max_uses") for tool in body.get("tools") or () if tool.get("name") == "web_search"]
    return found[0] if found else None


def claude_citations(reply: Reply, text: str) -> list[Block]:
    """Returns the citations of the text that follows."""
    return [
        {"type": "web_search_result_location", "cited_text": text[:150], "url": url, "title": title}
        | {"encrypted_index": sealed(url + title)}
        for url, title in sources_of(reply, "web_search")
    ]


def claude_usage(reply: Reply, body: Mapping[str, Any]) -> Block:
    """Returns what usage says of the tools; a search beyond ``max_uses`` or without an answer is not charged."""
    if not reply.hosted:
        return {}
    most = _max_uses(body)
    good = sum(use.tool == "web_search" and not use.is_error for use in reply.hosted)
    return {"server_tool_use": {"web_search_requests": good if most is None else min(good, most)}}


def claude_container(reply: Reply, token: str, now: float) -> Block:
    """Returns the container of code that was run."""
    if not count(reply, "code_execution"):
        return {}
    expires = datetime.fromtimestamp(now + 3600, timezone.utc).isoformat().replace("+00:00", "Z")
    return {"container": {"id": f"container_{token}", "expires_at": expires}}


def claude_compaction(body: Mapping[str, Any], length: int, marked: int) -> tuple[Block, Block] | None:
    """The block of a history that is summed up, and the usage of doing so; None where it is short enough.

    Args:
        body: the request, which may ask for it.
        length: tokens of the prompt.
        marked: tokens of the prompt that the reply is left with.
    """
    edits = (body.get("context_management") or {}).get("edits") or ()
    bounds = [(one.get("trigger") or {}).get("value") for one in edits if one.get("type") == "compact_20260112"]
    if not bounds or length <= (bounds[0] or 150_000):
        return None
    text = f"The conversation so far had {length} tokens."
    counts = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    summing = {"type": "compaction", "input_tokens": length, "output_tokens": (len(text) + 3) // 4, **counts}
    answering = {"type": "message", "input_tokens": marked, **counts}
    return {"type": "compaction", "content": text}, {"input_tokens": marked, "iterations": [summing, answering]}


def since_compaction(items: Sequence[Any]) -> Sequence[Any]:
    """What is left of a history: the last summary, and what follows it."""
    places = [at for at, item in enumerate(items) if isinstance(item, dict) and item.get("type") == "compaction"]
    return items[places[-1] :] if places else items


# OpenAI's Responses: items beside the messages.

RESPONSES_EMPTY: Mapping[str, Mapping[str, Any]] = {
    "web_search_call": {"status": "in_progress"},
    "file_search_call": {"status": "in_progress", "results": None},
    "code_interpreter_call": {"status": "in_progress", "code": "", "outputs": None},
    "mcp_list_tools": {"tools": []},
    "compaction": {"encrypted_content": ""},
    "mcp_call": {"arguments": "", "output": None, "status": "in_progress"},
}
"""What an item lacks when a stream begins it."""
_STEPS: Mapping[str, tuple[str, ...]] = {
    "web_search_call": ("in_progress", "searching", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "mcp_list_tools": ("in_progress", "completed"),
    "mcp_call": ("in_progress", "completed"),
}
# The field of an item that is streamed, and the events it is streamed by.
_STREAMED: Mapping[str, tuple[str, str]] = {
    "code_interpreter_call": ("code", "response.code_interpreter_call_code"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
}


def response_items(
    reply: Reply, body: Mapping[str, Any], token: str, length: int, seal: Callable[[str], str]
) -> Iterator[Block]:
    """Yields the items of the tools that ran, and of a long history that was summed up where that is asked for.

    Outputs, passages and sources are there where ``include`` asks for them.
    """
    include = body.get("include") or ()
    servers = [tool.get("server_label") for tool in body.get("tools") or () if tool.get("type") == "mcp"]
    listed = False
    bounds = [one.get("compact_threshold") for one in body.get("context_management") or ()]
    if bounds and bounds[0] and length > bounds[0]:
        yield {"type": "compaction", "id": f"cmp_{token}", "encrypted_content": seal(f"{length} tokens")}
    for at, use in enumerate(reply.hosted):
        status = {"status": "failed" if use.is_error else "completed"}
        if use.tool == "web_search":
            action: Block = {"type": "search", "query": use.asked, "queries": [use.asked]}
            if "web_search_call.action.sources" in include:
                action["sources"] = [{"type": "url", "url": url} for url, _ in use.sources]
            yield {"type": "web_search_call", "id": f"ws_{token}{at}", **status, "action": action}
        elif use.tool == "file_search":
            results = None
            if "file_search_call.results" in include:
                results = [
                    {"file_id": name, "filename": title, "score": 0.9, "text": use.found, "attributes": {}}
                    for name, title in use.sources
                ]
            named = {"type": "file_search_call", "id": f"fs_{token}{at}"}
            yield {**named, **status, "queries": [use.asked], "results": results}
        elif use.tool == "code_execution":
            wanted = "code_interpreter_call.outputs" in include
            outputs = [{"type": "logs", "logs": use.found}] if wanted else None
            named = {"type": "code_interpreter_call", "id": f"ci_{token}{at}", "container_id": f"cntr_{token}"}
            yield {**named, **status, "code": use.asked, "outputs": outputs}
        else:
            label = servers[0] if servers else "server"
            if not listed:
                schema = {"type": "object", "properties": {"question": {"type": "string"}}}
                tool = {"name": use.name, "description": "", "input_schema": schema, "annotations": None}
                yield {"type": "mcp_list_tools", "id": f"mcpl_{token}", "server_label": label, "tools": [tool]}
                listed = True
            named = {"type": "mcp_call", "id": f"mcp_{token}{at}", "name": use.name, "server_label": label}
            error = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": use.found}]}
            said = {"output": None, "error": error} if use.is_error else {"output": use.found, "error": None}
            asked = json.dumps({"question": use.asked}, ensure_ascii=False)
            yield {**named, **status, "approval_request_id": None, "arguments": asked, **said}


def response_progress(item: Mapping[str, Any], pieces: Sequence[str]) -> Iterator[Block]:
    """Yields what a stream tells between the beginning and the end of such an item; ``pieces`` are of its streamed
    text.
    """
    kind, where = str(item["type"]), {"item_id": item["id"]}
    steps = _STEPS.get(kind, ())
    for number, step in enumerate(steps):
        yield {"type": f"response.{kind}.{step}", **where}
        if not number and kind in _STREAMED:
            field, word = _STREAMED[kind]
            for piece in pieces:
                yield {"type": f"{word}.delta", **where, "delta": piece}
            yield {"type": f"{word}.done", **where, field: item[field]}


def streamed_text(item: Mapping[str, Any]) -> str:
    """Returns the text of an item that is streamed in pieces; empty where there is none."""
    field = _STREAMED.get(str(item["type"]), ("", ""))[0]
    return str(item.get(field) or "")


def response_annotations(reply: Reply) -> list[Block]:
    """Returns the citations of the text."""
    end = len(reply.text)
    pages = [
        {"type": "url_citation", "start_index": 0, "end_index": end, "url": url, "title": title}
        for url, title in sources_of(reply, "web_search")
    ]
    files = [
        {"type": "file_citation", "file_id": name, "filename": title, "index": end}
        for name, title in sources_of(reply, "file_search")
    ]
    return [*pages, *files]


def response_tool_usage(reply: Reply) -> Block:
    """Returns what the response says of searches beside its usage."""
    if not reply.hosted:
        return {}
    return {"tool_usage": {"web_search": {"num_requests": count(reply, "web_search")}}}


# Gemini: parts for code and MCP servers, grounding for searches.


def gemini_parts(reply: Reply, token: str) -> Iterator[Block]:
    """Yields the parts of code that was run and of MCP servers."""
    for at, use in enumerate(reply.hosted):
        if use.tool == "code_execution":
            yield {"executableCode": {"language": "PYTHON", "code": use.asked}}
            outcome = "OUTCOME_FAILED" if use.is_error else "OUTCOME_OK"
            yield {"codeExecutionResult": {"outcome": outcome, "output": use.found}}
        elif use.tool == "mcp":
            head = {"id": f"{token[:8]}m{at}", "toolType": "MCP_SERVER"}
            yield {"toolCall": {**head, "args": {"question": use.asked}}}
            yield {"toolResponse": {**head, "response": {"error" if use.is_error else "output": use.found}}}


def gemini_grounding(reply: Reply) -> Block:
    """Returns the grounding of a candidate: the queries, what they found, and what the text takes from it."""
    searches = [use for use in reply.hosted if use.tool in ("web_search", "file_search")]
    if not searches:
        return {}
    found: Block = {}
    if queries := [use.asked for use in searches if use.tool == "web_search"]:
        found = {"webSearchQueries": queries, "searchEntryPoint": {"renderedContent": "<div></div>"}}
    chunks: list[Block] = []
    for use in searches:
        for address, title in use.sources:
            if use.tool == "web_search":
                chunks.append({"web": {"uri": address, "title": title}})
            else:
                chunks.append({"retrievedContext": {"uri": address, "title": title, "text": use.found}})
    if chunks and reply.text:
        segment = {"startIndex": 0, "endIndex": len(reply.text.encode()), "text": reply.text}
        found["groundingSupports"] = [{"segment": segment, "groundingChunkIndices": list(range(len(chunks)))}]
    return {"groundingMetadata": {**found, "groundingChunks": chunks}}


# Bedrock's Converse: Nova's interpreter.


def converse_blocks(reply: Reply, token: str) -> Iterator[tuple[Block, Block]]:
    """Yields the block of each call, and that of its result."""
    for at, use in enumerate(reply.hosted):
        ident = f"tooluse_{token}s{at}"
        call = {"toolUseId": ident, "name": "nova_code_interpreter", "type": "server_tool_use"}
        shown = {"stdOut": "" if use.is_error else use.found, "stdErr": use.found if use.is_error else ""}
        value = {**shown, "exitCode": int(use.is_error), "isError": use.is_error}
        result = {"toolUseId": ident, "type": "nova_code_interpreter_result", "content": [{"json": value}]}
        yield (
            {"toolUse": {**call, "input": {"snippet": use.asked}}},
            {"toolResult": {**result, "status": "error" if use.is_error else "success"}},
        )


# OpenAI's chat format: OpenRouter's annotations, Groq's executed tools.


def chat_fields(reply: Reply, body: Mapping[str, Any]) -> Block:
    """Returns what a message or a delta says of the tools that ran."""
    if not reply.hosted:
        return {}
    if any(tool.get("type") == "browser_search" for tool in body.get("tools") or ()):
        return {"executed_tools": [_executed(use, at) for at, use in enumerate(reply.hosted)]}
    end = len(reply.text)
    return {
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"url": url, "title": title, "start_index": 0, "end_index": end},
            }
            for url, title in sources_of(reply)
        ]
    }


def _executed(use: HostedUse, at: int) -> Block:
    results = [{"title": title, "url": url, "content": "", "score": 0} for url, title in use.sources]
    head = {"name": "browser.search", "index": at, "type": "browser_search"}
    asked = json.dumps({"query": use.asked}, ensure_ascii=False)
    return {**head, "arguments": asked, "output": use.found, "search_results": {"results": results}}


def chat_usage(reply: Reply, body: Mapping[str, Any]) -> Block:
    """Returns what OpenRouter's usage says of searches."""
    searches = count(reply, "web_search")
    if not searches or not any(tool.get("type") == "openrouter:web_search" for tool in body.get("tools") or ()):
        return {}
    calls = {"tool_calls_requested": searches, "tool_calls_executed": searches}
    return {"server_tool_use_details": {"web_search_requests": searches, **calls}}
