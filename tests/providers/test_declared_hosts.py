"""A host is declared in one place: everything that has to know of it reads it there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

import asyncllm._providers
from asyncllm import Client
from asyncllm._config import KINDS, from_env, load
from asyncllm._providers import compatible
from asyncllm._providers.compatible import CompatibleHost
from asyncllm._providers.spec import every_host, find_host
from asyncllm.errors import ConfigurationError
from asyncllm.testing import Simulator
from provider_docs import missing_from_docs

ACME_FILE = '''
"""Acme: a token of its own, sent in a header of its own."""

from asyncllm._auth.keys import HeaderKey
from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm._providers.provider import Provider, Route
from asyncllm._providers.spec import ConfigKey, HostSpec


class AcmeToken(HeaderKey):
    """Signs each request with the tenant's token."""


def build(name, options, environ):
    token = options.get("acme_token")
    route = Route(protocol=OpenAIChat())
    return Provider(
        name=name,
        kind="acme",
        base_url=options["base_url"],
        auth=AcmeToken(token, header="x-acme-token", prefix=""),
        resolve=lambda operation, model, request: route,
    )


HOST = HostSpec(
    kind="acme",
    build=build,
    keys={"acme_token": ConfigKey(about="The tenant's token.", form="secret", variables=("ACME_TOKEN",))},
    found_by=(frozenset({"ACME_TOKEN"}),),
    models=("acme-large",),
    synonyms=("acme_corp",),
    wires=("openai_chat",),
    url_suffix="/v1",
)
'''


@pytest.fixture
def acme_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of the table of compatible hosts."""
    row = CompatibleHost(
        base_url="https://api.acme.test/v1",
        key_variables=("ACME_API_KEY",),
        default_models=("acme-small",),
        dialect={"max_tokens_field": "max_tokens"},
    )
    monkeypatch.setattr(compatible, "ROWS", MappingProxyType({**compatible.ROWS, "acme": row}))


@pytest.fixture
def acme_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file beside those of the other hosts."""
    (tmp_path / "acme.py").write_text(ACME_FILE, encoding="utf8")
    monkeypatch.setattr(asyncllm._providers, "__path__", [*asyncllm._providers.__path__, str(tmp_path)])
    yield
    sys.modules.pop("asyncllm._providers.acme", None)


@pytest.mark.anyio
@pytest.mark.usefixtures("acme_row")
async def test_a_row_is_all_that_a_compatible_host_takes() -> None:
    """With one row more a host can be configured, is found by from_env, and is simulated."""
    assert "acme" in KINDS
    found = from_env({"ACME_API_KEY": "k"})
    assert ("acme", ("acme-small",)) == (found.active_provider, found.providers["acme"].fallback_models)
    async with Simulator() as simulator:
        entry = {"api_key": "k", "base_url": simulator.url("acme"), "fallback_models": ["acme-small"]}
        async with Client({"active_provider": "acme", "providers": {"acme": entry}}) as client:
            assert "4" == (await client.send("What is 2+2?", max_tokens=10)).text
        assert ("acme", 10) == (simulator.requests[-1].provider, simulator.requests[-1].body["max_tokens"])


@pytest.mark.usefixtures("acme_row")
def test_the_docs_are_held_to_the_rows() -> None:
    """The check of the docs says which row they lack."""
    assert ["docs/configuration.md has no row for `acme`"] == missing_from_docs()


@pytest.mark.anyio
@pytest.mark.usefixtures("acme_file")
async def test_a_file_is_all_that_a_host_with_a_sign_in_of_its_own_takes() -> None:
    """With one file more a host is configured with its own keys, found by its variables, and simulated."""
    assert ["acme"] == [kind for kind in every_host() if kind == "acme"]
    assert "acme" == from_env({"ACME_TOKEN": "t"}).active_provider
    async with Simulator() as simulator:
        entry = {"acme_token": "t", "base_url": simulator.url("acme"), "fallback_models": ["acme-large"]}
        config = {"active_provider": "main", "providers": {"main": {"kind": "acme", **entry}}}
        assert "SecretStr('**********')" == repr(load(config).providers["main"].own["acme_token"])
        async with Client(config) as client:
            assert "4" == (await client.send("What is 2+2?")).text
        assert "x-acme-token" in simulator.requests[-1].headers
    with pytest.raises(ConfigurationError, match="acme_tokn: unknown key; did you mean 'acme_token'"):
        load({"active_provider": "acme", "providers": {"acme": {"acme_tokn": "t"}}})
    with pytest.raises(ConfigurationError, match="use kind: acme"):
        load({"active_provider": "x", "providers": {"x": {"kind": "Acme-Corp"}}})


def test_what_is_no_host_is_not_found() -> None:
    """The files beside the hosts, and names that are none, are no kinds."""
    for name in ("spec", "provider", "compatible", "..spec", "asyncllm", "", "Openai"):
        assert find_host(name) is None


def test_every_host_says_what_it_needs() -> None:
    """Each host has wires that the simulator speaks, and its own kind as its name."""
    for kind, spec in every_host().items():
        assert kind == spec.kind
        assert spec.wires
        assert spec.credential in spec.keys


LOADS = """
import sys
from asyncllm._config import load
load({"active_provider": "openai", "providers": {"openai": {"api_key": "k", "fallback_models": ["m"]}}})
loaded = [name for name in sys.modules if name.startswith(("asyncllm._protocols.", "botocore", "google"))]
hosts = [name for name in sys.modules if name in {hosts!r}]
print(sorted(loaded), sorted(hosts))
"""


def test_a_declaration_is_cheap() -> None:
    """A configuration with one kind imports that host's file alone, no codec and no vendor's library."""
    hosts = [f"asyncllm._providers.{name}" for name in ("anthropic", "gemini", "bedrock", "vertex", "azure", "openai")]
    code = LOADS.replace("{hosts!r}", repr(hosts))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "['asyncllm._protocols.codec'] ['asyncllm._providers.openai']\n" == done.stdout
