"""What the Converse codec writes."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from asyncllm._protocols.aws_shapes import base_model
from asyncllm._protocols.converse import Converse, ConverseDialect
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
from asyncllm.errors import BadRequestError, UnsupportedContentError, UnsupportedParameterError
from recordings import context

OURS = Origin("bedrock", "converse")
THEIRS = Origin("anthropic", "anthropic")
HELLO = Message.user("Hi")
CLAUDE = "us.anthropic.claude-sonnet-4-6"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
WEATHER = Tool("weather", "Says the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = Tool("time")
PIXEL = b"\x89PNG"
PIXEL_64 = b64encode(PIXEL).decode()
CALLS = Message.assistant(ToolCall("t1", "weather", {"city": "Oslo"}), ToolCall("t2", "time"))
RESULTS = (Message.tool("t1", "3 degrees"), Message.tool("t2", {"hour": 3}))


def wire(*messages: Message, dialect: ConverseDialect | None = None, model: str = CLAUDE, **keywords: Any) -> Any:
    """The encoded request."""
    request = Request(model=model, messages=messages or (HELLO,), **keywords)
    return Converse(dialect or ConverseDialect()).encode(request, context("bedrock", "converse", model))


def body(*messages: Message, **keywords: Any) -> dict[str, Any]:
    """The encoded body."""
    found: dict[str, Any] = json.loads(wire(*messages, **keywords).body)
    return found


def fields(*messages: Message, **keywords: Any) -> Any:
    """What goes to the model as it is."""
    return body(*messages, **keywords).get("additionalModelRequestFields")


def blocks(*parts: Any, role: str = "user", **keywords: Any) -> Any:
    """The content these parts become, in a message of their own."""
    before = (HELLO,) if role == "assistant" else ()
    return body(*before, Message(role, parts), **keywords)["messages"][-1]["content"]  # type: ignore[arg-type]


def warnings(*messages: Message, **keywords: Any) -> str:
    """The warnings of encoding these messages."""
    request = wire(*messages, **keywords)
    return "\n".join([*map(str, request.left_out), *request.warnings])


def spec(name: str, **facts: Any) -> dict[str, Any]:
    """A tool as the wire has it."""
    return {"toolSpec": {"name": name, **facts}}


def test_a_plain_request() -> None:
    """A question becomes the smallest body the API takes, and the path names the model."""
    encoded = wire(model="us.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert ("POST", "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse") == (encoded.method, encoded.path)
    assert (("content-type", "application/json"),) == encoded.headers
    assert {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]} == json.loads(encoded.body)
    assert () == encoded.warnings
    assert "converse" == Converse().name


def test_the_path_of_a_stream_and_of_an_arn() -> None:
    """A stream has a path of its own, and an ARN is one segment of it."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc"
    assert f"/model/{escaped}/converse-stream" == wire(model=arn, stream=True).path


def test_settings() -> None:
    """The four settings of Converse, and a seed that it has not."""
    found = body(model=NOVA, max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",), seed=1)
    expected = {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    assert expected == found["inferenceConfig"]
    assert "seed was left out" in warnings(model=NOVA, seed=1)
    assert {"maxTokens": 7} == body(dialect=ConverseDialect(max_tokens=7))["inferenceConfig"]


@pytest.mark.parametrize("model", ["us.anthropic.claude-opus-4-7", "xai.grok-4.6", "openai.gpt-6-sol"])
def test_models_without_sampling(model: str) -> None:
    """Models that refuse sampling parameters get none, and a warning says so."""
    assert "inferenceConfig" not in body(model=model, temperature=0.5, top_p=0.9)
    assert "top_p was left out" in warnings(model=model, top_p=0.9)


def test_a_thinking_claude_takes_no_temperature() -> None:
    """Beside thinking only a temperature of 1 stays."""
    assert {"temperature": 1, "topP": 0.9} == body(reasoning="low", temperature=1, top_p=0.9)["inferenceConfig"]
    assert "temperature was left out" in warnings(reasoning="low", temperature=0.5)


def test_extras_are_merged_last() -> None:
    """The dialect's fields lie under the body, the caller's over it, object by object."""
    dialect = ConverseDialect(
        fields={"serviceTier": {"type": "flex"}, "guardrailConfig": {"guardrailIdentifier": "g"}},
        adapt=lambda found: {**found, "requestMetadata": {"a": "b"}},
    )
    found = body(
        dialect=dialect,
        max_tokens=5,
        extra_body={"serviceTier": {"type": "default"}, "inferenceConfig": {"topP": 1}},
        extra_headers={"X-Custom": "1", "Content-Type": "text/plain"},
    )
    assert {"type": "default"} == found["serviceTier"]
    assert {"guardrailIdentifier": "g"} == found["guardrailConfig"]
    assert {"maxTokens": 5, "topP": 1} == found["inferenceConfig"]
    assert {"a": "b"} == found["requestMetadata"]
    headers = wire(extra_headers={"X-Custom": "1", "Content-Type": "text/plain"}).headers
    assert (("content-type", "application/json"), ("x-custom", "1")) == headers


def test_claudes_betas_go_into_the_body() -> None:
    """Beta names, a header on Claude's own API, reach Claude through the body."""
    found = wire(extra_headers={"anthropic-beta": "a, b"})
    assert {"anthropic_beta": ["a", "b"]} == json.loads(found.body)["additionalModelRequestFields"]
    assert (("content-type", "application/json"),) == found.headers


def test_system_messages_at_the_start() -> None:
    """Instructions at the start are one list, with their cache point."""
    found = body(Message.system("Be brief."), Message.system(Text("Be kind.", cache=CacheMark("1h"))), HELLO)
    expected = [{"text": "Be brief."}, {"text": "Be kind."}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert expected == found["system"]
    with pytest.raises(UnsupportedContentError, match="put it into a user message"):
        body(Message.system(Image(data=PIXEL, media_type="image/png")), HELLO)


def test_system_messages_within() -> None:
    """A later instruction keeps its place where the model takes one there, else the user says it."""
    turns = (HELLO, Message.assistant("Hi"), Message.system("Now in French."), Message.user("Go"))
    kept = body(*turns, model="us.anthropic.claude-opus-5-5")["messages"]
    assert ["user", "assistant", "system", "user"] == [message["role"] for message in kept]
    moved = body(*turns)["messages"]
    assert [{"text": "Now in French."}, {"text": "Go"}] == moved[-1]["content"]
    assert "sent as the user's" in warnings(*turns)


def test_a_system_message_never_parts_a_call_from_its_result() -> None:
    """Between a call and its result an instruction is said by the user, after the result."""
    turns = (HELLO, CALLS, Message.system("Hurry."), *RESULTS)
    found = body(*turns, model="us.anthropic.claude-opus-5-5", tools=(WEATHER, TIME))["messages"]
    assert ["user", "assistant", "user"] == [message["role"] for message in found]
    assert {"text": "Hurry."} == found[-1]["content"][-1]


def test_results_come_first_in_one_message() -> None:
    """Consecutive results and words of the user are one message, results first, cache points beside their blocks."""
    last = Message.user(Text("And?", cache=CacheMark()))
    found = body(HELLO, CALLS, RESULTS[0], last, RESULTS[1], tools=(WEATHER, TIME))["messages"]
    assert [
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "3 degrees"}]}},
        {"toolResult": {"toolUseId": "t2", "content": [{"json": {"hour": 3}}]}},
        {"text": "And?"},
        {"cachePoint": {"type": "default"}},
    ] == found[-1]["content"]


def test_nothing_is_invented_at_the_beginning() -> None:
    """A conversation that the assistant begins goes out as it is."""
    assert "assistant" == body(Message.assistant("Hello!"), HELLO)["messages"][0]["role"]


def test_empty_and_nameless() -> None:
    """Empty text beside other content says nothing, an empty turn is left out, and names have no place."""
    assert [{"text": "Hi"}] == blocks(Text(""), Text("Hi"))
    assert [{"text": "Hi"}] == blocks(Text(" \n"), Text("Hi"))
    answered = [Message.assistant(ToolCall("t", "f", {})), Message.tool("t", "")]
    assert [{"text": "(no output)"}] == body(HELLO, *answered)["messages"][-1]["content"][0]["toolResult"]["content"]
    twice = [HELLO, Message.assistant("a"), Message.assistant(ToolCall("t", "f", {}))]
    assert ["user", "assistant"] == [message["role"] for message in body(*twice)["messages"]]
    said = warnings(HELLO, Message.assistant(Reasoning("hm", origin=THEIRS)), Message("user", ("x",), name="Ann"))  # type: ignore[arg-type]
    assert "nothing to send" in said
    assert "names of speakers" in said
    assert [{"role": "user", "content": [{"text": "Hi"}]}] == body(HELLO, Message.user())["messages"]


def test_media() -> None:
    """Pictures, films and sounds are bytes with a format word, or stand in S3."""
    assert [
        {"image": {"format": "png", "source": {"bytes": PIXEL_64}}},
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/a.jpg"}}}},
        {"video": {"format": "three_gp", "source": {"bytes": PIXEL_64}}},
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/a.mp4"}}}},
        {"audio": {"format": "mp3", "source": {"bytes": PIXEL_64}}},
        {"text": "?"},
    ] == blocks(
        Image(data=PIXEL, media_type="image/png"),
        Image(url="s3://b/a.jpg"),
        Video(data=PIXEL, media_type="video/3gpp"),
        Video(file_id="s3://b/a.mp4", media_type="video/mp4"),
        Audio(data=PIXEL, media_type="audio/mpeg"),
        Text("?"),
    )


def test_documents_get_names_of_their_own() -> None:
    """Names are unique, in the characters that Bedrock takes, and a change is told."""
    pdf = {"data": PIXEL, "media_type": "application/pdf"}
    parts = [Document(**pdf), Document(**pdf), *[Document(**pdf, name=name) for name in ("a_b.pdf", "a b pdf", "ok")]]
    found = blocks(*parts, Text("Read."))
    names = [block["document"]["name"] for block in found if "document" in block]
    assert ["Document 1", "Document 2", "a b pdf", "a b pdf (2)", "ok"] == names
    assert "the document 'a_b.pdf' was sent under the name 'a b pdf'" in warnings(Message.user(*parts, "Read."))
    long = blocks(Document(**pdf, name="x" * 300), Document(**pdf, name="x" * 300), Text("?"))
    assert [200, 200] == [len(block["document"]["name"]) for block in long[:2]]


def test_sources_of_documents() -> None:
    """Text that is to be cited goes as text, other documents as bytes; context and citations are kept."""
    csv = Document(text="a,b", media_type="text/csv", name="t", context="c")
    cited = Document(data=b"plain", media_type="text/plain", citations=True, name="u")
    binary = Document(data=b"\xff", media_type="text/plain", citations=True, name="v")
    wanted = Document(text="w", citations=True, name="w")
    stored = Document(url="s3://b/x.md", name="x")
    named = Document(data=b"1", name="y.docx")
    on = {"citations": {"enabled": True}}
    assert [
        {"document": {"format": "csv", "name": "t", "source": {"bytes": "YSxi"}, "context": "c"}},
        {"document": {"format": "txt", "name": "u", "source": {"text": "plain"}, **on}},
        {"document": {"format": "txt", "name": "v", "source": {"bytes": "/w=="}, **on}},
        {"document": {"format": "txt", "name": "w", "source": {"text": "w"}, **on}},
        {"document": {"format": "md", "name": "x", "source": {"s3Location": {"uri": "s3://b/x.md"}}}},
        {"document": {"format": "docx", "name": "y docx", "source": {"bytes": "MQ=="}}},
        {"text": "?"},
    ] == blocks(csv, cited, binary, wanted, stored, named, Text("?"))


def test_a_text_stands_beside_documents() -> None:
    """Where the caller wrote none, one that names the documents is added, and told."""
    alone = Document(text="x", name="plan")
    assert {"text": "Documents: plan"} == blocks(alone)[-1]
    assert "names the documents" in warnings(Message.user(alone))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Image(data=PIXEL, media_type="image/tiff"), "image/tiff"),
        (Image(url="https://x.test/a.png"), "cannot fetch"),
        (Image(media_type="image/png"), "needs data"),
        (Document(data=PIXEL), "document has media_type None"),
        (Video(data=PIXEL, media_type="video/x"), "video/x"),
        (Audio(url="s3://b/noending"), "audio has media_type None"),
        (ToolResult("t1", (Unknown(type="x", raw={}, origin=THEIRS),)), "cannot hold Unknown"),
    ],
)
def test_what_cannot_be_carried(part: Any, words: str) -> None:
    """A part without a place is refused, with what would do instead."""
    with pytest.raises(UnsupportedContentError, match=words):
        blocks(part)


def test_what_a_tool_result_holds() -> None:
    """Objects are JSON, other values text; pictures, documents and failures have their places."""
    result = ToolResult(
        "t1",
        (
            Text("a"),
            Json({"b": 1}),
            Json([1]),
            Image(data=PIXEL, media_type="image/png"),
            Document(text="d", name="d"),
            Video(url="s3://b/v.mp4"),
            Unknown(type="searchResult", raw={"searchResult": {}}, origin=OURS),
        ),
        is_error=True,
    )
    found = blocks(result)[0]["toolResult"]
    kinds = ["text", "json", "text", "image", "document", "video", "searchResult"]
    assert kinds == [next(iter(block)) for block in found["content"]]
    assert ("error", "[1]") == (found["status"], found["content"][2]["text"])
    assert "status" not in blocks(result, model="us.writer.palmyra-x5-v1:0")[0]["toolResult"]
    assert "is an error was left out" in warnings(Message("tool", (result,)), model="writer.palmyra-x4-v1:0")
    marked = ToolResult("t1", (Text("a", cache=CacheMark()),))
    assert "put it on the result" in warnings(Message("tool", (marked,)))


def test_tool_calls() -> None:
    """Arguments are objects on this wire, whatever the model wrote."""
    calls = (
        ToolCall("t1", "f", raw_arguments='{"a": 1}'),
        ToolCall("t2", "g", raw_arguments="oops"),
        ToolCall("t3", "h", raw_arguments="print(1)", kind="custom", signature="s"),
    )
    found = [block["toolUse"]["input"] for block in blocks(*calls, role="assistant")]
    assert [{"a": 1}, {"INVALID_JSON": "oops"}, {"input": "print(1)"}] == found
    said = warnings(HELLO, Message.assistant(*calls))
    for words in ("no JSON object", "free-form tool h", "a signature on a tool call"):
        assert words in said


def test_ids_that_bedrock_would_refuse() -> None:
    """Too long or odd ids are rewritten, the same one always to the same one, good ones not at all."""
    long = "x" * 65
    found = body(
        Message.assistant(ToolCall(long, "f"), ToolCall("a b", "f"), ToolCall("tooluse_a.b:0", "f")),
        Message.tool(long, "1"),
        Message.tool("a b", "2"),
        Message.tool("tooluse_a.b:0", "3"),
        tools=(Tool("f"),),
    )["messages"]
    calls = [block["toolUse"]["toolUseId"] for block in found[0]["content"]]
    assert calls == [block["toolResult"]["toolUseId"] for block in found[1]["content"]]
    assert "tooluse_a.b:0" == calls[2]
    assert 3 == len(set(calls))
    assert all(len(call) <= 64 and " " not in call for call in calls)


def test_what_only_its_maker_reads_goes_back_to_it() -> None:
    """Our own reasoning, citations, provider tools and unknown blocks go back as they came."""
    raw = {"title": "t", "location": {"web": {"url": "https://x.test"}}}
    call = {"toolUse": {"toolUseId": "s1", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "s1", "content": [], "status": "success"}}
    whole = {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}}
    parts = (
        Reasoning("hm", signature="sig", origin=OURS),
        Reasoning(encrypted="blob", origin=OURS),
        Text("cited", citations=(Citation(raw=raw),), origin=OURS),
        Text("ab", origin=OURS, extra=whole),
        ProviderToolCall(id="s1", name="nova_code_interpreter", raw=call, origin=OURS),
        ProviderToolResult(call_id="s1", name="nova_code_interpreter", raw=result, origin=OURS),
        Unknown(type="guardContent", raw={"guardContent": {"text": {"text": "x"}}}, origin=OURS),
        ToolCall("t1", "f", origin=OURS, extra={"type": "new"}),
    )
    expected = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "blob"}},
        {"citationsContent": {"content": [{"text": "cited"}], "citations": [raw]}},
        whole,
        call,
        result,
        {"guardContent": {"text": {"text": "x"}}},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}, "type": "new"}},
    ]
    assert expected == blocks(*parts, role="assistant")


def test_what_others_made_is_left_out() -> None:
    """Nothing that another host signed is sent, and each loss is told."""
    parts = (
        Reasoning("hm", signature="sig", origin=THEIRS),
        Text("a", citations=(Citation(raw={}),), signature="s", extra={"x": 1}, origin=THEIRS),
        ProviderToolCall(id="s1", name="search", raw={}, origin=THEIRS),
        ProviderToolResult(call_id="s1", name="search", raw={}, origin=THEIRS),
        Unknown(type="thing", raw={}, origin=THEIRS),
        Unknown(type="odd", raw="no object", origin=OURS),
        Refusal("No."),
    )
    found = blocks(*parts, role="assistant")
    assert ["text", "text"] == [next(iter(block)) for block in found]
    shown = Image(data=PIXEL, media_type="image/png", signature="s", detail="high", extra={"y": 1})
    said = warnings(Message.user("Hello", shown), Message.assistant(*parts))
    for words in (
        "reasoning from anthropic",
        "a signature on text",
        "what else a text part held (x)",
        "a citation",
        "a signature on an image",
        "detail='high'",
        "what else a image part held (y)",
        "the call of a tool the provider ran (search)",
        "the result of a tool the provider ran (search)",
        "content of type 'thing'",
        "content of type 'odd'",
        "a refusal of another host was sent as text",
    ):
        assert words in said


def test_media_in_the_assistant_s_turn() -> None:
    """A picture of this host goes back to it; another's is refused, and another's speech is sent as its transcript."""
    picture = Image(data=PIXEL, media_type="image/png", origin=OURS)
    assert ["image"] == [next(iter(block)) for block in blocks(picture, role="assistant")]
    with pytest.raises(UnsupportedContentError, match="bedrock takes no Image part of another host"):
        blocks(replace(picture, origin=THEIRS), role="assistant")
    spoken = Audio(data=b"x", transcript="Hi.", origin=THEIRS)
    assert [{"text": "Hi."}] == blocks(spoken, role="assistant")
    assert "its transcript" in warnings(HELLO, Message.assistant(spoken))


def test_reasoning_without_a_signature() -> None:
    """Claude takes only what it signed; models that sign nothing get their reasoning back."""
    part = Reasoning("hm", origin=OURS)
    assert [{"text": "x"}] == blocks(part, Text("x"), role="assistant")
    found = blocks(part, Text("x"), role="assistant", model="openai.gpt-oss-120b-1:0")
    assert {"reasoningContent": {"reasoningText": {"text": "hm"}}} == found[0]


def test_reasoning_of_claude_for_other_models() -> None:
    """Other models refuse signatures and blobs, so they get the readable text alone."""
    parts = (Reasoning("hm", signature="s", origin=OURS), Reasoning(encrypted="YQ==", origin=OURS))
    assert [{"reasoningContent": {"reasoningText": {"text": "hm"}}}] == blocks(*parts, role="assistant", model=NOVA)
    said = warnings(HELLO, Message.assistant(*parts), model=NOVA)
    assert "a signature on reasoning was left out" in said
    assert "redacted reasoning was left out" in said
    assert 2 == len(blocks(*parts, role="assistant", model="arn:aws:bedrock:x:1:application-inference-profile/abc"))


def test_a_turn_of_reasoning_alone_is_not_sent_to_claude() -> None:
    """Claude would take it for the beginning of its answer."""
    turn = Message.assistant(Reasoning("hm", signature="s", origin=OURS))
    assert ["user"] == [message["role"] for message in body(HELLO, turn, HELLO)["messages"]]
    assert "nothing to send" in warnings(HELLO, turn, HELLO)
    assert 3 == len(body(HELLO, turn, HELLO, model=NOVA)["messages"])


def test_cache_points() -> None:
    """A mark becomes a block after its part; lifetimes that Bedrock has not, and marks on reasoning, are told."""
    marked = Text("a", cache=CacheMark("5m"))
    assert [{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "5m"}}] == blocks(marked)
    assert "'24h' was left out" in warnings(Message.user(Text("a", cache=CacheMark("24h"))))
    thought = Reasoning("hm", signature="s", origin=OURS, cache=CacheMark())
    assert 2 == len(blocks(thought, Text("x"), role="assistant"))
    assert "put it on the part after it" in warnings(HELLO, Message.assistant(thought, "x"))


def test_tools() -> None:
    """Tools are specifications with a schema; strict ones get the schema that is enforced."""
    strict = Tool("f", parameters={"properties": {"n": {"type": "integer", "minimum": 1}}}, strict=True)
    extra = Tool("g", parameters={"type": "object"}, extra={"x": 1}, cache=CacheMark())
    found = body(tools=(WEATHER, TIME, strict, extra, ProviderTool({"systemTool": {"name": "nova_grounding"}})))
    empty = {"json": {"type": "object", "properties": {}}}
    number = {"type": "integer", "description": "{minimum: 1}"}
    enforced = {"type": "object", "properties": {"n": number}, "additionalProperties": False}
    assert [
        spec("weather", description="Says the weather.", inputSchema={"json": dict(WEATHER.parameters)}),
        spec("time", inputSchema=empty),
        spec("f", inputSchema={"json": enforced}, strict=True),
        spec("g", inputSchema={"json": {"type": "object"}}, x=1),
        {"cachePoint": {"type": "default"}},
        {"systemTool": {"name": "nova_grounding"}},
    ] == found["toolConfig"]["tools"]
    with pytest.raises(UnsupportedParameterError, match="wrap the value in an object"):
        body(tools=(Tool("f", parameters={"type": "string"}),))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("tool", ("time",)), {"tool": {"name": "time"}}),
        (ToolChoice("required", ("time",)), {"tool": {"name": "time"}}),
    ],
)
def test_choices(choice: ToolChoice, expected: Any) -> None:
    """Each choice has its word."""
    found = body(tools=(WEATHER, TIME), tool_choice=choice)["toolConfig"]
    assert (expected, 2) == (found["toolChoice"], len(found["tools"]))


def test_a_choice_among_some() -> None:
    """The wire has no list of allowed tools, so the others are left out."""
    system = ProviderTool({"systemTool": {"name": "s"}})
    keywords: dict[str, Any] = {
        "tools": (WEATHER, TIME, system, ProviderTool({"odd": 1})),
        "tool_choice": ToolChoice("auto", ("time", "s")),
    }
    found = body(**keywords)["toolConfig"]
    assert [spec("time", inputSchema={"json": {"type": "object", "properties": {}}}), system.definition] == found[
        "tools"
    ]
    assert "does not name were left out: weather" in warnings(**keywords)
    with pytest.raises(BadRequestError, match="'x'"):
        body(tools=(TIME,), tool_choice=ToolChoice("auto", ("x",)))


def test_no_tools_for_claude() -> None:
    """Claude has a word for it, which stands instead of Converse's."""
    found = body(tools=(TIME,), tool_choice=ToolChoice("none"))
    assert {"tool_choice": {"type": "none"}} == found["additionalModelRequestFields"]
    assert ["tools"] == list(found["toolConfig"])


def test_no_tools_for_others() -> None:
    """Other models get no tools at all, but where the history holds calls, and that is told."""
    none: dict[str, Any] = {"model": NOVA, "tools": (WEATHER, TIME), "tool_choice": ToolChoice("none")}
    assert "toolConfig" not in body(**none)
    assert "the tools were left out" in warnings(**none)
    turns = (HELLO, CALLS, *RESULTS)
    assert ["tools"] == list(body(*turns, **none)["toolConfig"])
    assert "the history holds calls" in warnings(*turns, **none)


def test_tools_of_the_history_are_declared() -> None:
    """Bedrock refuses calls without their tools, so their names are declared where the caller gives none."""
    server = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    told = {"toolResult": {"toolUseId": "s", "content": [{"text": "x"}]}}
    turns = (
        HELLO,
        Message.assistant(
            ProviderToolCall(id="s", name="nova_grounding", raw=server, origin=OURS),
            ProviderToolResult(call_id="s", name="nova_grounding", raw=told, origin=OURS),
            *CALLS.content,
        ),
        *RESULTS,
    )
    schema = {"json": {"type": "object"}}
    declared = [
        {"systemTool": {"name": "nova_grounding"}},
        spec("weather", inputSchema=schema),
        spec("time", inputSchema=schema),
    ]
    assert {"tools": declared} == body(*turns, model=NOVA)["toolConfig"]
    assert "were declared" in warnings(*turns, model=NOVA)
    assert {"tool_choice": {"type": "none"}} == fields(*turns)


def test_one_call_at_a_time() -> None:
    """Claude has a switch for it, which takes the choice with it; for others it is left out."""
    off: dict[str, Any] = {"tools": (TIME,), "parallel_tool_calls": False}
    assert {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}} == fields(**off)
    forced = body(**off, tool_choice=ToolChoice("tool", ("time",)))
    expected = {"tool_choice": {"type": "tool", "name": "time", "disable_parallel_tool_use": True}}
    assert expected == forced["additionalModelRequestFields"]
    assert "toolChoice" not in forced["toolConfig"]
    assert "any" == fields(**off, tool_choice=ToolChoice("required"))["tool_choice"]["type"]
    assert fields(tools=(TIME,), parallel_tool_calls=True) is None
    assert "parallel_tool_calls was left out" in warnings(model=NOVA, **off)


def test_forced_calls_that_claude_refuses() -> None:
    """A call is not forced within a thinking budget, nor on models that refuse it."""
    forced: dict[str, Any] = {"tools": (TIME,), "tool_choice": ToolChoice("required")}
    with pytest.raises(UnsupportedParameterError, match="thinking budget"):
        body(**forced, model="us.anthropic.claude-sonnet-4-5-20250929-v1:0", reasoning=2000)
    with pytest.raises(UnsupportedParameterError, match="by this model"):
        body(**forced, model="global.anthropic.claude-opus-5-5")


def test_structured_output() -> None:
    """A schema is sent as a string, in the subset that is enforced."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    found = body(response_format=ResponseFormat(schema=schema, name="out", description="d"))["outputConfig"]
    definition = found["textFormat"]["structure"]["jsonSchema"]
    assert ("json_schema", "out", "d") == (found["textFormat"]["type"], definition["name"], definition["description"])
    assert {**schema, "additionalProperties": False} == json.loads(definition["schema"])
    with pytest.raises(UnsupportedParameterError, match="needs a schema"):
        body(response_format=ResponseFormat())


@pytest.mark.parametrize(
    ("model", "reasoning", "expected"),
    [
        (CLAUDE, "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (CLAUDE, "none", {"thinking": {"type": "disabled"}}),
        ("eu.anthropic.claude-sonnet-4-5-v1:0", 2000, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("us.amazon.nova-2-lite-v1:0", "low", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        ("us.amazon.nova-2-lite-v1:0", 0, {"reasoningConfig": {"type": "disabled"}}),
        ("openai.gpt-oss-20b-1:0", "medium", {"reasoning_effort": "medium"}),
        ("openai.gpt-5.6-luna", "xhigh", {"reasoning": {"effort": "xhigh"}}),
        ("deepseek.v3.2", "none", {"reasoning_effort": "none"}),
        ("qwen.qwen3-32b-v1:0", "high", {"reasoning_config": "high"}),
        ("us.xai.grok-4.6", "low", {"reasoning": {"effort": "low"}}),
        ("zai.glm-4.7", "high", {"reasoning_effort": "high"}),
        ("zai.glm-5.3", "max", {"reasoning_effort": "max"}),
    ],
)
def test_reasoning_by_family(model: str, reasoning: Any, expected: Any) -> None:
    """Every family is asked in its own words."""
    assert expected == fields(model=model, reasoning=reasoning)


def test_reasoning_of_unknown_models() -> None:
    """A model that no row knows is asked by Converse's own effort."""
    assert {"effort": "low"} == body(model="new.model", reasoning="low")["outputConfig"]
    assert "outputConfig" not in body(model="new.model", reasoning="none")
    assert "reasoning was left out: how new.model is told 'none'" in warnings(model="new.model", reasoning="none")


@pytest.mark.parametrize(
    ("model", "reasoning", "expected"),
    [
        ("openai.gpt-oss-20b-1:0", "none", {"reasoning_effort": "low"}),
        ("openai.gpt-oss-20b-1:0", 16_000, {"reasoning_effort": "high"}),
        ("zai.glm-4.7", "low", {"reasoning_effort": "high"}),
        ("qwen.qwen3-32b-v1:0", "medium", {"reasoning_config": "high"}),
        ("us.anthropic.claude-opus-4-7", 2000, None),
    ],
)
def test_reasoning_that_a_model_lacks(model: str, reasoning: Any, expected: Any) -> None:
    """The nearest value that the model has is asked for, with a warning."""
    found = fields(model=model, reasoning=reasoning)
    assert expected in (None, found)
    assert warnings(model=model, reasoning=reasoning)


def test_a_thinking_budget_has_room_for_the_answer() -> None:
    """Bedrock's own bound of the output may be smaller than the budget, so a larger one is sent with it."""
    assert {"maxTokens": 2048 + 4096} == body(model=HAIKU, reasoning="low")["inferenceConfig"]
    assert {"maxTokens": 4000} == body(model=HAIKU, reasoning="high", max_tokens=4000)["inferenceConfig"]


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("us.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6"),
        ("global.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0"),
        ("us-gov.anthropic.claude-3-haiku", "anthropic.claude-3-haiku"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.meta.llama3-v1:0", "meta.llama3-v1:0"),
        ("arn:aws:bedrock:us-east-1::foundation-model/xai.grok-4.6", "xai.grok-4.6"),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "abc"),
        ("us.odd", "us.odd"),
    ],
)
def test_the_model_behind_an_id(model: str, base: str) -> None:
    """Geography and ARNs are taken off before a row is looked up."""
    assert base == base_model(model)
