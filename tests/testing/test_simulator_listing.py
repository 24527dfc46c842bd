"""The simulator's listings: what each provider tells of deprecated, fine-tuned and retired models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from asyncllm.testing import ListedModel, Simulator

pytestmark = pytest.mark.anyio

TODAY = date.today()
OLD = ListedModel("old", deprecated=TODAY - timedelta(days=9), retires=TODAY + timedelta(days=90))
GONE = ListedModel("gone", deprecated=date(2025, 1, 1), retires=date(2026, 1, 1))
TUNED = "ft:gpt-sim:acme::abc123"
VERSION = {"anthropic-version": "2026-10-21"}
ASKED: dict[str, dict[str, Any]] = {
    "openai": {"messages": [{"role": "user", "content": "hi"}]},
    "anthropic": {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


async def test_openai(http: httpx.AsyncClient) -> None:
    """A model that will be shut down has a date; fine-tuned ones are in the same list; the list can change."""
    async with Simulator(models=["new", OLD, TUNED]) as sim:
        url = f"{sim.url('openai')}/models"
        entries = {entry["id"]: entry for entry in (await http.get(url)).json()["data"]}
        assert {"new": None, "old": str(OLD.retires), TUNED: None} == {
            name: entry["shutdown_date"] for name, entry in entries.items()
        }
        assert ("simulator", "org-simulator") == (entries["new"]["owned_by"], entries[TUNED]["owned_by"])
        assert str(OLD.retires) == (await http.get(f"{url}/old")).json()["shutdown_date"]
        sim.models = ["new"]
        assert ["new"] == [entry["id"] for entry in (await http.get(url)).json()["data"]]
        assert 404 == (await http.get(f"{url}/old")).status_code
        sim.models = None
        assert 200 == (await http.get(f"{url}/old")).status_code


async def test_anthropic(http: httpx.AsyncClient) -> None:
    """Each model has a lifecycle; retired ones are listed only when asked for, and refused."""
    async with Simulator(models={"anthropic": ["new", OLD, GONE]}) as sim:
        url = f"{sim.url('anthropic')}/v1/models"
        usual = (await http.get(url, headers=VERSION)).json()["data"]
        assert [("new", "active", None), ("old", "deprecated", f"{OLD.deprecated}T00:00:00Z")] == [
            (entry["id"], entry["lifecycle"], entry["deprecated_at"]) for entry in usual
        ]
        asked = (await http.get(f"{url}?lifecycle%5B%5D=retired", headers=VERSION)).json()["data"]
        assert [("gone", "2026-01-01T00:00:00Z")] == [(entry["id"], entry["retires_at"]) for entry in asked]
        for model, status in (("old", 200), ("gone", 404)):
            body = ASKED["anthropic"] | {"model": model}
            url = f"{sim.url('anthropic')}/v1/messages"
            assert status == (await http.post(url, json=body, headers=VERSION)).status_code
        # other kinds of host are not spoken of: every name works there
        answer = await http.post(f"{sim.url('openai')}/chat/completions", json=ASKED["openai"] | {"model": "gone"})
        assert 200 == answer.status_code
        assert ["new", "old", "gone"] == sim.config()["providers"]["anthropic"]["fallback_models"]
        assert "gpt-sim" == sim.config()["providers"]["openai"]["fallback_models"][0]


async def test_gemini(http: httpx.AsyncClient) -> None:
    """Gemini tells of a model's end in its answers only; a fine-tuned model has a base."""
    leaving = ListedModel("leaving", retires=TODAY + timedelta(days=30))
    tuned = ListedModel("tunedModels/mine", base="new")
    async with Simulator(models=["new", OLD, leaving, tuned]) as sim:
        base = f"{sim.url('gemini')}/v1beta"
        entries = (await http.get(f"{base}/models")).json()["models"]
        assert ["models/new", "models/old", "models/leaving", "tunedModels/mine"] == [each["name"] for each in entries]
        assert [None, None, None, "new"] == [each.get("baseModelId") for each in entries]
        body = {"contents": [{"parts": [{"text": "hi"}]}]}
        stages = {}
        for model in ("new", "old", "leaving"):
            answer = await http.post(f"{base}/models/{model}:generateContent", json=body)
            stages[model] = answer.json().get("modelStatus", {})
        assert {} == stages["new"]
        assert ("DEPRECATED", f"{OLD.retires}T00:00:00Z") == (
            stages["old"]["modelStage"],
            stages["old"]["retirementTime"],
        )
        assert "LEGACY" == stages["leaving"]["modelStage"]
        streamed = await http.post(f"{base}/models/old:streamGenerateContent?alt=sse", json=body)
        assert "retirementTime" in streamed.text
        place = "v1/projects/p/locations/us-central1/publishers/google"
        vertex = await http.post(f"{sim.url('vertex')}/{place}/models/old:generateContent", json=body)
        assert "modelStatus" not in vertex.json()


async def test_bedrock(http: httpx.AsyncClient) -> None:
    """A foundation model has a lifecycle with dates."""
    old = ListedModel("amazon.old", deprecated=OLD.deprecated, retires=OLD.retires)
    soon = ListedModel("amazon.soon", deprecated=TODAY + timedelta(days=5))
    async with Simulator(models=["amazon.new", old, soon]) as sim:
        entries = (await http.get(f"{sim.url('bedrock')}/foundation-models")).json()["modelSummaries"]
        assert ["ACTIVE", "LEGACY", "ACTIVE"] == [entry["modelLifecycle"]["status"] for entry in entries]
        assert f"{OLD.retires}T00:00:00Z" == entries[1]["modelLifecycle"]["endOfLifeTime"]
        assert f"{soon.deprecated}T00:00:00Z" == entries[2]["modelLifecycle"]["legacyTime"]
        sim.models = [GONE, "us.amazon.new"]
        body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
        gone = await http.post(f"{sim.url('bedrock')}/model/gone/converse", json=body)
        assert (404, "end of its life" in gone.text) == (gone.status_code, True)
        available = await http.get(f"{sim.url('bedrock')}/foundation-model-availability/amazon.new")
        assert "AVAILABLE" == available.json()["entitlementAvailability"]
        assert 400 == (await http.get(f"{sim.url('bedrock')}/foundation-model-availability/gone")).status_code
