"""The kinds of host the simulator stands in for: those that are declared in `asyncllm._providers`.

What a host speaks and where its base URL ends is read from its declaration; here stands how the simulator speaks it. So
a new host of a known wire format is simulated as soon as it is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from .._providers.spec import HostSpec, every_host, find_host
from .wires.anthropic import Anthropic
from .wires.azure import AzureChat
from .wires.converse import ConverseServer
from .wires.gemini import GeminiServer
from .wires.hosted_claude import InvokeClaude, VertexClaude
from .wires.openai_chat import ChatServer
from .wires.openai_responses import ResponsesServer
from .wires.text_bodies import InvokeText
from .wires.vertex import VertexChat, VertexGemini
from .wires.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Describes a kind of host, as the simulator plays it.

    Attributes:
        wires: the formats it speaks, asked in this order.
        suffix: what its base URL ends in.
        models: what it lists when the simulator was told of none.
        mark: a header that only its clients send; it tells whom a URL without a kind in front is for.
        credential: the entry's key that holds its credential.
        settings: what else that entry needs.
    """

    wires: tuple[Wire, ...]
    suffix: str = ""
    models: tuple[str, ...] = ()
    mark: str = ""
    credential: str = "api_key"
    settings: Mapping[str, str] = field(default_factory=dict)


# Wire format -> how it is spoken; below, by the hosts that speak it in their own way.
_USUAL: Mapping[str, Wire] = MappingProxyType(
    {
        "openai_chat": ChatServer(shows_reasoning=True),
        "openai_responses": ResponsesServer(),
        "anthropic": Anthropic(),
        "gemini": GeminiServer(),
        "converse": ConverseServer(),
    }
)
_OWN_WAYS: Mapping[tuple[str, str], Wire] = MappingProxyType(
    {
        ("openai", "openai_chat"): ChatServer(has_responses=True),
        ("azure", "openai_chat"): AzureChat(has_responses=True),
        ("bedrock", "anthropic"): InvokeClaude(),
        ("vertex", "gemini"): VertexGemini(),
        ("vertex", "anthropic"): VertexClaude(),
        ("vertex", "openai_chat"): VertexChat(shows_reasoning=True),
    }
)
# What a host speaks here besides the formats that it is declared with; asked first.
_BESIDES: Mapping[str, tuple[Wire, ...]] = MappingProxyType({"bedrock": (InvokeText(),)})
# The hosts that a client without more words is tested with, and what they list.
_MAIN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "openai": ("gpt-sim", "gpt-sim-mini", "gpt-sim-nano"),
        "anthropic": ("claude-sim", "claude-sim-mini", "claude-sim-nano"),
        "gemini": ("gemini-sim", "gemini-sim-mini", "gemini-sim-nano"),
        "bedrock": ("anthropic.claude", "amazon.nova-sim", "us.amazon.nova:0"),
        "vertex": ("gemini-sim", "claude-sim", "meta/llama-sim-maas"),
        "azure": ("gpt-sim", "gpt-sim-mini", "gpt-sim-nano"),
    }
)
_OTHERS = ("sim", "sim-mini", "sim-nano")
_MARKS: Mapping[str, str] = MappingProxyType({"anthropic": "anthropic-version", "gemini": "x-goog-api-key"})


@lru_cache(maxsize=256)
def simulated(kind: str) -> Host | None:
    """Returns the host of this kind as the simulator plays it; None if there is none."""
    spec = find_host(kind)
    return None if spec is None else _host(spec)


def main_hosts() -> dict[str, Host]:
    """Returns the hosts that `asyncllm.testing.Simulator.config` has an entry for, by kind."""
    return {kind: host for kind in _MAIN if (host := simulated(kind)) is not None}


def simulated_kinds() -> list[str]:
    """Returns the kinds of all simulated hosts."""
    return sorted(every_host())


def _host(spec: HostSpec) -> Host:
    return Host(
        wires=(
            *_BESIDES.get(spec.kind, ()),
            *(_OWN_WAYS.get((spec.kind, wire)) or _USUAL[wire] for wire in spec.wires),
        ),
        suffix=spec.url_suffix,
        models=_MAIN.get(spec.kind, _OTHERS),
        mark=_MARKS.get(spec.kind, ""),
        credential=spec.credential,
        settings=spec.example,
    )
