"""What servers and proxies send between the events of a stream, on every wire of server-sent events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncllm._framing.framer import UNFINISHED, Frame
from asyncllm._framing.sse import SSEFramer
from asyncllm.errors import AsyncLLMError, ProtocolError, ServerError
from wire_samples import decoded, gathered, streamed

ENDED = {"chat": "stop", "responses": "completed", "messages": "end_turn", "gemini": "STOP"}
wires = pytest.mark.parametrize("wire", ENDED)
NOTHING = (
    *("data:", "data: ping", "data: null", 'data: ""', 'data: "ping"', "data: 1", "data: true", "data: []", "data: {}"),
    *(":", "retry: 3000", "id: 5\ndata:", "event: ping", "event: ping\ndata: {}", 'event: heartbeat\ndata: {"ts": 1}'),
    *('data: {"type": "ping"}', 'data: {"type": null}', 'data: {"object": "ping"}', "data: [KEEPALIVE]"),
    *('data: {"error": null}', 'data: {"error": ""}', 'data: {"choices": []}', "event: message\ndata: {}"),
)


def good(wire: str) -> list[Frame]:
    """A stream with a thought and a text."""
    return streamed(wire, ["thought", "text"], ENDED[wire])


@wires
@pytest.mark.parametrize("between", NOTHING)
def test_nothing_between_events_ends_a_good_stream(wire: str, between: str) -> None:
    """Before, between and after its events; the reply is the same."""
    expected, frames = gathered(wire, good(wire)), good(wire)
    keepalive = SSEFramer().feed(f"{between}\n\n".encode())
    for mixed in (
        [*keepalive, *frames],
        [one for frame in frames for one in (frame, *keepalive)],
        [*frames[:-1], *keepalive, frames[-1]],
    ):
        assert expected.message == gathered(wire, mixed).message


@wires
def test_the_last_event_may_lack_its_blank_line(wire: str) -> None:
    """It counts where it is whole."""
    *before, last = good(wire)
    assert "hello" == gathered(wire, [*before, last._replace(kind=UNFINISHED)]).text


@wires
@pytest.mark.parametrize("odd", [{"message": "x"}, {"success": True, "data": {}}, {"detail": "no"}, "text", 5, None])
def test_a_stream_of_nothing_known_is_of_another_protocol(wire: str, odd: Any) -> None:
    """A 200 that streams something else is an error and no empty reply."""
    frame = Frame("", json.dumps(odd).encode())
    with pytest.raises(AsyncLLMError) as caught:
        gathered(wire, [frame, Frame("", b"[DONE]")])
    assert isinstance(caught.value, (ProtocolError, ServerError))


@pytest.mark.parametrize("wire", ["responses", "messages"])
def test_the_name_of_an_event_stands_in_for_its_type(wire: str) -> None:
    """Some servers write the type as the name of the event only."""
    frames = []
    for frame in good(wire):
        event = json.loads(frame.data)
        frames.append(Frame(event.pop("type"), json.dumps(event).encode()))
    assert gathered(wire, good(wire)).message == gathered(wire, frames).message


def test_an_end_without_a_response_and_without_items_is_no_reply() -> None:
    """The terminal event of a Responses stream has to say something."""
    with pytest.raises(ProtocolError, match="without a response"):
        gathered("responses", [Frame("", b'{"type": "response.completed"}')])


@pytest.mark.parametrize("wire", ["chat", "gemini"])
def test_a_keepalive_may_stand_between_the_halves_of_a_character(wire: str) -> None:
    """The two halves are joined all the same."""
    frames = streamed(wire, ["text", "text"], ENDED[wire])
    halves = iter([b"\\ud83d", b"\\ude00"])
    cut = [
        frame._replace(data=frame.data.replace(b"hello", next(halves))) if b"hello" in frame.data else frame
        for frame in frames[:-1]
    ]
    mixed = [one for frame in cut for one in (frame, Frame("", b": ping"))]
    assert "\U0001f600" == gathered(wire, [*mixed, frames[-1]]).text


def test_a_candidate_that_only_ends_is_an_end() -> None:
    """Gemini's last chunk may hold nothing but the reason."""
    frames = [Frame("", b'{"candidates": [{"content": {"parts": [{"text": "hello"}]}}]}')]
    end = Frame("", b'{"candidates": [{"finishReason": "STOP"}]}')
    assert ("hello", "stop") == (
        (reply := gathered("gemini", [*frames, end])).text,
        reply.finish_reason,
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a": 1}, '{"a":1}'),
        ([1, 2], "[1,2]"),
        ([None], "[null]"),
        (5, "5"),
        (["a", "b"], "ab"),
        ([{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}], "ab"),
    ],
)
def test_content_of_an_unexpected_type_is_read_alike(content: Any, expected: str) -> None:
    """Whole and streamed: JSON values as their text, lists of texts as texts."""
    message = {"choices": [{"index": 0, "message": {"content": content}, "finish_reason": "stop"}]}
    delta = {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": "stop"}]}
    frames = [Frame("", json.dumps(delta).encode()), Frame("", b"[DONE]")]
    assert [expected] * 2 == [decoded("chat", message).text, gathered("chat", frames).text]
