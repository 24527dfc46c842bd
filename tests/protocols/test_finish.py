"""Words for the end of a reply that make it an error, on every wire, whole and streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asyncllm._schema.response import Response
from asyncllm.errors import ContentBlockedError, ServerError
from wire_samples import CODECS, Holds, decoded, gathered, streamed, whole

Read = Callable[[str, Holds, "str | None"], Response]
FAILED = {
    "chat": (
        "error",
        "ERROR",
        "abort",
        "network_error",
        "insufficient_system_resource",
        "MALFORMED_FUNCTION_CALL",
        "generation_failed",
    ),
    "responses": ("cancelled", "failed"),
    "messages": ("error", "malformed_tool_use"),
    "gemini": ("MALFORMED_FUNCTION_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"),
    "converse": ("malformed_model_output", "malformed_tool_use"),
}
BLOCKED = {
    "chat": "content_filter",
    "responses": "incomplete:content_filter",
    "messages": "refusal",
    "gemini": "SAFETY",
    "converse": "guardrail_intervened",
}
ENDED = {"chat": "stop", "responses": "completed", "messages": "end_turn", "gemini": "STOP", "converse": "end_turn"}


def _whole(wire: str, holds: Holds, word: str | None) -> Response:
    return decoded(wire, whole(wire, holds, word))


def _streamed(wire: str, holds: Holds, word: str | None) -> Response:
    return gathered(wire, streamed(wire, holds, word))


both = pytest.mark.parametrize("read", [_whole, _streamed], ids=["whole", "streamed"])
holding = pytest.mark.parametrize(
    "holds",
    [(), ("empty",), ("text",), ("thought",), ("signed",), ("thought", "text"), ("call",)],
    ids=lambda holds: "+".join(holds) or "nothing",
)


@both
@holding
@pytest.mark.parametrize(("wire", "word"), [(wire, word) for wire, words in FAILED.items() for word in words])
def test_a_reply_that_failed_is_an_error(wire: str, word: str, holds: Holds, read: Read) -> None:
    """Whatever came before it: a text, a thought, a signature, a call."""
    with pytest.raises(ServerError):
        read(wire, holds, word)


@both
@pytest.mark.parametrize("holds", [(), ("empty",), ("thought",), ("thought", "empty")], ids=str)
@pytest.mark.parametrize("wire", [wire for wire in CODECS if wire != "gemini"])
def test_nothing_without_a_reason_is_an_error(wire: str, holds: Holds, read: Read) -> None:
    """Thoughts alone and empty texts are no answer."""
    with pytest.raises(ServerError, match="gives no reason"):
        read(wire, holds, None)


@both
@pytest.mark.parametrize("holds", [(), ("thought",), ("signed",)], ids=str)
def test_a_reason_that_says_nothing_is_none(holds: Holds, read: Read) -> None:
    """Google's placeholder for a reason is no reason."""
    with pytest.raises(ServerError, match="gives no reason"):
        read("gemini", holds, "FINISH_REASON_UNSPECIFIED")


@both
@pytest.mark.parametrize("word", ["tool_calls", "function_call"])
@pytest.mark.parametrize("holds", [(), ("empty",), ("thought",)], ids=str)
def test_calls_that_are_not_there_are_an_error(holds: Holds, word: str, read: Read) -> None:
    """A reply that ends with the word for calls, and holds neither a call nor a text, is no reply."""
    with pytest.raises(ServerError, match="holds none"):
        read("chat", holds, word)


@both
@pytest.mark.parametrize("holds", [(), ("empty",)], ids=str)
@pytest.mark.parametrize("wire", CODECS)
def test_a_filter_that_left_nothing_is_an_error(wire: str, holds: Holds, read: Read) -> None:
    """An empty text is nothing, too."""
    with pytest.raises(ContentBlockedError):
        read(wire, holds, BLOCKED[wire])


@both
@holding
@pytest.mark.parametrize("wire", CODECS)
def test_a_normal_end_is_a_reply(wire: str, holds: Holds, read: Read) -> None:
    """Also where the model had nothing to say."""
    expected: Any = "tool_calls" if "call" in holds else "stop"
    assert expected == read(wire, holds, ENDED[wire]).finish_reason


@both
@pytest.mark.parametrize("wire", CODECS)
def test_calls_with_one_id_get_two(wire: str, read: Read) -> None:
    """Results could not be told apart otherwise."""
    if wire == "gemini":  # its sample has no ids, so that every call gets one of ours
        assert 2 == len({call.id for call in read(wire, ("call", "call"), ENDED[wire]).tool_calls})
        return
    if wire == "chat":
        pytest.skip("a later piece of the same call has its id; tests of the chat format have the rest")
    ids = [call.id for call in read(wire, ("call", "call"), ENDED[wire]).tool_calls]
    assert "c1" == ids[0]
    assert 2 == len(set(ids))
