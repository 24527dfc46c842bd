"""The vendors' current SDKs against the simulator: each call of the table is served, and read by the SDK.

Needs ``openai``, ``anthropic``, ``google-genai`` and ``boto3`` (``nox -s oracle`` brings them); rows of an SDK that is
not installed are skipped.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from asyncllm.testing import Simulator

pytestmark = pytest.mark.slow
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n%EOF\n"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PICTURE = "data:image/png;base64," + base64.b64encode(PNG).decode()
Calls = Mapping[str, Callable[[Any], Any]]


def _city() -> Any:
    import pydantic

    return pydantic.create_model("City", city=(str, ...))


# --- OpenAI ----------------------------------------------------------------------------------------------------------

GPT = "gpt-sim"
_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
_FLAT = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": True}
_HI = [{"role": "user", "content": "Hi"}]
_WEATHER = [{"role": "user", "content": "What is the weather in Oslo?"}]


def _said(messages: Any = None, **more: Any) -> Callable[[Any], Any]:
    """A chat completion with a text."""

    def call(client: Any) -> Any:
        found = client.chat.completions.create(model=GPT, messages=messages or _HI, **more)
        assert found.choices[0].message.content and found.usage.total_tokens > 0
        return found

    return call


def _parts(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "Hi"}, *parts]}]


def _chat_stream(client: Any) -> None:
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=GPT, messages=_HI, stream=True, stream_options=options))
    assert any(chunk.choices and chunk.choices[0].delta.content for chunk in chunks)
    assert chunks[-1].usage.total_tokens > 0


def _chat_stream_helper(client: Any) -> None:
    with client.chat.completions.stream(model=GPT, messages=_HI) as stream:
        events = list(stream)
    assert events and stream.get_final_completion().choices[0].message.content


def _chat_stream_tools(client: Any) -> None:
    stream = client.chat.completions.create(model=GPT, messages=_WEATHER, tools=[_TOOL], stream=True)
    assert any(chunk.choices and chunk.choices[0].delta.tool_calls for chunk in stream)


def _chat_stream_of_two(client: Any) -> None:
    stream = client.chat.completions.create(model=GPT, messages=_HI, n=2, stream=True)
    assert {0, 1} == {choice.index for chunk in stream for choice in chunk.choices}


def _chat_stream_logprobs(client: Any) -> None:
    stream = client.chat.completions.create(model=GPT, messages=_HI, logprobs=True, top_logprobs=2, stream=True)
    assert any(choice.logprobs and choice.logprobs.content for chunk in stream for choice in chunk.choices)


def _chat_tools(client: Any, **more: Any) -> Any:
    found = client.chat.completions.create(model=GPT, messages=_WEATHER, tools=[_TOOL], **more)
    (call, *_) = found.choices[0].message.tool_calls
    assert "get_weather" == call.function.name
    return found.choices[0].message


def _chat_tool_loop(client: Any) -> None:
    message = _chat_tools(client)
    results = [{"role": "tool", "tool_call_id": call.id, "content": "3 C"} for call in message.tool_calls]
    found = client.chat.completions.create(model=GPT, messages=[*_WEATHER, message, *results], tools=[_TOOL])
    assert "3 C" in found.choices[0].message.content


def _chat_custom_tool(client: Any) -> None:
    tool = {"type": "custom", "custom": {"name": "run_code", "description": "Runs code."}}
    found = client.chat.completions.create(model=GPT, messages=[{"role": "user", "content": "run code"}], tools=[tool])
    assert "run_code" == found.choices[0].message.tool_calls[0].custom.name


def _chat_n(client: Any) -> None:
    assert 3 == len(client.chat.completions.create(model=GPT, messages=_HI, n=3).choices)


def _chat_logprobs(client: Any) -> None:
    found = client.chat.completions.create(model=GPT, messages=_HI, logprobs=True, top_logprobs=2)
    tokens = found.choices[0].logprobs.content
    assert found.choices[0].message.content == "".join(token.token for token in tokens)
    assert {2} == {len(token.top_logprobs) for token in tokens}


def _chat_schema(client: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
    found = client.chat.completions.create(model=GPT, messages=_HI, response_format=wanted)
    assert {"city"} == set(json.loads(found.choices[0].message.content))


def _chat_parse(client: Any) -> None:
    found = client.chat.completions.parse(model=GPT, messages=_HI, response_format=_city())
    assert found.choices[0].message.parsed.city


def _chat_raw(client: Any) -> None:
    raw = client.chat.completions.with_raw_response.create(model=GPT, messages=_HI)
    assert raw.headers["x-request-id"] and raw.parse().choices


def _chat_stored(client: Any) -> None:
    made = client.chat.completions.create(model=GPT, messages=_HI, store=True, metadata={"a": "b"})
    assert made.id == client.chat.completions.retrieve(made.id).id
    assert [made.id] == [one.id for one in client.chat.completions.list()]
    assert ["Hi"] == [one.content for one in client.chat.completions.messages.list(made.id)]
    assert client.chat.completions.delete(made.id).deleted


def _models(client: Any) -> None:
    assert GPT in [model.id for model in client.models.list()]
    assert GPT == client.models.retrieve(GPT).id


def _embeddings(client: Any) -> None:
    found = client.embeddings.create(model="text-embedding-sim", input=["a", "b"])
    assert 2 == len(found.data) and found.data[0].embedding


def _responds(given: Any = "Hi", /, **more: Any) -> Callable[[Any], Any]:
    """A response with a text."""

    def call(client: Any) -> Any:
        found = client.responses.create(model=GPT, input=given, **more)
        assert found.output_text and "completed" == found.status
        return found

    return call


def _responses_stream(client: Any) -> None:
    kinds = [event.type for event in client.responses.create(model=GPT, input="Hi", stream=True)]
    assert "response.output_text.delta" in kinds and "response.completed" == kinds[-1]


def _responses_stream_helper(client: Any) -> None:
    with client.responses.stream(model=GPT, input="Hi") as stream:
        assert list(stream) and stream.get_final_response().output_text


def _responses_tools(client: Any) -> Any:
    found = client.responses.create(model=GPT, input="What is the weather in Oslo?", tools=[_FLAT])
    assert ["get_weather"] == [item.name for item in found.output if item.type == "function_call"]
    return found


def _results(found: Any) -> list[dict[str, Any]]:
    calls = [item for item in found.output if item.type == "function_call"]
    return [{"type": "function_call_output", "call_id": call.call_id, "output": "3 C"} for call in calls]


def _responses_tool_loop(client: Any) -> None:
    found = _responses_tools(client)
    history = [{"role": "user", "content": "What is the weather?"}, *found.output, *_results(found)]
    assert "3 C" in client.responses.create(model=GPT, input=history, tools=[_FLAT]).output_text


def _responses_previous(client: Any) -> None:
    first = _responses_tools(client)
    second = client.responses.create(model=GPT, input=_results(first), previous_response_id=first.id, tools=[_FLAT])
    assert "3 C" in second.output_text and first.id == second.previous_response_id
    third = client.responses.create(model=GPT, input="And now?", previous_response_id=second.id)
    assert third.usage.input_tokens > 50, "all that was said is in front of it"


def _responses_conversation(client: Any) -> None:
    thread = client.conversations.create(metadata={"a": "b"})
    first = client.responses.create(model=GPT, input="Hi", conversation=thread.id)
    assert thread.id == first.conversation.id
    client.responses.create(model=GPT, input="And?", conversation=thread.id)
    said = [item.role for item in client.conversations.items.list(thread.id, order="asc")]
    assert ["user", "assistant", "user", "assistant"] == said
    assert thread.id == client.conversations.retrieve(thread.id).id
    assert client.conversations.delete(thread.id).deleted


def _responses_parse(client: Any) -> None:
    assert client.responses.parse(model=GPT, input="Hi", text_format=_city()).output_parsed.city


def _responses_kept(client: Any) -> None:
    made = client.responses.create(model=GPT, input="Hi")
    assert made.output_text == client.responses.retrieve(made.id).output_text
    assert ["user"] == [item.role for item in client.responses.input_items.list(made.id)]
    client.responses.delete(made.id)
    with pytest.raises(Exception, match="not found"):
        client.responses.retrieve(made.id)


def _responses_background(client: Any) -> None:
    made = client.responses.create(model=GPT, input="Hi", background=True)
    assert made.status in ("queued", "completed")
    assert "completed" == client.responses.retrieve(made.id).status


def _responses_cancel(client: Any) -> None:
    made = client.responses.create(model=GPT, input="Hi", background=True)
    assert client.responses.cancel(made.id).status in ("cancelled", "completed")


def _responses_compact(client: Any) -> None:
    found = client.responses.compact(model=GPT, input=[*_HI, {"role": "assistant", "content": "Hello"}])
    assert "compaction" in [item.type for item in found.output]


def _responses_reasoning(client: Any) -> None:
    found = client.responses.create(
        model=GPT, input="Hi", store=False, reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    )  # fmt: skip
    (thought,) = (item for item in found.output if item.type == "reasoning")
    again = client.responses.create(
        model=GPT, input=[*_HI, *found.output, {"role": "user", "content": "More"}], store=False
    )
    assert thought.encrypted_content and again.output_text


def _responses_search(client: Any) -> None:
    found = client.responses.create(model=GPT, input="search the web for Oslo", tools=[{"type": "web_search"}])
    assert found.output_text


def _refused(kind: str, call: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A call that the vendor refuses with this exception."""

    def check(client: Any) -> None:
        with pytest.raises(Exception) as caught:  # noqa: PT011  # the class is the vendor's
            call(client)
        assert kind == type(caught.value).__name__

    return check


_NONE = _refused("NotFoundError", lambda client: client.chat.completions.create(model="gpt-none", messages=_HI))
OPENAI: Calls = {
    "chat": _said(),
    "chat: a stream": _chat_stream,
    "chat: the stream's helper": _chat_stream_helper,
    "chat: tools": _chat_tools,
    "chat: tools in a stream": _chat_stream_tools,
    "chat: a tool that is demanded": lambda client: _chat_tools(client, tool_choice="required"),
    "chat: a tool by name": lambda client: _chat_tools(
        client, tool_choice={"type": "function", "function": {"name": "get_weather"}}
    ),
    "chat: one call at a time": lambda client: _chat_tools(client, parallel_tool_calls=False),
    "chat: a tool loop": _chat_tool_loop,
    "chat: a custom tool": _chat_custom_tool,
    "chat: further choices": _chat_n,
    "chat: further choices in a stream": _chat_stream_of_two,
    "chat: log probabilities": _chat_logprobs,
    "chat: log probabilities in a stream": _chat_stream_logprobs,
    "chat: a schema": _chat_schema,
    "chat: parse": _chat_parse,
    "chat: JSON": _said([{"role": "user", "content": "json please"}], response_format={"type": "json_object"}),
    "chat: a developer's message": _said([{"role": "developer", "content": "Be brief."}, *_HI]),
    "chat: a picture": _said(_parts({"type": "image_url", "image_url": {"url": PICTURE}})),
    "chat: a sound": _said(_parts({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
    "chat: a file": _said(
        _parts({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}})
    ),
    "chat: reasoning": _said(reasoning_effort="low"),
    "chat: settings": _said(
        max_completion_tokens=50,
        temperature=0.5,
        top_p=0.9,
        seed=1,
        stop=["END"],
        user="u",
        verbosity="low",
        service_tier="auto",
        prompt_cache_key="k",
        safety_identifier="s",
    ),
    "chat: a prediction": _said(prediction={"type": "content", "content": "Hello"}),
    "chat: raw response": _chat_raw,
    "chat: stored": _chat_stored,
    "chat: an unknown model": _NONE,
    "models": _models,
    "embeddings": _embeddings,
    "responses": _responds(),
    "responses: a list": _responds(_HI),
    "responses: instructions": _responds(instructions="Be brief."),
    "responses: a stream": _responses_stream,
    "responses: the stream's helper": _responses_stream_helper,
    "responses: tools": _responses_tools,
    "responses: a tool loop": _responses_tool_loop,
    "responses: the response before": _responses_previous,
    "responses: a conversation": _responses_conversation,
    "responses: parse": _responses_parse,
    "responses: JSON": _responds("json please", text={"format": {"type": "json_object"}, "verbosity": "low"}),
    "responses: retrieved and deleted": _responses_kept,
    "responses: in the background": _responses_background,
    "responses: cancelled": _responses_cancel,
    "responses: compacted": _responses_compact,
    "responses: encrypted reasoning": _responses_reasoning,
    "responses: a picture": _responds(
        [{"role": "user", "content": [{"type": "input_image", "image_url": PICTURE, "detail": "auto"}]}]
    ),
    "responses: a file": _responds(
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}
                ],
            }
        ]
    ),
    "responses: a search": _responses_search,
    "responses: counted": lambda client: client.responses.input_tokens.count(model=GPT, input="Hi").input_tokens > 0,
    "responses: settings": _responds(
        max_output_tokens=100,
        metadata={"a": "b"},
        truncation="auto",
        parallel_tool_calls=False,
        temperature=0.5,
        service_tier="auto",
        prompt_cache_key="k",
        max_tool_calls=3,
    ),
    "responses: one that is not there": _refused("NotFoundError", lambda client: client.responses.retrieve("resp_no")),
    "responses: after one that is not there": _refused(
        "BadRequestError",
        lambda client: client.responses.create(model=GPT, input="Hi", previous_response_id="resp_no"),
    ),
}


def openai_client(sim: Simulator) -> Any:
    import openai

    return openai.OpenAI(api_key="sk-sim-openai", base_url=sim.url("openai"), max_retries=0)


# --- Anthropic -------------------------------------------------------------------------------------------------------

CLAUDE = "claude-sim"
_CLAUDE_TOOL = {"name": "get_weather", "description": "d", "input_schema": SCHEMA}


def _asks(messages: Any = None, **more: Any) -> Callable[[Any], Any]:
    def call(client: Any) -> Any:
        found = client.messages.create(model=CLAUDE, max_tokens=3000, messages=messages or _HI, **more)
        used = found.usage
        assert [block.text for block in found.content if block.type == "text"]
        assert used.input_tokens + used.cache_creation_input_tokens + used.cache_read_input_tokens > 0
        return found

    return call


def _blocks(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "Hi"}, *blocks]}]


def _base64(kind: str, data: bytes) -> dict[str, Any]:
    return {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}


def _claude_stream(client: Any) -> None:
    kinds = [event.type for event in client.messages.create(model=CLAUDE, max_tokens=99, messages=_HI, stream=True)]
    assert "content_block_delta" in kinds and "message_stop" == kinds[-1]


def _claude_stream_helper(client: Any) -> None:
    with client.messages.stream(model=CLAUDE, max_tokens=99, messages=_HI) as stream:
        assert "".join(stream.text_stream) and "end_turn" == stream.get_final_message().stop_reason


def _claude_tools(client: Any, **more: Any) -> Any:
    found = client.messages.create(model=CLAUDE, max_tokens=99, messages=_WEATHER, tools=[_CLAUDE_TOOL], **more)
    assert "tool_use" == found.stop_reason
    return found


def _claude_tool_loop(client: Any) -> None:
    found = _claude_tools(client)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "3 C"}
        for block in found.content
        if block.type == "tool_use"
    ]
    history = [*_WEATHER, {"role": "assistant", "content": found.content}, {"role": "user", "content": results}]
    again = client.messages.create(model=CLAUDE, max_tokens=99, messages=history, tools=[_CLAUDE_TOOL])
    assert "3 C" in again.content[0].text


def _claude_thinks(client: Any, **thinking: Any) -> None:
    found = _asks(thinking=thinking)(client)
    assert "thinking" == found.content[0].type and found.content[0].signature
    _asks([*_HI, {"role": "assistant", "content": found.content}, *_HI], thinking=thinking)(client)


def _claude_schema(client: Any) -> None:
    found = _asks(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})(client)
    assert {"city"} == set(json.loads(found.content[0].text))


def _claude_parse(client: Any) -> None:
    assert client.messages.parse(model=CLAUDE, max_tokens=99, messages=_HI, output_format=_city()).parsed_output.city


def _claude_counts(client: Any) -> None:
    assert client.messages.count_tokens(model=CLAUDE, messages=_HI, tools=[_CLAUDE_TOOL]).input_tokens > 0


def _claude_models(client: Any) -> None:
    assert CLAUDE in [model.id for model in client.models.list()]
    assert CLAUDE == client.models.retrieve(CLAUDE).id


def _claude_runner(client: Any) -> None:
    import anthropic

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather.

        Args:
            city: the city.
        """
        return f"3 C in {city}"

    runner = client.beta.messages.tool_runner(model=CLAUDE, max_tokens=99, messages=_WEATHER, tools=[get_weather])
    assert "3 C in" in runner.until_done().content[0].text


ANTHROPIC: Calls = {
    "messages": _asks(),
    "messages: a stream": _claude_stream,
    "messages: the stream's helper": _claude_stream_helper,
    "messages: instructions": _asks(system="Be brief."),
    "messages: instructions that are cached": _asks(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    ),
    "messages: cached by itself": _asks(cache_control={"type": "ephemeral"}),
    "messages: tools": _claude_tools,
    "messages: a tool that is demanded": lambda client: _claude_tools(client, tool_choice={"type": "any"}),
    "messages: a tool by name": lambda client: _claude_tools(
        client, tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    ),
    "messages: a tool loop": _claude_tool_loop,
    "messages: thinking": lambda client: _claude_thinks(client, type="enabled", budget_tokens=1024),
    "messages: adaptive thinking": lambda client: _claude_thinks(client, type="adaptive", display="summarized"),
    "messages: an effort": _asks(output_config={"effort": "low"}),
    "messages: a schema": _claude_schema,
    "messages: parse": _claude_parse,
    "messages: a picture": _asks(_blocks({"type": "image", "source": _base64("image/png", PNG)})),
    "messages: a picture's URL": _asks(
        _blocks({"type": "image", "source": {"type": "url", "url": "https://x.y/a.png"}})
    ),
    "messages: a document": _asks(_blocks({"type": "document", "source": _base64("application/pdf", PDF)})),
    "messages: a text with citations": _asks(
        _blocks(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                "citations": {"enabled": True},
            }
        )
    ),
    "messages: settings": _asks(stop_sequences=["END"], metadata={"user_id": "u"}, service_tier="auto"),
    "messages: a search": _asks(
        [{"role": "user", "content": "search the web"}], tools=[{"type": "web_search_20250305", "name": "web_search"}]
    ),
    "messages: raw response": lambda client: client.messages.with_raw_response.create(
        model=CLAUDE, max_tokens=9, messages=_HI
    ).headers["request-id"],
    "messages: beta": lambda client: client.beta.messages.create(
        model=CLAUDE, max_tokens=99, messages=_HI, betas=["context-management-2025-06-27"]
    ),
    "messages: a tool runner": _claude_runner,
    "messages: counted": _claude_counts,
    "models": _claude_models,
    "messages: an unknown model": _refused(
        "NotFoundError", lambda client: client.messages.create(model="claude-none", max_tokens=9, messages=_HI)
    ),
}


def anthropic_client(sim: Simulator) -> Any:
    import anthropic

    return anthropic.Anthropic(api_key="sk-sim-anthropic", base_url=sim.url("anthropic"), max_retries=0)


# --- Google ----------------------------------------------------------------------------------------------------------

GEMINI = "gemini-sim"


def _generates(contents: Any = "Hi", **config: Any) -> Callable[[Any], Any]:
    def call(client: Any) -> Any:
        found = client.models.generate_content(model=GEMINI, contents=contents, config=config or None)
        assert found.text and found.usage_metadata.total_token_count > 0
        return found

    return call


def _gemini_stream(client: Any) -> None:
    assert "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model=GEMINI, contents="Hi"))


def _gemini_chat(client: Any) -> None:
    chat = client.chats.create(model=GEMINI)
    assert chat.send_message("Hi").text and chat.send_message("More").text
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream("And"))
    assert 6 <= len(chat.get_history(curated=True))


def _gemini_declared(client: Any) -> None:
    tool = {"function_declarations": [{"name": "get_weather", "parameters_json_schema": SCHEMA}]}
    found = client.models.generate_content(
        model=GEMINI, contents="What is the weather in Oslo?", config={"tools": [tool]}
    )
    assert "get_weather" == found.function_calls[0].name


def _gemini_forced(client: Any) -> None:
    from google.genai import types

    declared = types.FunctionDeclaration(
        name="get_weather",
        parameters=types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}),
    )
    calling = types.FunctionCallingConfig(mode="ANY", allowed_function_names=["get_weather"])
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        tool_config=types.ToolConfig(function_calling_config=calling),
    )
    found = client.models.generate_content(model=GEMINI, contents="Hi", config=config)
    assert "get_weather" == found.function_calls[0].name


def _gemini_function(client: Any, *, streamed: bool = False) -> None:
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"3 C in {city}"

    asked: dict[str, Any] = {
        "model": GEMINI,
        "contents": "What is the weather in Oslo?",
        "config": {"tools": [get_weather]},
    }
    if streamed:
        assert "3 C in" in "".join(chunk.text or "" for chunk in client.models.generate_content_stream(**asked))
    else:
        assert "3 C in" in client.models.generate_content(**asked).text


def _gemini_schema(client: Any) -> None:
    found = _generates(response_mime_type="application/json", response_json_schema=SCHEMA)(client)
    assert {"city"} == set(json.loads(found.text))


def _gemini_parse(client: Any) -> None:
    assert _generates(response_mime_type="application/json", response_schema=_city())(client).parsed.city


def _gemini_several(client: Any) -> None:
    assert 2 == len(_generates(candidate_count=2)(client).candidates)


def _gemini_logprobs(client: Any) -> None:
    found = _generates(response_logprobs=True, logprobs=2)(client)
    assert found.candidates[0].logprobs_result.chosen_candidates and found.candidates[0].avg_logprobs is not None


def _gemini_search(client: Any) -> None:
    found = _generates("search for Oslo", tools=[{"google_search": {}}])(client)
    assert found.candidates[0].grounding_metadata.web_search_queries


def _gemini_code(client: Any) -> None:
    found = _generates("run code for 2+2", tools=[{"code_execution": {}}])(client)
    assert found.executable_code and found.code_execution_result


def _gemini_thinks(client: Any) -> None:
    found = _generates(thinking_config={"thinking_level": "LOW", "include_thoughts": True})(client)
    assert any(part.thought for part in found.candidates[0].content.parts)


def _gemini_models(client: Any) -> None:
    assert f"models/{GEMINI}" in [model.name for model in client.models.list()]
    assert f"models/{GEMINI}" == client.models.get(model=GEMINI).name


def _gemini_embeds(client: Any) -> None:
    assert 2 == len(client.models.embed_content(model="embedding-sim", contents=["a", "b"]).embeddings)


def _gemini_picture(client: Any) -> None:
    from google.genai import types

    _generates([types.Part.from_bytes(data=PNG, mime_type="image/png"), "Hi"])(client)


GOOGLE: Calls = {
    "generate": _generates(),
    "generate: a stream": _gemini_stream,
    "chats": _gemini_chat,
    "generate: instructions": _generates(system_instruction="Be brief."),
    "generate: settings": _generates(
        temperature=0.5,
        top_p=0.9,
        top_k=10,
        max_output_tokens=50,
        stop_sequences=["END"],
        seed=1,
        safety_settings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        labels={"a": "b"},
    ),
    "generate: declared functions": _gemini_declared,
    "generate: a function that is demanded": _gemini_forced,
    "generate: a Python function": _gemini_function,
    "generate: a Python function in a stream": lambda client: _gemini_function(client, streamed=True),
    "generate: a schema": _gemini_schema,
    "generate: parse": _gemini_parse,
    "generate: JSON": _generates(response_mime_type="application/json"),
    "generate: further candidates": _gemini_several,
    "generate: log probabilities": _gemini_logprobs,
    "generate: a search": _gemini_search,
    "generate: code": _gemini_code,
    "generate: URLs": _generates("read https://x.y", tools=[{"url_context": {}}]),
    "generate: thinking": _gemini_thinks,
    "generate: a picture": _gemini_picture,
    "generate: counted": lambda client: client.models.count_tokens(model=GEMINI, contents="Hi").total_tokens > 0,
    "models": _gemini_models,
    "embeddings": _gemini_embeds,
    "generate: an unknown model": _refused(
        "ClientError", lambda client: client.models.generate_content(model="gemini-none", contents="Hi")
    ),
}


def google_client(sim: Simulator) -> Any:
    from google import genai

    return genai.Client(api_key="sk-sim-gemini", http_options={"base_url": sim.url("gemini")})


# --- Bedrock ---------------------------------------------------------------------------------------------------------

NOVA = "amazon.nova-sim"
_TURN = [{"role": "user", "content": [{"text": "Hi"}]}]
_NOVA_TOOL = {"toolSpec": {"name": "get_weather", "description": "d", "inputSchema": {"json": SCHEMA}}}


def _converses(messages: Any = None, **more: Any) -> Callable[[Any], Any]:
    def call(client: Any) -> Any:
        found = client.converse(modelId=NOVA, messages=messages or _TURN, **more)
        assert found["output"]["message"]["content"][0]["text"] and found["usage"]["totalTokens"] > 0
        return found

    return call


def _converse_stream(client: Any) -> None:
    events = list(client.converse_stream(modelId=NOVA, messages=_TURN)["stream"])
    assert "metadata" in events[-1] and any("contentBlockDelta" in event for event in events)


def _converse_loop(client: Any) -> None:
    asked = [{"role": "user", "content": [{"text": "What is the weather in Oslo?"}]}]
    tools = {"tools": [_NOVA_TOOL]}
    found = client.converse(modelId=NOVA, messages=asked, toolConfig=tools)
    assert "tool_use" == found["stopReason"]
    message = found["output"]["message"]
    results = [
        {"toolResult": {"toolUseId": block["toolUse"]["toolUseId"], "content": [{"text": "3 C"}]}}
        for block in message["content"]
        if "toolUse" in block
    ]
    history = [*asked, message, {"role": "user", "content": results}]
    again = client.converse(modelId=NOVA, messages=history, toolConfig=tools)
    assert "3 C" in again["output"]["message"]["content"][0]["text"]


def _invokes(model: str, body: dict[str, Any], *path: str | int) -> Callable[[Any], None]:
    """A body of the model's own, and where its text stands in the answer."""

    def call(client: Any) -> None:
        found: Any = json.loads(client.invoke_model(modelId=model, body=json.dumps(body))["body"].read())
        for step in path:
            found = found[step]
        assert isinstance(found, str) and found

    return call


def _invokes_streamed(model: str, body: dict[str, Any], word: str) -> Callable[[Any], None]:
    """The same as a stream, whose chunks hold this word."""

    def call(client: Any) -> None:
        answer = client.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))
        chunks = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
        assert any(word in json.dumps(chunk) for chunk in chunks)
        assert "amazon-bedrock-invocationMetrics" in chunks[-1]

    return call


_CLAUDE_BODY = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": _HI}
_TITAN_BODY = {"inputText": "User: Hi\nBot:", "textGenerationConfig": {"maxTokenCount": 99}}
_LLAMA_BODY = {"prompt": "<|begin_of_text|>Hi", "max_gen_len": 99}
BEDROCK: Calls = {
    "converse": _converses(),
    "converse: a stream": _converse_stream,
    "converse: instructions": _converses(system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]),
    "converse: settings": _converses(inferenceConfig={"maxTokens": 99, "temperature": 0.5, "stopSequences": ["END"]}),
    "converse: a tool loop": _converse_loop,
    "converse: a picture": _converses(
        [{"role": "user", "content": [{"text": "Hi"}, {"image": {"format": "png", "source": {"bytes": PNG}}}]}]
    ),
    "invoke: Claude": _invokes("anthropic.claude", _CLAUDE_BODY, "content", 0, "text"),
    "invoke: Claude in a stream": _invokes_streamed("anthropic.claude", _CLAUDE_BODY, "text_delta"),
    "invoke: Titan": _invokes("amazon.titan-text-express-v1", _TITAN_BODY, "results", 0, "outputText"),
    "invoke: Titan in a stream": _invokes_streamed("amazon.titan-text-express-v1", _TITAN_BODY, "outputText"),
    "invoke: Llama": _invokes("meta.llama3-8b-instruct-v1:0", _LLAMA_BODY, "generation"),
    "invoke: Llama in a stream": _invokes_streamed("meta.llama3-8b-instruct-v1:0", _LLAMA_BODY, "generation"),
    "converse: counted": lambda client: client.count_tokens(modelId=NOVA, input={"converse": {"messages": _TURN}})[
        "inputTokens"
    ],
    "converse: a bad message": _refused(
        "ValidationException", lambda client: client.converse(modelId=NOVA, messages=[])
    ),
}


def bedrock_client(sim: Simulator) -> Any:
    import boto3

    return boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=sim.url("bedrock"),
        aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret",
    )  # fmt: skip


VENDORS: Mapping[str, tuple[str, Callable[[Simulator], Any], Calls]] = {
    "openai": ("openai", openai_client, OPENAI),
    "anthropic": ("anthropic", anthropic_client, ANTHROPIC),
    "google": ("google.genai", google_client, GOOGLE),
    "bedrock": ("boto3", bedrock_client, BEDROCK),
}
MODELS = {
    "openai": [GPT, "text-embedding-sim"],
    "anthropic": [CLAUDE],
    "gemini": [GEMINI, "embedding-sim"],
}


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator.in_thread(models=MODELS) as running:
        yield running


@pytest.mark.parametrize(("vendor", "name"), [(vendor, name) for vendor, row in VENDORS.items() for name in row[2]])
def test_the_call_is_served(sim: Simulator, vendor: str, name: str) -> None:
    """The SDK takes the answer for its own host's."""
    module, client, calls = VENDORS[vendor]
    if not _installed(module):
        pytest.skip(f"{module} is not installed")
    calls[name](client(sim))
