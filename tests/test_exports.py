"""What the package offers: documented, complete, and exceptions that travel between processes."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

import asyncllm
from asyncllm import errors
from asyncllm._schema.content import Text
from asyncllm._schema.messages import Message
from asyncllm._schema.response import Attempt, RateLimits, Response

EXCEPTIONS = sorted(
    (kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.AsyncLLMError)),
    key=lambda kind: kind.__name__,
)
every_exception = pytest.mark.parametrize("kind", EXCEPTIONS)
FACTS = {
    "provider": "openai",
    "model": "m",
    "status": 429,
    "code": "slow_down",
    "request_id": "req_1",
    "retry_after": 1.5,
    "should_retry": True,
    "rate_limits": RateLimits(requests_limit=3),
    "attempts": (Attempt(provider="openai", model="m", outcome="error", status=429),),
}
OWN_FACTS = {
    errors.StructuredOutputError: {"text": "{", "problems": ("it ends too soon",)},
    errors.ConnectError: {"certificate": True},
    errors.DeadlineExceededError: {
        "partial": Response(message=Message("assistant", (Text("Hel"),)), finish_reason="other")
    },
    errors.StreamInterruptedError: {
        "partial": Response(message=Message("assistant", (Text("Hel"),)), finish_reason="other")
    },
}


@pytest.mark.parametrize("name", asyncllm.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """Whoever asks for help on a public class or function gets a sentence."""
    value = getattr(asyncllm, name)
    if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
        own = inspect.getdoc(value) or ""
        assert own.strip()
        assert not own.startswith(f"{name}("), "a dataclass without a docstring of its own documents its signature only"


@pytest.mark.parametrize("name", asyncllm.__all__)
def test_public_classes_document_their_methods(name: str) -> None:
    """Every public method and property of a public class says what the caller gets."""
    value = getattr(asyncllm, name)
    if not inspect.isclass(value) or not value.__module__.startswith("asyncllm"):
        return
    silent = [
        member_name
        for member_name, member in vars(value).items()
        if not member_name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, (property, classmethod, staticmethod)))
        and not inspect.getdoc(getattr(value, member_name))
    ]
    assert [] == silent


@every_exception
def test_every_exception_is_at_the_top(kind: type[errors.AsyncLLMError]) -> None:
    """A caller catches any exception as ``asyncllm.Name``."""
    assert kind.__name__ in asyncllm.__all__
    assert kind is getattr(asyncllm, kind.__name__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="Clyent"):
        asyncllm.Clyent  # noqa: B018  (the access is the test)


def test_dir_lists_what_is_exported() -> None:
    """Completion in a shell shows every public name, also the ones not loaded yet."""
    assert set() == set(asyncllm.__all__) - set(dir(asyncllm))


@every_exception
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_exception_pickles_with_its_facts(kind: type[errors.AsyncLLMError], protocol: int) -> None:
    """An exception raised in a worker process arrives with its type, its text and every fact."""
    own = next((facts for base, facts in OWN_FACTS.items() if issubclass(kind, base)), {})
    error = kind("slow down", **{**FACTS, **own})
    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert kind is type(twin)
        assert str(error) == str(twin)
        assert vars(error) == vars(twin)
    assert {**FACTS, **own} == {name: getattr(error, name) for name in {**FACTS, **own}}


def drawn_tree() -> dict[str, str | None]:
    """The tree of the docstring: name -> its parent's name."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            path = [*path[:depth], found[2]]
            parents[found[2]] = path[-2] if depth else None
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    """The tree in the docstring of ``asyncllm.errors`` names every exception under its real parent."""
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in EXCEPTIONS}
    assert {**real, "AsyncLLMError": None} == drawn_tree()
