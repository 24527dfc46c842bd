"""What is written for the older models of InvokeModel."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncllm._protocols.invoke import FAMILIES, InvokeModel, family_of
from asyncllm._schema.content import Image, Refusal
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request, ResponseFormat, Tool
from asyncllm.errors import BadRequestError, UnsupportedContentError, UnsupportedParameterError
from recordings import context

HELLO = (Message.user("Hi"),)
TALK = (
    Message.system("Be brief."),
    Message.user("Hi"),
    Message.assistant("Hello", Refusal("!")),
    Message.user("How"),
    Message.user("are you?"),
)


def wire(model: str, *messages: Message, most: int | None = None, **keywords: Any) -> Any:
    """The encoded request."""
    family = family_of(model)
    assert family is not None
    request = Request(model=model, messages=messages or HELLO, **keywords)
    return InvokeModel(family, most).encode(request, context("bedrock", "invoke", model))


def body(model: str, *messages: Message, **keywords: Any) -> Any:
    """The encoded body."""
    return json.loads(wire(model, *messages, **keywords).body)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("amazon.titan-text-express-v1", {"inputText": "Hi"}),
        ("cohere.command-text-v14", {"prompt": "Hi"}),
        ("cohere.command-r-v1:0", {"message": "Hi"}),
        ("ai21.j2-mid-v1", {"prompt": "Hi"}),
        ("mistral.mistral-7b-instruct-v0:2", {"prompt": "<s>[INST] Hi [/INST]"}),
        ("meta.llama2-13b-chat-v1", {"prompt": "<s>[INST] Hi [/INST]"}),
        (
            "us.meta.llama3-1-70b-instruct-v1:0",
            {
                "prompt": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n"
            },
        ),
        (
            "meta.llama4-scout-17b-instruct-v1:0",
            {
                "prompt": "<|begin_of_text|><|header_start|>user<|header_end|>\n\nHi<|eot|>"
                "<|header_start|>assistant<|header_end|>\n\n"
            },
        ),
    ],
)
def test_a_question(model: str, expected: Any) -> None:
    """A single question is written as each model was trained to read it."""
    assert expected == body(model)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "amazon.titan-text-express-v1",
            {"inputText": "Be brief.\n\nUser: Hi\nBot: Hello!\nUser: How\n\nare you?\nBot:"},
        ),
        (
            "mistral.mixtral-8x7b-instruct-v0:1",
            {"prompt": "<s>[INST] Be brief.\n\nHi [/INST] Hello!</s>[INST] How\n\nare you? [/INST]"},
        ),
        (
            "meta.llama2-13b-chat-v1",
            {"prompt": "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello!</s>[INST] How\n\nare you? [/INST]"},
        ),
        (
            "cohere.command-r-plus-v1:0",
            {
                "message": "How\n\nare you?",
                "chat_history": [{"role": "USER", "message": "Hi"}, {"role": "CHATBOT", "message": "Hello!"}],
                "preamble": "Be brief.",
            },
        ),
    ],
)
def test_a_conversation(model: str, expected: Any) -> None:
    """Turns of one speaker are joined, and what the system says stands where the model looks for it."""
    assert expected == body(model, *TALK)


def test_what_the_system_says_in_llamas_headers() -> None:
    """It is a turn of its own there."""
    begin = "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    assert body("meta.llama3-8b-instruct-v1:0", *TALK)["prompt"].startswith(begin)


def test_paths() -> None:
    """A stream has a path of its own."""
    found = wire("meta.llama3-8b-instruct-v1:0", extra_headers={"X-A": "1", "content-type": "x"})
    assert ("POST", "/model/meta.llama3-8b-instruct-v1%3A0/invoke") == (found.method, found.path)
    assert (("content-type", "application/json"), ("x-a", "1")) == found.headers
    assert wire("amazon.titan-text-lite-v1", stream=True).path.endswith("/invoke-with-response-stream")
    assert "invoke" == InvokeModel(FAMILIES["ai21.j2"]).name


def test_settings() -> None:
    """Each vendor has its own words for them, and those it has not are left out with a warning."""
    all_four: dict[str, Any] = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ("END",), "seed": 1}
    titan = {"maxTokenCount": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    assert titan == body("amazon.titan-text-lite-v1", **all_four)["textGenerationConfig"]
    llama = wire("meta.llama3-8b-instruct-v1:0", **all_four)
    assert {"max_gen_len": 9, "temperature": 0.5, "top_p": 0.9} == {
        name: value for name, value in json.loads(llama.body).items() if name != "prompt"
    }
    assert ["stop", "seed"] == [left.keyword for left in llama.left_out]
    assert 7 == body("cohere.command-text-v14", most=7)["max_tokens"]
    assert {"k": 3} == {key: body("cohere.command-text-v14", extra_body={"k": 3})[key] for key in ("k",)}


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"tools": (Tool("f"),)}, "tools: InvokeModel.s body of .* has none"),
        ({"response_format": ResponseFormat()}, "response_format: .* has none"),
        ({"stream": True}, "streaming: .* has none"),
    ],
)
def test_what_has_no_place(keywords: Any, words: str) -> None:
    """More than text is refused, with the way to have it."""
    with pytest.raises(UnsupportedParameterError, match=f"{words}; use api: converse"):
        wire("ai21.j2-mid-v1", **keywords)


@pytest.mark.parametrize(("amount", "told"), [("none", []), ("low", ["reasoning"]), (2000, ["reasoning"])])
def test_reasoning_is_left_out(amount: Any, told: list[str]) -> None:
    """These models do not reason: they are not asked to, so that one word works for a whole chain."""
    assert {"prompt": "Hi"} == body("ai21.j2-mid-v1", reasoning=amount)
    assert told == [left.keyword for left in wire("ai21.j2-mid-v1", reasoning=amount).left_out]


def test_what_cannot_be_carried() -> None:
    """Pictures and tool results have no place in a prompt, and the user speaks first and last."""
    with pytest.raises(UnsupportedContentError, match="cannot carry Image"):
        wire("ai21.j2-mid-v1", Message.user(Image(data=b"x", media_type="image/png")))
    with pytest.raises(UnsupportedContentError, match="cannot carry ToolResult"):
        wire("ai21.j2-mid-v1", Message.tool("t", "x"))
    for turns in ((Message.assistant("Hi"), *HELLO), (*HELLO, Message.assistant("Hi")), (Message.system("x"),)):
        with pytest.raises(BadRequestError, match="begins and ends with the user"):
            wire("ai21.j2-mid-v1", *turns)


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-v2",
        "amazon.titan-embed-text-v2:0",
        "us.mistral.pixtral-large-2502-v1:0",
        "amazon.nova-lite-v1:0",
        "mistral.mistral-large-3-675b-instruct",
        "mistral.ministral-3-8b",
        "ai21.jamba-1-5-mini-v1:0",
        "abc",
    ],
)
def test_models_without_a_row(model: str) -> None:
    """Other models are reached through another format."""
    assert family_of(model) is None
