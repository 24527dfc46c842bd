"""What the chat codec costs by itself: microseconds a chunk (JSON parsing apart), and to encode a conversation.

Run: ``python benchmarks/openai_chat_codec.py``. How it is measured: `codec_cost`.
"""

from __future__ import annotations

from collections.abc import Callable

from codec_cost import Codec, frame

from asyncllm._framing.framer import Frame
from asyncllm._protocols.openai_chat import OpenAIChat

CODEC = Codec(OpenAIChat(), "openai", "m")
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None}
CALL = {"index": 0, "id": "call_1", "type": "function"}


def chunk(delta: dict[str, object]) -> Frame:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return frame({**HEAD, "choices": [choice], "obfuscation": "x"})


def stream(name: str, delta: Callable[[int], dict[str, object]]) -> None:
    CODEC.stream(name, [], lambda at: chunk(delta(at)))


if __name__ == "__main__":
    stream("text", lambda at: {"content": f" word{at}"})
    stream("text, verbose host", lambda at: {"role": "assistant", "content": f" w{at}", "reasoning": None})
    stream("reasoning", lambda at: {"content": None, "reasoning_content": f" word{at}"})
    stream("tool call", lambda at: {"tool_calls": [{**CALL, "function": {"name": "f", "arguments": f"{at}"}}]})
    CODEC.encode()
