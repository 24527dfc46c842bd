"""What the chat codec writes, part by part and keyword by keyword, for OpenAI and for its dialects."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from asyncllm._protocols.codec import WireRequest
from asyncllm._protocols.openai_chat import ChatDialect, OpenAIChat
from asyncllm._providers.compatible import dialect_of, nine_alphanumerics
from asyncllm._schema.content import (
    Audio,
    CacheMark,
    Citation,
    Document,
    Image,
    Json,
    Origin,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    Video,
)
from asyncllm._schema.messages import Message
from asyncllm._schema.request import ProviderTool, Request, ResponseFormat, Tool, ToolChoice
from asyncllm._schema.response import Response
from asyncllm.errors import AsyncLLMError, BadRequestError, UnsupportedContentError, UnsupportedParameterError
from chat_recordings import context_of, decode, exchanges, kind_of, play, protocol_of, reply_of
from recordings import body_of, context

OWN = Origin("openai", "openai_chat")
ELSEWHERE = Origin("anthropic", "anthropic")
PLAIN = ChatDialect()


def written(*messages: Message, dialect: ChatDialect = PLAIN, kind: str = "openai", **fields: Any) -> WireRequest:
    return OpenAIChat(dialect).encode(Request(model="m", messages=messages, **fields), context(kind))


def body(*messages: Message, dialect: ChatDialect = PLAIN, kind: str = "openai", **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(*messages, dialect=dialect, kind=kind, **fields).body)
    return found


def turns(*messages: Message, dialect: ChatDialect = PLAIN, kind: str = "openai") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(*messages, dialect=dialect, kind=kind)["messages"]
    return found


def items(*parts: Any, dialect: ChatDialect = PLAIN) -> Any:
    return turns(Message.user(*parts), dialect=dialect)[0]["content"]


def test_plain_request() -> None:
    """A request of plain texts is the model and the messages, nothing else, with the headers of JSON."""
    request = written(Message.system("Be brief."), Message.user("Hi"), Message.assistant("Hello"), Message.user("Bye"))
    expected = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Bye"},
        ],
    }
    assert expected == json.loads(request.body)
    assert ("POST", "/chat/completions", "", ()) == (request.method, request.path, request.query, request.warnings)
    assert (("content-type", "application/json"), ("accept", "application/json")) == request.headers


def test_keywords() -> None:
    """Sampling, bounds, seed and stop go under OpenAI's names; a stream asks for usage and for events."""
    request = written(
        Message.user("x"),
        temperature=0.0,
        top_p=0.5,
        max_tokens=7,
        stop=("A", "B"),
        seed=0,
        reasoning="high",
        stream=True,
    )
    expected = {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_completion_tokens": 7,
        "stop": ["A", "B"],
        "seed": 0,
        "reasoning_effort": "high",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    found = json.loads(request.body)
    assert expected == {name: found[name] for name in found if name not in ("model", "messages")}
    assert ("accept", "text/event-stream") in request.headers


def test_extra_body_and_headers() -> None:
    """The extra body wins, objects merged key by key; extra headers are added, and nothing given is changed."""
    extra = {"stream_options": {"include_obfuscation": False}, "temperature": 1, "new": {"a": [1]}}
    request = written(Message.user("x"), stream=True, temperature=0.5, extra_body=extra, extra_headers={"X-One": "1"})
    found = json.loads(request.body)
    assert {"include_usage": True, "include_obfuscation": False} == found["stream_options"]
    assert (1, {"a": [1]}) == (found["temperature"], found["new"])
    assert ("x-one", "1") in request.headers
    assert {"include_obfuscation": False} == extra["stream_options"]


def test_user_parts() -> None:
    """Text, image, audio and file parts of a user message, by URL and by data."""
    found = items(
        "Look",
        Image(url="https://example.com/a.png", detail="high"),
        Image(data=b"png", media_type="image/png"),
        Audio(data=b"riff", media_type="audio/x-wav"),
        Audio(data=b"id3", media_type="audio/mpeg"),
        Document(file_id="file-1"),
        Document(data=b"%PDF", media_type="application/pdf", name="a.pdf"),
        Document(data=b"%PDF", media_type="application/pdf"),
        Document(text="héllo"),
        Document(text="a,b", media_type="text/csv", name="t.csv"),
        Unknown(type="new", raw={"type": "new", "new": 1}),
    )
    encoded = base64.b64encode("héllo".encode()).decode()
    assert [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
        {"type": "input_audio", "input_audio": {"data": "cmlmZg==", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "aWQz", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"filename": "document.txt", "file_data": f"data:text/plain;base64,{encoded}"}},
        {"type": "file", "file": {"filename": "t.csv", "file_data": "data:text/csv;base64,YSxi"}},
        {"type": "new", "new": 1},
    ] == found


@pytest.mark.parametrize(
    ("part", "word"),
    [
        (Image(file_id="f"), "Image(file_id"),
        (Video(url="https://example.com/v.mp4"), "Video"),
        (Audio(url="https://example.com/a.mp3"), "Audio"),
        (Audio(data=b"x", media_type="audio/flac"), "audio/flac"),
        (Document(url="https://example.com/a.pdf"), "Document(url"),
        (Unknown(type="odd", raw={}, origin=ELSEWHERE), "odd"),
        (Unknown(type="odd", raw="text"), "odd"),
        (Reasoning("hm"), "Reasoning"),
        (ToolCall("c", "f", {}), "ToolCall"),
        (Refusal("no"), "Refusal"),
    ],
)
def test_user_parts_without_a_place(part: Any, word: str) -> None:
    """What chat completions cannot carry is refused before it is sent, naming the part and the host."""
    with pytest.raises(UnsupportedContentError) as caught:
        items(part)
    assert word in caught.value.message
    assert "openai" in caught.value.message


@pytest.mark.parametrize(
    "part", [Image(data=b"x"), Image(), Document(data=b"x"), Document(), Video(data=b"x", media_type=None)]
)
def test_parts_that_no_wire_could_carry(part: Any) -> None:
    """A part without its media type, or with nothing in it, is a mistake of the caller."""
    with pytest.raises(BadRequestError):
        items(part, dialect=dialect_of("openrouter"))


def test_hosts_without_audio_or_files() -> None:
    """A host that takes no audio or no files is named when one is given."""
    groq = dialect_of("groq")
    for part in (Audio(data=b"x", media_type="audio/wav"), Document(text="x")):
        with pytest.raises(UnsupportedContentError):
            items(part, dialect=groq)


def test_document_remark_and_citations() -> None:
    """A document's remark goes before it as text, and citations that cannot be asked for are a warning."""
    request = written(Message.user(Document(file_id="f", context="from 1999", citations=True)))
    found = json.loads(request.body)["messages"][0]["content"]
    assert [{"type": "text", "text": "from 1999"}, {"type": "file", "file": {"file_id": "f"}}] == found
    assert 2 == len(request.warnings)


def test_files_and_videos_by_url() -> None:
    """OpenRouter takes files and videos by URL, Mistral documents."""
    link, clip = Document(url="https://example.com/d/a.pdf?x=1"), Video(url="https://example.com/v.mp4")
    assert [
        {"type": "file", "file": {"file_data": "https://example.com/d/a.pdf?x=1", "filename": "a.pdf"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/v.mp4"}},
    ] == items(link, clip, dialect=dialect_of("openrouter"))
    assert [{"type": "document_url", "document_url": link.url, "document_name": "D"}] == items(
        Document(url=link.url, name="D"), dialect=dialect_of("mistral")
    )


def test_system_messages_stay_where_they_are() -> None:
    """System messages are kept wherever they stand, with their names; only text fits into them."""
    found = turns(Message.user("a"), Message("system", ("b", "c"), name="boss"))  # type: ignore[arg-type]
    two = [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    assert [{"role": "user", "content": "a"}, {"role": "system", "name": "boss", "content": two}] == found
    with pytest.raises(UnsupportedContentError):
        turns(Message.system(Image(url="https://example.com/a.png")))
    with pytest.raises(BadRequestError):
        turns(Message.system(ToolResult("c")))


def test_empty_messages() -> None:
    """A message without parts is an empty text."""
    assert [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}] == turns(
        Message("user", ()), Message("assistant", ())
    )


def test_tool_turn() -> None:
    """Parallel calls, a custom call, and results as text, JSON and errors, each in a tool message of its own."""
    found = turns(
        Message.assistant(ToolCall("c1", "f", {"a": 1}), ToolCall("c2", "g", raw_arguments="x y", kind="custom")),
        Message("tool", (ToolResult("c1", (Text("3"),)), ToolResult("c2", (Json({"k": [1, "é"]}),), is_error=True))),
        Message.tool("c3", "no luck", is_error=True),
        Message.tool("c4", ["a", None]),
        Message("tool", (ToolResult("c5", (), is_error=True), ToolResult("c6", (Text("a"), Text("b"))))),
    )
    assert [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x y"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "tool", "tool_call_id": "c2", "content": 'Error: {"k":[1,"é"]}'},
        {"role": "tool", "tool_call_id": "c3", "content": "Error: no luck"},
        {"role": "tool", "tool_call_id": "c4", "content": '["a",null]'},
        {"role": "tool", "tool_call_id": "c5", "content": "Error"},
        {
            "role": "tool",
            "tool_call_id": "c6",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
    ] == found


def test_pictures_of_tool_results_follow_all_of_them() -> None:
    """Images in tool results go into one user message after the last tool message, with a warning."""
    picture = Image(url="https://example.com/a.png")
    request = written(
        Message("tool", (ToolResult("c1", (picture,)),)),
        Message.tool("c2", [Text("see"), picture]),
        Message.user("What is it?"),
        Message("user", (ToolResult("c3", (picture,)), Text("and this?"))),
        Message.tool("c4", picture),
    )
    shown = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    def label(call: str) -> dict[str, str]:
        return {"type": "text", "text": f"Result of the tool call {call}:"}

    note = "The result is in the next user message."
    assert [
        {"role": "tool", "tool_call_id": "c1", "content": note},
        {"role": "tool", "tool_call_id": "c2", "content": "see"},
        {"role": "user", "content": [label("c1"), shown, label("c2"), shown]},
        {"role": "user", "content": "What is it?"},
        {"role": "tool", "tool_call_id": "c3", "content": note},
        {"role": "user", "content": [label("c3"), shown]},
        {"role": "user", "content": "and this?"},
        {"role": "tool", "tool_call_id": "c4", "content": note},
        {"role": "user", "content": [label("c4"), shown]},
    ] == json.loads(request.body)["messages"]
    assert ("images and files of a tool result were sent in a user message after it",) == request.warnings


def test_tool_messages_hold_results_only() -> None:
    """Loose text in a tool message belongs to no call."""
    with pytest.raises(BadRequestError, match=r"Message\.tool"):
        turns(Message("tool", (Text("x"),)))


def test_arguments_are_sent_as_they_came() -> None:
    """Argument text goes back byte for byte, invalid JSON too; an empty one of another host becomes ``{}``."""
    calls = (
        ToolCall("c1", "f", raw_arguments='{ "a":1 ', origin=OWN),
        ToolCall("c2", "f", raw_arguments="", origin=OWN),
        ToolCall("c3", "f", raw_arguments="", origin=ELSEWHERE),
    )
    found = [call["function"]["arguments"] for call in turns(Message.assistant(*calls))[0]["tool_calls"]]
    assert ['{ "a":1 ', "", "{}"] == found


def test_assistant_turn_with_everything_of_its_own() -> None:
    """Texts are joined; refusals, spoken answers, pictures and extra fields go back to the host they came from."""
    raw = {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}
    call = ToolCall("c", "f", {}, origin=OWN, extra={"extra_content": {"google": {"thought_signature": "s"}}})
    found = turns(
        Message(
            "assistant",
            (
                Text("a", origin=OWN, citations=(Citation(url="u"),)),
                Text("b", origin=OWN, extra={"extra_content": {"x": 1}}),
                Refusal("no", origin=OWN),
                Audio(file_id="audio_1", transcript="hi", origin=OWN),
                Image(data=b"png", media_type="image/png", origin=OWN, extra={"image": raw}),
                call,
            ),
            name="bot",
        )
    )[0]
    assert ("ab", "no", {"id": "audio_1"}, [raw], "bot") == tuple(
        found[name] for name in ("content", "refusal", "audio", "images", "name")
    )
    assert {"google": {"thought_signature": "s"}} == found["tool_calls"][0]["extra_content"]
    assert {"x": 1} == found["extra_content"]


def test_refusal_alone() -> None:
    """A refusal alone has null content."""
    assert [{"role": "assistant", "content": None, "refusal": "no"}] == turns(Message.assistant(Refusal("no")))


def test_what_comes_from_elsewhere() -> None:
    """Reasoning, signatures, citations and provider-run tools of another host are left out, a warning each."""
    request = written(
        Message.assistant(
            Reasoning("hm", signature="s", origin=ELSEWHERE),
            Text("a", signature="s", citations=(Citation(url="u"),), origin=ELSEWHERE),
            Audio(data=b"x", transcript="said", origin=ELSEWHERE),
            ToolCall("c", "f", {}, signature="s", origin=ELSEWHERE, extra={"x": 1}),
            ProviderToolCall(id="p", name="web_search", raw={}, origin=ELSEWHERE),
            ProviderToolResult(call_id="p", name="web_search", raw={}, origin=ELSEWHERE),
            Unknown(type="odd", raw={}, origin=ELSEWHERE),
        ),
        Message.assistant(Reasoning("alone", origin=ELSEWHERE)),
        Message.assistant(Text("b", signature="s", origin=ELSEWHERE)),
    )
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert [
        {"role": "assistant", "content": "asaid", "tool_calls": [call]},
        {"role": "assistant", "content": "b"},
    ] == json.loads(request.body)["messages"]
    assert 8 == len(request.warnings)


@pytest.mark.parametrize(
    "part",
    [Audio(data=b"x", origin=ELSEWHERE), Image(url="u", origin=ELSEWHERE), Document(text="x"), ToolResult("c")],
)
def test_assistant_parts_without_a_place(part: Any) -> None:
    """A picture, sound or file in an assistant's turn that did not come from this host is refused."""
    with pytest.raises(UnsupportedContentError):
        turns(Message.assistant(part))


def test_reasoning_of_the_caller_and_of_the_host() -> None:
    """OpenAI takes no reasoning back: its host's own is left out silently, the caller's with a warning."""
    assert () == written(Message.assistant(Reasoning("hm", origin=OWN), "a")).warnings
    assert 1 == len(written(Message.assistant(Reasoning("hm"), "a")).warnings)


def test_reasoning_sent_back_in_the_hosts_field() -> None:
    """Hosts that want reasoning back get their own and the caller's in their field, never another host's."""
    parts = (Reasoning("mine", origin=Origin("vllm", "openai_chat")), Reasoning(" theirs", origin=ELSEWHERE))
    found = turns(Message.assistant(*parts, Reasoning("!"), "a"), dialect=dialect_of("vllm"), kind="vllm")
    assert [{"role": "assistant", "content": "a", "reasoning": "mine!"}] == found


def test_deepseek_turns_with_calls_always_have_reasoning() -> None:
    """DeepSeek's field is on every turn with calls: its own empty, another model's as a space; not without thinking."""
    own = Origin("deepseek", "openai_chat")
    deepseek = dialect_of("deepseek")

    def fields(*messages: Message, **more: Any) -> list[Any]:
        found = body(*messages, dialect=deepseek, kind="deepseek", **more)["messages"]
        return [message.get("reasoning_content") for message in found]

    mine = Message.assistant(ToolCall("c", "f", {}, origin=own))
    thought = Message.assistant(Reasoning("hm", origin=own), ToolCall("c", "f", {}, origin=own))
    foreign = Message.assistant(ToolCall("c", "f", {}, origin=ELSEWHERE))
    assert ["hm", "", " "] == fields(thought, mine, foreign)
    assert [None] == fields(mine)
    assert [None] == fields(foreign, reasoning="none")


def test_openrouter_details_are_echoed() -> None:
    """Reasoning details go back merged and verbatim to where they came from, and nowhere else."""
    own = Origin("openrouter", "openai_chat")
    first = {"type": "reasoning.text", "text": "hm", "signature": None, "format": "f", "index": 0}
    sign = {"type": "reasoning.text", "signature": "sig", "index": 0}
    blob = {"type": "reasoning.encrypted", "data": "xyz", "id": "r1", "index": 1}
    parts = (
        Reasoning("hm", origin=own, extra={"reasoning_details": [first]}),
        Text("a", origin=own),
        Reasoning(origin=own, extra={"reasoning_details": [sign, blob]}),
    )
    dialect = dialect_of("openrouter")
    expected = [{**first, "signature": "sig"}, blob]
    assert [{"role": "assistant", "content": "a", "reasoning_details": expected}] == turns(
        Message.assistant(*parts), dialect=dialect, kind="openrouter"
    )
    assert [{"role": "assistant", "content": "a"}] == turns(Message.assistant(*parts), dialect=dialect, kind="other")


def test_mistral_thinking_goes_back_as_a_chunk() -> None:
    """Mistral's thinking chunk goes back verbatim in the content list, the caller's reasoning as a plain one."""
    own = Origin("mistral", "openai_chat")
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s", "closed": True}
    found = turns(
        Message.assistant(Reasoning("hm", origin=own, extra={"chunk": chunk}), Reasoning("so"), Text("a", origin=own)),
        dialect=dialect_of("mistral"),
        kind="mistral",
    )
    plain = {"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}
    assert [{"role": "assistant", "content": [chunk, plain, {"type": "text", "text": "a"}]}] == found


def test_mistral_tool_turn() -> None:
    """Mistral gets ids of nine letters, the same for call and result, the tool's name, and a schema for every tool."""
    found = body(
        Message.assistant(ToolCall("call_abc", "f", {}), ToolCall("abcdefghi", "g", {})),
        Message.tool("call_abc", "1"),
        Message.tool("abcdefghi", "2", name="given"),
        tools=(Tool("f"),),
        seed=3,
        stream=True,
        max_tokens=5,
        dialect=dialect_of("mistral"),
    )
    calls, first, second = found["messages"][0]["tool_calls"], found["messages"][1], found["messages"][2]
    short = nine_alphanumerics("call_abc")
    assert (9, True) == (len(short), short.isalnum())
    assert [short, "abcdefghi"] == [call["id"] for call in calls]
    assert [(short, "f"), ("abcdefghi", "given")] == [(turn["tool_call_id"], turn["name"]) for turn in (first, second)]
    assert {"type": "object", "properties": {}} == found["tools"][0]["function"]["parameters"]
    assert (3, 5, False) == (found["random_seed"], found["max_tokens"], "stream_options" in found)


def test_unknown_chunks_of_the_assistant_go_back() -> None:
    """An unknown content chunk goes back to its own host in the content list."""
    raw = {"type": "reference", "reference_ids": [1]}
    found = turns(Message.assistant("a", Unknown(type="reference", raw=raw, origin=OWN)))
    assert [{"type": "text", "text": "a"}, raw] == found[0]["content"]


def test_tools() -> None:
    """Function tools with what they have, provider tools as they stand, and the switch for parallel calls."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    closed = {"required": ["a"], "additionalProperties": False}
    strict = {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}, **closed}
    definition = {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}
    found = body(
        Message.user("x"),
        tools=(
            Tool("f", "does f", schema, strict=True),
            Tool("g", extra={"function": {"x": 1}, "y": 2}),
            ProviderTool(definition),
        ),
        parallel_tool_calls=False,
    )
    assert [
        {"type": "function", "function": {"name": "f", "description": "does f", "parameters": strict, "strict": True}},
        {"type": "function", "function": {"name": "g", "x": 1}, "y": 2},
        definition,
    ] == found["tools"]
    assert False is found["parallel_tool_calls"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("tool", ("f",)), {"type": "function", "function": {"name": "f"}}),
        (ToolChoice("tool", ("c",)), {"type": "custom", "custom": {"name": "c"}}),
        (
            ToolChoice("required", ("f", "c")),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "c"}},
                    ],
                },
            },
        ),
    ],
)
def test_tool_choice(choice: ToolChoice, expected: Any) -> None:
    """Every mode of the choice, a tool by name, and a narrowed set."""
    tools = (Tool("f"), ProviderTool({"type": "custom", "custom": {"name": "c"}}))
    assert expected == body(Message.user("x"), tools=tools, tool_choice=choice)["tool_choice"]


def test_narrowed_tools_where_the_host_cannot() -> None:
    """Where a host knows no allowed tools, the others are left out, with a warning."""
    request = written(
        Message.user("x"),
        tools=(Tool("f"), Tool("g"), ProviderTool({"type": "h"})),
        tool_choice=ToolChoice("auto", ("g",)),
        dialect=dialect_of("groq"),
    )
    found = json.loads(request.body)
    assert (["g"], "auto", 1) == (
        [tool["function"]["name"] for tool in found["tools"]],
        found["tool_choice"],
        len(request.warnings),
    )


def test_tool_choice_without_tools() -> None:
    """Choosing freely among no tools says nothing; demanding one is refused, and so is a tool without a name."""
    assert "tool_choice" not in body(Message.user("x"), tool_choice=ToolChoice("auto"), parallel_tool_calls=True)
    with pytest.raises(UnsupportedParameterError):
        body(Message.user("x"), tool_choice=ToolChoice("required"))
    with pytest.raises(BadRequestError):
        body(Message.user("x"), tools=(Tool("f"),), tool_choice=ToolChoice("tool"))


def test_demanded_calls_that_a_host_refuses() -> None:
    """Ollama cannot be made to call a tool, DeepSeek not while it reasons."""
    asked: dict[str, Any] = {"tools": (Tool("f"),), "tool_choice": ToolChoice("required")}
    with pytest.raises(UnsupportedParameterError, match="tool_choice"):
        body(Message.user("x"), dialect=dialect_of("ollama"), **asked)
    deepseek = dialect_of("deepseek")
    with pytest.raises(UnsupportedParameterError, match="reasons"):
        body(Message.user("x"), dialect=deepseek, reasoning="high", **asked)
    assert "required" == body(Message.user("x"), dialect=deepseek, **asked)["tool_choice"]


def test_strict_tools_and_custom_calls_where_unknown() -> None:
    """A host without strict tools gets them without, with a warning; a custom call it cannot be told."""
    ollama = dialect_of("ollama")
    request = written(Message.user("x"), tools=(Tool("f", strict=True), Tool("g", strict=False)), dialect=ollama)
    assert 1 == len(request.warnings)
    assert "strict" not in request.body.decode()
    with pytest.raises(UnsupportedContentError, match="custom"):
        turns(Message.assistant(ToolCall("c", "f", raw_arguments="x", kind="custom")), dialect=ollama)


def test_response_formats() -> None:
    """A schema with its name, description and strictness; any JSON; a tool or instructions where a host takes none."""
    schema = {"type": "object"}
    wanted = ResponseFormat(schema=schema, name="answer", description="d", strict=True)
    expected = {"name": "answer", "schema": schema, "description": "d", "strict": True}
    assert {"type": "json_schema", "json_schema": expected} == body(Message.user("x"), response_format=wanted)[
        "response_format"
    ]
    assert {"type": "json_object"} == body(Message.user("x"), response_format=ResponseFormat())["response_format"]
    request = written(Message.system("s"), Message.user("x"), response_format=wanted, dialect=dialect_of("deepseek"))
    found = json.loads(request.body)
    assert ({"type": "json_object"}, 1) == (found["response_format"], len(request.warnings))
    assert ["s", "x"] == [found["messages"][0]["content"], found["messages"][2]["content"]]
    assert '{"type":"object"}' in found["messages"][1]["content"]
    with pytest.raises(UnsupportedParameterError):
        body(Message.user("x"), response_format=ResponseFormat(), dialect=ChatDialect(json_schema="none"))
    request = written(Message.user("x"), response_format=wanted, dialect=ChatDialect(json_schema="none"))
    found = json.loads(request.body)
    assert (True, "give_answer") == (request.answer_tool, found["tool_choice"]["function"]["name"])
    never = ChatDialect(json_schema="none", forced_tool_choice="no")
    assert "response_format" not in json.loads(written(Message.user("x"), response_format=wanted, dialect=never).body)


def test_reasoning_in_every_dialect() -> None:
    """Effort word, object, switch, budget: each host in its own words, or a refusal that says what to do."""

    def asked(reasoning: str | int, dialect: ChatDialect = PLAIN) -> dict[str, Any]:
        found = body(Message.user("x"), reasoning=reasoning, dialect=dialect)
        return {name: found[name] for name in found if name not in ("model", "messages")}

    openrouter, deepseek = dialect_of("openrouter"), dialect_of("deepseek")
    assert {"reasoning": {"effort": "low"}} == asked("low", openrouter)
    assert {"reasoning": {"max_tokens": 99}} == asked(99, openrouter)
    assert {"thinking": {"type": "enabled"}, "reasoning_effort": "max"} == asked("max", deepseek)
    assert {"thinking": {"type": "disabled"}} == asked("none", deepseek)
    assert {"thinking": {"type": "enabled"}} == asked("low", ChatDialect(reasoning_param="switch"))
    assert {"thinking_token_budget": 9} == asked(9, dialect_of("vllm"))
    assert {"reasoning_effort": "minimal"} == asked(1024)
    assert {} == asked("low", ChatDialect(reasoning_param="none"))


def test_stop_where_a_host_takes_none() -> None:
    """Stop sequences are refused before they are sent to xAI, which refuses them."""
    with pytest.raises(UnsupportedParameterError, match="stop"):
        body(Message.user("x"), stop=("A",), dialect=dialect_of("xai"))


def test_cache_marks() -> None:
    """A mark is an explicit breakpoint with the lifetime chat takes; others are left out with a warning."""
    request = written(
        Message.user(
            Text("a", cache=CacheMark()), Text("b", cache=CacheMark("30m")), Text("c", cache=CacheMark("12h"))
        ),
        Message.assistant(Text("d", cache=CacheMark())),
        Message("tool", (ToolResult("c", (Text("e"),), cache=CacheMark()),)),
    )
    user, assistant, tool = json.loads(request.body)["messages"]
    explicit = {"mode": "explicit"}
    assert [explicit, {**explicit, "ttl": "30m"}, explicit] == [
        item["prompt_cache_breakpoint"] for item in user["content"]
    ]
    assert [explicit, explicit] == [turn["content"][0]["prompt_cache_breakpoint"] for turn in (assistant, tool)]
    assert (1, True) == (len(request.warnings), "12h" in request.warnings[0])


def test_cache_marks_where_the_model_takes_none() -> None:
    """OpenAI's older models cache by themselves and refuse a breakpoint: it is left out with a warning."""
    marked = Request(model="gpt-5.4", messages=(Message.user(Text("a", cache=CacheMark())),))
    request = OpenAIChat().encode(marked, context(model="gpt-5.4"))
    assert b"breakpoint" not in request.body
    assert 1 == len(request.warnings)
    newer = replace(marked, model="gpt-6-sol")
    assert b"breakpoint" in OpenAIChat().encode(newer, context(model="gpt-6-sol")).body


def test_cache_marks_elsewhere() -> None:
    """OpenRouter takes Anthropic's words; where a mark has no place, a warning says so."""
    marked = Message.user(Text("a", cache=CacheMark("1h")))
    tool = Tool("f", cache=CacheMark())
    found = body(marked, tools=(tool,), dialect=dialect_of("openrouter"))
    assert {"type": "ephemeral", "ttl": "1h"} == found["messages"][0]["content"][0]["cache_control"]
    assert {"type": "ephemeral"} == found["tools"][0]["cache_control"]
    call = Message.assistant(ToolCall("c", "f", {}, cache=CacheMark()))
    assert 1 == len(written(marked, dialect=dialect_of("groq")).warnings)
    assert 1 == len(written(call, Message.user("x"), tools=(tool,)).warnings)


def test_leading_system_messages_are_joined_for_local_servers() -> None:
    """Servers whose templates allow one leading system message get one; OpenAI gets what was written."""
    talk = (Message.system("a"), Message.system("b"), Message.user("x"), Message.system("c"))
    assert ["a\n\nb", "x", "c"] == [turn["content"] for turn in turns(*talk, dialect=dialect_of("vllm"))]
    assert ["a", "b", "x", "c"] == [turn["content"] for turn in turns(*talk)]
    assert 2 == len(turns(Message.system("a"), Message.system("b", "c"), dialect=dialect_of("vllm")))


def test_values_that_json_cannot_say() -> None:
    """A value that is no JSON is the caller's mistake."""
    with pytest.raises(BadRequestError):
        body(Message.user("x"), temperature=float("nan"))
    with pytest.raises(BadRequestError):
        body(Message.tool("c", {"a": object()}))


def _message_of(exchange: dict[str, Any]) -> dict[str, Any]:
    choices = json.loads(exchange["response_body"])["choices"]
    found: dict[str, Any] = next((choice for choice in choices if choice["index"] == 0), choices[0])["message"]
    return found


def _wire_id(exchange: dict[str, Any], ident: str) -> str:
    """The id as the host of the recording takes it: some were replaced by longer ones when they were recorded."""
    return nine_alphanumerics(ident) if kind_of(exchange) == "mistral" else ident


def test_recorded_replies_go_back_as_they_came() -> None:
    """Every recorded reply sent back to its host: text, call ids, arguments and reasoning details byte for byte."""
    count = calls = details = 0
    for exchange in exchanges(status=200, response_kind="json"):
        if '"choices"' not in exchange["response_body"] or '"message"' not in exchange["response_body"]:
            continue
        if "'error'" in str(json.loads(exchange["response_body"])):
            continue
        wire, reply = _message_of(exchange), decode(exchange)
        request = Request(model="m", messages=(reply.message,))
        sent = json.loads(protocol_of(exchange).encode(request, context_of(exchange)).body)["messages"]
        back = sent[0] if sent else {}
        count += 1
        if isinstance(wire.get("content"), (str, list)) and wire["content"]:
            assert wire["content"] == back["content"], exchange["id"]
        if (wire.get("function_call") or {}).get("name") and not wire.get("tool_calls"):
            assert [wire["function_call"]] == [call["function"] for call in back["tool_calls"]]
            continue
        for old, new in zip(wire.get("tool_calls") or [], back.get("tool_calls") or [], strict=True):
            calls += 1
            kind = new["type"]
            assert (_wire_id(exchange, old["id"]) or "call_1", old[kind]) == (new["id"], new[kind]), exchange["id"]
        if kind_of(exchange) == "openrouter" and wire.get("reasoning_details"):
            details += 1
            assert wire["reasoning_details"] == back["reasoning_details"], exchange["id"]
    assert (190, 66, 5) <= (count, calls, details)


def _sent_after(exchange: dict[str, Any], others: dict[tuple[str, int], dict[str, Any]]) -> list[dict[str, Any]]:
    following = others.get((exchange["source_path"], exchange["idx"] + 1)) or {}
    old = (exchange.get("request_json") or {}).get("messages") or []
    found: list[dict[str, Any]] = ((following.get("request_json") or {}).get("messages") or [])[len(old) :]
    return found


def _reply(exchange: dict[str, Any]) -> Response | None:
    try:
        if exchange["response_kind"] == "json":
            return decode(exchange)
        return reply_of(play([body_of(exchange)], protocol_of(exchange), context_of(exchange)))
    except AsyncLLMError:
        return None


def test_recorded_histories() -> None:
    """The turn we send back is what other clients sent in the next request: text, call ids and arguments."""
    everything = {(exchange["source_path"], exchange["idx"]): exchange for exchange in exchanges()}
    compared = 0
    for exchange in everything.values():
        later = _sent_after(exchange, everything)
        if exchange["status"] != 200 or not later or later[0].get("role") != "assistant":
            continue
        theirs, reply = later[0], _reply(exchange)
        ids = [call["id"] for call in theirs.get("tool_calls") or []]
        if reply is None or ids != [call.id for call in reply.tool_calls]:
            continue  # another conversation, or a client that made up ids
        request = Request(model="m", messages=(reply.message,))
        ours = json.loads(protocol_of(exchange).encode(request, context_of(exchange)).body)["messages"][0]
        if ids:
            for their, our in zip(theirs["tool_calls"], ours["tool_calls"], strict=True):
                assert json.loads(their["function"]["arguments"]) == json.loads(our["function"]["arguments"])
                assert _wire_id(exchange, their["id"]) == our["id"]
                assert their["function"]["name"] == our["function"]["name"]
        elif theirs.get("content") != reply.text:
            continue  # another conversation
        else:
            assert theirs["content"] == ours["content"], exchange["id"]
        compared += 1
    assert 60 <= compared


def test_name() -> None:
    """The format's name is the one that origins carry."""
    assert "openai_chat" == OpenAIChat().name
