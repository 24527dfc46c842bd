"""Vectors of texts and rankings of documents, over real sockets, on every wire that has them."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

import asyncllm
from asyncllm import Embeddings, SyncClient, errors
from asyncllm._testing.vector_answers import vector
from asyncllm.testing import Fault, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio
PLACES = [
    ("openai", "text-embedding-3-small", 2048),
    ("azure", "text-embedding-3-small", 2048),
    ("gemini", "gemini-embedding-001", 100),
    ("vertex", "text-embedding-005", 250),
    ("vertex", "gemini-embedding-2", 100),
    ("vertex", "intfloat/multilingual-e5-small-maas", 1),
    ("bedrock", "amazon.titan-embed-text-v2:0", 1),
    ("bedrock", "amazon.nova-2-multimodal-embeddings-v1:0", 1),
    ("bedrock", "cohere.embed-v4:0", 96),
    ("bedrock", "cohere.embed-english-v3", 96),
]
SERVERS = ("mistral", "ollama", "vllm", "together", "openai_compatible")


@pytest.mark.parametrize(("provider", "model", "most"), PLACES)
async def test_every_host_gives_the_vectors_in_the_order_of_the_texts(
    provider: str, model: str, most: int, open_client: OpenClient
) -> None:
    """The texts are split by what the host takes, and the vectors are the server's own, bit by bit."""
    texts = [f"text number {n}" for n in range(min(2 * most + 1, 230))]
    async with Simulator() as sim, open_client(sim) as client:
        found = await client.embed(texts, provider=provider, model=model)
        requests = [request for request in sim.requests if request.operation == "embed"]
    assert [vector(text, None) for text in texts] == list(found)
    assert -(-len(texts) // most) == len(requests) == len(found.attempts)
    assert (len(texts), 16) == (len(found), found.dimensions)
    assert 4 * len(texts) <= (found.usage.input_tokens or 0)
    assert 0 == found.usage.output_tokens


@pytest.mark.parametrize("kind", SERVERS)
async def test_compatible_servers_embed(kind: str, http_library: str) -> None:
    """Mistral, Ollama, vLLM and the rest take the same request, Mistral with a field of its own for the dimensions."""
    async with Simulator() as sim:
        entry = {"kind": kind, "base_url": sim.url(kind), "api_key": "sk-sim", "fallback_models": ["m"]}
        config = {"active_provider": "x", "providers": {"x": entry}, "http": {"library": http_library}}
        async with asyncllm.Client(config, environ={}) as client:
            found = await client.embed(["a", "b"], model="embed-1", dimensions=8)
        body = sim.requests[0].body
    assert [vector("a", 8), vector("b", 8)] == list(found)
    assert 8 == body["output_dimension" if kind == "mistral" else "dimensions"]
    assert "encoding_format" not in body


async def test_the_dimensions_are_asked_for_and_checked(open_client: OpenClient) -> None:
    """A model takes the dimensions; vectors of another length than was asked for are an error, not a surprise."""
    async with Simulator() as sim, open_client(sim) as client:
        found = await client.embed("one text", model="text-embedding-3-small", dimensions=24)
        with pytest.raises(errors.ProtocolError, match="instead of 24"):
            await client.embed("one text", model="text-embedding-3-small", dimensions=24, extra_body={"dimensions": 12})
        with pytest.raises(errors.UnsupportedParameterError, match="dimensions"):
            await client.embed("a", provider="bedrock", model="cohere.embed-english-v3", dimensions=24)
    assert (1, 24) == (len(found), found.dimensions)


async def test_a_purpose_goes_where_the_model_knows_it(open_client: OpenClient) -> None:
    """Google, Cohere and Nova are told what the vectors are for; elsewhere a warning says that it was left out."""
    async with Simulator() as sim, open_client(sim) as client:
        await client.embed("q", provider="gemini", model="gemini-embedding-001", purpose="query")
        await client.embed("q", provider="vertex", model="text-embedding-005", purpose="document")
        await client.embed("q", provider="bedrock", model="cohere.embed-v4:0", purpose="query")
        plain = await client.embed("q", model="text-embedding-3-small", purpose="query")
        bodies = [request.body for request in sim.requests]
    assert "RETRIEVAL_QUERY" == bodies[0]["requests"][0]["taskType"]
    assert "RETRIEVAL_DOCUMENT" == bodies[1]["instances"][0]["task_type"]
    assert False is bodies[1]["parameters"]["autoTruncate"]
    assert ("search_query", "NONE") == (bodies[2]["input_type"], bodies[2]["truncate"])
    assert "purpose" not in bodies[3]
    assert ("purpose was left out: this API does not tell purposes apart",) == plain.warnings


async def test_it_costs_what_the_tokens_cost(open_client: OpenClient) -> None:
    """Each request is a row of the ledger, priced by its input alone; the whole is the sum."""
    texts = ["word " * 40] * 3000
    async with Simulator() as sim, open_client(sim) as client:
        found = await client.embed(texts, model="text-embedding-3-small", user="ada", tags={"team": "search"})
        rows = await client.ledger.report(by=["operation", "user", "tag:team"])
    assert found.usage.input_tokens == 50 * 3000
    assert found.cost is not None
    assert 150_000 * 20 == int(found.cost * 10**9)
    assert [{"operation": "embed", "user": "ada", "tag:team": "search"}] == [dict(row.group) for row in rows]
    assert (len(found.attempts), found.cost) == (rows[0].requests, rows[0].cost)


async def test_a_hard_budget_reserves_no_output(open_client: OpenClient) -> None:
    """A budget lets embeddings through that fit, and refuses those that do not, before they are sent."""
    budgets = [{"limit": "0.0001", "per": "day"}]
    async with Simulator() as sim, open_client(sim, budgets=budgets) as client:
        found = await client.embed(["a", "b"], model="text-embedding-3-small")
        with pytest.raises(errors.BudgetExceededError):
            await client.embed(["word " * 5000], model="text-embedding-3-small")
        assert 1 == sim.count(operation="embed")
    assert found.cost is not None


async def test_texts_are_split_by_tokens_too(open_client: OpenClient) -> None:
    """No request to OpenAI holds more tokens than it takes, however few texts there are."""
    texts = ["word " * 20_000] * 14  # 25,000 tokens each, as the simulator counts; 350,000 together
    async with Simulator() as sim, open_client(sim) as client:
        found = await client.embed(texts, model="text-embedding-3-small")
    assert 14 == len(found)
    assert len(found.attempts) > 1
    assert {"ok"} == {attempt.outcome for attempt in found.attempts}


async def test_a_request_that_is_too_large_is_halved(open_client: OpenClient) -> None:
    """Where the host takes less than is known, the texts are sent in halves; one text alone is an error."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=413, times=3), operation="embed")
        found = await client.embed([f"t{n}" for n in range(8)], model="text-embedding-3-small", concurrency=1)
        sim.on("*", Fault(status=413, times=1), operation="embed")
        with pytest.raises(errors.RequestTooLargeError):
            await client.embed("alone", model="text-embedding-3-small")
        assert [vector(f"t{n}", None) for n in range(8)] == list(found)


async def test_failures_are_retried(http_library: str) -> None:
    """A passing failure costs an attempt, and nothing else."""
    async with Simulator() as sim:
        config = sim.config(http={"library": http_library}, retry={"base_delay": 0.01})
        async with asyncllm.Client(config, environ={}) as client:
            sim.on("*", Fault(status=503, times=2), operation="embed")
            found = await client.embed(["a"], model="text-embedding-3-small")
    assert ["error", "error", "ok"] == [attempt.outcome for attempt in found.attempts]


async def test_a_failure_goes_on_to_the_same_model_only(open_client: OpenClient) -> None:
    """The same model at another host stands in; another model is refused at once, as vectors cannot be mixed."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault(status=500, times=None), provider="openai", operation="embed")
        model = "text-embedding-3-small"
        found = await client.embed(["a", "b"], model=model, fallback=[("azure", model)])
        assert ["openai", "azure"] == [attempt.provider for attempt in found.attempts]
        assert "azure" == found.provider
        sent = len(sim.requests)
        with pytest.raises(errors.BadRequestError, match="cannot be compared"):
            await client.embed(["a"], model=model, fallback=["text-embedding-3-large"])
        assert sent == len(sim.requests)


async def test_the_first_failure_ends_the_others(open_client: OpenClient) -> None:
    """A refused request is raised with its attempts; no new request is begun after it."""
    async with Simulator(latency=0.05) as sim, open_client(sim) as client:
        sim.on("*", Fault(status=400, times=1), operation="embed")
        with pytest.raises(errors.BadRequestError) as caught:
            await client.embed([f"t{n}" for n in range(20)], provider="bedrock", model="amazon.titan-embed-text-v2:0")
        assert 20 > sim.count(operation="embed")
    assert ["error"] == [attempt.outcome for attempt in caught.value.attempts]


@pytest.mark.parametrize(
    ("texts", "said", "sentence"),
    [
        ([], {}, "at least one text"),
        (["a", ""], {}, r"texts\[1\]"),
        (["a", 1], {}, r"texts\[1\]"),
        (7, {}, "texts must be a list of strings"),
        ("a", {"dimensions": 0}, "dimensions"),
        ("a", {"purpose": "fun"}, "purpose"),
        ("a", {"concurrency": 0}, "concurrency"),
        ("a", {"model": ""}, "model"),
        ("a", {"timeout": -1}, "timeout"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(
    texts: Any, said: dict[str, Any], sentence: str, open_client: OpenClient
) -> None:
    """A wrong text or keyword is refused by name."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match=sentence):
            await client.embed(texts, **{"model": "m", **said})
        assert 0 == len(sim.requests)


@pytest.mark.parametrize("provider", ["anthropic", "groq"])
async def test_a_host_without_embeddings_says_so(provider: str, http_library: str) -> None:
    """Nothing is sent to a host that has none."""
    async with Simulator() as sim:
        entry = {"base_url": sim.url(provider), "api_key": "sk-sim", "fallback_models": ["m"]}
        config = {"active_provider": provider, "providers": {provider: entry}, "http": {"library": http_library}}
        async with asyncllm.Client(config, environ={}) as client:
            with pytest.raises(errors.UnsupportedByProviderError, match=provider):
                await client.embed("a", model="m")
        assert 0 == len(sim.requests)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 3, "embedding": [1.0]}]}',
        b'{"data": [{"index": 0, "embedding": "not base64!"}]}',
        b'{"data": [{"index": 0, "embedding": [1.0, "2"]}]}',
        b'{"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]}',
        b"[]",
        b"{}",
    ],
)
async def test_an_answer_without_the_vectors_is_an_error(body: bytes, open_client: OpenClient) -> None:
    """What is not exactly one vector for each text is a ProtocolError, and a failed row."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.answer(body), operation="embed")
        with pytest.raises(errors.ProtocolError):
            await client.embed("a", model="text-embedding-3-small")
        rows = await client.ledger.report(by=["status"])
    assert ["error"] == [row.group["status"] for row in rows]


def test_numpy_is_asked_for_only_by_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors are lists; array() says how to install NumPy where it is missing."""
    found = Embeddings(vectors=([1.0, 2.0],), dimensions=2)
    assert [[1.0, 2.0]] == list(found)
    assert [1.0, 2.0] == found[0]
    assert "numpy" not in sys.modules or found.array().shape == (1, 2)
    monkeypatch.setattr("asyncllm._schema.vectors.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install numpy"):
        found.array()


def test_the_blocking_client_embeds_and_ranks() -> None:
    """The same verbs and keywords, without async."""
    with Simulator.in_thread() as sim, SyncClient(sim.config(), environ={}) as client:
        found = client.embed(["a b", "b a"], model="text-embedding-3-small")
        ranking = client.rerank("the cat", ["a dog", "a cat"], provider="bedrock", model="cohere.rerank-v3-5:0")
    assert found[0] == found[1]
    assert math.isclose(1.0, sum(x * x for x in found[0]), rel_tol=1e-6)
    assert "a cat" == ranking[0].document


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("bedrock", "cohere.rerank-v3-5:0"),
        ("bedrock", "amazon.rerank-v1:0"),
        ("vertex", "semantic-ranker-default@latest"),
        ("local", "rerank-1"),
    ],
)
async def test_hosts_rank_documents(provider: str, model: str, http_library: str) -> None:
    """The best document stands first, with its place among those given; ``top`` keeps the best."""
    documents = ["nothing to see", "where the cat is", "the cat"]
    async with Simulator() as sim:
        config = sim.config(http={"library": http_library})
        config["providers"]["local"] = {"kind": "vllm", "base_url": sim.url("vllm"), "fallback_models": ["m"]}
        async with asyncllm.Client(config, environ={}) as client:
            found = await client.rerank("where is the cat", documents, provider=provider, model=model)
            best = await client.rerank("where is the cat", documents, provider=provider, model=model, top=1)
            rows = await client.ledger.report(by=["operation", "provider"])
    assert [(1, 1.0), (2, 0.5), (0, 0.0)] == [(one.index, one.score) for one in found]
    assert ["where the cat is"] == [one.document for one in best]
    assert [{"operation": "rerank", "provider": provider}] == [dict(row.group) for row in rows]


async def test_a_ranking_is_checked(open_client: OpenClient) -> None:
    """Too many documents and a host that ranks none are refused before anything is sent; a wrong place is an error."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.UnsupportedByProviderError):
            await client.rerank("q", ["d"], model="gpt-sim")
        with pytest.raises(errors.BadRequestError, match="at most 200"):
            await client.rerank("q", ["d"] * 201, provider="vertex", model="semantic-ranker-default@latest")
        with pytest.raises(errors.BadRequestError, match="list of strings"):
            await client.rerank("q", "d", provider="vertex", model="semantic-ranker-default@latest")
        assert 0 == len(sim.requests)
        sim.on("*", Fault.answer(b'{"results": [{"index": 5, "relevance_score": 1}]}'), operation="rerank")
        with pytest.raises(errors.ProtocolError, match="not given"):
            await client.rerank("q", ["d"], provider="bedrock", model="cohere.rerank-v3-5:0")


async def test_deployments_share_the_requests(http_library: str) -> None:
    """The keys of an entry take turns; one that fails is passed over."""
    async with Simulator() as sim:
        deployments = [{"name": name, "api_key": f"sk-sim-{name}"} for name in ("one", "two")]
        entry = {"base_url": sim.url("bedrock"), "region_name": "us-east-1", "deployments": deployments}
        config = {"active_provider": "bedrock", "providers": {"bedrock": entry}, "http": {"library": http_library}}
        async with asyncllm.Client(config, environ={}) as client:
            texts = [f"text {n}" for n in range(30)]
            found = await client.embed(texts, model="amazon.titan-embed-text-v2:0")
    assert [vector(text, None) for text in texts] == list(found)
    assert {"one", "two"} == {attempt.deployment for attempt in found.attempts}


@pytest.mark.parametrize("kind", ["dict", "pandas", "polars"])
async def test_names_of_columns_are_no_texts(kind: str, open_client: OpenClient) -> None:
    """Going through a table or a dict gives names, which nobody wants the vectors of."""
    columns = {"text": ["a", "b"]}
    table: Any = columns if kind == "dict" else pytest.importorskip(kind).DataFrame(columns)
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match="give one of its columns"):
            await client.embed(table, model="text-embedding-3-small")
        assert 2 == len(await client.embed(table["text"], model="text-embedding-3-small"))
