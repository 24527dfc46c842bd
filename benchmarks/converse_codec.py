"""What the Converse codec costs by itself: microseconds a delta (JSON parsing apart), and to encode a conversation.

Run: ``python benchmarks/converse_codec.py``. How it is measured: `codec_cost`.
"""

from __future__ import annotations

from collections.abc import Callable

from codec_cost import Codec, frame

from asyncllm._protocols.converse import Converse

CODEC = Codec(Converse(), "bedrock", "us.anthropic.claude-sonnet-5-5")


def stream(name: str, start: dict[str, object] | None, delta: Callable[[int], dict[str, object]]) -> None:
    opening = [frame({"role": "assistant"}, "messageStart")]
    if start is not None:
        opening.append(frame({"contentBlockIndex": 0, "start": start}, "contentBlockStart"))
    CODEC.stream(
        name,
        opening,
        lambda at: frame({"contentBlockIndex": 0, "delta": delta(at), "p": "abcdefghijkl"}, "contentBlockDelta"),
    )


if __name__ == "__main__":
    stream("text", None, lambda at: {"text": f"word {at} "})
    stream("reasoning", None, lambda at: {"reasoningContent": {"text": f"word {at} "}})
    stream("tool call", {"toolUse": {"toolUseId": "t", "name": "f"}}, lambda at: {"toolUse": {"input": f"{at},"}})
    CODEC.encode()
