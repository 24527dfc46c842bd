"""The types of the vendors' SDKs take what is sent for each schema of the table, on each host.

Needs the SDKs (``nox -s oracle`` brings them); a host whose SDK is not there is skipped.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pydantic
import pytest

from asyncllm import Client, errors
from asyncllm.testing import ModelRequest, Reply, Simulator, ToolUse
from client.test_schema_table import MODELS, SCHEMAS, answer_of, config

# The SDKs and what they bring warn of their own affairs.
pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
Check = Callable[[Mapping[str, Any]], None]


def by_typed_dict(module: str, name: str) -> Check:
    """Checks a body by a TypedDict of an SDK: what it knows must have the type that it says."""
    shape = pydantic.TypeAdapter(getattr(importlib.import_module(module), name))

    def check(body: Mapping[str, Any]) -> None:
        shape.validate_python(body)

    return check


def by_google() -> Check:
    """Checks a body by the models of google-genai, which refuse what they do not know."""
    types = importlib.import_module("google.genai.types")

    def check(body: Mapping[str, Any]) -> None:
        rest = dict(body)
        for content in (*rest.pop("contents"), *filter(None, [rest.pop("systemInstruction", None)])):
            types.Content.model_validate(content)
        for tool in rest.pop("tools", ()):
            types.Tool.model_validate(tool)
        types.GenerationConfig.model_validate(rest.pop("generationConfig", {}))
        types.ToolConfig.model_validate(rest.pop("toolConfig", {}))
        assert {} == {key: value for key, value in rest.items() if key not in ("model", "store")}

    return check


def by_boto() -> Check:
    """Checks a body by the description of Converse that boto3 has; it refuses what it does not know."""
    session = importlib.import_module("botocore.session").get_session()
    validate = importlib.import_module("botocore.validate")
    shape = session.get_service_model("bedrock-runtime").operation_model("Converse").input_shape

    def check(body: Mapping[str, Any]) -> None:
        report = validate.ParamValidator().validate({"modelId": "m", **body}, shape)
        assert not report.has_errors(), report.generate_report()

    return check


CHECKS: dict[str, tuple[str, Callable[[], Check]]] = {
    "openai": (
        "openai",
        lambda: by_typed_dict("openai.types.chat.completion_create_params", "CompletionCreateParamsNonStreaming"),
    ),
    "responses": (
        "openai",
        lambda: by_typed_dict("openai.types.responses.response_create_params", "ResponseCreateParamsNonStreaming"),
    ),
    "azure": (
        "openai",
        lambda: by_typed_dict("openai.types.chat.completion_create_params", "CompletionCreateParamsNonStreaming"),
    ),
    "anthropic": (
        "anthropic",
        lambda: by_typed_dict("anthropic.types.message_create_params", "MessageCreateParamsNonStreaming"),
    ),
    "gemini": ("google.genai", by_google),
    "vertex": ("google.genai", by_google),
    "bedrock": ("boto3", by_boto),
}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("host", CHECKS)
async def test_the_types_of_the_sdks_take_each_schema(host: str) -> None:
    """Each request for a structured answer fits the vendor's own types."""
    package, make = CHECKS[host]
    pytest.importorskip(package)
    check = make()
    answer: dict[str, Any] = {}
    failed: dict[str, str] = {}

    def model(request: ModelRequest) -> Reply | str:
        if request.tools:
            return Reply(tool_calls=(ToolUse(request.tools[0].name, answer),))
        return json.dumps(answer)

    async with Simulator(reply=model) as sim, Client(config(sim), environ={}) as client:
        for name, kind in SCHEMAS.items():
            answer = answer_of(name)
            await client.send("Answer.", response_format=kind, provider=host, model=MODELS.get(host), fallback=[])
            try:
                check(sim.requests[-1].body)
            except (AssertionError, ValueError, errors.AsyncLLMError) as error:  # each cell is named
                failed[name] = f"{type(error).__name__}: {error}"[:500]
    assert {} == failed
