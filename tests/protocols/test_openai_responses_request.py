"""What the Responses codec writes: the fields of a request, the items of a conversation, and what cannot be carried."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from asyncllm._protocols.openai_responses import OpenAIResponses, ResponsesDialect
from asyncllm._schema.content import (
    Audio,
    CacheMark,
    Citation,
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
from asyncllm.errors import (
    BadRequestError,
    UnsupportedContentError,
    UnsupportedParameterError,
)
from recordings import body_of
from response_recordings import (
    ORIGIN,
    body,
    decode,
    exchanges,
    here,
    play,
    protocol_of,
    read,
    reply_of,
    warnings,
)

HI = Message.user("Hi")
THEIRS = Origin("azure", "openai_responses")
WEATHER = Tool("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


def items(*messages: Message, **fields: Any) -> list[dict[str, Any]]:
    """The input written for a conversation."""
    written: list[dict[str, Any]] = body(messages, **fields)["input"]
    return written


def said(*parts: Part, **fields: Any) -> list[dict[str, Any]]:
    """The items of one assistant message."""
    return items(Message("assistant", parts), **fields)


def test_the_least_request() -> None:
    """Nothing is stored and reasoning is asked for encrypted, without the caller's saying so."""
    assert {
        "model": "gpt-6-sol",
        "input": [{"role": "user", "content": "Hi"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    } == body([HI])


def test_the_head_of_a_request() -> None:
    """A stream is asked for as one, headers are lower case, and the caller's are added."""
    request = Request(model="m", messages=(HI,), stream=True, extra_headers={"X-Trace": "1"})
    wire = OpenAIResponses().encode(request, here())
    assert ("POST", "/responses", "") == (wire.method, wire.path, wire.query)
    assert {"content-type": "application/json", "accept": "text/event-stream", "x-trace": "1"} == dict(wire.headers)
    assert body([HI], stream=True)["stream"] is True
    assert "openai_responses" == OpenAIResponses().name


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4.1", "ft:gpt-4o:org::1", "gpt-5-chat-latest"])
def test_models_that_never_reason_are_not_asked_for_reasoning(model: str) -> None:
    """The API refuses to be asked for encrypted reasoning by a model that has none."""
    assert "include" not in body([HI], model=model)


def test_sampling() -> None:
    """The keywords of the call under this wire's names."""
    written = body([HI], temperature=0.5, top_p=0.9, max_tokens=64, reasoning="none")
    assert (0.5, 0.9, 64) == (written["temperature"], written["top_p"], written["max_output_tokens"])


def test_no_stop() -> None:
    """A stop sequence would change what comes back, so that it is refused and not left out."""
    with pytest.raises(UnsupportedParameterError, match=r"stop: openai .* takes no stop sequences"):
        body([HI], stop=("END",))


def test_no_seed() -> None:
    """A seed is a hint: it is left out, with a warning."""
    assert "seed" not in body([HI], seed=1)
    assert ("seed was left out: the Responses API has none",) == warnings([HI], seed=1)


def test_reasoning_effort() -> None:
    """An effort asks for summaries too, but for none at all; a dialect may ask for no summary."""
    assert {"effort": "high", "summary": "auto"} == body([HI], reasoning="high")["reasoning"]
    assert {"effort": "none"} == body([HI], reasoning="none")["reasoning"]
    assert {"effort": "low"} == body([HI], reasoning="low", dialect=ResponsesDialect(reasoning_summary=None))[
        "reasoning"
    ]


def test_sampling_while_the_model_reasons() -> None:
    """A model that reasons by default takes no hints unless it is told not to reason; a warning says so."""
    asked = {"temperature": 0.5, "top_p": 0.9}
    assert set() == {"temperature", "top_p"} & body([HI], **asked).keys()
    assert ["temperature", "top_p"] == [said.split()[0] for said in warnings([HI], **asked)]
    assert 0.5 == body([HI], model="gpt-5.4", **asked)["temperature"]
    assert "temperature" not in body([HI], model="gpt-5.4", reasoning="low", **asked)


def test_a_reasoning_budget_becomes_a_word() -> None:
    """The wire has no budgets in tokens: the nearest effort is asked for, with a warning."""
    assert "high" == body([HI], reasoning=16_000)["reasoning"]["effort"]
    assert ["gpt-6-sol does not take reasoning=16000; 'high' was asked for instead"] == list(
        warnings([HI], reasoning=16_000)
    )


def test_extra_body_wins() -> None:
    """The caller's own fields are merged in last, object by object."""
    extra = {"store": True, "reasoning": {"summary": "detailed"}, "include": [], "text": {"verbosity": "low"}}
    written = body([HI], reasoning="low", response_format=ResponseFormat(), extra_body=extra)
    assert (True, []) == (written["store"], written["include"])
    assert {"effort": "low", "summary": "detailed"} == written["reasoning"]
    assert {"format": {"type": "json_object"}, "verbosity": "low"} == written["text"]


def test_a_dialect_has_the_last_word_but_one() -> None:
    """What a host wants otherwise is changed in the finished body, before the caller's own fields."""
    dialect = ResponsesDialect(adapt=lambda written: {**written, "store": None, "user": "u"})
    assert (True, "u") == tuple(
        body([HI], dialect=dialect, extra_body={"store": True})[name] for name in ("store", "user")
    )


def test_tools_are_flat() -> None:
    """A function's fields stand beside its type, always with a schema; other tools are sent as they stand."""
    custom = ProviderTool({"type": "custom", "name": "sql"})
    tools = (WEATHER, Tool("now", strict=True, extra={"defer_loading": True}), custom)
    assert [
        {
            "type": "function",
            "name": "get_weather",
            "description": "The weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
        {
            "type": "function",
            "name": "now",
            "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
            "strict": True,
            "defer_loading": True,
        },
        {"type": "custom", "name": "sql"},
    ] == body([HI], tools=tools)["tools"]
    assert body([HI], tools=tools, parallel_tool_calls=False)["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none", ("now",)), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("tool", ("get_weather",)), {"type": "function", "name": "get_weather"}),
        (ToolChoice("tool", ("sql",)), {"type": "custom", "name": "sql"}),
        (ToolChoice("tool", ("web_search",)), {"type": "web_search"}),
        (ToolChoice("tool", ("wiki",)), {"type": "mcp", "server_label": "wiki"}),
        (
            ToolChoice("required", ("get_weather", "sql")),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "get_weather"}, {"type": "custom", "name": "sql"}],
            },
        ),
    ],
)
def test_tool_choice(choice: ToolChoice, written: object) -> None:
    """Functions and custom tools go by name, hosted ones by type, servers by label, several as allowed tools."""
    definitions: tuple[dict[str, Any], ...] = (
        {"type": "web_search"},
        {"type": "mcp", "server_label": "wiki"},
        {"type": "custom", "name": "sql"},
    )
    tools = (WEATHER, *map(ProviderTool, definitions))
    assert written == body([HI], tools=tools, tool_choice=choice)["tool_choice"]


def test_a_choice_without_tools() -> None:
    """A call cannot be demanded without tools, nor a tool without its name."""
    with pytest.raises(UnsupportedParameterError, match="give tools="):
        body([HI], tool_choice=ToolChoice("required"))
    with pytest.raises(BadRequestError, match="needs the name"):
        body([HI], tools=(WEATHER,), tool_choice=ToolChoice("tool"))
    assert "tool_choice" not in body([HI], tool_choice=ToolChoice("auto"))


def test_response_formats() -> None:
    """A schema is flat under text.format; what is not said is left to the provider."""
    assert {"format": {"type": "json_object"}} == body([HI], response_format=ResponseFormat())["text"]
    plain = ResponseFormat(schema={"type": "object"})
    assert {"type": "json_schema", "name": "response", "schema": {"type": "object"}} == body(
        [HI], response_format=plain
    )["text"]["format"]
    full = ResponseFormat(schema={}, name="n", description="d", strict=True)
    assert {"type": "json_schema", "name": "n", "schema": {}, "description": "d", "strict": True} == body(
        [HI], response_format=full
    )["text"]["format"]


def test_system_messages_stay_where_they_are() -> None:
    """Each is an item of its own, so that order, boundaries and cache marks survive."""
    marked = Message.system(Text("b", cache=CacheMark("12h")))
    mark = {"mode": "explicit", "ttl": "12h"}
    assert [
        {"role": "system", "content": "a"},
        {"role": "system", "content": [{"type": "input_text", "text": "b", "prompt_cache_breakpoint": mark}]},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "c"},
    ] == items(Message.system("a"), marked, HI, Message.system("c"))


def test_user_content() -> None:
    """Pictures and files by bytes, address or id, each with its cache mark."""
    content = items(
        Message.user(
            "look",
            Image(data=b"x", media_type="image/png"),
            Image(url="https://x.test/a.png", detail="high", cache=CacheMark()),
            Image(file_id="file_1"),
            Document(data=b"x", media_type="application/pdf", name="a.pdf"),
            Document(url="https://x.test/a.pdf"),
            Document(file_id="file_2"),
            Document(text="x", context="from the archive"),
        )
    )[0]["content"]
    assert [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,eA=="},
        {
            "type": "input_image",
            "detail": "high",
            "image_url": "https://x.test/a.png",
            "prompt_cache_breakpoint": {"mode": "explicit"},
        },
        {"type": "input_image", "detail": "auto", "file_id": "file_1"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,eA=="},
        {"type": "input_file", "file_url": "https://x.test/a.pdf"},
        {"type": "input_file", "file_id": "file_2"},
        {"type": "input_text", "text": "from the archive"},
        {"type": "input_file", "filename": "document.txt", "file_data": "data:text/plain;base64,eA=="},
    ] == content


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        (Audio(data=b"x", media_type="audio/wav"), UnsupportedContentError, "an Audio part"),
        (Video(url="https://x.test/a.mp4"), UnsupportedContentError, "a Video part"),
        (Reasoning("x"), UnsupportedContentError, "a Reasoning part in this message"),
        (Image(), BadRequestError, "this Image is empty"),
        (Image(data=b"x"), BadRequestError, "needs its media_type"),
        (Image(file_id="f", origin=THEIRS), UnsupportedContentError, "another provider stores"),
        (Document(), BadRequestError, "a Document needs"),
        (Document(file_id="f", origin=THEIRS), UnsupportedContentError, "another provider stores"),
        (Unknown(type="input_x", raw={"type": "input_x"}, origin=THEIRS), UnsupportedContentError, "'input_x'"),
        (Unknown(type="x", raw="x"), UnsupportedContentError, "'x'"),
    ],
)
def test_what_a_user_message_cannot_hold(part: Part, error: type[Exception], words: str) -> None:
    """A part that the wire has no place for is refused by name, before anything is sent."""
    with pytest.raises(error, match=words):
        items(Message.user(part))


def test_what_is_left_out_is_said() -> None:
    """Marks, names, citations and signatures that have no place each leave a warning, once."""
    found = warnings(
        [
            Message("user", (Text("a"),), name="Ann"),
            Message.user(Text("b", cache=CacheMark("5m"))),
            Message.user(Text("c", citations=(Citation(url="u"),), signature="s")),
            Message.user(Document(text="d", citations=True, context="x")),
            Message.assistant(Text("e", cache=CacheMark())),
        ],
        tools=(Tool("t", cache=CacheMark()),),
    )
    assert (
        "the names of speakers were left out: the Responses API has no place for them",
        "the cache lifetime '5m' was left out: it can be '30m' or '12h'",
        "a signature of another provider on a text was left out",
        "the citations of a text were left out: they can only go back to where they came from",
        "the remark on a document was sent as a text before it",
        "citations from a document cannot be asked for here",
        "a prompt-cache mark was left out: there is no place for it",
    ) == found
    unmarked = ResponsesDialect(cache_marks=False)
    assert "b" == items(Message.user(Text("b", cache=CacheMark())), dialect=unmarked)[0]["content"]


def test_messages_in_the_wrong_place() -> None:
    """Results belong into tool messages, and tool messages hold nothing else."""
    with pytest.raises(BadRequestError, match="a tool message holds ToolResult parts only"):
        items(Message("tool", (Text("x"),)))
    with pytest.raises(BadRequestError, match="cannot hold a ToolResult"):
        items(Message("system", (ToolResult("c"),)))
    with pytest.raises(UnsupportedContentError, match="Image part in a system message"):
        items(Message.system(Image(url="https://x.test")))
    assert [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}] == items(
        Message("user", ()), Message("assistant", ())
    )


def test_what_others_said_has_no_ids() -> None:
    """Texts of one turn become one message; calls carry their call id alone; reasoning and signatures stay behind."""
    message = Message.assistant(
        Reasoning("hm", signature="s", origin=THEIRS),
        Text("a", origin=THEIRS, extra={"item": {"id": "msg_1"}}),
        Text("b"),
        ToolCall("c1", "f", raw_arguments="", origin=THEIRS, extra={"item": {"id": "fc_1"}}, signature="s"),
        ToolCall("c2", "g", {"x": 1}),
        ToolCall("c3", "sql", raw_arguments="select 1", kind="custom"),
        Text("d"),
    )
    assert [
        {"role": "assistant", "content": "ab"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": '{"x":1}'},
        {"type": "custom_tool_call", "call_id": "c3", "name": "sql", "input": "select 1"},
        {"role": "assistant", "content": "d"},
    ] == items(message)
    assert (
        "reasoning of another provider was left out: only its maker can read it",
        "data that belongs to another provider was left out of the history",
        "a signature of another provider on a tool call was left out",
    ) == warnings([message])


def test_refusals_of_others() -> None:
    """A refusal without an id is said in a message without one, beside the text of its turn."""
    refusal = {"type": "refusal", "refusal": "no"}
    text = {"type": "output_text", "text": "a", "annotations": []}
    assert [{"role": "assistant", "content": [refusal]}] == said(Refusal("no"))
    assert [{"role": "assistant", "content": [text, refusal, text]}] == said(Text("a"), Refusal("no"), Text("a"))


def test_what_cannot_go_back() -> None:
    """Hosted tools and unknown content of others are left out with a warning; pictures belong to the user."""
    message = Message.assistant(
        ProviderToolCall(id="w", name="web_search", raw={"type": "web_search_call"}, origin=THEIRS),
        ProviderToolResult(call_id="w", name="web_search", raw={}, origin=THEIRS),
        Unknown(type="compaction", raw={"type": "compaction"}, origin=THEIRS),
        Audio(transcript="spoken", origin=THEIRS),
    )
    assert [{"role": "assistant", "content": "spoken"}] == items(message)
    assert (
        "what another provider's tool 'web_search' did was left out: it cannot be told here",
        "content of type 'compaction' from another provider was left out",
        "what the model said in audio was sent back as its transcript",
    ) == warnings([message])
    with pytest.raises(UnsupportedContentError, match="put it into a user message"):
        said(Image(url="https://x.test"))


def test_own_items_go_back_as_they_came() -> None:
    """Messages, reasoning, calls, hosted tools and what is unknown come back field for field, in order."""
    output: list[dict[str, Any]] = [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "e",
        },
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "a",
                    "annotations": [
                        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
                    ],
                    "logprobs": [],
                },
                {"type": "output_hologram", "shape": 1},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"type": "message", "id": "msg_2", "role": "assistant", "status": "incomplete", "content": []},
        {
            "type": "message",
            "id": "msg_3",
            "role": "assistant",
            "status": "completed",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": "b", "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c1",
            "name": "f",
            "arguments": '{"a": 1.0}',
            "status": "completed",
            "namespace": "n",
            "caller": {"type": "direct"},
        },
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "sql", "input": "select 1"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
    ]
    reply = read(*output)
    assert output == items(reply.message)
    assert () == warnings([reply.message])


ACTIONS: list[dict[str, Any]] = [
    {
        "type": "local_shell_call",
        "id": "lsh_1",
        "call_id": "c1",
        "status": "completed",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
    },
    {
        "type": "shell_call",
        "id": "sh_1",
        "call_id": "c2",
        "status": "completed",
        "action": {"commands": ["ls"], "timeout_ms": None},
        "environment": {"type": "local"},
    },
    {
        "type": "apply_patch_call",
        "id": "apc_1",
        "call_id": "c3",
        "status": "completed",
        "operation": {"type": "delete_file", "path": "a"},
    },
    {
        "type": "computer_call",
        "id": "cu_1",
        "call_id": "c4",
        "status": "completed",
        "actions": [{"type": "click", "x": 1, "y": 2}],
        "pending_safety_checks": [],
    },
    {
        "type": "tool_search_call",
        "id": "ts_1",
        "call_id": "c5",
        "status": "completed",
        "execution": "client",
        "arguments": {"queries": ["x"]},
    },
]


def test_tools_with_a_form_of_their_own() -> None:
    """The caller runs them and answers in the form that each tool wants."""
    reply = read(*ACTIONS)
    answers = Message(
        "tool",
        (
            ToolResult("c1", (Text("a.txt"),), is_error=True),
            ToolResult("c2", (Text("a.txt"),)),
            ToolResult("c3", (Text("no such file"),), is_error=True),
            ToolResult("c4", (Image(url="https://x.test/s.png"),)),
            ToolResult("c5", (Json([{"type": "function", "name": "f"}]),)),
        ),
    )
    streams = {"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    screen = {"type": "computer_screenshot", "image_url": "https://x.test/s.png"}
    assert [
        *ACTIONS,
        {"type": "local_shell_call_output", "id": "c1", "output": "Error: a.txt"},
        {"type": "shell_call_output", "call_id": "c2", "output": [streams]},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed", "output": "no such file"},
        {"type": "computer_call_output", "call_id": "c4", "output": screen},
        {
            "type": "tool_search_output",
            "call_id": "c5",
            "execution": "client",
            "status": "completed",
            "tools": [{"type": "function", "name": "f"}],
        },
    ] == items(reply.message, answers)


def test_other_answers_to_them() -> None:
    """What printed nothing, JSON of the API's own, failures, and what fits no form."""
    message = read(*ACTIONS).message
    own = [{"stdout": "", "stderr": "x", "outcome": {"type": "timeout"}}]
    answer = items(message, Message.tool("c2", own))[-1]
    assert own == answer["output"]
    failed = items(message, Message.tool("c2", "boom", is_error=True))[-1]
    assert [{"stdout": "", "stderr": "boom", "outcome": {"type": "exit", "exit_code": 1}}] == failed["output"]
    assert {"type": "apply_patch_call_output", "call_id": "c3", "status": "completed"} == items(
        message, Message("tool", (ToolResult("c3"),))
    )[-1]
    assert '{"a":1}' == items(message, Message.tool("c1", {"a": 1}))[-1]["output"]
    for call, result, words in (
        ("c1", Image(url="u"), "answer with text"),
        ("c4", "text", "answer with one Image"),
        ("c5", "text", "list of tool definitions"),
    ):
        with pytest.raises(UnsupportedContentError, match=words):
            items(message, Message.tool(call, result))


def test_results() -> None:
    """Text is a string, pictures and files are items, a failure says so, and the caller of a call is repeated."""
    caller = {"type": "program", "caller_id": "p1"}
    message = read(
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "caller": caller},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "sql", "input": "x"},
    ).message
    results = Message(
        "tool",
        (
            ToolResult("c1", (Text("a"),), origin=ORIGIN, extra={"status": "completed"}),
            ToolResult("c2", (Text("b"), Image(url="u")), is_error=True),
            ToolResult("c3", (Json({"x": 1}),), cache=CacheMark("30m")),
            ToolResult("c4", (), is_error=True),
            ToolResult("c5"),
        ),
    )
    mark = {"mode": "explicit", "ttl": "30m"}
    assert [
        {"type": "function_call_output", "call_id": "c1", "output": "a", "caller": caller, "status": "completed"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "Error: b"},
                {"type": "input_image", "detail": "auto", "image_url": "u"},
            ],
        },
        {
            "type": "function_call_output",
            "call_id": "c3",
            "output": [{"type": "input_text", "text": '{"x":1}', "prompt_cache_breakpoint": mark}],
        },
        {"type": "function_call_output", "call_id": "c4", "output": "Error"},
        {"type": "function_call_output", "call_id": "c5", "output": ""},
    ] == items(message, results)[2:]


def test_results_and_raw_items_between_texts() -> None:
    """In a user message results and the caller's own items stand where they are."""
    approval = Unknown(
        type="mcp_approval_response",
        raw={"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
    )
    hologram = Unknown(type="input_hologram", raw={"type": "input_hologram"})
    assert [
        {"role": "user", "content": "a"},
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
        {"role": "user", "content": [{"type": "input_text", "text": "b"}, {"type": "input_hologram"}]},
        {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
    ] == items(Message.user("a", ToolResult("c1", (Text("r"),)), "b", hologram, approval))


def test_reasoning_that_cannot_be_found_again() -> None:
    """Without its content, and unstored, it is left out with the ids of what it led to; stored, it goes by its id."""
    reply = read(
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "x"}]},
    )
    assert [
        {"type": "function_call", "status": "completed", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "x"}]},
    ] == items(reply.message)
    assert (
        "reasoning without its encrypted content was left out: the provider keeps nothing to find it by",
    ) == warnings([reply.message])
    kept = items(reply.message, extra_body={"store": True})
    assert ["rs_1", "fc_1", "msg_1"] == [item.get("id") for item in kept]


def test_reasoning_that_the_caller_put_together() -> None:
    """A reasoning part of this origin without the wire's own item is written from its fields."""
    assert [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "id": "rs_1",
            "encrypted_content": "e",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "e"},
    ] == said(Reasoning("hm", id="rs_1", encrypted="e", origin=ORIGIN), Reasoning(encrypted="e", origin=ORIGIN))


def test_own_parts_that_were_put_together_by_hand() -> None:
    """Texts and calls of this origin without the wire's own item go the plain way."""
    assert [
        {"role": "assistant", "content": "a"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
    ] == said(Text("a", origin=ORIGIN), ToolCall("c", "f", raw_arguments="", origin=ORIGIN))
    action = ToolCall("c", "shell", raw_arguments=" ", origin=ORIGIN, extra={"item": {"type": "shell_call"}})
    assert [{"type": "shell_call", "call_id": "c"}] == said(action)
    assert [{"type": "shell_call", "call_id": "c"}] == said(
        ToolCall("c", "shell", raw_arguments="[]", origin=ORIGIN, extra={"item": {"type": "shell_call"}})
    )


def test_what_the_caller_gave_is_not_changed() -> None:
    """Writing twice writes the same, and raw objects stay as they were."""
    raw = {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "x"}]}
    parts = read(raw, {**raw, "content": [{"type": "x"}, {"type": "output_text", "text": "a"}]}).message
    assert items(parts) == items(parts)
    assert {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "x"}]} == raw


def sequences() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Recorded turns with the turn after them, where the second one sends the whole history again."""
    by_place = {(str(found["source_path"]), int(found["idx"])): found for found in exchanges(status=200)}
    pairs = []
    for (path, index), turn in sorted(by_place.items()):
        later = by_place.get((path, index + 1))
        sent = (later or {}).get("request_json")
        if later is None or "in-sequence" not in later["tags"] or not isinstance(sent, dict):
            continue
        if isinstance(sent.get("input"), list) and not sent.get("previous_response_id"):
            pairs.append((turn, later))
    return pairs


# What a client of another make sends back of an item may hold less, but these are what the API goes by.
TELLING = {
    "function_call": ("call_id", "name", "arguments"),
    "custom_tool_call": ("call_id", "name", "input"),
    "reasoning": ("encrypted_content",),
    "message": ("role", "phase"),
}


def test_histories_are_sent_as_others_sent_them() -> None:
    """The items of a recorded turn stand in the next recorded request with what the API goes by, and the same text."""
    compared: Counter[str] = Counter()
    for turn, later in sequences():
        unary = turn["response_kind"] == "json"
        reply = decode(turn) if unary else reply_of(play([body_of(turn)], protocol_of(turn)))
        for ours in items(reply.message, extra_body={"store": True}):
            theirs = [item for item in later["request_json"]["input"] if key_of(item) == key_of(ours)]
            if theirs:  # xAI gives two reasoning items one id
                compared[ours["type"]] += 1
                assert any(tells_the_same(item, ours) for item in theirs)
    assert {
        "function_call": 21,
        "reasoning": 18,
        "message": 9,
        "web_search_call": 3,
        "tool_search_call": 2,
        "tool_search_output": 1,
        "code_interpreter_call": 1,
        "file_search_call": 1,
        "mcp_list_tools": 1,
        "mcp_call": 1,
        "compaction": 1,
    } == compared


def key_of(item: dict[str, Any]) -> tuple[str, str]:
    """What tells an item of a history again: the id of a call, else its own."""
    return str(item.get("type")), str(item.get("call_id") or item.get("id"))


def tells_the_same(item: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether what is told of an item is what we would tell."""
    told = [name for name in TELLING.get(ours["type"], ()) if item.get(name) is not None]
    same_text = ours["type"] != "message" or text_of(item) == text_of(ours)
    return same_text and [item[name] for name in told] == [ours.get(name) for name in told]


def text_of(item: dict[str, Any]) -> str:
    """The text of a message."""
    return "".join([content["text"] for content in item["content"]])
