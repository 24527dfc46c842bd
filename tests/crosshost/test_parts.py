"""What only some hosts can say, continued on the others: kept where it fits, told where it is lost, else refused."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from speakers import (
    PIXEL,
    SPEAKERS,
    Json,
    Speaker,
    chat_answer,
    claude_answer,
    converse_answer,
    gemini_answer,
    responses_answer,
)

from asyncllm._schema.content import Audio, Image, ProviderToolCall, Refusal
from asyncllm._schema.messages import Message
from asyncllm.errors import UnsupportedContentError

BY_NAME = {speaker.name: speaker for speaker in SPEAKERS}
PNG = b64encode(PIXEL).decode()


def searched(mark: str) -> dict[str, Json]:
    """A web search (or a program) that the host ran by itself, and an answer that cites from it, by host."""
    link = {"type": "url_citation", "url": f"https://{mark}.test", "title": mark, "start_index": 0, "end_index": 4}
    found = {"type": "web_search_result", "url": "https://a.test", "title": mark, "encrypted_content": mark}
    quote = {
        "type": "web_search_result_location",
        "url": "https://a.test",
        "title": mark,
        "cited_text": mark,
        "encrypted_index": mark,
    }
    query = {"query": mark}
    return {
        "openai": chat_answer(
            {
                "role": "assistant",
                "content": "It is sunny.",
                "annotations": [{"type": "url_citation", "url_citation": link}],
            }
        ),
        "responses": responses_answer(
            {
                "type": "web_search_call",
                "id": f"ws_{mark}",
                "status": "completed",
                "action": {"type": "search", **query},
            },
            {
                "type": "message",
                "id": f"msg_{mark}",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "It is sunny.", "annotations": [link]}],
            },
        ),
        "anthropic": claude_answer(
            {"type": "server_tool_use", "id": f"srvtoolu_{mark}", "name": "web_search", "input": query},
            {"type": "web_search_tool_result", "tool_use_id": f"srvtoolu_{mark}", "content": [found]},
            {"type": "text", "text": "It is sunny.", "citations": [quote]},
        ),
        "gemini": gemini_answer(
            {"executableCode": {"language": "PYTHON", "code": mark}, "thoughtSignature": mark},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": mark}},
            {"text": "It is sunny."},
        ),
        "converse-nova": converse_answer(
            {"toolUse": {"toolUseId": f"t{mark}", "name": "nova_grounding", "input": query, "type": "server_tool_use"}},
            {"toolResult": {"toolUseId": f"t{mark}", "content": [{"text": mark}], "type": "nova_grounding_result"}},
            {
                "citationsContent": {
                    "content": [{"text": "It is sunny."}],
                    "citations": [{"title": mark, "location": {"web": {"url": f"https://{mark}.test"}}}],
                }
            },
        ),
    }


def talk(said: Message) -> tuple[Message, ...]:
    """A conversation with this turn in the middle."""
    return Message.user("How is the weather?"), said, Message.user("And tomorrow?")


def ends_on(*names: str) -> list[tuple[Speaker, Speaker]]:
    """These hosts, each with every other origin."""
    return [
        (BY_NAME[name], other)
        for name in names
        for other in SPEAKERS
        if BY_NAME[name].context().origin != other.context().origin
    ]


@pytest.mark.parametrize("name", ["responses", "anthropic", "gemini", "converse-nova"])
def test_tools_a_host_ran_go_back_to_it(name: str) -> None:
    """On its own host everything the host did by itself comes back as it was."""
    host = BY_NAME[name]
    said = host.says(searched(host.mark)[name])
    assert any(isinstance(part, ProviderToolCall) for part in said.content)
    wire = host.hears(*talk(said))
    assert host.mark.encode() in wire.body
    assert not [sentence for sentence in wire.warnings if "left out" in sentence]


@pytest.mark.parametrize(
    ("begun", "continued"),
    ends_on("openai", "responses", "anthropic", "gemini", "converse-nova"),
    ids=lambda speaker: speaker.name,
)
def test_tools_a_host_ran_and_its_sources_stay_there(begun: Speaker, continued: Speaker) -> None:
    """Another host gets the text; what was searched, and the sources, are left out with a warning."""
    said = begun.says(searched(begun.mark)[begun.name])
    wire = continued.hears(*talk(said))
    assert b"It is sunny." in wire.body
    assert begun.mark.encode() not in wire.body
    assert wire.warnings


REFUSALS: dict[str, Callable[[], Json]] = {
    "openai": lambda: chat_answer({"role": "assistant", "content": None, "refusal": "I will not."}),
    "responses": lambda: responses_answer(
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "refusal", "refusal": "I will not."}],
        }
    ),
}


@pytest.mark.parametrize(("begun", "continued"), ends_on(*REFUSALS), ids=lambda speaker: speaker.name)
def test_a_refusal_stays_what_was_said(begun: Speaker, continued: Speaker) -> None:
    """Hosts without a form for refusals get its words as text, with a warning."""
    said = begun.says(REFUSALS[begun.name]())
    assert [Refusal] == [type(part) for part in said.content]
    wire = continued.hears(*talk(said))
    assert b"I will not." in wire.body
    assert b'"refusal"' in wire.body or wire.warnings


@dataclass(frozen=True)
class Medium:
    """What a model made besides text, and who made it."""

    part: type
    host: str
    answer: Json


def spoken() -> Json:
    """An answer in sound."""
    audio = {
        "id": "audio_CANARYopenai",
        "data": b64encode(b"RIFF0000WAVE").decode(),
        "transcript": "Hello there.",
        "expires_at": 2,
    }
    return chat_answer({"role": "assistant", "content": None, "audio": audio})


PICTURES = (
    Medium(
        Image,
        "gemini",
        gemini_answer({"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "CANARYgemini"}),
    ),
    Medium(
        Image,
        "openrouter",
        chat_answer(
            {
                "role": "assistant",
                "content": "Here.",
                "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
            }
        ),
    ),
    Medium(Image, "converse-nova", converse_answer({"image": {"format": "png", "source": {"bytes": PNG}}})),
)
TAKES_PICTURES = ("gemini", "vertex-gemini")


@pytest.mark.parametrize("medium", PICTURES, ids=lambda medium: medium.host)
def test_a_picture_goes_back_to_the_model_that_made_it(medium: Medium) -> None:
    """On its own host a picture in the assistant's turn is sent back."""
    host = BY_NAME[medium.host]
    said = host.says(medium.answer)
    assert medium.part in {type(part) for part in said.content}
    assert PNG.encode() in host.hears(*talk(said)).body


@pytest.mark.parametrize(
    ("medium", "continued"),
    [(medium, other) for medium in PICTURES for _, other in ends_on(medium.host)],
    ids=lambda value: value.host if isinstance(value, Medium) else value.name,
)
def test_a_picture_another_model_made_is_refused_by_name(medium: Medium, continued: Speaker) -> None:
    """Where the assistant's turn cannot hold a picture, the error names part and host before anything is sent."""
    said = BY_NAME[medium.host].says(medium.answer)
    if continued.name in TAKES_PICTURES:
        wire = continued.hears(*talk(said))
        assert PNG.encode() in wire.body
        assert b"CANARY" not in wire.body
        return
    with pytest.raises(UnsupportedContentError) as caught:
        continued.hears(*talk(said))
    assert "Image" in caught.value.message
    assert continued.name in caught.value.message
    assert continued.name == caught.value.provider


@pytest.mark.parametrize(("begun", "continued"), ends_on("openai"), ids=lambda speaker: speaker.name)
def test_speech_goes_on_as_its_transcript(begun: Speaker, continued: Speaker) -> None:
    """What a model said aloud is told to others in words, with a warning; the id of the sound stays at home."""
    said = begun.says(spoken())
    assert [Audio] == [type(part) for part in said.content]
    wire = continued.hears(*talk(said))
    assert b"Hello there." in wire.body
    assert b"CANARY" not in wire.body
    assert any("transcript" in sentence for sentence in wire.warnings)


def turns_of(body: Json) -> list[str]:
    """The turns of a request, each as JSON text, in order."""
    return [json.dumps(turn) for turn in body.get("messages") or body.get("input") or body["contents"]]


@pytest.mark.parametrize("host", SPEAKERS, ids=lambda host: host.name)
def test_results_given_out_of_order_follow_their_calls(host: Speaker) -> None:
    """Results in another order, and a remark between them, are written in an order that the host accepts."""
    said = BY_NAME["anthropic"].turn()
    first, second = said.tool_calls
    messages = [Message.user("Go."), said, Message.tool(second.id, "two"), Message.tool(first.id, "one")]
    wire = host.hears(*messages, Message.user("And?"))
    calls, results = host.ids_in(wire)
    assert sorted(calls) == sorted(results)
    turns = turns_of(json.loads(wire.body))
    asked = max(at for at, turn in enumerate(turns) if "clock" in turn and "Oslo" in turn)
    answered = [at for at, turn in enumerate(turns) if '"one"' in turn or '"two"' in turn]
    assert all(at > asked for at in answered)
    assert "And?" in turns[-1]


@pytest.mark.parametrize("host", SPEAKERS, ids=lambda host: host.name)
def test_an_error_and_a_picture_in_a_result_reach_every_host(host: Speaker) -> None:
    """A failed tool says so on every wire; a picture in a result is inside it, or follows it with a warning."""
    said = BY_NAME["responses"].turn()
    wrong = Message.tool(said.tool_calls[0].id, "no such city", is_error=True)
    shown = Message.tool(said.tool_calls[1].id, Image(data=PIXEL, media_type="image/png"))
    wire = host.hears(Message.user("Go."), said, wrong, shown)
    assert b"rror" in wire.body
    assert PNG.encode() in wire.body


@pytest.mark.parametrize("begun", SPEAKERS, ids=lambda host: host.name)
def test_the_oldest_text_bodies_refuse_what_is_not_text(begun: Speaker) -> None:
    """Titan's body holds text alone: another host's calls are refused, naming the part and what to do."""
    titan = replace(
        BY_NAME["bedrock-invoke"], name="titan", model="amazon.titan-text-express-v1", calls=begun.calls, ids=begun.ids
    )
    with pytest.raises(UnsupportedContentError, match=r"cannot carry (Reasoning|ToolCall); use api: converse"):
        titan.hears(Message.user("Go."), begun.turn(), Message.user("And?"))
