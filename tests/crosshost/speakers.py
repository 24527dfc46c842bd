"""Hosts as they speak: assistant turns in each wire's own JSON, and how to read the tool ids out of a request for it.

Everything in a turn that only its maker can read holds `canary(name)`: signatures, encrypted payloads, item ids,
reasoning. Whoever finds that word in a request for another host has found a leak.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pydantic import SecretStr

from asyncllm._models.lookup import FactBook
from asyncllm._protocols.codec import Context, WireProtocol, WireRequest
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._providers.provider import Provider
from asyncllm._providers.spec import build_host
from asyncllm._schema.content import Origin
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request, Tool

Json = dict[str, Any]
Ids = tuple[list[str], list[str]]

PIXEL = b"\x89PNG\r\n\x1a\n"
TOOLS = (
    Tool("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}}),
    Tool("clock", "The time.", {"type": "object", "properties": {"city": {"type": "string"}}}),
)

FACTS = FactBook()


def canary(name: str) -> str:
    """A word that stands in nobody else's turns; legal as base64, as an id, and as text."""
    return "CANARY" + re.sub(r"[^a-z0-9]", "", name)


# --- what each wire says ---------------------------------------------------------------------------------------------


def chat_calls(mark: str, ids: tuple[str, str]) -> Json:
    """Two parallel calls, reasoning as compatible hosts show it, and a signature where Google's gateway puts it."""
    calls = [
        {"id": ids[0], "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
        {"id": ids[1], "type": "function", "function": {"name": "clock", "arguments": '{"city": "Oslo"}'}},
    ]
    calls[0]["extra_content"] = {"google": {"thought_signature": mark}}
    message = {"role": "assistant", "content": "I will look.", "reasoning_content": mark, "tool_calls": calls}
    return chat_answer(message, "tool_calls")


def chat_answer(message: Json, finish: str = "stop") -> Json:
    """A whole chat completion."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def mistral_calls(mark: str, ids: tuple[str, str]) -> Json:
    """Mistral's thinking is a chunk of the content, with a signature."""
    answer = chat_calls(mark, ids)
    message = answer["choices"][0]["message"]
    del message["reasoning_content"]
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": mark}], "signature": mark}
    message["content"] = [thinking, {"type": "text", "text": "I will look."}]
    return answer


def openrouter_calls(mark: str, ids: tuple[str, str]) -> Json:
    """OpenRouter's details: a signed text and an encrypted block."""
    answer = chat_calls(mark, ids)
    message = answer["choices"][0]["message"]
    message["reasoning"] = message.pop("reasoning_content")
    message["reasoning_details"] = [
        {"type": "reasoning.text", "text": mark, "signature": mark, "index": 0},
        {"type": "reasoning.encrypted", "data": mark, "index": 1},
    ]
    return answer


def responses_calls(mark: str, ids: tuple[str, str]) -> Json:
    """Encrypted reasoning, a message and two calls, each an item with an id."""
    summary = [{"type": "summary_text", "text": mark}]
    said = {"type": "output_text", "text": "I will look.", "annotations": []}
    return responses_answer(
        {"type": "reasoning", "id": f"rs_{mark}", "summary": summary, "encrypted_content": mark},
        {
            "type": "message",
            "id": f"msg_{mark}",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [said],
        },
        *(
            {
                "type": "function_call",
                "id": f"fc_{mark}{ident}",
                "call_id": ident,
                "name": name,
                "arguments": '{"city": "Oslo"}',
                "status": "completed",
            }
            for name, ident in zip(("weather", "clock"), ids, strict=True)
        ),
    )


def responses_answer(*items: Json) -> Json:
    """A whole response."""
    head = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "error": None}
    return {**head, "output": list(items), "incomplete_details": None}


def claude_calls(mark: str, ids: tuple[str, str]) -> Json:
    """Signed and redacted thinking, text and two calls."""
    return claude_answer(
        {"type": "thinking", "thinking": mark, "signature": mark},
        {"type": "redacted_thinking", "data": mark},
        {"type": "text", "text": "I will look."},
        {"type": "tool_use", "id": ids[0], "name": "weather", "input": {"city": "Oslo"}, "caller": {"type": mark}},
        {"type": "tool_use", "id": ids[1], "name": "clock", "input": {"city": "Oslo"}},
        stop="tool_use",
    )


def claude_answer(*blocks: Json, stop: str = "end_turn") -> Json:
    """A whole message."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": stop}
    return {**head, "content": list(blocks), "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}


def gemini_calls(mark: str, ids: tuple[str, str]) -> Json:
    """A thought, a signed text and two calls, the first of them signed; ids where they are given."""
    named = [{"id": ident} if ident else {} for ident in ids]
    return gemini_answer(
        {"text": mark, "thought": True},
        {"text": "I will look.", "thoughtSignature": mark},
        {"functionCall": {**named[0], "name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": mark},
        {"functionCall": {**named[1], "name": "clock", "args": {"city": "Oslo"}}},
    )


def gemini_answer(*parts: Json) -> Json:
    """A whole response."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": {}, "modelVersion": "m", "responseId": "r1"}


def converse_calls(mark: str, ids: tuple[str, str]) -> Json:
    """Signed and redacted reasoning, text and two calls."""
    return converse_answer(
        {"reasoningContent": {"reasoningText": {"text": mark, "signature": mark}}},
        {"reasoningContent": {"redactedContent": mark}},
        {"text": "I will look."},
        {"toolUse": {"toolUseId": ids[0], "name": "weather", "input": {"city": "Oslo"}}},
        {"toolUse": {"toolUseId": ids[1], "name": "clock", "input": {"city": "Oslo"}}},
        stop="tool_use",
    )


def nova_calls(mark: str, ids: tuple[str, str]) -> Json:
    """Reasoning that nobody signed, and two calls."""
    answer = converse_calls(mark, ids)
    content = answer["output"]["message"]["content"]
    content[:2] = [{"reasoningContent": {"reasoningText": {"text": mark}}}]
    return answer


def converse_answer(*blocks: Json, stop: str = "end_turn") -> Json:
    """A whole reply."""
    message = {"role": "assistant", "content": list(blocks)}
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    return {"output": {"message": message}, "stopReason": stop, "usage": usage, "metrics": {"latencyMs": 1}}


# --- where each wire keeps the ids -----------------------------------------------------------------------------------


def chat_ids(body: Json) -> Ids:
    """Of calls and of results, in order."""
    calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    return calls, [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]


def responses_ids(body: Json) -> Ids:
    """Of calls and of results, in order."""
    items = [item for item in body["input"] if "type" in item]
    calls = [item["call_id"] for item in items if item["type"] == "function_call"]
    return calls, [item["call_id"] for item in items if item["type"] == "function_call_output"]


def claude_ids(body: Json) -> Ids:
    """Of calls and of results, in order."""
    blocks = [block for it in body["messages"] if isinstance(it["content"], list) for block in it["content"]]
    calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    return calls, [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]


def gemini_ids(body: Json) -> Ids:
    """Of calls and of results, in order; the name of the function where the wire has no id."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    return [it.get("id", it["name"]) for it in calls], [it.get("id", it["name"]) for it in results]


def converse_ids(body: Json) -> Ids:
    """Of calls and of results, in order."""
    blocks = [block for message in body["messages"] for block in message["content"]]
    calls = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
    return calls, [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]


# --- the hosts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speaker:
    """A host, a model of it, and how it speaks.

    Attributes:
        calls: (canary, ids) -> its answer with reasoning and two parallel calls.
        ids: the ids it gives to calls; ``""`` where it gives none.
        read: a request body -> the ids of calls and results in it.
        takes: the ids it accepts.
        simulated: the model of the simulator that stands for it; None where that has none.
    """

    name: str
    kind: str
    model: str
    options: Mapping[str, str]
    calls: Callable[[str, tuple[str, str]], Json]
    ids: tuple[str, str]
    read: Callable[[Json], Ids]
    takes: str = r".{1,64}"
    simulated: str | None = None
    secret: str = "api_key"
    canaries: int = field(default=1)

    @property
    def mark(self) -> str:
        """The word that only this host may read."""
        return canary(self.name)

    def provider(self) -> Provider:
        """The host as the library builds it."""
        options = {self.secret: SecretStr("k"), **self.options}
        return build_host(self.kind, self.name, options, {})

    def protocol(self) -> WireProtocol:
        """The format it speaks for this model."""
        return self.provider().resolve("chat", self.model, None).protocol

    def context(self) -> Context:
        """What its codec is told about a call, as the engine tells it."""
        provider, ids = self.provider(), count(1)
        return Context(
            origin=Origin(provider.origin or provider.kind, self.protocol().name),
            provider=self.name,
            model=self.model,
            json=WireJSON(),
            new_id=lambda prefix: f"{prefix}made{self.mark[6:]}{next(ids)}",
            now=lambda: 1_795_000_000.0,
            facts=FACTS.find(self.kind, self.model),
        )

    def says(self, answer: Json) -> Message:
        """The assistant's turn of an answer in its own JSON."""
        return self.protocol().decode(200, {}, json.dumps(answer).encode(), self.context()).message

    def turn(self) -> Message:
        """Its turn with reasoning and two parallel calls."""
        return self.says(self.calls(self.mark, self.ids))

    def hears(self, *messages: Message, **options: Any) -> WireRequest:
        """The request for it that holds these messages."""
        request = Request(model=self.model, messages=messages, **options)
        return self.protocol().encode(request, self.context())

    def ids_in(self, wire: WireRequest) -> Ids:
        """The ids of the calls and of the results in a request for it."""
        return self.read(json.loads(wire.body))


_CHAT = Speaker("openai", "openai", "gpt-5.4-mini", {}, chat_calls, ("call_A1", "call_A2"), chat_ids)
_MESSAGES = Speaker(
    *("anthropic", "anthropic", "claude-sonnet-5-5", {}, claude_calls, ("toolu_01A", "toolu_01B"), claude_ids),
    takes=r"[a-zA-Z0-9_-]+",
)
_GOOGLE = Speaker("gemini", "gemini", "gemini-3.8-flash", {}, gemini_calls, ("", ""), gemini_ids, takes=r".+")
_RESPONSES = replace(_CHAT, name="responses", options={"api": "responses"}, calls=responses_calls, read=responses_ids)
_BEDROCK = {"region_name": "us-east-1"}
_VERTEX = {"project_id": "p", "location": "global"}
_COMPATIBLE = replace(_CHAT, kind="openai_compatible", takes=r".+")

SPEAKERS: tuple[Speaker, ...] = (
    replace(_CHAT, simulated="gpt-sim"),
    _RESPONSES,
    replace(
        _RESPONSES,
        name="azure",
        kind="azure",
        options={"api": "responses", "base_url": "https://r.openai.azure.com"},
        ids=("call_Az1", "call_Az2"),
    ),
    replace(_MESSAGES, simulated="claude-sim"),
    replace(
        _MESSAGES,
        name="bedrock-invoke",
        kind="bedrock",
        model="us.anthropic.claude-sonnet-5-5",
        options={**_BEDROCK, "api": "invoke"},
        ids=("toolu_bdrk_1", "toolu_bdrk_2"),
    ),
    replace(
        _MESSAGES,
        name="vertex-claude",
        kind="vertex",
        options=_VERTEX,
        secret="access_token",
        ids=("toolu_v1", "toolu_v2"),
    ),
    replace(_GOOGLE, simulated="gemini-sim"),
    replace(
        _GOOGLE,
        name="vertex-gemini",
        kind="vertex",
        options=_VERTEX,
        secret="access_token",
        ids=("x7k2m9p0", "x7k2m9p1"),
    ),
    Speaker(
        *("converse-claude", "bedrock", "us.anthropic.claude-sonnet-4-6", _BEDROCK, converse_calls),
        *(("tooluse_c1.a", "tooluse_c2.b"), converse_ids),
        takes=r"[a-zA-Z0-9_.:-]{1,64}",
        simulated="anthropic.claude-sim",
    ),
    Speaker(
        *("converse-nova", "bedrock", "us.amazon.nova-2-lite-v1:0", _BEDROCK, nova_calls),
        *(("tooluse_n1", "tooluse_n2"), converse_ids),
        takes=r"[a-zA-Z0-9_.:-]{1,64}",
    ),
    replace(
        _CHAT,
        name="mistral",
        kind="mistral",
        model="mistral-large-latest",
        calls=mistral_calls,
        ids=("D681PevKs", "aZ09bY18c"),
        takes=r"[a-zA-Z0-9]{9}",
    ),
    replace(_CHAT, name="deepseek", kind="deepseek", model="deepseek-v4", ids=("call_00_d", "call_01_d"), takes=r".+"),
    replace(_CHAT, name="openrouter", kind="openrouter", model="m/n", calls=openrouter_calls, takes=r".+"),
    replace(_CHAT, name="groq", kind="groq", model="gpt-oss-20b", ids=("fc_1", "fc_2"), takes=r".+"),
    # Kimi's ids, as vLLM and others serve them.
    replace(
        _CHAT, name="vllm", kind="vllm", model="kimi", ids=("functions.weather:0", "functions.clock:1"), takes=r".+"
    ),
    replace(_COMPATIBLE, name="server-one", options={"base_url": "http://one.test/v1"}, ids=("é" * 9, "x" * 90)),
    replace(_COMPATIBLE, name="server-two", options={"base_url": "http://two.test/v1"}, ids=("1", "2")),
)
