"""What is written for Google's generateContent format."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from asyncllm._protocols.codec import WireRequest
from asyncllm._protocols.gemini import Gemini, GeminiDialect
from asyncllm._schema.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Json,
    Origin,
    Part,
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

OWN = Origin("gemini", "gemini")
FOREIGN = Origin("anthropic", "anthropic")
VERTEX = GeminiDialect.vertex("p", "us-central1")
WEATHER = Tool("get_weather", "Weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
DUMMY = base64.b64encode(b"skip_thought_signature_validator").decode()


def encode(
    *messages: Message, model: str = "gemini-3.5-flash", dialect: GeminiDialect | None = None, **fields: Any
) -> WireRequest:
    request = Request(model=model, messages=messages or (Message.user("hi"),), **fields)
    return Gemini(dialect or GeminiDialect()).encode(request, context("gemini", "gemini", model))


def body(*messages: Message, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(*messages, **fields).body)
    return found


def user_part(part: Part, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = body(Message.user(part), **fields)["contents"][0]["parts"][0]
    return found


# -- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "stream", "path", "query"),
    [
        ("gemini-3.8-flash", False, "/v1/models/gemini-3.8-flash:generateContent", ""),
        ("gemini-3.8-flash", True, "/v1/models/gemini-3.8-flash:streamGenerateContent", "alt=sse"),
        ("gemini-flash-latest", False, "/v1beta/models/gemini-flash-latest:generateContent", ""),
        ("gemini-3.1-pro-preview", False, "/v1beta/models/gemini-3.1-pro-preview:generateContent", ""),
        ("models/gemini-2.5-pro", False, "/v1/models/gemini-2.5-pro:generateContent", ""),
        ("tunedModels/mine-1", False, "/v1/tunedModels/mine-1:generateContent", ""),
        ("bad model", False, "/v1/models/bad%20model:generateContent", ""),
    ],
)
def test_the_path_follows_from_the_model(model: str, stream: bool, path: str, query: str) -> None:
    """The path names the version, the model and the verb; a stream asks for server-sent events."""
    wire = encode(model=model, stream=stream)

    assert ("POST", path, query) == (wire.method, wire.path, wire.query)


def test_a_named_version_wins() -> None:
    """A version in the dialect is used for every model."""
    assert (
        "/v1alpha/models/gemini-3.8-flash:generateContent"
        == encode(model="gemini-3.8-flash", dialect=GeminiDialect(version="v1alpha")).path
    )


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "/v1beta1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro"),
        ("meta/llama", "/v1beta1/projects/p/locations/us-central1/publishers/meta/models/llama"),
        ("publishers/google/models/x", "/v1beta1/projects/p/locations/us-central1/publishers/google/models/x"),
        ("endpoints/42", "/v1beta1/projects/p/locations/us-central1/endpoints/42"),
        ("projects/q/locations/l/endpoints/7", "/v1beta1/projects/q/locations/l/endpoints/7"),
    ],
)
def test_vertex_paths(model: str, path: str) -> None:
    """On Vertex the project and the location stand before the model, unless the id brings its own."""
    assert path + ":generateContent" == encode(model=model, dialect=VERTEX).path


def test_vertex_express_mode_has_no_project() -> None:
    """Without a project the path begins at the publisher."""
    wire = encode(model="gemini-2.5-pro", dialect=GeminiDialect.vertex(None, None, version="v1"))

    assert "/v1/publishers/google/models/gemini-2.5-pro:generateContent" == wire.path


@pytest.mark.parametrize("model", ["../../x", "x?key=1", "a&b", "", "/etc", "a//b"])
def test_ids_that_would_change_the_path_are_refused(model: str) -> None:
    """An id cannot lead to another address."""
    with pytest.raises(BadRequestError, match="model id"):
        encode(model=model)


def test_headers_are_lower_case_and_extra_ones_come_last() -> None:
    """The body's type is named, and headers of the caller are added."""
    wire = encode(extra_headers={"X-Thing": "1"})

    assert (("content-type", "application/json"), ("x-thing", "1")) == wire.headers


# -- the conversation -------------------------------------------------------------------------------------------------


def test_system_messages_at_the_head_become_the_instruction() -> None:
    """Leading system messages are one instruction and no content."""
    found = body(Message.system("Be brief."), Message.system("Be kind."), Message.user("hi"))

    assert {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]} == found["systemInstruction"]
    assert [{"role": "user", "parts": [{"text": "hi"}]}] == found["contents"]


def test_later_system_messages_become_user_text_with_a_warning() -> None:
    """The wire has no place for instructions in the middle."""
    wire = encode(Message.user("hi"), Message.system("Shout."))

    assert [{"role": "user", "parts": [{"text": "hi"}, {"text": "Shout."}]}] == json.loads(wire.body)["contents"]
    assert "head of a conversation" in wire.warnings[0]


def test_instructions_must_be_text() -> None:
    """A picture is no instruction."""
    with pytest.raises(UnsupportedContentError, match="Image"):
        encode(Message.system(Image(url="https://x/y.png")), Message.user("hi"))


def test_contents_of_one_role_are_merged() -> None:
    """Consecutive messages of one speaker become one content."""
    found = body(Message.user("a"), Message.user("b"), Message.assistant("c"), Message.assistant("d"))

    assert [("user", 2), ("model", 2)] == [(content["role"], len(content["parts"])) for content in found["contents"]]


def test_nothing_is_sent_for_empty_text() -> None:
    """Empty messages leave no content behind, so no content has empty parts."""
    found = body(Message.user("a"), Message.assistant(""), Message.user("b"))

    assert [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}] == found["contents"]


def test_a_conversation_without_content_is_refused() -> None:
    """There must be something to answer."""
    with pytest.raises(BadRequestError, match="at least one user message"):
        encode(Message.system("Be brief."))


def test_what_has_no_place_is_left_out_with_a_warning() -> None:
    """Speakers' names and cache marks are dropped, and each is spoken of once."""
    wire = encode(
        Message.system(Text("s", cache=CacheMark())),
        Message("user", (Text("a", cache=CacheMark()), Text("b", cache=CacheMark())), name="Ann"),
        tools=(Tool("f", cache=CacheMark()),),
    )

    assert [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}] == json.loads(wire.body)["contents"]
    assert 3 == len(wire.warnings)


def test_a_refusal_is_sent_as_text() -> None:
    """What a model said when it declined stays in the history."""
    assert {"text": "No."} == body(Message.user("hi"), Message.assistant(Refusal("No.")))["contents"][1]["parts"][0]


# -- media ------------------------------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n\xfb\xff"


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (
            Image(data=PNG, media_type="image/png"),
            {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}},
        ),
        (Image(data=PNG), {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}),
        (
            Image(url="data:image/gif;base64,R0lGODg="),
            {"inlineData": {"mimeType": "image/gif", "data": "R0lGODg="}},
        ),
        (
            Image(url="https://x/y.png?size=1"),
            {"fileData": {"fileUri": "https://x/y.png?size=1", "mimeType": "image/png"}},
        ),
        (Image(url="https://x/y"), {"fileData": {"fileUri": "https://x/y"}}),
        (
            Audio(data=b"ID3..", media_type="audio/mpeg"),
            {"inlineData": {"mimeType": "audio/mpeg", "data": "SUQzLi4="}},
        ),
        (Audio(transcript="hello"), {"text": "hello"}),
        (
            Video(file_id="files/abc", media_type="video/mp4"),
            {
                "fileData": {
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                    "mimeType": "video/mp4",
                }
            },
        ),
        (Video(file_id="gs://b/v.mp4"), {"fileData": {"fileUri": "gs://b/v.mp4", "mimeType": "video/mp4"}}),
        (
            Document(data=b"%PDF-1.7"),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjc="}},
        ),
        (Document(text="words"), {"text": "words"}),
    ],
)
def test_media_parts(part: Part, wire: dict[str, Any]) -> None:
    """Bytes go inline, addresses and uploaded files as file data, text as text."""
    assert wire == user_part(part)


@pytest.mark.parametrize(
    ("part", "advice"),
    [
        (Image(), "data, url or file_id"),
        (Image(data=b"??"), "media_type"),
        (Image(url="data:image/png,rawtext"), "data:"),
        (Image(url="data:image/png;base64,%%%"), "data:"),
        (Unknown(type="hologram", raw={"hologram": 1}), "hologram"),
        (Unknown(type="hologram", raw=1, origin=OWN), "hologram"),
    ],
)
def test_media_that_cannot_be_sent_is_refused(part: Part, advice: str) -> None:
    """A part that the wire cannot carry is named before anything is sent."""
    with pytest.raises(UnsupportedContentError, match=advice):
        encode(Message.user(part))


def test_vertex_has_names_but_no_uploaded_files() -> None:
    """Vertex takes the name of a document and refuses ids of the Files API."""
    named = Document(data=b"%PDF", name="report.pdf")

    assert "report.pdf" == user_part(named, dialect=VERTEX)["inlineData"]["displayName"]
    assert "displayName" not in user_part(named)["inlineData"]
    assert encode(Message.user(named)).warnings
    with pytest.raises(UnsupportedContentError, match="gs://"):
        encode(Message.user(Image(file_id="files/abc")), dialect=VERTEX)


def test_media_are_written_in_standard_base64() -> None:
    """Media are written in standard base64."""
    image = Image(data=b"\xfb\xff\xfe", media_type="image/png")

    assert "+//+" == user_part(image)["inlineData"]["data"]


def test_image_detail_needs_gemini_3() -> None:
    """How closely to look is sent to models that take it for one image, else left out with a warning."""
    image = Image(url="https://x/y.png", detail="high")

    assert {"level": "MEDIA_RESOLUTION_HIGH"} == user_part(image)["mediaResolution"]
    assert "mediaResolution" not in user_part(Image(url="https://x/y.png", detail="auto"))
    older = encode(Message.user(image), model="gemini-2.5-flash")
    assert b"mediaResolution" not in older.body
    assert "detail" in older.warnings[0]


def test_remarks_on_documents_are_spoken_of() -> None:
    """A remark, a wish for citations and the name of a linked file have no place."""
    wire = encode(
        Message.user(Document(url="https://x/y.pdf", name="y", context="old"), Document(data=b"%PDF", citations=True))
    )

    assert 2 == len(wire.warnings)


# -- what belongs to one host -----------------------------------------------------------------------------------------


def test_signatures_go_back_where_they_came_from() -> None:
    """Every kind of part returns to its own host with its signature and its unknown fields, unchanged."""
    parts = (
        Reasoning("hm", signature="s0", origin=OWN),
        Text("", signature="s1", origin=OWN),
        ToolCall("c1", "f", {"a": 1}, signature="s2", origin=OWN),
        Image(data=PNG, media_type="image/png", signature="s3", origin=OWN),
        Text("x", origin=OWN, extra={"partMetadata": {"k": 1}}),
        ProviderToolCall(id="t", name="x", raw={"toolCall": {"id": "t"}, "thoughtSignature": "s4"}, origin=OWN),
        ProviderToolResult(call_id="t", name="x", raw={"toolResponse": {"id": "t"}}, origin=OWN),
        Unknown(type="hologram", raw={"hologram": 1}, origin=OWN),
    )
    wire = encode(Message.user("hi"), Message("assistant", parts))
    found = json.loads(wire.body)["contents"][1]["parts"]

    assert [
        {"text": "hm", "thought": True, "thoughtSignature": "s0"},
        {"text": "", "thoughtSignature": "s1"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "s2"},
        {
            "inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()},
            "thoughtSignature": "s3",
        },
        {"text": "x", "partMetadata": {"k": 1}},
        {"toolCall": {"id": "t"}, "thoughtSignature": "s4"},
        {"toolResponse": {"id": "t"}},
        {"hologram": 1},
    ] == found
    assert () == wire.warnings


def test_nothing_of_another_host_is_sent() -> None:
    """Foreign signatures, reasoning, provider-run tools and unknown parts are left out, each with a warning."""
    parts = (
        Reasoning("secret thought", signature="zzz", origin=FOREIGN),
        Text("x", signature="zzz", origin=FOREIGN),
        ProviderToolCall(id="t", name="x", raw={"zzz": 1}, origin=FOREIGN, cache=CacheMark()),
        Unknown(type="zzz", raw={"zzz": 1}, origin=FOREIGN),
    )
    wire = encode(Message.user("hi"), Message("assistant", parts))

    assert [{"text": "x"}] == json.loads(wire.body)["contents"][1]["parts"]
    assert b"zzz" not in wire.body
    assert 5 == len(wire.warnings)


def test_foreign_calls_of_the_current_turn_get_the_documented_signature() -> None:
    """Gemini 3 is told to skip the check for the first call of each step of this turn, and only for it."""
    history = (
        Message.user("old"),
        Message.assistant(ToolCall("a", "f", origin=FOREIGN)),
        Message.tool("a", "1"),
        Message.user("now"),
        Message.assistant(ToolCall("b", "f", signature="zzz", origin=FOREIGN), ToolCall("c", "f", origin=FOREIGN)),
        Message("tool", (ToolResult("b", (Text("1"),)), ToolResult("c", (Text("2"),)))),
        Message.assistant(ToolCall("d", "f", signature="own", origin=OWN)),
        Message.tool("d", "3"),
        Message.assistant("thinking", ToolCall("e", "f")),
        Message.tool("e", "4"),
    )
    wire = encode(*history)
    signatures = {
        part["functionCall"]["id"]: part.get("thoughtSignature")
        for content in json.loads(wire.body)["contents"]
        for part in content["parts"]
        if "functionCall" in part
    }

    assert {"a": None, "b": DUMMY, "c": None, "d": "own", "e": DUMMY} == signatures
    assert any("skips the check" in warning for warning in wire.warnings)
    assert DUMMY.encode() not in encode(*history, model="gemini-2.5-flash").body


# -- calls and results ------------------------------------------------------------------------------------------------


def test_results_name_their_function_and_follow_the_order_of_the_calls() -> None:
    """All results of a parallel step are one user content, in call order, each with the call's id and name."""
    found = body(
        Message.user("hi"),
        Message.assistant(ToolCall("1", "add", {"a": 1}, origin=OWN), ToolCall("2", "mul", {"a": 2}, origin=OWN)),
        Message.tool("2", {"n": 6}),
        Message.tool("1", "boom", is_error=True),
        Message.user("and?"),
    )

    assert {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "1", "name": "add", "response": {"error": "boom"}}},
            {"functionResponse": {"id": "2", "name": "mul", "response": {"output": {"n": 6}}}},
            {"text": "and?"},
        ],
    } == found["contents"][2]


def test_an_id_made_here_is_not_sent_back() -> None:
    """A call that had no id on the wire goes back without one, and so does its result."""
    call = ToolCall("call_1", "f", origin=OWN, extra={"functionCall": {"id": None}})
    found = body(Message.user("hi"), Message.assistant(call), Message.tool("call_1", "x"))

    assert {"name": "f", "args": {}} == found["contents"][1]["parts"][0]["functionCall"]
    assert {"name": "f", "response": {"output": "x"}} == found["contents"][2]["parts"][0]["functionResponse"]


def test_arguments_that_are_no_object_are_kept_visible() -> None:
    """Broken arguments are sent under a key that says so; plain text of a custom tool is its input."""
    wire = encode(
        Message.user("hi"),
        Message.assistant(
            ToolCall("1", "f", raw_arguments='{"a": ', origin=OWN),
            ToolCall("2", "g", raw_arguments="ls -l", kind="custom", origin=OWN),
        ),
    )
    calls = [part["functionCall"]["args"] for part in json.loads(wire.body)["contents"][1]["parts"]]

    assert [{"INVALID_JSON": '{"a": '}, {"input": "ls -l"}] == calls
    assert "INVALID_JSON" in wire.warnings[0]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ((Text("a"), Text("b")), {"output": "ab"}),
        ((Json([1]),), {"output": [1]}),
        ((Text("a"), Json(1)), {"output": ["a", 1]}),
        ((Document(text="doc"),), {"output": "doc"}),
        ((), {"output": ""}),
    ],
)
def test_the_value_of_a_result(content: Any, response: dict[str, Any]) -> None:
    """One value is sent as it is, several texts as one, a mixture as a list."""
    found = body(
        Message.user("hi"),
        Message.assistant(ToolCall("1", "f", origin=OWN)),
        Message("tool", (ToolResult("1", content),)),
    )

    assert response == found["contents"][2]["parts"][0]["functionResponse"]["response"]


def test_media_in_results() -> None:
    """Media stand inside the result on Gemini 3, and after the results before that."""
    image = Image(data=PNG, media_type="image/png")
    history = (
        Message.user("hi"),
        Message.assistant(ToolCall("1", "f", origin=OWN), ToolCall("2", "g", origin=OWN)),
        Message.tool("1", image),
        Message("tool", (ToolResult("2", (Text("ok", cache=CacheMark()), image)),)),
    )
    inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
    first, second = body(*history)["contents"][2]["parts"]

    assert {"id": "1", "name": "f", "response": {}, "parts": [inline]} == first["functionResponse"]
    assert [inline] == second["functionResponse"]["parts"]
    older = encode(*history, model="gemini-2.5-flash")
    parts = json.loads(older.body)["contents"][2]["parts"]
    assert ["functionResponse", "functionResponse", "inlineData", "inlineData"] == [next(iter(part)) for part in parts]
    assert any("inside a tool's result" in warning for warning in older.warnings)


def test_a_result_without_its_call_needs_a_name() -> None:
    """A result whose call is not in the conversation is sent if it names its function, and refused if not."""
    named = body(Message.user("hi"), Message.tool("x", "1", name="f"))

    assert {"name": "f", "response": {"output": "1"}} == named["contents"][0]["parts"][1]["functionResponse"]
    with pytest.raises(BadRequestError, match="name="):
        encode(Message.user("hi"), Message.tool("x", "1"))


def test_a_result_cannot_hold_unknown_content() -> None:
    """Unknown content has no place inside a result."""
    message = Message("tool", (ToolResult("x", (Unknown(type="z", raw={}),), name="f"),))
    with pytest.raises(UnsupportedContentError, match="Unknown"):
        encode(Message.user("hi"), message)


def test_a_result_between_other_parts_keeps_the_order() -> None:
    """Text around a result in one message stays around it."""
    found = body(Message("user", (Text("a"), ToolResult("x", (Text("1"),), name="f"), Text("b"))))

    assert ["text", "functionResponse", "text"] == [next(iter(part)) for part in found["contents"][0]["parts"]]


# -- tools ------------------------------------------------------------------------------------------------------------


def test_tools_are_declared_together_and_provider_tools_as_they_are() -> None:
    """Functions share one entry with JSON schemas; a provider's own tool is sent untouched."""
    search = ProviderTool({"googleSearch": {}})
    found = body(tools=(WEATHER, search, Tool("now", extra={"behavior": "BLOCKING"})))

    assert [
        {
            "functionDeclarations": [
                {
                    "name": "get_weather",
                    "description": "Weather.",
                    "parametersJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}},
                },
                {"name": "now", "behavior": "BLOCKING"},
            ]
        },
        {"googleSearch": {}},
    ] == found["tools"]
    assert "toolConfig" not in found


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        (None, None, None),
        (None, True, {"mode": "VALIDATED"}),
        (ToolChoice("none"), None, {"mode": "NONE"}),
        (ToolChoice("auto"), None, {"mode": "AUTO"}),
        (ToolChoice("auto"), True, {"mode": "VALIDATED"}),
        (ToolChoice("auto", ("f",)), None, {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice("required"), True, {"mode": "ANY"}),
        (ToolChoice("required", ("f", "g")), None, {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        (ToolChoice("tool", ("f",)), None, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, strict: bool | None, config: dict[str, Any] | None) -> None:
    """Each way to choose tools has a mode on the wire."""
    found = body(tools=(Tool("f", strict=strict),), tool_choice=choice)

    assert config == found.get("toolConfig", {}).get("functionCallingConfig")


def test_parallel_calls_cannot_be_forbidden() -> None:
    """The wire has no switch for parallel calls, so forbidding them is refused where there are tools."""
    with pytest.raises(UnsupportedParameterError, match="parallel"):
        encode(tools=(WEATHER,), parallel_tool_calls=False)
    assert "tools" not in body(parallel_tool_calls=False)
    assert "toolConfig" not in body(tools=(WEATHER,), parallel_tool_calls=True)


def test_vertex_streams_arguments_when_asked() -> None:
    """The switch for streamed arguments is sent with streams that have tools."""
    dialect = GeminiDialect.vertex("p", "l", stream_arguments=True)
    found = body(tools=(WEATHER,), stream=True, dialect=dialect)

    assert {"streamFunctionCallArguments": True} == found["toolConfig"]["functionCallingConfig"]
    assert "toolConfig" not in body(tools=(WEATHER,), dialect=dialect)


# -- parameters -------------------------------------------------------------------------------------------------------


def test_generation_config() -> None:
    """Every sampling keyword has its field, and what is not given is not sent."""
    found = body(temperature=0.5, top_p=0.9, max_tokens=10, stop=("a", "b"), seed=7)

    assert {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 10,
        "stopSequences": ["a", "b"],
        "seed": 7,
    } == found["generationConfig"]
    assert {"contents"} == body().keys()


def test_models_that_ignore_sampling_are_spoken_of() -> None:
    """The newest models ignore sampling hints, so that they are left out with a warning."""
    encoded = encode(model="gemini-3.8-flash", temperature=0.5, top_p=0.9)
    assert ["temperature", "top_p"] == [left.keyword for left in encoded.left_out]
    assert "generationConfig" not in json.loads(encoded.body)
    assert () == encode(model="gemini-3.5-flash", temperature=0.5).warnings


def test_what_the_dialect_adds_to_every_request() -> None:
    """Safety settings, labels and the service tier of the host are in the body."""
    setting = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}
    dialect = GeminiDialect(safety_settings=(setting,), labels={"team": "x"}, service_tier="flex")
    found = body(dialect=dialect)

    assert ([setting], {"team": "x"}, "flex") == (found["safetySettings"], found["labels"], found["serviceTier"])


def test_the_extra_body_is_merged_last() -> None:
    """Keys of the escape hatch win, objects are merged key by key, and the caller's are not changed."""
    extra = {"generationConfig": {"topK": 3, "temperature": 1}, "labels": {"a": "b"}}
    found = body(temperature=0.5, max_tokens=9, extra_body=extra)

    assert {"topK": 3, "temperature": 1, "maxOutputTokens": 9} == found["generationConfig"]
    assert {"a": "b"} == found["labels"]
    assert {"topK": 3, "temperature": 1} == extra["generationConfig"]


def test_structured_output() -> None:
    """A schema is sent as real JSON schema, with the type of the answer."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    found = body(response_format=ResponseFormat(schema=schema, description="An a."))["generationConfig"]

    assert {"responseMimeType": "application/json", "responseJsonSchema": {**schema, "description": "An a."}} == found
    assert {"responseMimeType": "application/json"} == body(response_format=ResponseFormat())["generationConfig"]
    assert "description" not in schema


def test_structured_output_with_tools_needs_gemini_3() -> None:
    """Older models are refused before sending, so that another one may be tried."""
    wanted = ResponseFormat(schema={"type": "object"})
    with pytest.raises(UnsupportedParameterError, match="Gemini 3"):
        encode(model="gemini-2.5-flash", tools=(WEATHER,), response_format=wanted)
    assert body(model="gemini-3.5-flash", tools=(WEATHER,), response_format=wanted)["tools"]


THOUGHTS = {"includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-3.5-flash", "low", {"thinkingLevel": "LOW", **THOUGHTS}),
        ("gemini-3.5-flash", "minimal", {"thinkingLevel": "MINIMAL", **THOUGHTS}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW", **THOUGHTS}),
        ("gemini-4-argon", "medium", {"thinkingLevel": "MEDIUM", **THOUGHTS}),
        ("gemini-5-neon", "high", {"thinkingLevel": "HIGH", **THOUGHTS}),
        ("gemini-3.5-flash", "xhigh", {"thinkingLevel": "HIGH", **THOUGHTS}),
        ("gemini-3.1-flash-lite-image", "medium", {"thinkingLevel": "HIGH", **THOUGHTS}),
        ("gemini-3.5-flash", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", 0, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 2048, **THOUGHTS}),
        ("gemini-2.5-flash", "max", {"thinkingBudget": 24576, **THOUGHTS}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 32768, **THOUGHTS}),
        ("gemini-2.5-pro", 2000, {"thinkingBudget": 2000, **THOUGHTS}),
        ("gemini-2.5-pro", 1, {"thinkingBudget": 128, **THOUGHTS}),
        ("models/gemini-2.5-flash", "high", {"thinkingBudget": 16384, **THOUGHTS}),
        ("gemini-2.0-flash", "none", None),
        ("gemini-2.0-flash", "low", None),
        ("gemma-3-27b-it", 100, None),
        ("gemini-3.5-flash", 1000, {"thinkingLevel": "MINIMAL", **THOUGHTS}),
        ("gemini-3.8-flash", "none", {"thinkingLevel": "LOW"}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("tunedModels/mine", "low", {"thinkingLevel": "LOW", **THOUGHTS}),
        ("tunedModels/mine", 500, {"thinkingBudget": 500, **THOUGHTS}),
        ("tunedModels/mine", "none", {"thinkingBudget": 0}),
    ],
)
def test_reasoning(model: str, reasoning: str | int, config: dict[str, Any] | None) -> None:
    """A word is a level on Gemini 3 and a budget on 2.5, a number a budget, and thoughts are asked for."""
    found = body(model=model, reasoning=reasoning).get("generationConfig", {}).get("thinkingConfig")

    assert config == found


@pytest.mark.parametrize("model", ["gemini-3.5-flash", "gemini-2.5-flash"])
def test_a_word_that_is_none_is_refused(model: str) -> None:
    """Every word of the vocabulary is taken, and no other."""
    with pytest.raises(BadRequestError, match="'minimal'"):
        encode(model=model, reasoning="loud")


def test_vertex_can_switch_off_what_the_gemini_api_cannot() -> None:
    """One preview model takes a budget of zero on Vertex only."""
    request = Request(model="gemini-3.1-pro-preview", messages=(Message.user("x"),), reasoning="none")
    at = {
        kind: json.loads(Gemini().encode(request, context(kind, "gemini", request.model)).body)["generationConfig"]
        for kind in ("vertex", "gemini")
    }
    assert {"thinkingConfig": {"thinkingBudget": 0}} == at["vertex"]
    assert {"thinkingConfig": {"thinkingLevel": "LOW"}} == at["gemini"]


@pytest.mark.parametrize(
    ("model", "reasoning"), [("gemini-3.8-flash", "minimal"), ("gemini-3.5-flash", "none"), ("gemini-2.5-pro", 1)]
)
def test_changed_reasoning_is_spoken_of(model: str, reasoning: str | int) -> None:
    """Where another level or budget is asked for than the caller named, a warning says so."""
    assert 1 == len(encode(model=model, reasoning=reasoning).warnings)
