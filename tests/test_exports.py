"""What the package offers: documented, complete, and exceptions that travel between processes."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from importlib import import_module
from pathlib import Path

import pytest

import asyncllm
from asyncllm import Client, Conversation, SyncClient, SyncConversation, SyncLedger, errors
from asyncllm._ledger.ledger import Ledger
from asyncllm._options import DESCRIBED
from asyncllm._schema.content import Text
from asyncllm._schema.messages import Message
from asyncllm._schema.response import Attempt, RateLimits, Response
from source_tree import modules

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


LIST = Path(__file__).with_name("public_names.txt")
PUBLIC = (
    "asyncllm",
    "asyncllm.contrib.asgi",
    "asyncllm.contrib.opentelemetry",
    "asyncllm.contrib.mcp",
    "asyncllm.contrib.ray",
    "asyncllm.errors",
    "asyncllm.ledger",
    "asyncllm.models",
    "asyncllm.providers",
    "asyncllm.schema",
    "asyncllm.testing",
    "asyncllm.wires",
)
# Modules whose names have no underscore and that are no place to import from, with the reason.
NOT_FOR_IMPORT = {
    "asyncllm.__main__": "a command",
    "asyncllm.cli": "a command",
    "asyncllm.client": "Client is imported from asyncllm",
    "asyncllm.conversation": "Conversation is imported from asyncllm",
    "asyncllm.bulk": "its names are imported from asyncllm",
    "asyncllm.contrib": "each of its packages is imported by itself",
    "asyncllm.contrib.dbos": "what client.bulk uses for engine='dbos'",
    "asyncllm.contrib.asgi.admin": "imported from asyncllm.contrib.asgi",
    "asyncllm.contrib.asgi.examples": "what the OpenAPI document shows",
    "asyncllm.contrib.asgi.guard": "imported from asyncllm.contrib.asgi",
    "asyncllm.contrib.asgi.ledger_view": "what asyncllm dashboard serves",
    "asyncllm.contrib.asgi.streaming": "imported from asyncllm.contrib.asgi",
    "asyncllm.runs": "its names are imported from asyncllm",
    "asyncllm.sync": "SyncClient is imported from asyncllm",
    "asyncllm.testing.__main__": "a command",
    "asyncllm.tools": "its names are imported from asyncllm",
    "asyncllm.testing.pytest_plugin": "named in pytest_plugins",
}


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def test_every_module_is_public_private_or_has_a_reason() -> None:
    """A module without an underscore in its name is one of the public modules, or a row says what it is for."""
    named = {module.name for module in modules() if not is_private(module.name)}
    rest = {name for name in named - set(PUBLIC) - set(NOT_FOR_IMPORT) if not name.startswith("asyncllm.cli.")}
    assert (set(), set(PUBLIC)) == (rest, set(PUBLIC) & named)


def test_the_list_of_public_names_is_complete() -> None:
    """The names of all public modules are those of public_names.txt: a name that comes or goes is seen in review."""
    names = sorted(f"{module}.{name}" for module in PUBLIC for name in import_module(module).__all__)
    listed = LIST.read_text(encoding="utf8").split()
    assert (set(), set()) == (set(names) - set(listed), set(listed) - set(names)), f"change {LIST.name}"
    assert names == listed


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


_OF_THE_CLIENT = ("now", "open", "open_at_once", "settle", "open_job", "save_job", "jobs", "lines_of")


@pytest.mark.parametrize(
    ("twin", "original", "otherwise"),
    [
        (SyncClient, Client, {"aclose": "close"}),
        (SyncConversation, Conversation, {}),
        (SyncLedger, Ledger, dict.fromkeys((*_OF_THE_CLIENT, "aclose", "close"), "")),
    ],
)
def test_a_blocking_twin_has_everything(twin: type, original: type, otherwise: dict[str, str]) -> None:
    """What the async class offers, the blocking one offers too; what only the client itself calls has no twin."""
    missing = {otherwise.get(name, name) for name in public(original)} - public(twin) - {""}
    assert set() == missing


@pytest.mark.parametrize("kind", [Client, SyncClient, Conversation, SyncConversation])
@pytest.mark.parametrize("verb", ["send", "stream"])
def test_help_shows_every_keyword(kind: type, verb: str) -> None:
    """The signature and the docstring of each way to call name every keyword, whichever class one asks."""
    method = getattr(kind, verb)
    keywords = [
        one.name for one in inspect.signature(method).parameters.values() if one.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert [row.name for row in DESCRIBED] == keywords
    said = inspect.getdoc(method) or ""
    assert [] == [name for name in keywords if f"    {name}: " not in said]
    assert "**options" not in said
    assert said.index("Args:") < said.index("Returns:") < said.index("Raises:")


@pytest.mark.parametrize("twin", [SyncClient, SyncLedger])
def test_the_twin_s_help_stands_by_itself(twin: type) -> None:
    """A blocking method says what it does and takes, without a pointer to the async one."""
    silent = [name for name in public(twin) if (inspect.getdoc(getattr(twin, name)) or "").startswith("As `")]
    assert [] == silent


def test_every_public_module_says_what_it_is() -> None:
    """Each public module has a docstring and a list of its names."""
    assert [] == [name for name in PUBLIC if not import_module(name).__doc__ or not import_module(name).__all__]
    assert "CallOptions" in asyncllm.__all__
