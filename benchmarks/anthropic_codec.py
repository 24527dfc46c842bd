"""What the Messages codec costs by itself: microseconds a delta (JSON parsing apart), and to encode a conversation.

Run: ``python benchmarks/anthropic_codec.py``. How it is measured: `codec_cost`.
"""

from __future__ import annotations

from codec_cost import Codec, frame

from asyncllm._protocols.anthropic import AnthropicMessages

CODEC = Codec(AnthropicMessages(), "anthropic", "claude-sonnet-5-5")


def stream(name: str, block: dict[str, object], kind: str, field: str) -> None:
    message = {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 1}}
    opening = [
        frame({"type": "message_start", "message": message}),
        frame({"type": "content_block_start", "index": 0, "content_block": block}),
    ]
    CODEC.stream(
        name,
        opening,
        lambda at: frame({"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: f"word {at} "}}),
    )


if __name__ == "__main__":
    stream("text", {"type": "text", "text": ""}, "text_delta", "text")
    stream("thinking", {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking")
    stream(
        "tool call",
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        "input_json_delta",
        "partial_json",
    )
    CODEC.encode()
