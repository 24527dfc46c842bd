"""Which wires of the real servers are asked, with what entry of the configuration, and what a server lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-" + "field" * 8


@dataclass(frozen=True)
class Wire:
    """One wire of one server.

    Attributes:
        server: llama, aimock or llmock.
        name: of the wire, as the table says it.
        kind: of the provider.
        path: what the server's address ends with.
        model: what is asked.
        entry: further keys of the provider's entry.
        lacks: verb -> what the server does not do, so that the verb is not asked.
    """

    server: str
    name: str
    kind: str
    path: str
    model: str
    entry: Mapping[str, Any] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.server} {self.name}"

    def config(self, url: str, **sections: Any) -> dict[str, Any]:
        """A configuration whose one provider is this wire."""
        entry: dict[str, Any] = {"kind": self.kind, "base_url": url + self.path, "fallback_models": [self.model]}
        entry |= {"api_key": KEY} | dict(self.entry)
        entry = {name: value for name, value in entry.items() if value is not None}
        return {"active_provider": "field", "providers": {"field": entry}, **sections}


AWS = {"api_key": None, "region_name": "us-east-1", "aws_access_key_id": "AKIAFIELD", "aws_secret_access_key": "s" * 40}
VERTEX = {
    "api_key": None,
    "access_token": "ya29." + "f" * 40,
    "project_id": "field",
    "location": "us-central1",
    "api_version": "v1",
}
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"

BETA = {"api_version": "v1beta"}  # the only version that both mock servers have
NO_VECTORS = {"embed": "no embeddings"}
NO_SCHEMA = {"structured": "ignores the schema"}
BROKEN_FRAMES = {**NO_VECTORS} | dict.fromkeys(("stream", "tools", "structured"), "its frames lack `bytes`")

WIRES = (
    Wire("llama", "chat", "llamacpp", "/v1", "smollm2-135m"),
    Wire("llama", "Messages", "anthropic", "", "smollm2-135m", lacks={**NO_VECTORS, **NO_SCHEMA}),
    Wire("llama", "Responses", "openai", "/v1", "smollm2-135m", {"api": "responses"}, NO_SCHEMA),
    Wire("aimock", "OpenAI chat", "openai", "/v1", "gpt-5.4-mini", {"api": "chat"}),
    Wire("aimock", "OpenAI Responses", "openai", "/v1", "gpt-5.4-mini", {"api": "responses"}),
    Wire("aimock", "Anthropic", "anthropic", "", "claude-haiku-5-5", lacks=NO_VECTORS),
    Wire("aimock", "Gemini", "gemini", "", "gemini-3.5-flash-lite", BETA, {"embed": "one text at a time"}),
    Wire("aimock", "Vertex", "vertex", "", "gemini-3.5-flash-lite", VERTEX, NO_VECTORS),
    Wire("aimock", "Converse", "bedrock", "", CLAUDE, AWS, NO_VECTORS),
    Wire("aimock", "InvokeModel", "bedrock", "", CLAUDE, {**AWS, "api": "invoke"}, BROKEN_FRAMES),
    Wire("aimock", "Azure", "azure", "", "my-deployment"),
    Wire("aimock", "Ollama", "ollama", "/v1", "llama3.2"),
    Wire("llmock", "OpenAI chat", "openai", "/v1", "gpt-4o-mini", {"api": "chat"}),
    Wire("llmock", "OpenAI Responses", "openai", "/v1", "gpt-4o-mini", {"api": "responses"}),
    Wire(
        "llmock",
        "Anthropic",
        "anthropic",
        "/anthropic",
        "claude-haiku-4-5",
        lacks={**NO_VECTORS, **NO_SCHEMA},
    ),
    Wire("llmock", "Gemini", "gemini", "/gemini", "gemini-2.5-flash", BETA, NO_VECTORS),
    Wire("llmock", "Mistral", "mistral", "/mistral/v1", "mistral-small-latest", lacks=NO_VECTORS),
    Wire("llmock", "Groq", "groq", "/groq/openai/v1", "openai/gpt-oss-20b", lacks=NO_VECTORS),
    Wire("llmock", "Together", "together", "/together/v1", "openai/gpt-oss-20b", lacks=NO_VECTORS),
    Wire("llmock", "Perplexity", "perplexity", "/perplexity/v1", "sonar", lacks=NO_VECTORS),
    Wire("llmock", "xAI", "xai", "/xai/v1", "grok-4.3", lacks=NO_VECTORS),
)

USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
CALL = {"name": "weather", "arguments": {"city": "Oslo"}}


def _answers(match: Mapping[str, Any], **response: Any) -> Mapping[str, Any]:
    return {"match": {"endpoint": "chat", **match}, "response": {**response, "usage": USAGE}}


FIXTURES: tuple[Mapping[str, Any], ...] = (
    _answers({"userMessage": "weather in Oslo", "hasToolResult": False}, toolCalls=[CALL]),
    _answers({"hasToolResult": True}, content="It is 17 degrees in Oslo."),
    _answers({"userMessage": "city as JSON"}, content='{"name": "Oslo", "people": 709037}'),
    _answers({"userMessage": "Count"}, content="1, 2, 3, 4, 5, 6, 7, 8, 9, 10: that is a count to ten."),
    {
        "match": {"userMessage": "too fast"},
        "response": {"error": {"message": "Rate limit reached", "type": "rate_limit_error"}, "status": 429},
    },
    _answers({}, content="The answer is 4."),
)
