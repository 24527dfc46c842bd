"""The vendors' own SDKs as oracles of embeddings: the same texts through theirs and ours give the very same numbers.

Needs ``openai``, ``google-genai``, ``boto3`` (``nox -s oracle`` brings them); what is missing is skipped.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncllm import SyncClient
from asyncllm.testing import Simulator

# The SDKs and what they bring warn of their own affairs.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TEXTS = ["The cat sat on the mat.", "Ein Satz mit Umlauten: äöü.", "数 42 🙂", "The cat sat on the mat."]
KEY = "sk-sim-oracle"


def ours(sim: Simulator, provider: str, model: str, dimensions: int) -> list[list[float]]:
    with SyncClient(sim.config(), environ={}) as client:
        return list(client.embed(TEXTS, provider=provider, model=model, dimensions=dimensions))


def test_openai_and_azure() -> None:
    """``client.embeddings.create``, which reads base64."""
    openai = pytest.importorskip("openai")
    with Simulator.in_thread() as sim:
        model = "text-embedding-3-small"
        client = openai.OpenAI(api_key=KEY, base_url=sim.url("openai"), max_retries=0)
        found = client.embeddings.create(model=model, input=TEXTS, dimensions=32)
        theirs = [item.embedding for item in found.data]
        assert theirs == ours(sim, "openai", model, 32)
        assert theirs == ours(sim, "azure", model, 32)


@pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
def test_gemini(model: str) -> None:
    """``client.models.embed_content`` of the Gemini API, a text at a time (newer models join a list into one)."""
    genai = pytest.importorskip("google.genai")
    with Simulator.in_thread() as sim:
        options = {"base_url": sim.url("gemini")}
        client = genai.Client(api_key=KEY, http_options=options)
        config = {"output_dimensionality": 32}
        theirs: list[Any] = []
        for text in TEXTS:
            found = client.models.embed_content(model=model, contents=text, config=config)
            theirs += [item.values for item in found.embeddings]
        assert theirs == ours(sim, "gemini", model, 32)


@pytest.mark.parametrize("model", ["text-embedding-005", "gemini-embedding-001"])
def test_vertex(model: str) -> None:
    """``client.models.embed_content`` of Vertex AI, which predicts or embeds by the model."""
    genai = pytest.importorskip("google.genai")
    credentials = pytest.importorskip("google.oauth2.credentials")
    with Simulator.in_thread() as sim:
        client = genai.Client(
            vertexai=True,
            project="sim-project",
            location="us-central1",
            credentials=credentials.Credentials(token=KEY),
            http_options={"base_url": sim.url("vertex")},
        )
        config = {"output_dimensionality": 32}
        found = client.models.embed_content(model=model, contents=TEXTS, config=config)
        assert [item.values for item in found.embeddings] == ours(sim, "vertex", model, 32)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("amazon.titan-embed-text-v2:0", {"inputText": TEXTS[0], "dimensions": 256}),
        ("cohere.embed-v4:0", {"texts": TEXTS[:1], "input_type": "search_document", "output_dimension": 256}),
    ],
)
def test_bedrock(model: str, body: dict[str, Any]) -> None:
    """``invoke_model`` of boto3, with the body of the vendor."""
    boto3 = pytest.importorskip("boto3")
    with Simulator.in_thread() as sim:
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=sim.url("bedrock"),
            aws_access_key_id="AKIDSIM",
            aws_secret_access_key="secret",
        )
        answer = json.loads(client.invoke_model(modelId=model, body=json.dumps(body))["body"].read())
        theirs = answer.get("embedding") or answer["embeddings"][0]
        assert theirs == ours(sim, "bedrock", model, 256)[0]
