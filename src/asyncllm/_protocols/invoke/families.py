"""The older text models of Bedrock, a row each: how a prompt is written, and where an answer and its numbers stand.

A value may stand in several places: in whole answers, in chunks of a stream, in the last chunk. The places are tried in
order. Sources: AWS's pages on the inference parameters of each vendor, recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..converse.models import base_model
from . import prompts

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One vendor's body.

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

    prompt: Callable[[prompts.Conversation], dict[str, Any]]
    settings: Mapping[str, str]
    inside: str | None = None
    text: tuple[Path, ...]
    finish: tuple[Path, ...]
    input_tokens: tuple[Path, ...] = ()
    output_tokens: tuple[Path, ...] = ()
    streams: bool = True


def _llama(prompt: Callable[[prompts.Conversation], dict[str, Any]]) -> Family:
    return Family(
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
_COMMAND = Family(
    prompt=prompts.plain,
    settings=_COHERE,
    text=(("generations", 0, "text"), ("text",)),
    finish=(("generations", 0, "finish_reason"), ("finish_reason",)),
)

# The longest beginning that fits counts.
FAMILIES: Mapping[str, Family] = {
    "amazon.titan-t": Family(  # titan-text-..., titan-tg1-...; not the embeddings
        prompt=prompts.titan,
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
    "meta.llama2": _llama(prompts.llama_2),
    "meta.llama3": _llama(prompts.llama_3),
    "meta.llama4": _llama(prompts.llama_4),
    "mistral.mi": Family(  # mistral-..., mixtral-...; not pixtral, whose body is a chat
        prompt=prompts.mistral,
        settings={"max_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p", "stop": "stop"},
        text=(("outputs", 0, "text"),),
        finish=(("outputs", 0, "stop_reason"),),
    ),
    "cohere.command-text": _COMMAND,
    "cohere.command-light-text": _COMMAND,
    "cohere.command-r": Family(
        prompt=prompts.command_r,
        settings=_COHERE,
        text=(("text",),),
        finish=(("finish_reason",),),
    ),
    "ai21.j2": Family(
        prompt=prompts.plain,
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


def family_of(model: str) -> Family | None:
    """The row of a model id; None for a model without one."""
    name = base_model(model)
    fitting = [prefix for prefix in FAMILIES if name.startswith(prefix)]
    return FAMILIES[max(fitting, key=len)] if fitting and not name.startswith(_CHATS) else None


def find(value: Any, places: tuple[Path, ...]) -> Any:
    """What stands in the first of the places that there is; None for nothing."""
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
