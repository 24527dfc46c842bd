"""The kinds of host the simulator stands in for: which wire format each speaks, and where its base URL ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .wires.anthropic import Anthropic
from .wires.azure import AzureChat
from .wires.base import Wire
from .wires.converse import ConverseServer
from .wires.gemini import GeminiServer
from .wires.hosted_claude import InvokeClaude, VertexClaude
from .wires.openai_chat import ChatServer
from .wires.openai_responses import ResponsesServer
from .wires.vertex import VertexChat, VertexGemini


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A kind of host.

    Attributes:
        wires: the formats it speaks, asked in this order.
        suffix: what its base URL ends in.
        models: what it lists when the simulator was told of none.
        mark: a header that only its clients send; it tells whom a URL without a kind in front is for.
        main: whether `asyncllm.testing.Simulator.config` has an entry for it.
        credential: the entry's key that holds its credential.
        settings: what else that entry needs.
    """

    wires: tuple[Wire, ...]
    suffix: str = ""
    models: tuple[str, ...] = ()
    mark: str = ""
    main: bool = False
    credential: str = "api_key"
    settings: Mapping[str, str] = field(default_factory=dict)


_OPENAI = Host(
    wires=(ChatServer(), ResponsesServer()),
    suffix="/v1",
    models=("gpt-sim", "gpt-sim-mini", "gpt-sim-nano"),
    main=True,
)
_COMPATIBLE = Host(wires=(ChatServer(shows_reasoning=True),), suffix="/v1", models=("sim", "sim-mini", "sim-nano"))

HOSTS: Mapping[str, Host] = {
    "openai": _OPENAI,
    "anthropic": Host(
        wires=(Anthropic(),),
        models=("claude-sim", "claude-sim-mini", "claude-sim-nano"),
        mark="anthropic-version",
        main=True,
    ),
    "gemini": Host(
        wires=(GeminiServer(),),
        models=("gemini-sim", "gemini-sim-mini", "gemini-sim-nano"),
        mark="x-goog-api-key",
        main=True,
    ),
    "bedrock": Host(
        wires=(ConverseServer(), InvokeClaude()),
        models=("anthropic.claude", "amazon.nova-sim", "us.amazon.nova:0"),
        settings={"region_name": "us-east-1"},
        main=True,
    ),
    "vertex": Host(
        wires=(VertexGemini(), VertexClaude(), VertexChat(shows_reasoning=True), ResponsesServer()),
        models=("gemini-sim", "claude-sim", "meta/llama-sim-maas"),
        credential="access_token",
        settings={"project_id": "sim-project", "location": "us-central1"},
        main=True,
    ),
    "azure": replace(_OPENAI, wires=(AzureChat(), ResponsesServer()), suffix=""),
    **dict.fromkeys(
        (
            *("cerebras", "deepseek", "fireworks", "github", "groq", "huggingface", "llamacpp", "lmstudio"),
            *("mistral", "ollama", "openai_compatible", "openrouter", "perplexity", "together", "vllm", "xai", "zai"),
        ),
        _COMPATIBLE,
    ),
}
