"""What the Responses codec costs by itself: microseconds a delta (JSON parsing apart), and to encode a conversation.

Run: ``python benchmarks/openai_responses_codec.py``. How it is measured: `codec_cost`.
"""

from __future__ import annotations

from typing import Any

from codec_cost import Codec, frame

from asyncllm._protocols.openai_responses import OpenAIResponses

CODEC = Codec(OpenAIResponses(), "openai", "gpt-6-sol")


def stream(name: str, item: dict[str, Any], delta: dict[str, Any]) -> None:
    opening = [
        frame({"type": "response.created", "response": {"id": "resp_1", "model": "m"}}),
        frame({"type": "response.output_item.added", "output_index": 0, "item": item}),
    ]
    place = {"output_index": 0, "item_id": "i", "logprobs": []}
    CODEC.stream(
        name,
        opening,
        lambda at: frame({**delta, **place, "delta": f"word {at} ", "sequence_number": at}, delta["type"]),
    )


if __name__ == "__main__":
    stream(
        "text",
        {"type": "message", "id": "i", "role": "assistant", "content": []},
        {"type": "response.output_text.delta", "content_index": 0},
    )
    stream(
        "reasoning",
        {"type": "reasoning", "id": "i", "summary": []},
        {"type": "response.reasoning_summary_text.delta", "summary_index": 0},
    )
    stream(
        "tool call",
        {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": ""},
        {"type": "response.function_call_arguments.delta"},
    )
    CODEC.encode()
