"""A whole ``chat.completion`` -> canonical response.

The parts of a message come in this order: reasoning, tools the host ran, text (or the content list in its own order),
refusal, audio, pictures, calls. A body that is not of this format is a `ProtocolError`, with a sentence that says what
it is.

Token counts: cached and written tokens are a breakdown of ``prompt_tokens``, reasoning tokens of ``completion_tokens``.
Nothing is added up, except where a host leaves tokens out of the output and its total proves it (xAI: reasoning). What
a host does not count stays None. Hosts put their usage in many places: `usage_of` knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._schema.content import Citation, Origin, Part, Refusal, Text, ToolCall, Unknown
from ..._schema.messages import Message
from ..._schema.response import FinishReason, Response
from ..._schema.usage import UNKNOWN_USAGE, Usage
from ...errors import ContentBlockedError, ProtocolError
from ..charges import stated_cost, whole_output
from ..codec import Context
from ..finish import check_reply, finish_reason, said_by
from ..openai_api import failure_error, rate_limits, read_failure, read_whole, request_id
from ..parts import as_dict, objects
from .dialect import ChatDialect
from .parts import (
    AudioTrack,
    CallPiece,
    details_part,
    details_text,
    is_thinking,
    merge_details,
    read_call,
    read_citations,
    read_executed_tool,
    read_function_call,
    read_image,
    read_sources,
    thinking_part,
)


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: ChatDialect
) -> Response:
    """Reads a successful body; see `asyncllm._protocols.codec.WireProtocol.decode`."""
    whole, warnings = read_whole(status, headers, body, context, "a chat completion")
    choice = _choice(whole, status, headers, context, dialect)
    parts = read_parts(choice, whole, context, dialect)
    word, request = choice.get("finish_reason"), request_id(headers)
    word = word if isinstance(word, str) else None
    usage = read_usage(usage_of(whole), whole.get("service_tier"), whole)
    if word == "stop" and len(parts) == 1 and type(parts[0]) is Text:
        reason: FinishReason = "stop"
    else:
        kinds = {type(part) for part in parts}
        calls = ToolCall in kinds
        check_reply(
            word, said=said_by(parts), context=context, calls=calls, request_id=request, status=status, usage=usage
        )
        reason = finish_reason(word, calls=calls, refused=Refusal in kinds)
    model, ident, stopped = whole.get("model"), whole.get("id"), choice.get("stop_reason")
    return Response(
        message=Message("assistant", tuple(parts)),
        finish_reason=reason,
        raw_finish_reason=word,
        stop_sequence=stopped if isinstance(stopped, str) and reason == "stop" and stopped != word else None,
        usage=usage,
        provider=context.provider,
        model=model if isinstance(model, str) else "",
        requested_model=context.model,
        id=ident if isinstance(ident, str) and ident else None,
        request_id=request,
        rate_limits=rate_limits(headers),
        warnings=warnings,
        raw=whole,
    )


def _choice(
    whole: dict[str, Any], status: int, headers: Mapping[str, str], context: Context, dialect: ChatDialect
) -> dict[str, Any]:
    """Returns the choice with index 0, or raises what the body reports instead of one."""
    if whole.get("error") or whole.get("object") == "error":
        raise failure_error(read_failure(whole), status, headers, context, dialect)
    choices = whole.get("choices")
    if type(choices) is list and len(choices) == 1 and type(choices[0]) is dict and not choices[0].get("error"):
        return choices[0]
    found = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    if not found:
        if prompt_was_filtered(whole):
            raise ContentBlockedError(
                "the provider's content filter blocked the prompt", provider=context.provider, model=context.model
            )
        told = read_failure(whole).message
        raise ProtocolError(
            f"the provider's answer holds no choices{': ' + told if told else ''}",
            provider=context.provider,
            model=context.model,
            status=status,
            request_id=request_id(headers),
        )
    choice = next((choice for choice in found if choice.get("index") == 0), found[0])
    if choice.get("error"):  # OpenRouter: the host behind it failed in the middle of the answer
        raise failure_error(read_failure(choice), status, headers, context, dialect)
    return choice


def prompt_was_filtered(body: Mapping[str, Any]) -> bool:
    """Whether Azure's ``prompt_filter_results`` say that the prompt was blocked."""
    results = body.get("prompt_filter_results")
    return any(
        as_dict(verdict).get("filtered") is True
        for result in (results if isinstance(results, list) else [])
        for verdict in as_dict(as_dict(result).get("content_filter_results")).values()
    )


TEXTS = ("text", "output_text")
"""The types of a chunk that is text; the second one is that of the Responses API, on hosts that mix them."""


def read_parts(
    choice: Mapping[str, Any], whole: Mapping[str, Any], context: Context, dialect: ChatDialect
) -> list[Part]:
    """Reads the parts of the message of a choice."""
    origin, message = context.origin, choice.get("message")
    if not isinstance(message, dict):
        message = _other_message(choice, context)
    get = message.get
    parts: list[Part] = []
    if get("reasoning_details") or any(get(name) for name in dialect.reasoning_fields):
        parts += _reasoning(message, dialect, origin)
    if get("executed_tools"):
        parts += [read_executed_tool(raw, context) for raw in objects(get("executed_tools"))]
    content = get("content")
    if type(content) is not str:
        parts += read_content(content, context)
    elif content:
        parts.append(Text(content, origin=origin))
    if get("annotations") or "search_results" in whole or "citations" in whole:
        citations = read_citations(get("annotations")) or read_sources(whole)
        if citations:
            _cite(parts, tuple(citations), origin)
    if get("refusal") and isinstance(message["refusal"], str):
        parts.append(Refusal(message["refusal"], origin=origin))
    if get("audio"):
        spoken = AudioTrack().feed(as_dict(message["audio"])).part(origin)
        parts += [spoken] if spoken else []
    if get("images"):
        pictures = [read_image(raw, origin) for raw in objects(message["images"])]
        parts += [picture for picture in pictures if picture is not None]
    if get("tool_calls") or get("function_call"):
        parts += _calls(message, context)
    extra = get("extra_content")  # Gemini's compatible surface: the thought signature of a text
    if isinstance(extra, dict):
        parts = [replace(part, extra={"extra_content": extra}) if type(part) is Text else part for part in parts]
    return parts


def _other_message(choice: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Returns what a choice holds in place of a message: a lone ``delta``, or ``text`` of the older completions.

    Raises:
        ProtocolError: the choice holds none of them.
    """
    found = choice.get("delta")
    if isinstance(found, dict):
        return found
    if isinstance(choice.get("text"), str):
        return {"content": choice["text"]}
    if choice.get("finish_reason") is not None:
        return {}
    raise ProtocolError(
        "the provider's answer holds a choice without a message", provider=context.provider, model=context.model
    )


def _calls(message: Mapping[str, Any], context: Context) -> list[ToolCall]:
    pieces = [read_call(raw, context) for raw in objects(message.get("tool_calls"))]
    legacy = as_dict(message.get("function_call"))
    if legacy.get("name") and not pieces:
        pieces.append(read_function_call(legacy, context))
    taken: set[str] = set()
    calls = []
    for piece in pieces:
        call = whole_call(piece if piece.id not in taken else piece._replace(id=""), context)
        taken.add(call.id)
        calls.append(call)
    return calls


def reasoning_text(holder: Mapping[str, Any], dialect: ChatDialect) -> str:
    """Returns the readable reasoning of a message or delta; ``""`` if there is none."""
    for name in dialect.reasoning_fields:
        text = holder.get(name)
        if isinstance(text, str) and text:
            return text
    return ""


def _reasoning(message: Mapping[str, Any], dialect: ChatDialect, origin: Origin) -> list[Part]:
    entries = merge_details(objects(message.get("reasoning_details")))
    text = reasoning_text(message, dialect) or details_text(entries)
    return [details_part(text, entries, origin)] if text or entries else []


def read_content(content: object, context: Context) -> list[Part]:
    """Reads ``content``: a string, a list of chunks, null; or the JSON value itself, from hosts that parse the text."""
    origin = context.origin
    if isinstance(content, str):
        return [Text(content, origin=origin)] if content else []
    if isinstance(content, (dict, int, float)) or (isinstance(content, list) and not is_chunks(content)):
        return [Text(context.json.dumps(content).decode(), origin=origin)]
    parts: list[Part] = []
    for item in content if isinstance(content, list) else []:
        if isinstance(item, str):
            parts.append(Text(item, origin=origin))
        elif is_thinking(item):
            parts.append(thinking_part(item, origin))
        elif isinstance(item, dict) and item.get("type") in TEXTS and isinstance(item.get("text"), str):
            parts.append(Text(item["text"], origin=origin))
        elif isinstance(item, dict) and item.get("type") == "image_url":
            parts.append(read_image(item, origin) or unknown_item(item, origin))
        elif isinstance(item, dict) and item.get("type") == "refusal" and isinstance(item.get("refusal"), str):
            parts.append(Refusal(item["refusal"], origin=origin))
        else:
            parts.append(unknown_item(item, origin))
    return parts


def is_chunks(content: list[Any]) -> bool:
    """Whether a list is one of content chunks, and not a JSON value that the model was asked for."""
    return not content or any(isinstance(item, str) or isinstance(as_dict(item).get("type"), str) for item in content)


def unknown_item(item: object, origin: Origin) -> Unknown:
    """Keeps an item of a content list that this version does not know."""
    kind = item.get("type") if isinstance(item, dict) else None
    return Unknown(type=kind if isinstance(kind, str) else "unknown", raw=item, origin=origin)


def _cite(parts: list[Part], citations: tuple[Citation, ...], origin: Origin) -> None:
    """Puts the citations on the last text, or on an empty one where there is none."""
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if type(part) is Text:
            parts[at] = replace(part, citations=citations)
            return
    parts.append(Text("", citations=citations, origin=origin))


def whole_call(piece: CallPiece, context: Context) -> ToolCall:
    """Makes the call of a complete piece; it gets an id if the wire has none."""
    return ToolCall(
        piece.id or context.new_id("call_"),
        piece.name,
        raw_arguments=piece.arguments,
        kind=piece.kind,
        origin=context.origin,
        extra=piece.extra or None,
    )


_OF_CHUNKS = frozenset(
    {
        *("id", "object", "created", "model", "choices", "usage", "service_tier", "citations", "search_results"),
        *("x_groq", "timings", "obfuscation", "error"),
    }
)
_OF_CHOICES = frozenset({"index", "delta", "message", "text", "finish_reason", "logprobs", "stop_reason", "usage"})


class MoreChoices:
    """Gathers what a stream says that is no part of the reply: log probabilities, the choices after the first, and
    fields that the format does not have (``system_fingerprint``, OpenRouter's ``provider``, Azure's filter results).
    """

    __slots__ = ("_beside", "_choices")

    def __init__(self) -> None:
        self._beside: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def note(self, chunk: Mapping[str, Any]) -> None:
        """Takes the fields of a chunk that no other place takes; the last value of each counts."""
        self._beside.update(
            {name: value for name, value in chunk.items() if name not in _OF_CHUNKS and value not in (None, [], {})}
        )

    def note_choice(self, choice: Mapping[str, Any]) -> None:
        """Takes what the first choice says besides its delta, where it says anything."""
        if choice.get("logprobs") or any(choice[name] is not None for name in choice if name not in _OF_CHOICES):
            self.take(choice)

    def take(self, choice: Mapping[str, Any]) -> None:
        """Takes what a choice of a chunk says; of the first choice all but its delta."""
        index = choice.get("index")
        index = index if type(index) is int else 0
        whole = self._choices.setdefault(index, {"index": index})
        logged = as_dict(choice.get("logprobs"))
        for name, tokens in logged.items():
            if tokens is not None:
                told = whole.setdefault("logprobs", {})
                before = told.get(name)
                both = isinstance(tokens, list) and isinstance(before, list)
                told[name] = [*before, *tokens] if both else tokens
        whole.update({name: value for name, value in choice.items() if name not in _OF_CHOICES and value is not None})
        if index == 0:
            return
        whole.setdefault("deltas", []).append(choice.get("delta"))
        if choice.get("finish_reason") is not None:
            whole["finish_reason"] = choice["finish_reason"]

    def body(self) -> dict[str, Any] | None:
        """Returns all of it in the shape of a whole body; None if there is nothing."""
        if not self._choices:
            return self._beside or None
        return {**self._beside, "choices": [self._whole(self._choices[index]) for index in sorted(self._choices)]}

    @staticmethod
    def _whole(choice: dict[str, Any]) -> dict[str, Any]:
        deltas = [delta for delta in choice.pop("deltas", ()) if isinstance(delta, dict)]
        if not deltas:
            return choice
        message: dict[str, Any] = {}
        for delta in deltas:
            for name, value in delta.items():
                known = message.get(name)
                joins = isinstance(value, str) and isinstance(known, str) and name != "role"
                if joins or (isinstance(value, list) and isinstance(known, list)):
                    message[name] = known + value
                elif value is not None:
                    message[name] = value
        return {**choice, "message": message}


def _count(*values: object) -> int | None:
    """Returns the first that is a count of tokens; None if none is."""
    for value in values:
        if type(value) is int and value >= 0:
            return value
        if type(value) is float and value >= 0 and value.is_integer():
            return int(value)
    return None


def usage_of(body: Mapping[str, Any]) -> object:
    """Returns the usage object of a body or chunk.

    ``usage``, Groq's ``x_groq.usage``, Moonshot's usage in a choice, llama.cpp's ``timings``.
    """
    found = body.get("usage") or as_dict(body.get("x_groq")).get("usage")
    if found:
        return found
    choices = body.get("choices")
    if type(choices) is list and choices and type(choices[0]) is dict and choices[0].get("usage"):
        return choices[0]["usage"]
    timings = body.get("timings")
    if type(timings) is dict and "predicted_n" in timings:
        read = _count(timings.get("prompt_n")), _count(timings.get("cache_n"))
        return {
            "prompt_tokens": None if read[0] is None else read[0] + (read[1] or 0),
            "completion_tokens": timings["predicted_n"],
        }
    return None


_USUAL = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_CACHED = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_tokens",
    "num_cached_tokens",  # Mistral
    "cache_read_input_tokens",
)
_WRITTEN = ("cache_write_tokens", "created_cache_tokens")  # the second: vLLM


def read_usage(raw: object, service_tier: object = None, body: Mapping[str, Any] | None = None) -> Usage:
    """Reads the usage object of a body or chunk; `UNKNOWN_USAGE` if it counts nothing.

    Args:
        raw: what `usage_of` gives.
        service_tier: the tier that the body names.
        body: the body or chunk; some hosts state the cost there.
    """
    usage = as_dict(raw)
    get = usage.get
    prompt, output = as_dict(get("prompt_tokens_details")), as_dict(get("completion_tokens_details"))
    input_tokens, output_tokens = _count(get("prompt_tokens")), _count(get("completion_tokens"))
    total, cached, reasoning = _count(get("total_tokens")), None, None
    if prompt:
        cached = _count(prompt.get("cached_tokens"))
    if output:
        reasoning = _count(output.get("reasoning_tokens"))
    written, stated, requests = None, None, None
    if not usage.keys() <= _USUAL:  # one of the many names that other hosts have
        input_tokens = _count(input_tokens, get("input_tokens"))
        output_tokens = _count(output_tokens, get("output_tokens"))
        cached = _count(cached, *map(get, _CACHED))
        written = _count(get("cache_creation_input_tokens"))
        reasoning = _count(reasoning, get("reasoning_tokens"))
        tools = get("server_tool_use_details")
        requests = _tool_requests(tools) if isinstance(tools, dict) else _sources(usage)
    if "cost" in usage or "cost_in_usd_ticks" in usage or (body is not None and "cost" in body):
        stated = stated_cost(usage, body)
    if input_tokens is None and output_tokens is None and total is None:
        return UNKNOWN_USAGE if stated is None else Usage(stated_cost=stated, source="unknown")
    if total is not None and total > (input_tokens or 0) + (output_tokens or 0):
        output_tokens = whole_output(input_tokens, output_tokens, total)
    tier = service_tier if isinstance(service_tier, str) and service_tier else get("service_tier")
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=total,
        cache_read_tokens=cached,
        cache_write_tokens=_count(*map(prompt.get, _WRITTEN), written) if prompt else written,
        reasoning_tokens=reasoning,
        input_audio_tokens=_count(prompt.get("audio_tokens")) if prompt else None,
        output_audio_tokens=_count(output.get("audio_tokens")) if output else None,
        input_image_tokens=_count(prompt.get("image_tokens")) if prompt else None,
        output_image_tokens=_count(output.get("image_tokens")) if output else None,
        provider_tool_requests=requests,
        service_tier=tier if isinstance(tier, str) and tier else None,
        stated_cost=stated,
    )


def _sources(usage: Mapping[str, Any]) -> Mapping[str, int] | None:
    """Reads xAI's ``num_sources_used``, which it charges one by one."""
    found = usage.get("num_sources_used")
    return {"live_search_sources": count} if found and (count := _count(found)) else None


def _tool_requests(raw: dict[str, Any]) -> Mapping[str, int] | None:
    """Reads OpenRouter's ``{"web_search_requests": 1, ...}`` as counts by tool."""
    found = {
        name.removesuffix("_requests"): count
        for name, value in raw.items()
        if name.endswith("_requests") and (count := _count(value)) is not None
    }
    return found or None
