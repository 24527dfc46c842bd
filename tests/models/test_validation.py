"""Whether a model can be used, and why not: every proof, every reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from asyncllm._engine.lifetime import Background
from asyncllm._models.catalog import Catalog
from asyncllm._models.validation import Validation, problem_of, validate
from asyncllm._providers.listings import Listing
from asyncllm._providers.provider import Provider
from asyncllm._transport.base import Headers, HTTPReply, TransportRequest
from asyncllm.errors import BillingError, ConfigurationError, ConnectError, ProtocolError, RateLimitError
from asyncllm.testing import Fault, ListedModel, Simulator
from catalog_driver import hosts, open_catalog, questions

pytestmark = pytest.mark.anyio

TODAY = date.today()
NOW = 1_795_000_000.0

Answer = Callable[[str], "tuple[int, Any]"]


def facts(found: Validation) -> tuple[bool, str | None, str | None]:
    return found.usable, found.problem, found.proof


async def against(provider: Provider, model: str, answer: Answer, **headers: str) -> tuple[Validation, list[str]]:
    """The verdict on a model of a server that answers by path, and the paths it was asked."""
    server = ByPath(provider, answer, headers)
    asker = questions(server, Background(), now=lambda: NOW)  # type: ignore[arg-type]
    return await validate(asker, provider, model), server.asked


class ByPath:
    """A transport that answers by the path alone."""

    def __init__(self, provider: Provider, answer: Answer, headers: dict[str, str]) -> None:
        self.bases = [base for base in (provider.listing and provider.listing.base_url, provider.base_url) if base]
        self.answer = answer
        self.headers = headers
        self.asked: list[str] = []

    async def send(self, request: TransportRequest) -> HTTPReply:
        base = next(base for base in self.bases if request.url.startswith(base))
        self.asked.append(request.url[len(base) :].partition("?")[0])
        status, body = self.answer(self.asked[-1])
        return HTTPReply(status=status, headers=self.headers, body=json.dumps(body).encode())


@pytest.fixture
async def bedrock() -> Provider:
    async with Simulator() as sim:
        return hosts(sim, "bedrock")["bedrock"]


# --- over the simulator --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model", "proof"),
    [
        ("openai", "gpt-sim", "model"),
        ("anthropic", "claude-sim", "model"),
        ("gemini", "gemini-sim", "model"),
        ("bedrock", "amazon.nova-sim", "access"),
        ("bedrock", "us.amazon.nova-sim", "access"),
        ("vertex", "gemini-sim", "count"),
        ("vertex", "claude-sim", "count"),
        ("vertex", "meta/llama-sim-maas", "generate"),
        ("azure", "gpt-sim", "generate"),
    ],
)
async def test_a_model_that_works(name: str, model: str, proof: str) -> None:
    """Each provider proves it in its cheapest way; only those without another let the model speak."""
    async with Simulator(models=[model]) as sim, open_catalog(hosts(sim, name)) as catalog:
        found = await catalog.validate_model(name, model)
        assert (True, None, proof) == facts(found)
        assert f"{model} works" == found.message
        assert (1 if proof == "generate" else 0) == sim.count()
        assert (proof == "generate") is (found.usage is not None)
        assert found.at == (await catalog.model(name, model)).last_validated


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "bedrock", "vertex", "azure"])
async def test_an_unknown_model(name: str) -> None:
    """A name that the provider does not know is said to be unknown, with the provider's own words."""
    async with Simulator(models=["other"]) as sim, open_catalog(hosts(sim, name)) as catalog:
        found = await catalog.validate_model(name, "nope")
        assert (False, "unknown") == facts(found)[:2]
        assert found.message and found.error is not None
        assert (await catalog.model(name, "nope")).last_validated is None


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "bedrock", "vertex", "azure"])
async def test_a_refused_key(name: str) -> None:
    """A wrong key is a wrong key, and nothing further is asked."""
    async with Simulator(require_key="another") as sim, open_catalog(hosts(sim, name)) as catalog:
        found = await catalog.validate_model(name, "m")
        assert (False, "credential") == facts(found)[:2]
        assert 1 == len(sim.requests)


async def test_a_key_that_may_not_read_models_may_call_them() -> None:
    """A refusal to tell about a model is no refusal of the model: the next proof is asked."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        sim.on("*", Fault.status(403), operation="model")
        assert (True, None, "generate") == facts(await catalog.validate_model("openai", "gpt-sim"))
        sim.on("*", Fault.status(403), operation="generate")
        assert (False, "no_access", "generate") == facts(await catalog.validate_model("openai", "gpt-sim"))


async def test_an_announced_end_is_told() -> None:
    """A model whose end is announced works, and the date is said."""
    old = ListedModel("old", deprecated=TODAY - timedelta(days=3), retires=TODAY + timedelta(days=30))
    async with Simulator(models=[old]) as sim, open_catalog(hosts(sim)) as catalog:
        for name in ("openai", "anthropic"):
            found = await catalog.validate_model(name, "old")
            assert (True, "deprecated", "model") == facts(found)
            assert f"old works, but is deprecated and ends on {old.retires}" == found.message


async def test_a_model_that_is_gone_was_there_once() -> None:
    """What is unknown now, but was listed before, is told from a name that never was."""
    async with Simulator(models=["m", "old"]) as sim, open_catalog(hosts(sim, "openai")) as catalog:
        await catalog.refresh_models()
        sim.models = ["m"]
        await catalog.refresh_models()
        found = await catalog.validate_model("openai", "old")
        assert (False, "deprecated") == facts(found)[:2]
        assert found.message.startswith("old is no longer there (deprecated since ")
        assert "unknown" == (await catalog.validate_model("openai", "never")).problem


async def test_an_end_that_only_the_package_knows() -> None:
    """Without a date of its own provider, the sentence says no more than is known."""
    async with Simulator(models=["m"]) as sim, open_catalog(hosts(sim, "gemini")) as catalog:
        found = await catalog.validate_model("gemini", "gemini-2.0-flash")
        assert "deprecated" == found.problem
        assert found.message.startswith("gemini-2.0-flash is no longer there")


async def test_nobody_there() -> None:
    """A server that cannot be reached is that, at the first question."""
    async with Simulator() as sim:
        providers = hosts(sim, "openai")
    async with open_catalog(providers) as catalog:
        assert (False, "unreachable", "model") == facts(await catalog.validate_model("openai", "m"))


async def test_unknown_providers_are_a_sentence() -> None:
    """A provider that is not configured is an error of the caller."""
    async with Simulator() as sim, open_catalog(hosts(sim, "openai")) as catalog:
        assert isinstance(catalog, Catalog)
        with pytest.raises(ConfigurationError, match="no provider 'nope'"):
            await catalog.validate_model("nope", "m")


async def test_a_blocked_answer_is_an_answer() -> None:
    """A model that refuses to say a word can be called all the same."""
    async with Simulator() as sim, open_catalog(hosts(sim, "azure")) as catalog:
        sim.on("*", Fault.status(400, code="content_filter"))
        found = await catalog.validate_model("azure", "gpt-sim")
        assert found.usable or "failed" == found.problem


# --- against answers by hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        ({"regionAvailability": "NOT_AVAILABLE"}, (False, "region", "access")),
        ({"authorizationStatus": "NOT_AUTHORIZED"}, (False, "no_access", "access")),
        ({"entitlementAvailability": "AVAILABLE"}, (True, None, "access")),
        ({"entitlementAvailability": "NOT_AVAILABLE"}, (True, None, "count")),
    ],
)
async def test_what_bedrock_lets_an_account_do(bedrock: Provider, granted: Any, expected: Any) -> None:
    """The region and the right are told by the control plane; what it leaves open is tried."""

    def answer(path: str) -> tuple[int, Any]:
        if path.startswith("/foundation-models/"):
            return 200, {"modelDetails": {"modelId": "a.b", "outputModalities": ["TEXT"]}}
        return 200, granted if "availability" in path else {"inputTokens": 3}

    found, _ = await against(bedrock, "a.b", answer)
    assert expected == facts(found)


async def test_a_model_that_needs_a_profile(bedrock: Provider) -> None:
    """A model that is not offered on demand in a region is that, with the way out."""
    details = {"modelId": "a.b", "outputModalities": ["TEXT"], "inferenceTypesSupported": ["INFERENCE_PROFILE"]}
    found, asked = await against(bedrock, "a.b", lambda path: (200, {"modelDetails": details}))
    assert (False, "region", "model") == facts(found)
    assert "us.a.b" in found.message
    assert ["/foundation-models/a.b"] == asked


async def test_without_rights_on_the_control_plane(bedrock: Provider) -> None:
    """Where the account may not ask about models, tokens are counted; where not even that, the model speaks."""
    reply = {"output": {"message": {"role": "assistant", "content": [{"text": "OK"}]}}, "stopReason": "end_turn",
             "usage": {"inputTokens": 9, "outputTokens": 2, "totalTokens": 11}}  # fmt: skip

    def answer(path: str) -> tuple[int, Any]:
        return (200, reply) if path.endswith("/converse") else (403, {"message": "not authorized to perform"})

    found, asked = await against(bedrock, "a.b", answer, **{"x-amzn-errortype": "AccessDeniedException"})
    assert (True, None, "generate") == facts(found)
    assert found.usage is not None and 9 == found.usage.input_tokens
    assert 4 == len(asked)
    own = "arn:aws:bedrock:us-east-1:1:imported-model/x"
    found, asked = await against(bedrock, own, answer)
    assert (True, None, "generate") == facts(found)
    assert 1 == len(asked)


async def test_a_model_of_another_location() -> None:
    """What Vertex knows but will not serve here is in another region, or not for this project."""
    async with Simulator() as sim:
        vertex = hosts(sim, "vertex")["vertex"]
    missing = {"error": {"code": 404, "status": "NOT_FOUND", "message": "Publisher Model was not found"}}

    def answer(path: str) -> tuple[int, Any]:
        known = path == "/v1beta1/publishers/google/models/gemini-sim"
        return (200, {"name": "publishers/google/models/gemini-sim"}) if known else (404, missing)

    found, asked = await against(vertex, "gemini-sim", answer)
    assert (False, "region", "generate") == facts(found)
    assert 3 == len(asked)
    assert (False, "unknown", "generate") == facts((await against(vertex, "gemini-other", answer))[0])
    endpoint, _ = await against(vertex, "projects/p/locations/l/endpoints/7", answer)
    assert "unknown" == endpoint.problem


async def test_a_model_for_something_else() -> None:
    """A model that answers no messages exists, and is of no use here."""
    async with Simulator() as sim:
        gemini = hosts(sim, "gemini")["gemini"]
    embeds = {"name": "models/gemini-embedding-001", "supportedGenerationMethods": ["embedContent"]}
    found, _ = await against(gemini, "gemini-embedding-001", lambda path: (200, embeds))
    assert (False, "failed", "model") == facts(found)
    assert "answers no messages" in found.message


async def test_a_model_that_was_switched_off() -> None:
    """A model that is still described after its end is not usable."""
    async with Simulator() as sim:
        openai = hosts(sim, "openai")["openai"]
    found, _ = await against(openai, "m", lambda path: (200, {"id": "m", "shutdown_date": "2026-01-31"}))
    assert (False, "deprecated", "model") == facts(found)
    assert "m was switched off on 2026-01-31" == found.message


async def test_redirects_are_not_followed() -> None:
    """A redirect is an answer that is none, with the sentence about base_url."""
    async with Simulator() as sim:
        azure = hosts(sim, "azure")["azure"]
        openai = hosts(sim, "openai")["openai"]
    for host in (azure, openai):
        found, _ = await against(host, "m", lambda path: (302, {}))
        assert (False, "failed", "generate") == facts(found)
        assert "base_url" in found.message
        assert isinstance(found.error, ProtocolError)


async def test_a_listing_must_end_in_a_word() -> None:
    """A listing whose proofs settle nothing is a mistake of its author, and is said to be."""

    class Nothing(Listing):
        @property
        def proofs(self) -> Any:
            return ("model", "access", "count")

    async with Simulator() as sim:
        host = replace(hosts(sim, "openai")["openai"], listing=Nothing(), counting=None)
    with pytest.raises(ConfigurationError, match="no way to prove"):
        await against(host, "m", lambda path: (200, {}))
    bare = replace(host, listing=None)
    found, _ = await against(bare, "m", lambda path: (429, {"error": {"message": "slow down"}}))
    assert (False, "failed", "generate") == facts(found)
    assert isinstance(found.error, RateLimitError)


async def test_errors_have_reasons() -> None:
    """Each kind of error is a reason; what is none of them is a failure."""
    assert ["no_access", "unreachable", "credential", "failed"] == [
        problem_of(error) for error in (BillingError(), ConnectError(), ConfigurationError(), RateLimitError())
    ]


async def test_a_refused_credential_is_refreshed_once() -> None:
    """A question whose credential was refused is asked once more with a new one, and no more than that."""

    class Fresh:
        """A credential that is new after a refresh."""

        def __init__(self, *keys: str) -> None:
            self.keys = list(keys)

        async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
            return Headers([*headers, ("authorization", f"Bearer {self.keys[0]}")])

        async def refresh(self) -> bool:
            del self.keys[0]
            return True

    async with Simulator(require_key="new") as sim:
        host = hosts(sim, "openai")["openai"]
        async with open_catalog({"openai": replace(host, auth=Fresh("old", "new"))}) as catalog:
            assert (await catalog.validate_model("openai", "gpt-sim")).usable
        async with open_catalog({"openai": replace(host, auth=Fresh("old", "older", "new"))}) as catalog:
            assert "credential" == (await catalog.validate_model("openai", "gpt-sim")).problem
        assert 4 == len(sim.requests)
