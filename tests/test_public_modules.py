"""The public modules and their names: one list, which is changed on purpose or not at all."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest

import asyncllm
from asyncllm import Client, Conversation, SyncClient, SyncConversation, SyncLedger
from asyncllm._ledger.ledger import Ledger
from asyncllm._options import DESCRIBED
from source_tree import modules

LIST = Path(__file__).with_name("public_names.txt")
PUBLIC = (
    "asyncllm",
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
    "asyncllm.sync": "SyncClient is imported from asyncllm",
    "asyncllm.testing.__main__": "a command",
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


@pytest.mark.parametrize(
    ("twin", "original", "otherwise"),
    [
        (SyncClient, Client, {"aclose": "close"}),
        (SyncConversation, Conversation, {}),
        (SyncLedger, Ledger, {"aclose": "", "close": "", "now": "", "open": "", "open_at_once": "", "settle": ""}),
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
