"""``GET /models`` as OpenAI answers it, and as compatible hosts answer it with more fields.

``{"data": [{"id", "created", ...}]}`` is what they agree on (Together and GitHub leave the object away, Ollama's own
list and Cohere's are ``models``). What else there is stands in the tables below, a row a fact, with the places where
hosts put it: OpenRouter's ``context_length``, Groq's ``context_window``, Mistral's ``max_context_length``, vLLM's
``max_model_len``, llama.cpp's ``meta.n_ctx``, Azure's ``capabilities``. An end is ``shutdown_date`` (OpenAI),
``expiration_date`` (OpenRouter), ``deprecation`` (Mistral: a time; Azure: an object, beside ``lifecycle_status``).

Sources: openai 3.52.0 (types/model.py), mistralai 3.7.0 (basemodelcard.py), openrouter 1.3.84, vllm 0.33.0, recorded
lists of fifteen hosts, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

from .._models.names import is_custom
from .._protocols.codec import WireRequest
from ..errors import ProtocolError
from .listings import Listing, ModelEntry, Page, Proof, dig, first, get, items, known, listed, moment, words

_Paths = tuple[tuple[str, ...], ...]

_NUMBERS: Mapping[str, _Paths] = MappingProxyType(
    {
        "context_window": (
            ("context_length",),
            ("context_window",),
            ("max_context_length",),
            ("max_model_len",),
            ("meta", "n_ctx"),
            ("capabilities", "limits", "max_context_window_tokens"),
            ("model_spec", "availableContextTokens"),
        ),
        "max_input_tokens": (("limits", "max_input_tokens"), ("capabilities", "limits", "max_prompt_tokens")),
        "max_output_tokens": (
            ("top_provider", "max_completion_tokens"),
            ("max_completion_tokens",),
            ("max_output_length",),
            ("limits", "max_output_tokens"),
            ("capabilities", "limits", "max_output_tokens"),
            ("model_spec", "maxCompletionTokens"),
        ),
    }
)
_FLAGS: Mapping[str, _Paths] = MappingProxyType(
    {
        "tools": (
            ("capabilities", "function_calling"),
            ("capabilities", "supports", "tool_calls"),
            ("model_spec", "capabilities", "supportsFunctionCalling"),
            ("supports_tools",),
        ),
        "images": (
            ("capabilities", "vision"),
            ("capabilities", "supports", "vision"),
            ("model_spec", "capabilities", "supportsVision"),
            ("supports_image_input",),
        ),
        "audio": (("capabilities", "audio"), ("model_spec", "capabilities", "supportsAudioInput")),
        "video": (("model_spec", "capabilities", "supportsVideoInput"),),
        "reasoning": (("capabilities", "reasoning"), ("model_spec", "capabilities", "supportsReasoning")),
        "json_schema": (
            ("capabilities", "supports", "structured_outputs"),
            ("model_spec", "capabilities", "supportsResponseSchema"),
        ),
    }
)
_INPUTS: _Paths = (("architecture", "input_modalities"), ("input_modalities",), ("supported_input_modalities",))
_OUTPUTS: _Paths = (("architecture", "output_modalities"), ("output_modalities",), ("supported_output_modalities",))
_MEDIA: Mapping[str, str] = MappingProxyType({"image": "images", "audio": "audio", "video": "video"})
# Lists of words in which a word stands for something the model can do.
_WORDS: tuple[tuple[str, Mapping[str, str], bool], ...] = (
    (
        "supported_parameters",
        {"tools": "tools", "structured_outputs": "json_schema", "reasoning": "reasoning", "temperature": "sampling"},
        True,  # what is not in the list it cannot do
    ),
    ("features", {"tools": "tools"}, False),
    ("capabilities", {"tool-calling": "tools", "reasoning": "reasoning"}, False),
)

_CHATS: _Paths = (("capabilities", "completion_chat"), ("capabilities", "chat_completion"), ("supports_chat",))
_TYPES: Mapping[str, bool] = MappingProxyType(
    {
        "chat": True,
        **dict.fromkeys(
            ("audio", "embedding", "embeddings", "image", "moderation", "rerank", "transcribe", "video"), False
        ),
    }
)
_OWN_KINDS = frozenset({"fine-tuned", "hf_peft_addon"})
_ENDS: _Paths = (("shutdown_date",), ("expiration_date",), ("deprecation",), ("deprecation", "inference"))
_ENDING = frozenset({"deprecated", "deprecating", "legacy", "retired"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIListing(Listing):
    """Lists the models of a host that speaks OpenAI's formats.

    Attributes:
        path: of the list.
        single: ``GET {path}/{id}`` is there as well, and answers only those who may use the model.
    """

    path: str = "/models"
    single: bool = False

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Asks for the model by name; if that is not possible, asks it for one word."""
        return ("model", "generate") if self.single else ("generate",)

    def start(self) -> tuple[WireRequest, ...]:
        """Returns the request for the first page. Most hosts have only one."""
        return (get(self.path),)

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads one page of the list.

        Raises:
            ProtocolError: it is no list of models.
        """
        body = {"data": value} if isinstance(value, list) else value
        found = (_model_entry(item) for item in items(body, "data", "models", "items"))
        link = dig(value, ("links", "next"))
        # Only the query of the link: where the pages are is not the answer's to say.
        following = get(self.path, urlsplit(link).query) if isinstance(link, str) else None
        return Page(entries=tuple([entry for entry in found if entry is not None]), following=following)

    def lookup(self, model: str) -> WireRequest | None:
        """Returns the request for one model."""
        return get(f"{self.path}/{quote(model, safe='-._~')}") if self.single else None

    def decode_one(self, value: Any) -> ModelEntry | None:
        """Reads one model.

        Raises:
            ProtocolError: it is none.
        """
        if not isinstance(value, Mapping) or not _name(value):
            raise ProtocolError("the answer about a model names none")
        return _model_entry(value)


def _name(item: Mapping[str, Any]) -> str:
    return str(first(item, (("id",), ("name",), ("model",)), str) or "")


def _model_entry(item: Mapping[str, Any]) -> ModelEntry | None:
    name = _name(item)
    if not name or _is_own(item, name):
        return None
    retires_at = _end(item)
    status = item.get("lifecycle_status")
    if isinstance(status, str):
        deprecated: bool | None = status.lower() in _ENDING
    else:  # an end that is announced: null says that there is none, no such field says nothing
        deprecated = True if retires_at else False if any(path[0] in item for path in _ENDS) else None
    return ModelEntry(
        name=name,
        aliases=tuple([alias for alias in listed(item.get("aliases")) if isinstance(alias, str) and alias != name]),
        created=moment(item.get("created") or item.get("created_at") or item.get("modified_at")),
        deprecated=deprecated,
        retires_at=retires_at,
        chat=_chat(item),
        facts=_facts(item),
    )


def _is_own(item: Mapping[str, Any], name: str) -> bool:
    """Fine-tuned models, and adapters on top of a model (vLLM names their ``parent``)."""
    kind = first(item, (("type",), ("kind",)), str)
    own = kind is not None and kind.lower() in _OWN_KINDS
    return own or is_custom(name) or bool(item.get("parent")) or item.get("finetuned") is True


def _end(item: Mapping[str, Any]) -> datetime | None:
    return next((found for path in _ENDS if (found := moment(dig(item, path)))), None)


def _chat(item: Mapping[str, Any]) -> bool | None:
    if item.get("active") is False:
        return False
    told = first(item, _CHATS, bool)
    if told is not None:
        return bool(told)
    outputs = first(item, _OUTPUTS, list)
    if outputs is not None:
        return "text" in words(outputs)
    if isinstance(item.get("endpoints"), list):
        return "chat" in words(item["endpoints"])
    return _TYPES.get(str(first(item, (("type",), ("capabilities", "type")), str)).lower())


def _facts(item: Mapping[str, Any]) -> dict[str, Any]:
    facts = known(**{name: first(item, paths, int) for name, paths in _NUMBERS.items()})
    facts.update(known(**{name: first(item, paths, bool) for name, paths in _FLAGS.items()}))
    inputs = words(first(item, _INPUTS, list))
    if inputs:
        facts.update({fact: word in inputs for word, fact in _MEDIA.items()})
        if "file" in inputs:
            facts["documents"] = True
    for field, meanings, complete in _WORDS:
        told = words(item.get(field))
        if told:
            facts.update({fact: word in told for word, fact in meanings.items() if complete or word in told})
    return facts
