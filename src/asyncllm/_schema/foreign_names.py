"""Attributes that other libraries have and this one has not: the error says what is meant here.

Each name is a descriptor of the class that raises `AttributeError` with a hint. So `hasattr` says no, and an attribute
that is there costs nothing more, as it would with ``__getattr__``. Type checkers and completion do not see the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)


def _each(*rows: tuple[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name: hint for names, hint in rows for name in names.split()})


OF_A_REPLY = _each(
    ("choices content output_text completion candidates", "the text of the reply is .text"),
    ("output data", "the text of the reply is .text; a value of response_format is .parsed"),
    ("function_call tool_use", "the calls that you must run are .tool_calls"),
    ("stop_reason", "why the reply ended is .finish_reason"),
    ("thinking reasoning_content", "the readable reasoning is .reasoning"),
    ("model_dump to_dict", "the provider's own JSON is .raw; a reply is stored by its .message"),
    ("total_tokens prompt_tokens completion_tokens", "tokens are in .usage, such as .usage.total_tokens"),
)
OF_USAGE = _each(
    ("prompt_tokens prompt_token_count", "it is called .input_tokens"),
    ("completion_tokens candidates_token_count", "it is called .output_tokens"),
    ("total total_token_count", "it is called .total_tokens"),
    ("cached_tokens cache_read_input_tokens", "it is called .cache_read_tokens"),
    ("cache_creation_input_tokens", "it is called .cache_write_tokens"),
)
_ASK = "ask by .send(messages), or .stream(messages) for a stream"
OF_A_CLIENT = _each(
    ("chat completions responses messages beta create converse", _ASK),
    ("complete completion acompletion ask generate generate_content generate_response send_request", _ASK),
    ("invoke ainvoke predict", _ASK),
    ("embeddings embedding aembedding", "vectors are made by .embed(texts, model=...)"),
    ("get_session_cost", "it is called .session_cost()"),
    ("get_usage_report", "reports are made by .ledger.report(by=[...])"),
    ("export_to_csv", "it is called .ledger.export_csv(path)"),
    ("agenerate batch_completion abatch", "many inputs are answered by .map(inputs)"),
)


class _Foreign:
    """Raises when the attribute of an instance is read."""

    def __init__(self, name: str, hint: str) -> None:
        self._name = name
        self._hint = hint

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}: {self._hint}")


def explains(names: Mapping[str, str]) -> Callable[[Class], Class]:
    """Returns a decorator of a class whose instances explain attributes that they do not have.

    Args:
        names: attribute -> what is meant here.
    """

    def offered(self: object) -> list[str]:  # completion must not offer them
        return [name for name in object.__dir__(self) if name not in names]

    def decorate(cls: Class) -> Class:
        for name, hint in names.items():
            if not hasattr(cls, name):
                setattr(cls, name, _Foreign(name, hint))
        cls.__dir__ = offered  # type: ignore[assignment]
        return cls

    return decorate
