"""OpenAI and the compatible hosts, built from an entry and the environment."""

from __future__ import annotations

from typing import Any

import pytest

from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm._providers import compatible, openai
from asyncllm._providers.compatible import ROWS, dialect_of, nine_alphanumerics
from asyncllm._providers.provider import Provider
from asyncllm._providers.spec import build_host
from asyncllm._transport.base import Headers
from asyncllm.errors import ConfigurationError


class Key:
    """A secret, as the configuration holds it."""

    def get_secret_value(self) -> str:
        return "from-entry"


async def sent(provider: Provider) -> dict[str, str]:
    return dict(await provider.auth.sign("POST", provider.base_url, Headers(), b""))


@pytest.mark.anyio
async def test_openai_from_the_environment() -> None:
    """Key, address, organization and project come from OpenAI's variables where the entry says nothing."""
    environ = {
        "OPENAI_API_KEY": "from-environ",
        "OPENAI_BASE_URL": "https://eu.api.openai.com/v1/",
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "proj-1",
    }
    found = openai.build("main", {}, environ)
    assert ("main", "openai", "https://eu.api.openai.com/v1") == (found.name, found.kind, found.base_url)
    assert {"openai-organization": "org-1", "openai-project": "proj-1"} == found.headers
    assert {"authorization": "Bearer from-environ"} == await sent(found)
    assert OpenAIChat() == found.resolve("chat", "gpt-5.4-mini", None).protocol


@pytest.mark.anyio
async def test_openai_from_the_entry() -> None:
    """What the entry says outranks the environment."""
    options: dict[str, Any] = {
        "api_key": Key(),
        "base_url": "http://127.0.0.1:1/v1",
        "organization": "o",
        "project": None,
    }
    found = openai.build("openai", options, {"OPENAI_API_KEY": "x", "OPENAI_ORG_ID": "y"})
    assert {"authorization": "Bearer from-entry"} == await sent(found)
    assert ("http://127.0.0.1:1/v1", {"openai-organization": "o"}) == (found.base_url, found.headers)


def test_openai_without_a_key() -> None:
    """OpenAI without a key names the key and the variable; a server of one's own may need none."""
    with pytest.raises(ConfigurationError, match=r"providers\.main\.api_key.*OPENAI_API_KEY"):
        openai.build("main", {}, {"OPENAI_API_KEY": ""})
    assert "http://127.0.0.1:1/v1" == openai.build("main", {"base_url": "http://127.0.0.1:1/v1"}, {}).base_url


@pytest.mark.parametrize("url", ["api.openai.com/v1", "https://api.openai.com/v1/chat/completions"])
def test_addresses_that_are_none(url: str) -> None:
    """An address without its scheme, or with the whole path, is told from the start."""
    with pytest.raises(ConfigurationError, match="base_url"):
        openai.build("main", {"base_url": url, "api_key": Key()}, {})


@pytest.mark.anyio
@pytest.mark.parametrize("kind", sorted(set(ROWS) - {"openai_compatible"}))
async def test_every_row_builds(kind: str) -> None:
    """Every row gives a host with its own address, key and dialect."""
    row = ROWS[kind]
    environ = {row.key_variables[0]: "k"}
    found = compatible.build(kind, kind, {}, environ)
    assert (kind, row.base_url) == (found.kind, found.base_url)
    assert {"authorization": "Bearer k"} == await sent(found)
    assert OpenAIChat(dialect_of(kind)) == found.resolve("chat", "m", None).protocol


@pytest.mark.parametrize("kind", sorted(kind for kind in ROWS if ROWS[kind].needs_key))
def test_rows_that_need_a_key(kind: str) -> None:
    """A host that answers nobody without a key says which variable it looked for."""
    with pytest.raises(ConfigurationError, match=ROWS[kind].key_variables[0]):
        compatible.build(kind, kind, {}, {})


@pytest.mark.anyio
async def test_local_servers_need_no_key() -> None:
    """A local server is built without a key and then sends none."""
    assert {} == await sent(compatible.build("ollama", "local", {}, {}))
    found = compatible.build("openai_compatible", "mine", {"base_url": "http://127.0.0.1:9/v1"}, {})
    assert ("mine", "http://127.0.0.1:9/v1") == (found.name, found.base_url)


def test_what_has_no_row_or_no_address() -> None:
    """An unknown kind names the known ones; a server of one's own needs an address."""
    with pytest.raises(ConfigurationError, match="groq"):
        build_host("gorq", "x", {}, {})
    with pytest.raises(ConfigurationError, match="base_url"):
        compatible.build("openai_compatible", "x", {}, {})


def test_openrouter_names_the_application() -> None:
    """OpenRouter's two optional headers come from its variables."""
    environ = {"OPENROUTER_API_KEY": "k", "OPENROUTER_HTTP_REFERER": "https://example.com"}
    assert {"http-referer": "https://example.com"} == compatible.build("openrouter", "x", {}, environ).headers


def test_environment_keys_hide_themselves() -> None:
    """A key from the environment never shows in a repr."""
    found = compatible.build("groq", "groq", {}, {"GROQ_API_KEY": "very-secret"})
    key, where = compatible.find_key("groq", {}, {"GROQ_API_KEY": "very-secret"}, ("GROQ_API_KEY",), needed=True)
    assert ("EnvironKey(GROQ_API_KEY)", "GROQ_API_KEY") == (repr(key), where)
    assert "very-secret" not in repr(found)


def test_mistral_ids() -> None:
    """Nine letters and digits stay; anything else becomes nine, always the same, and different from another's."""
    assert "abcDEF123" == nine_alphanumerics("abcDEF123")
    made = {
        ident: nine_alphanumerics(ident)
        for ident in ("call_1", "call_2", "", "äbcdefghi", "toolu_01VmA9jmWpws4HgPqjhtGo6i")
    }
    assert all(len(short) == 9 and short.isascii() and short.isalnum() for short in made.values())
    assert len(made) == len(set(made.values()))
    assert made["call_1"] == nine_alphanumerics("call_1")


def test_the_table_cannot_be_changed() -> None:
    """The rows are the same for everyone."""
    with pytest.raises(TypeError):
        ROWS["mine"] = ROWS["groq"]  # type: ignore[index]
