"""What the Messages codec writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from asyncllm._protocols.anthropic import AnthropicDialect, AnthropicMessages
from asyncllm._protocols.blocks import constrain
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

OURS = Origin("anthropic", "anthropic")
THEIRS = Origin("openai", "openai_responses")
HELLO = Message.user("Hi")
WEATHER = Tool("weather", "Says the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = Tool("time")
PIXEL = b"\x89PNG"
CALLS = Message.assistant(ToolCall("t1", "weather", {"city": "Oslo"}), ToolCall("t2", "time"))


def wire(
    *messages: Message, dialect: AnthropicDialect | None = None, model: str = "claude-new", **keywords: Any
) -> Any:
    """The encoded request."""
    request = Request(model=model, messages=messages or (HELLO,), **keywords)
    return AnthropicMessages(dialect or AnthropicDialect()).encode(request, context("anthropic", "anthropic", model))


def body(*messages: Message, **keywords: Any) -> dict[str, Any]:
    """The encoded body."""
    found: dict[str, Any] = json.loads(wire(*messages, **keywords).body)
    return found


def blocks(*parts: Any, role: str = "user") -> Any:
    """The content these parts become, in a message of their own."""
    before = (HELLO,) if role == "assistant" else ()
    return body(*before, Message(role, parts))["messages"][-1]["content"]  # type: ignore[arg-type]


def warnings(*messages: Message, **keywords: Any) -> tuple[str, ...]:
    """The warnings of encoding these messages."""
    request = wire(*messages, **keywords)
    return (*map(str, request.left_out), *request.warnings)


def test_a_plain_request() -> None:
    """A question becomes the smallest body the API takes, with the version in a header."""
    encoded = wire(model="claude-sonnet-5-5")
    expected = {"model": "claude-sonnet-5-5", "max_tokens": 8192, "messages": [{"role": "user", "content": "Hi"}]}
    assert expected == json.loads(encoded.body)
    assert ("POST", "/v1/messages", "", ()) == (encoded.method, encoded.path, encoded.query, encoded.warnings)
    assert {"content-type": "application/json", "anthropic-version": "2026-10-21"} == dict(encoded.headers)


def test_the_format_has_a_name() -> None:
    """Parts remember by this name which format they came in."""
    assert "anthropic" == AnthropicMessages().name


def test_every_keyword_in_its_place() -> None:
    """Keywords go where the API has them."""
    encoded = body(stream=True, stop=("END",), max_tokens=7, temperature=0.5, top_p=0.9)
    assert {"stream": True, "stop_sequences": ["END"], "max_tokens": 7, "temperature": 0.5, "top_p": 0.9} == {
        key: value for key, value in encoded.items() if key not in ("model", "messages")
    }


@pytest.mark.parametrize("keywords", [{"temperature": 1.0}, {"top_p": 0.5}, {"extra_body": {"top_k": 4}}])
def test_sampling_parameters_need_the_older_version(keywords: dict[str, Any]) -> None:
    """A body with a sampling parameter goes out under the version that still has them."""
    assert "2023-06-01" == dict(wire(**keywords).headers)["anthropic-version"]


def test_a_pinned_version_stays() -> None:
    """A dialect without a second version sends its own, sampling or not."""
    dialect = AnthropicDialect(version="2030-01-01", sampling_version=None)
    assert "2030-01-01" == dict(wire(temperature=1.0, dialect=dialect).headers)["anthropic-version"]


def test_the_bedrock_dialect() -> None:
    """A host may want the version and the betas in the body, and neither model nor stream."""
    dialect = AnthropicDialect(
        version="bedrock-2023-05-31",
        sampling_version=None,
        version_in_body=True,
        model_in_body=False,
        stream_in_body=False,
        betas=("a",),
        betas_in_body=True,
        adapt=lambda body: {**body, "adapted": True},
    )
    encoded = wire(stream=True, dialect=dialect, extra_headers={"Anthropic-Beta": "b, a", "x-trace": "1"})
    assert {
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": "Hi"}],
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["a", "b"],
        "adapted": True,
    } == json.loads(encoded.body)
    assert {"content-type": "application/json", "x-trace": "1"} == dict(encoded.headers)


def test_betas_are_joined() -> None:
    """Beta names of the host and of the call become one header."""
    encoded = wire(dialect=AnthropicDialect(betas=("one",)), extra_headers={"anthropic-beta": "two"})
    assert "one,two" == dict(encoded.headers)["anthropic-beta"]


def test_extra_body_wins_and_is_merged_deeply() -> None:
    """What the caller adds is merged object by object, last, and the caller's mapping stays as it was."""
    extra = {"output_config": {"task_budget": {"type": "tokens"}}, "max_tokens": 3, "metadata": {"user_id": "u"}}
    encoded = body(model="claude-opus-5", reasoning="low", extra_body=extra)
    assert {"effort": "low", "task_budget": {"type": "tokens"}} == encoded["output_config"]
    assert (3, {"user_id": "u"}) == (encoded["max_tokens"], encoded["metadata"])
    assert {"task_budget": {"type": "tokens"}} == extra["output_config"]


def test_what_json_cannot_say() -> None:
    """A value without a JSON form is the caller's mistake."""
    with pytest.raises(BadRequestError):
        wire(extra_body={"x": float("nan")})


def test_a_seed_is_left_out() -> None:
    """The API has no seed, and a warning says so."""
    assert "seed" not in body(seed=1)
    assert ("seed was left out: the Messages API has none",) == warnings(seed=1)


def test_system_messages_at_the_start() -> None:
    """Plain instructions are a string; several, or marked ones, are blocks."""
    assert "Be brief." == body(Message.system("Be brief."), HELLO)["system"]
    assert [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}] == body(
        Message.system("A"), Message.system("B"), HELLO
    )["system"]
    marked = Message.system(Text("A", cache=CacheMark("1h")))
    assert [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral", "ttl": "1h"}}] == body(marked, HELLO)[
        "system"
    ]
    assert "system" not in body(Message.system(""), HELLO)


def test_a_system_message_holds_text() -> None:
    """An image cannot be an instruction."""
    with pytest.raises(UnsupportedContentError, match="put it into a user message"):
        wire(Message.system(Image(data=PIXEL, media_type="image/png")), HELLO)


def test_a_later_system_message_keeps_its_place_where_the_model_takes_one() -> None:
    """Newer models take instructions in the middle of a conversation."""
    addition = Unknown(type="tool_addition", raw={"type": "tool_addition"}, origin=OURS)
    talk = (HELLO, Message.assistant("Yes?"), HELLO, Message("system", (addition,)), Message.system("Now in French."))
    encoded = body(*talk, model="claude-opus-4-8")["messages"]
    assert ["user", "assistant", "user", "system", "system"] == [message["role"] for message in encoded]
    assert ([{"type": "tool_addition"}], "Now in French.") == (encoded[3]["content"], encoded[4]["content"])


@pytest.mark.parametrize("model", ["claude-sonnet-5", "claude-opus-4-6", "claude-unheard-of"])
def test_a_later_system_message_is_said_by_the_user_elsewhere(model: str) -> None:
    """Where the model would refuse or ignore it, the text still reaches it, with a warning."""
    talk = (HELLO, Message.assistant("Yes?"), Message.system("Now in French."), Message.user("Go on"))
    assert {
        "role": "user",
        "content": [{"type": "text", "text": "Now in French."}, {"type": "text", "text": "Go on"}],
    } == (body(*talk, model=model)["messages"][-1])
    assert 1 == len(warnings(*talk, model=model))


def test_a_system_message_never_parts_a_call_from_its_result() -> None:
    """Between a call and its result it moves behind the result, for the API wants that first."""
    talk = (
        HELLO,
        CALLS,
        Message.system("Hurry."),
        Message.system("Up."),
        Message.tool("t1", "3 C"),
        Message.tool("t2", "9"),
    )
    encoded = body(*talk, model="claude-opus-5")["messages"]
    assert ["user", "assistant", "user"] == [message["role"] for message in encoded]
    assert ["tool_result", "tool_result", "text", "text"] == [block["type"] for block in encoded[-1]["content"]]


def test_results_come_first_in_one_user_message() -> None:
    """Consecutive tool and user messages are one message, results first, otherwise in order."""
    talk = (HELLO, CALLS, Message.user("Also:"), Message.tool("t1", "3 C"), Message.tool("t2", {"h": 9}, is_error=True))
    assert [
        {"type": "tool_result", "tool_use_id": "t1", "content": "3 C"},
        {"type": "tool_result", "tool_use_id": "t2", "content": '{"h":9}', "is_error": True},
        {"type": "text", "text": "Also:"},
    ] == body(*talk)["messages"][-1]["content"]


def test_consecutive_user_messages_are_one() -> None:
    """The API merges them anyway."""
    assert [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}] == body(HELLO, Message.user("there"))[
        "messages"
    ][0]["content"]


def test_an_assistant_message_with_nothing_to_send_is_left_out() -> None:
    """An empty turn in the middle would be refused; leaving it out is said."""
    for empty in (Message("assistant", ()), Message.assistant(""), Message.assistant(Reasoning("hm", origin=THEIRS))):
        assert 1 == len(body(HELLO, empty, HELLO)["messages"])
        assert "an assistant message with nothing to send was left out" in warnings(HELLO, empty, HELLO)


def test_names_of_speakers() -> None:
    """The API has no names, and a warning says they were left out."""
    assert 1 == len(warnings(Message("user", (Text("Hi"),), name="Ann")))


def test_empty_text_beside_other_content_is_skipped() -> None:
    """The API refuses blocks of nothing but white space, so these are not sent, and no turn that holds only these."""
    assert [{"type": "text", "text": "a"}] == blocks(Text(""), Text("a"), Text(" \n"))
    said = (Message.user("q"), Message.assistant("\n\n"), Message.user("z"))
    assert [{"role": "user", "content": [{"type": "text", "text": text} for text in "qz"]}] == body(*said)["messages"]
    assert "nothing to send" in " ".join(warnings(*said))
    assert "a" == body(Message.user(""), Message.user("a"))["messages"][0]["content"]


@pytest.mark.parametrize(
    ("part", "source"),
    [
        (Image(data=PIXEL, media_type="image/png"), {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}),
        (Image(url="https://x.test/a.png"), {"type": "url", "url": "https://x.test/a.png"}),
        (Image(file_id="file_1"), {"type": "file", "file_id": "file_1"}),
    ],
)
def test_images(part: Image, source: dict[str, str]) -> None:
    """An image comes as bytes, a URL or a stored file."""
    assert [{"type": "image", "source": source}] == blocks(part)


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Document(data=b"%PDF", media_type="application/pdf", name="a.pdf", context="c", citations=True),
            {
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "a.pdf",
                "context": "c",
                "citations": {"enabled": True},
            },
        ),
        (Document(text="t"), {"source": {"type": "text", "media_type": "text/plain", "data": "t"}}),
        (
            Document(data="é".encode(), media_type="text/csv; charset=utf-8"),
            {"source": {"type": "text", "media_type": "text/plain", "data": "é"}},
        ),
        (Document(url="https://x.test/a.pdf"), {"source": {"type": "url", "url": "https://x.test/a.pdf"}}),
        (Document(file_id="file_1"), {"source": {"type": "file", "file_id": "file_1"}}),
    ],
)
def test_documents(part: Document, block: dict[str, Any]) -> None:
    """A document comes as PDF bytes, text, a URL or a stored file, with its title and remarks."""
    assert [{"type": "document", **block}] == blocks(part)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Audio(data=b"x", media_type="audio/wav"), "audio cannot be sent to anthropic"),
        (Video(url="https://x.test"), "video cannot be sent to anthropic"),
        (Image(data=PIXEL), "media_type None"),
        (Image(data=PIXEL, media_type="image/tiff"), "image/tiff"),
        (Image(url="gs://b/o"), "give its bytes as data"),
        (Document(data=b"x", media_type="application/zip"), "application/zip"),
        (Document(data=b"\xff", media_type="text/plain"), "not UTF-8"),
        (ToolResult("t", (Audio(data=b"x"),)), "audio cannot"),
        (ToolResult("t", (Reasoning("x"),)), "cannot hold Reasoning"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_carried(part: Any, words: str) -> None:
    """A part without a place is refused before anything is sent, by name."""
    with pytest.raises(UnsupportedContentError, match=words):
        blocks(part)


def test_a_host_without_a_file_store() -> None:
    """A host that stores no files refuses their ids."""
    with pytest.raises(UnsupportedContentError, match="this host stores none"):
        wire(Message.user(Image(file_id="f")), dialect=AnthropicDialect(file_ids=False))


def test_own_reasoning_goes_back_unchanged() -> None:
    """Signed and encrypted thinking return to the host they came from."""
    thought = Reasoning("hm", signature="sig", origin=OURS, extra={"note": 1})
    assert [
        {"type": "thinking", "thinking": "hm", "signature": "sig", "note": 1},
        {"type": "redacted_thinking", "data": "blob"},
        {"type": "text", "text": "a"},
    ] == blocks(thought, Reasoning(encrypted="blob", origin=OURS), Text("a"), role="assistant")


def test_foreign_and_unsigned_reasoning_is_left_out() -> None:
    """Reasoning the API could not verify is not sent, and a warning says whose it was."""
    said = Message.assistant(
        Reasoning("x", signature="s", origin=THEIRS), Reasoning("y", origin=OURS), Reasoning("z"), Text("a")
    )
    assert [{"type": "text", "text": "a"}] == body(HELLO, said)["messages"][1]["content"]
    assert (
        "reasoning from openai (openai_responses) was left out: anthropic would not recognise it",
        "reasoning without a signature was left out: the API takes only what it signed",
        "reasoning of no known origin was left out: anthropic would not recognise it",
    ) == warnings(HELLO, said)


def test_tool_calls_are_sent_with_their_arguments() -> None:
    """Arguments are parsed text; an empty one is an empty object; fields of the wire's own are kept."""
    assert [
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ] == blocks(
        ToolCall("t1", "f", raw_arguments='{"a": 1}', origin=OURS, extra={"caller": {"type": "direct"}}),
        ToolCall("t2", "g", raw_arguments=""),
        role="assistant",
    )


def test_arguments_that_are_no_object() -> None:
    """Broken and free-form arguments still reach the model, wrapped, with a warning each."""
    said = Message.assistant(
        ToolCall("t1", "f", raw_arguments='{"a": '), ToolCall("t2", "g", raw_arguments="x = 1", kind="custom")
    )
    assert [{"INVALID_JSON": '{"a": '}, {"input": "x = 1"}] == [
        block["input"] for block in body(HELLO, said)["messages"][1]["content"]
    ]
    assert 2 == len(warnings(HELLO, said))


def test_foreign_ids_are_written_in_the_characters_the_api_takes() -> None:
    """A call and its result still match after their id was rewritten."""
    talk = (HELLO, Message.assistant(ToolCall("a|b.c", "f")), Message.tool("a|b.c", "r"))
    encoded = body(*talk)["messages"]
    assert "a_7c_b_2e_c" == encoded[1]["content"][0]["id"] == encoded[2]["content"][0]["tool_use_id"]


def test_tool_results() -> None:
    """A result is text alone, or blocks of text, images and documents."""
    image = Image(data=PIXEL, media_type="image/png")
    assert [
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
                {"type": "text", "text": '{"b":[1]}'},
                {"type": "tool_reference", "tool_name": "x"},
            ],
        },
        {"type": "tool_result", "tool_use_id": "t2", "cache_control": {"type": "ephemeral"}},
    ] == blocks(
        ToolResult(
            "t1",
            (
                Text("a"),
                image,
                Json({"b": [1]}),
                Unknown(type="tool_reference", raw={"type": "tool_reference", "tool_name": "x"}, origin=OURS),
            ),
        ),
        ToolResult("t2", cache=CacheMark()),
        role="tool",
    )


def test_what_the_provider_ran_goes_back_verbatim() -> None:
    """Blocks of server tools, and unknown ones, return as they came; elsewhere they are left out with a warning."""
    call = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}, "caller": None}
    result = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"encrypted_content": "x"}]}
    new = {"type": "compaction", "content": "c"}

    def parts(origin: Origin | None) -> tuple[Any, ...]:
        return (
            ProviderToolCall(id="s1", name="web_search", raw=call, origin=origin),
            ProviderToolResult(call_id="s1", name="web_search", raw=result, origin=origin),
            Unknown(type="compaction", raw=new, origin=origin),
            Text("a"),
        )

    assert [call, result, new, {"type": "text", "text": "a"}] == blocks(*parts(OURS), role="assistant")
    assert [{"type": "text", "text": "a"}] == blocks(*parts(THEIRS), role="assistant")
    assert 3 == len(warnings(HELLO, Message("assistant", parts(THEIRS))))


def test_citations_go_back_in_the_assistants_turns_only() -> None:
    """A citation returns verbatim to its host within the assistant's turn, and nowhere else."""
    raw = {"type": "page_location", "cited_text": "c", "start_page_number": 1}
    cited = Text("a", citations=(Citation(raw=raw),), origin=OURS)
    assert [{"type": "text", "text": "a", "citations": [raw]}] == blocks(cited, role="assistant")
    assert [{"type": "text", "text": "a"}] == blocks(cited)
    foreign = Text("a", citations=(Citation(url="https://x.test"),), origin=THEIRS)
    assert [{"type": "text", "text": "a"}] == blocks(foreign, role="assistant")
    assert 1 == len(warnings(HELLO, Message.assistant(foreign)))
    assert 1 == len(warnings(Message.user(cited)))


def test_signatures_and_fields_of_others_are_left_out() -> None:
    """Whatever only its maker could read is not sent, and each loss is named."""
    said = Message.assistant(
        Text("a", signature="s", origin=THEIRS),
        ToolCall("t", "f", signature="s", origin=THEIRS, extra={"x": 1}),
    )
    assert [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}] == body(
        HELLO, said
    )["messages"][1]["content"]
    shown = Message.user(Image(data=PIXEL, media_type="image/png", signature="s", detail="high", origin=THEIRS))
    assert 5 == len(warnings(HELLO, said, shown))


@pytest.mark.parametrize("part", [Image(data=PIXEL, media_type="image/png"), Document(text="t")])
def test_media_in_the_assistant_s_turn_are_refused(part: Image | Document) -> None:
    """Pictures and documents stand in the user's turns only; the refusal names part and host."""
    with pytest.raises(UnsupportedContentError, match=f"anthropic takes no {type(part).__name__} part"):
        body(HELLO, Message.assistant(part))


def test_what_was_said_aloud_is_its_transcript() -> None:
    """Another model's speech goes on as text, with a warning."""
    said = Message.assistant(Audio(data=b"x", transcript="Hi.", origin=THEIRS))
    assert [{"type": "text", "text": "Hi."}] == body(HELLO, said)["messages"][1]["content"]
    assert ("what the model said in audio was sent back as its transcript",) == warnings(HELLO, said)


def test_a_refusal_is_text() -> None:
    """What the model declined with is something it said."""
    assert [{"type": "text", "text": "No."}] == blocks(Refusal("No."), role="assistant")


@pytest.mark.parametrize(
    "part",
    [
        Text("a"),
        Image(url="https://x.test/a.png"),
        Document(text="t"),
        ToolCall("t", "f"),
        ToolResult("t", (Text("r"),)),
        Refusal("No."),
        ProviderToolCall(id="s", name="n", raw={"type": "server_tool_use"}, origin=OURS),
        ProviderToolResult(call_id="s", name="n", raw={"type": "web_search_tool_result"}, origin=OURS),
        Unknown(type="new", raw={"type": "new"}, origin=OURS),
    ],
)
def test_every_block_can_carry_a_cache_mark(part: Any) -> None:
    """A mark becomes cache_control on whatever the part became."""
    if isinstance(part, ToolCall):
        marked: Any = ToolCall("t", "f", cache=CacheMark("5m"))
    else:
        marked = replace(part, cache=CacheMark("5m"))
    assert {"type": "ephemeral", "ttl": "5m"} == blocks(marked)[0]["cache_control"]


def test_marks_that_cannot_be_written() -> None:
    """Thinking carries no mark, and another vendor's lifetime becomes the default, with warnings."""
    said = Message.assistant(
        Reasoning("x", signature="s", origin=OURS, cache=CacheMark()), Text("a", cache=CacheMark("30m"))
    )
    encoded = body(HELLO, said)["messages"][1]["content"]
    assert ("cache_control" not in encoded[0], {"type": "ephemeral"}) == (True, encoded[1]["cache_control"])
    assert 2 == len(warnings(HELLO, said))


def test_tools() -> None:
    """Tools carry an object schema, a mark and fields of their own; the provider's tools go as they are."""
    search = {"type": "web_search_20260318", "name": "web_search", "max_uses": 2}
    lazy = Tool("g", extra={"defer_loading": True}, cache=CacheMark("1h"))
    assert [
        {"name": "weather", "description": "Says the weather.", "input_schema": WEATHER.parameters},
        {
            "name": "g",
            "input_schema": {"type": "object", "properties": {}},
            "defer_loading": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"name": "h", "input_schema": {"type": "object", "properties": {"a": {}}}},
        search,
    ] == body(tools=(WEATHER, lazy, Tool("h", parameters={"properties": {"a": {}}}), ProviderTool(search)))["tools"]


def test_a_strict_tool_has_a_constrained_schema() -> None:
    """Holding the model to a schema means writing it in the subset the API enforces."""
    tool = Tool("f", parameters={"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}, strict=True)
    (encoded,) = body(tools=(tool,))["tools"]
    assert {
        "name": "f",
        "strict": True,
        "input_schema": {
            "type": "object",
            "properties": {"n": {"type": "integer", "description": "{minimum: 1}"}},
            "additionalProperties": False,
        },
    } == encoded


def test_arguments_must_be_an_object() -> None:
    """A tool whose arguments are no object cannot be said here."""
    with pytest.raises(UnsupportedParameterError, match="wrap the value"):
        wire(tools=(Tool("f", parameters={"type": "array"}),))


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("tool", ("time",)), None, {"type": "tool", "name": "time"}),
        (ToolChoice("required", ("time",)), None, {"type": "tool", "name": "time"}),
        (ToolChoice("required", ("time", "weather")), None, {"type": "any"}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, expected: Any) -> None:
    """Whether and which tools must be used, in the API's words."""
    encoded = body(tools=(WEATHER, TIME), tool_choice=choice, parallel_tool_calls=parallel)
    assert (expected, 2) == (encoded.get("tool_choice"), len(encoded["tools"]))


def test_a_subset_of_tools_leaves_the_others_out() -> None:
    """The API has no list of allowed tools, so those not allowed are not sent, and a warning names them."""
    keywords: dict[str, Any] = {"tools": (WEATHER, TIME), "tool_choice": ToolChoice("auto", ("time",))}
    encoded = body(**keywords)
    assert (["time"], {"type": "auto"}) == ([tool["name"] for tool in encoded["tools"]], encoded["tool_choice"])
    assert ("the tools that tool_choice does not name were left out: weather",) == warnings(**keywords)


def test_a_choice_of_an_unknown_tool() -> None:
    """Naming a tool that is not there is the caller's mistake."""
    with pytest.raises(BadRequestError, match="'nope'"):
        wire(tools=(TIME, ProviderTool({"type": "x"})), tool_choice=ToolChoice("auto", ("nope",)))


def test_a_choice_without_tools_says_nothing() -> None:
    """Without tools there is nothing to choose."""
    assert "tool_choice" not in body(tool_choice=ToolChoice("auto"), parallel_tool_calls=False)


@pytest.mark.parametrize("keywords", [{"model": "claude-opus-5-5"}, {"model": "claude-opus-4-6", "reasoning": 2000}])
def test_a_forced_call_where_it_is_refused(keywords: dict[str, Any]) -> None:
    """Some models refuse a forced call, and all do within a thinking budget."""
    with pytest.raises(UnsupportedParameterError, match="tool_choice='auto'"):
        wire(tools=(TIME,), tool_choice=ToolChoice("required"), **keywords)


def test_structured_output() -> None:
    """A schema is written in the subset the API enforces, with the format's description."""
    wanted = ResponseFormat(schema={"type": "object", "properties": {}}, description="An answer.")
    assert {
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {},
                "additionalProperties": False,
                "description": "An answer.",
            },
        }
    } == body(response_format=wanted)["output_config"]


def test_json_without_a_schema() -> None:
    """The API has no mode for any JSON, and the error says what to do instead."""
    with pytest.raises(UnsupportedParameterError, match="give a JSON schema"):
        wire(response_format=ResponseFormat())


def test_the_subset_of_json_schema() -> None:
    """Objects are closed, oneOf is anyOf, references stand alone, and what is not enforced is described."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["a"],
        "additionalProperties": True,
        "$defs": {"D": {"type": ["object", "null"], "additionalProperties": {"type": "string"}}},
        "properties": {
            "a": {"oneOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "color"}]},
            "b": {"$ref": "#/$defs/D", "description": "dropped"},
            "c": {"type": "array", "items": {"type": "number", "maximum": 5}, "minItems": 2, "description": "Numbers."},
            "d": {"type": "array", "minItems": 1, "items": True},
            "e": {"enum": ["x"], "default": "x", "title": "E"},
            "f": {"allOf": [{"type": "string", "pattern": "^a"}]},
            "g": {"anyOf": "broken", "properties": 1},
        },
    }
    kept = json.dumps(schema)
    assert {
        "type": "object",
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {
            "D": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "description": '{additionalProperties: {"type": "string"}}',
            }
        },
        "properties": {
            "a": {
                "anyOf": [
                    {"type": "string", "format": "date"},
                    {"type": "string", "description": '{format: "color"}'},
                ]
            },
            "b": {"$ref": "#/$defs/D"},
            "c": {
                "type": "array",
                "items": {"type": "number", "description": "{maximum: 5}"},
                "description": "Numbers.\n\n{minItems: 2}",
            },
            "d": {"type": "array", "minItems": 1, "items": True},
            "e": {"enum": ["x"], "default": "x", "title": "E"},
            "f": {"allOf": [{"type": "string", "description": '{pattern: "^a"}'}]},
            "g": {"properties": 1, "additionalProperties": False, "description": '{anyOf: "broken"}'},
        },
    } == constrain(schema, json.dumps)
    assert kept == json.dumps(schema)
    root = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}
    assert {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "additionalProperties": False}}} == constrain(
        root, json.dumps
    )


SUMMARIZED = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort"),
    [
        ("claude-opus-5", "max", SUMMARIZED, "max"),
        ("claude-opus-4-6", "medium", {"type": "adaptive"}, "medium"),
        ("claude-opus-4-6", 2048, {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-opus-4-6", "xhigh", {"type": "adaptive"}, "max"),
        ("claude-opus-4-5", "high", {"type": "enabled", "budget_tokens": 16384}, None),
        ("claude-opus-5", 2000, SUMMARIZED, "low"),
        ("claude-opus-5", "minimal", SUMMARIZED, "low"),
        ("claude-haiku-4-5", 1024, {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-haiku-4-5", 100, {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-haiku-4-5", "low", {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-haiku-4-5", "none", {"type": "disabled"}, None),
        ("claude-haiku-4-5", 0, {"type": "disabled"}, None),
        ("claude-3-5-haiku-latest", "none", None, None),
        ("claude-3-opus-20240229", "low", None, None),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None),
        ("claude-mythos-5", "none", SUMMARIZED, "low"),
        ("claude-of-tomorrow", "xhigh", SUMMARIZED, "xhigh"),
        ("claude-of-tomorrow", 2000, {"type": "enabled", "budget_tokens": 2000}, None),
        ("claude-of-tomorrow", "none", {"type": "disabled"}, None),
    ],
)
def test_reasoning(model: str, reasoning: str | int, thinking: Any, effort: str | None) -> None:
    """Effort words, budgets and their absence become what the model takes."""
    encoded = body(model=model, reasoning=reasoning)
    assert (thinking, effort) == (encoded.get("thinking"), encoded.get("output_config", {}).get("effort"))


@pytest.mark.parametrize(
    ("model", "reasoning", "said"),
    [
        ("claude-opus-5", 2000, "'low' was asked for instead"),
        ("claude-haiku-4-5", "low", "2048 tokens was asked for instead"),
        ("claude-3-opus-20240229", "low", "does not reason"),
        ("claude-mythos-5", "none", "'low' was asked for instead"),
    ],
)
def test_changed_reasoning_is_told(model: str, reasoning: str | int, said: str) -> None:
    """Where a model lacks the value, a warning says what was asked for in its place."""
    assert [True] == [said in warning for warning in warnings(model=model, reasoning=reasoning)]


@pytest.mark.parametrize(
    ("reasoning", "max_tokens", "budget"),
    [("high", 4000, 2000), ("high", 1500, 1024), (8000, 4000, 3999), ("low", 900, None), (8000, 1024, None)],
)
def test_a_thinking_budget_is_smaller_than_max_tokens(
    reasoning: str | int, max_tokens: int, budget: int | None
) -> None:
    """The API refuses a larger one; a word leaves half for the answer, and a budget that is too small is left out."""
    asked = {"model": "claude-haiku-4-5", "reasoning": reasoning, "max_tokens": max_tokens}
    assert budget == body(**asked).get("thinking", {}).get("budget_tokens")
    assert 1 == len(warnings(**asked))


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"model": "claude-haiku-4-5", "reasoning": 4096}, 4096 + 8192),
        ({"model": "claude-haiku-4-5", "reasoning": 4096, "max_tokens": 5000}, 5000),
        ({"model": "claude-3-opus-20240229"}, 4096),
        ({"model": "claude-opus-5", "dialect": AnthropicDialect(max_tokens=100)}, 100),
        ({"model": "claude-opus-5", "max_tokens": 0}, 0),
    ],
)
def test_max_tokens(keywords: dict[str, Any], expected: int) -> None:
    """The wire demands a bound: the caller's, else the default on top of a thinking budget."""
    assert expected == body(**keywords)["max_tokens"]


def test_sampling_where_the_model_refuses_it() -> None:
    """Sampling hints a model would refuse are left out with a warning."""
    assert ("temperature was left out: claude-opus-5 takes no sampling parameters",) == warnings(
        model="claude-opus-5", temperature=0.2
    )
    encoded = wire(model="claude-opus-5", temperature=0.2)
    assert "2026-10-21" == dict(encoded.headers)["anthropic-version"]
    thinking = {"model": "claude-haiku-4-5", "reasoning": 2000, "temperature": 0.2}
    assert ("temperature was left out: a model that thinks takes none but 1",) == warnings(**thinking)
    assert 1 == body(**{**thinking, "temperature": 1})["temperature"]


def test_the_request_is_not_changed() -> None:
    """Encoding leaves the caller's values as they were."""
    schema = {"properties": {"a": {"type": "string"}}}
    raw = {"type": "server_tool_use", "id": "s", "name": "n", "input": {}}
    call = ProviderToolCall(id="s", name="n", raw=raw, origin=OURS, cache=CacheMark())
    wire(HELLO, Message.assistant(call), HELLO, tools=(Tool("f", parameters=schema, cache=CacheMark()),))
    assert ({"properties": {"a": {"type": "string"}}}, False) == (schema, "cache_control" in raw)
