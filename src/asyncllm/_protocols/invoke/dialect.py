"""A conversation -> what an older text model is told: one prompt in the markup it was trained on, or its own list.

A conversation here is what the system says (joined) and turns of ``(role, text)`` that begin and end with the user; the
markup opens the assistant's next turn. Sources: Meta's and Mistral's prompt formats, AWS's pages on the inference
parameters of Titan, Command and Jurassic-2.

The older text models of Bedrock, a row each: how a prompt is written, and where an answer and its numbers stand.

A value may stand in several places: in whole answers, in chunks of a stream, in the last chunk. The places are tried in
order. Sources: AWS's pages on the inference parameters of each vendor, recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..aws_shapes import base_model


class Dialogue(NamedTuple):
    """Holds what was said: the instructions, and the turns as (role, text)."""

    system: str
    turns: tuple[tuple[str, str], ...]


def _lines(said: Dialogue, user: str, model: str) -> str:
    """Writes plain text for a single question, and a dialogue of named lines for more."""
    if len(said.turns) == 1:
        return "\n\n".join([text for text in (said.system, said.turns[0][1]) if text])
    names = {"user": user, "assistant": model}
    dialogue = "\n".join([f"{names[role]}: {text}" for role, text in said.turns]) + f"\n{model}:"
    return f"{said.system}\n\n{dialogue}" if said.system else dialogue


def titan(said: Dialogue) -> dict[str, Any]:
    """Writes the prompt with the names ``User:`` and ``Bot:``."""
    return {"inputText": _lines(said, "User", "Bot")}


def plain(said: Dialogue) -> dict[str, Any]:
    """Writes the prompt with the names ``User:`` and ``Assistant:``, for models without a markup of their own."""
    return {"prompt": _lines(said, "User", "Assistant")}


def _headers(said: Dialogue, begin: str, end: str, stop: str) -> dict[str, Any]:
    turns = (("system", said.system), *said.turns) if said.system else said.turns
    text = "".join([f"{begin}{role}{end}\n\n{text}{stop}" for role, text in turns])
    return {"prompt": f"<|begin_of_text|>{text}{begin}assistant{end}\n\n"}


def llama_3(said: Dialogue) -> dict[str, Any]:
    """Writes the prompt with Llama 3's headers."""
    return _headers(said, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


def llama_4(said: Dialogue) -> dict[str, Any]:
    """Writes the prompt with Llama 4's headers."""
    return _headers(said, "<|header_start|>", "<|header_end|>", "<|eot|>")


def _instructed(said: Dialogue, system: str) -> dict[str, Any]:
    written = ["<s>"]
    for index, (role, text) in enumerate(said.turns):
        if role == "user":
            written.append(f"[INST] {system if index == 0 else ''}{text} [/INST]")
        else:
            written.append(f" {text}</s>")
    return {"prompt": "".join(written)}


def llama_2(said: Dialogue) -> dict[str, Any]:
    """Writes the prompt with Llama 2's ``[INST]`` and its ``<<SYS>>``."""
    return _instructed(said, f"<<SYS>>\n{said.system}\n<</SYS>>\n\n" if said.system else "")


def mistral(said: Dialogue) -> dict[str, Any]:
    """Writes the prompt with Mistral's ``[INST]``; the instructions stand before the user's first words."""
    return _instructed(said, f"{said.system}\n\n" if said.system else "")


def command_r(said: Dialogue) -> dict[str, Any]:
    """Writes the fields of Cohere's chat: the last message by itself, what came before as a list."""
    names = {"user": "USER", "assistant": "CHATBOT"}
    body: dict[str, Any] = {"message": said.turns[-1][1]}
    if len(said.turns) > 1:
        body["chat_history"] = [{"role": names[role], "message": text} for role, text in said.turns[:-1]]
    if said.system:
        body["preamble"] = said.system
    return body


Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFamily:
    """Says how one vendor's body is written and read.

    Attributes:
        prompt: a conversation -> the fields that hold it.
        settings: ``max_tokens``, ``temperature``, ``top_p`` and ``stop`` -> the vendor's field; a missing one is not
            there.
        inside: the object that holds the settings; None for the body itself.
        text: where the text stands.
        finish: where the reason stands why it ended.
        input_tokens: where the body counts them.
        output_tokens: where the body counts them.
        streams: the model answers as a stream too.
    """

    prompt: Callable[[Dialogue], dict[str, Any]]
    settings: Mapping[str, str]
    inside: str | None = None
    text: tuple[Path, ...]
    finish: tuple[Path, ...]
    input_tokens: tuple[Path, ...] = ()
    output_tokens: tuple[Path, ...] = ()
    streams: bool = True


def _llama(prompt: Callable[[Dialogue], dict[str, Any]]) -> TextFamily:
    return TextFamily(
        prompt=prompt,
        settings={"max_tokens": "max_gen_len", "temperature": "temperature", "top_p": "top_p"},
        text=(("generation",),),
        finish=(("stop_reason",),),
        input_tokens=(("prompt_token_count",),),
        output_tokens=(("generation_token_count",),),
    )


_COHERE: Mapping[str, str] = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "p",
    "stop": "stop_sequences",
}
_COMMAND = TextFamily(
    prompt=plain,
    settings=_COHERE,
    text=(("generations", 0, "text"), ("text",)),
    finish=(("generations", 0, "finish_reason"), ("finish_reason",)),
)

# The longest beginning that fits counts.
FAMILIES: Mapping[str, TextFamily] = {
    "amazon.titan-t": TextFamily(  # titan-text-..., titan-tg1-...; not the embeddings
        prompt=titan,
        settings={
            "max_tokens": "maxTokenCount",
            "temperature": "temperature",
            "top_p": "topP",
            "stop": "stopSequences",
        },
        inside="textGenerationConfig",
        text=(("results", 0, "outputText"), ("outputText",)),
        finish=(("results", 0, "completionReason"), ("completionReason",)),
        input_tokens=(("inputTextTokenCount",),),
        output_tokens=(("results", 0, "tokenCount"), ("totalOutputTextTokenCount",)),
    ),
    "meta.llama2": _llama(llama_2),
    "meta.llama3": _llama(llama_3),
    "meta.llama4": _llama(llama_4),
    "mistral.mi": TextFamily(  # mistral-..., mixtral-...; not pixtral, whose body is a chat
        prompt=mistral,
        settings={"max_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p", "stop": "stop"},
        text=(("outputs", 0, "text"),),
        finish=(("outputs", 0, "stop_reason"),),
    ),
    "cohere.command-text": _COMMAND,
    "cohere.command-light-text": _COMMAND,
    "cohere.command-r": TextFamily(
        prompt=command_r,
        settings=_COHERE,
        text=(("text",),),
        finish=(("finish_reason",),),
    ),
    "ai21.j2": TextFamily(
        prompt=plain,
        settings={
            "max_tokens": "maxTokens",
            "temperature": "temperature",
            "top_p": "topP",
            "stop": "stopSequences",
        },
        text=(("completions", 0, "data", "text"),),
        finish=(("completions", 0, "finishReason", "reason"),),
        streams=False,
    ),
}
# Larger models of the same vendors have chat bodies, and are reached through Converse.
_CHATS = ("mistral.mistral-large-3", "mistral.ministral")


def family_of(model: str) -> TextFamily | None:
    """Returns the row of a model id; None for a model without one."""
    name = base_model(model)
    fitting = [prefix for prefix in FAMILIES if name.startswith(prefix)]
    return FAMILIES[max(fitting, key=len)] if fitting and not name.startswith(_CHATS) else None


def find(value: Any, places: tuple[Path, ...]) -> Any:
    """Returns what stands in the first of the places that is there; None if none is."""
    for place in places:
        found = value
        for step in place:
            if isinstance(step, int):
                found = found[step] if isinstance(found, list) and len(found) > step else None
            else:
                found = found.get(step) if isinstance(found, dict) else None
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeDialect:
    """Holds one vendor's text body, as one host sends it.

    Attributes:
        family: the vendor's row.
        max_tokens: how much to ask for when the caller does not say; None leaves it to the model's own default.
    """

    family: TextFamily
    max_tokens: int | None = None
