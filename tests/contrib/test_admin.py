"""The management endpoints: who is let in, what they say, what they never say."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from asyncllm import Client, errors
from asyncllm.contrib.asgi import admin, openapi
from asyncllm.testing import Fault, Reply, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio
TOKEN = "a-token-of-the-operator"
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini")}}
BUDGET = {"name": "daily", "limit": 5, "per": "day"}


@asynccontextmanager
async def served(client: Client, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The endpoints of a client, with the token in every request."""
    options = options or {"token": TOKEN}
    transport = httpx.ASGITransport(app=admin(client, **options))
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ops.example", headers=headers) as http:
        yield http


@asynccontextmanager
async def used(open_client: OpenClient) -> AsyncIterator[Client]:
    """A client that has made three calls, one of which failed."""
    reply = Reply(text="four", input_tokens=1000, output_tokens=100)
    async with Simulator(reply=reply) as sim, open_client(sim, catalog=PRICES, budgets=[BUDGET]) as client:
        await client.send("one", user="ann", tags={"team": "red"})
        await client.send("two", user="bob")
        sim.on("*", Fault(status=400, times=1))
        with pytest.raises(errors.BadRequestError):
            await client.send("three", user="ann")
        yield client


async def test_nobody_is_let_in_by_accident(open_client: OpenClient) -> None:
    """Without a token, a dependency or the word for neither it raises; a short token too."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.ConfigurationError, match="unprotected=True"):
            admin(client)
        with pytest.raises(errors.ConfigurationError, match="16 characters"):
            admin(client, token="short")
        async with served(client, unprotected=True) as http:
            assert 200 == (await http.get("/providers/health", headers={"authorization": ""})).status_code


@pytest.mark.parametrize("path", sorted({*openapi()["paths"], "/openapi.json"}))
async def test_everything_is_refused_without_the_token(open_client: OpenClient, path: str) -> None:
    """No endpoint says anything to a stranger."""
    async with Simulator() as sim, open_client(sim) as client, served(client) as http:
        for wrong in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
            for method in ("GET", "POST"):
                answer = await http.request(method, path, headers={"authorization": wrong})
                assert 401 == answer.status_code


async def test_the_dependency_of_the_host_application_decides(open_client: OpenClient) -> None:
    """It refuses by raising or with False, and lets in by returning."""

    async def allow(request: Request) -> bool:
        if request.headers.get("x-user") == "eve":
            raise HTTPException(418, "not you")
        return request.headers.get("x-user") == "ops"

    async with Simulator() as sim, open_client(sim) as client, served(client, dependency=allow) as http:
        statuses = [
            (await http.get("/budgets", headers={"x-user": user})).status_code for user in ("ops", "ann", "eve")
        ]
    assert [200, 403, 418] == statuses


async def test_pages_of_other_origins_can_do_nothing(open_client: OpenClient) -> None:
    """A POST with a foreign Origin, or for a host that is not allowed, is refused; headers keep frames out."""
    async with used(open_client) as client, served(client, token=TOKEN, allowed_hosts=["ops.example"]) as http:
        reset = "/budgets/daily/reset"
        assert 403 == (await http.post(reset, headers={"origin": "http://evil.example"})).status_code
        assert 403 == (await http.post(reset, headers={"sec-fetch-site": "cross-site"})).status_code
        assert 200 == (await http.post(reset, headers={"origin": "http://ops.example"})).status_code
        assert 421 == (await http.get("/budgets", headers={"host": "evil.example"})).status_code
        answer = await http.get("/budgets")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers


async def test_health_is_shown_and_reset(open_client: OpenClient) -> None:
    """Targets with their circuits; a reset for one provider; an unknown one is a 404."""
    async with used(open_client) as client, served(client) as http:
        (target,) = (await http.get("/providers/health")).json()["targets"]
        assert ("openai", "closed", 3) == (target["provider"], target["state"], target["attempts"])
        assert {"reset": "openai"} == (await http.post("/providers/health/openai/reset")).json()
        assert 404 == (await http.post("/providers/health/nobody/reset")).status_code


async def test_costs_are_summed_and_grouped(open_client: OpenClient) -> None:
    """Today's sum, sums by user and day, a filter by tag; a wrong dimension or zone is a 422 that names it."""
    async with used(open_client) as client, served(client) as http:
        summary = (await http.get("/providers/costs/summary")).json()
        assert ("0.004", 3, 1) == tuple(summary["summary"]["today"][name] for name in ("cost", "requests", "failures"))
        rows = (await http.get("/providers/costs/stats", params={"by": "user"})).json()["rows"]
        assert {"ann": "0.002", "bob": "0.002"} == {row["group"]["user"]: row["cost"] for row in rows}
        rows = (await http.get("/providers/costs/stats", params={"by": "day", "tz": "Europe/Berlin"})).json()["rows"]
        assert 1 == len(rows)
        rows = (await http.get("/providers/costs/stats", params={"tag": "team:red"})).json()["rows"]
        assert ["0.002"] == [row["cost"] for row in rows]
        assert [] == (await http.get("/providers/costs/stats", params={"end": "2020-01-01"})).json()["rows"]
        for wrong in ({"by": "weather"}, {"tz": "Mars/Base"}, {"start": "yesterday"}, {"tag": "team"}):
            answer = await http.get("/providers/costs/stats", params=wrong)
            assert (422, True) == (answer.status_code, next(iter(wrong)) in answer.json()["error"]["message"])


async def test_records_are_exported(open_client: OpenClient) -> None:
    """As CSV and JSON lines, within a span."""
    async with used(open_client) as client, served(client) as http:
        answer = await http.get("/providers/costs/export", params={"format": "csv", "start_date": "2020-01-01"})
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert ("ann", 3) == (rows[0]["user"], len(rows))
        answer = await http.get("/providers/costs/export", params={"format": "jsonl"})
        assert 3 == len([json.loads(line) for line in answer.text.splitlines()])
        assert (
            "" == (await http.get("/providers/costs/export", params={"format": "jsonl", "end_date": "2020-01-01"})).text
        )
        assert 422 == (await http.get("/providers/costs/export", params={"format": "xml"})).status_code


async def test_no_answer_holds_a_key(open_client: OpenClient) -> None:
    """The configuration says that keys are set; no endpoint shows one."""
    async with used(open_client) as client, served(client) as http:
        shown = (await http.get("/providers/configuration")).text
        assert "(set)" in shown
        for path, row in openapi()["paths"].items():
            if "get" in row:
                assert "sk-sim-" not in (await http.get(path)).text


async def test_budgets_are_listed_raised_and_reset(open_client: OpenClient) -> None:
    """A raise needs an amount; an unknown budget is a 404."""
    async with used(open_client) as client, served(client) as http:
        (budget,) = (await http.get("/budgets")).json()["budgets"]
        assert ("daily", "5.00", "0.004") == tuple(budget[name] for name in ("name", "limit", "spent"))
        assert 200 == (await http.post("/budgets/daily/raise", json={"dollars": 2.5})).status_code
        assert "7.50" == (await http.get("/budgets")).json()["budgets"][0]["limit"]
        assert 200 == (await http.post("/budgets/daily/reset")).status_code
        (budget,) = (await http.get("/budgets")).json()["budgets"]
        assert ("5.00", "0.00") == (budget["limit"], budget["spent"])
        for wrong in ({}, {"dollars": -1}, {"dollars": "NaN"}, [], {"dollars": 1e30}):
            assert 422 == (await http.post("/budgets/daily/raise", json=wrong)).status_code
        assert 404 == (await http.post("/budgets/nothing/reset")).status_code


async def test_calls_come_in_pages(open_client: OpenClient) -> None:
    """Filtered by status and user; the next page begins behind the last record."""
    async with used(open_client) as client, served(client) as http:
        first = (await http.get("/calls", params={"limit": 2})).json()
        rest = (await http.get("/calls", params={"limit": 2, "after": first["next"]})).json()
        assert (2, 1, None) == (len(first["calls"]), len(rest["calls"]), rest["next"])
        (failed,) = (await http.get("/calls", params={"status": "error", "user": "ann"})).json()["calls"]
        assert "BadRequestError" == failed["error"]
        newest = (await http.get("/calls", params={"newest": "true", "limit": 2})).json()["calls"]
        assert [rest["calls"][0]["id"], first["calls"][1]["id"]] == [call["id"] for call in newest]
        assert 422 == (await http.get("/calls", params={"limit": "many"})).status_code
        assert 422 == (await http.get("/calls", params={"after": "x"})).status_code


async def test_models_are_listed(open_client: OpenClient) -> None:
    """What the providers listed at the last refresh; of one provider, or of an unknown one a 404."""
    async with Simulator() as sim, open_client(sim) as client, served(client) as http:
        await client.refresh_models("openai")
        assert "gpt-sim" in (await http.get("/models", params={"provider": "openai"})).text
        assert 404 == (await http.get("/models", params={"provider": "nobody"})).status_code


def test_every_endpoint_is_described() -> None:
    """The document has each path, with its answers and its security."""
    document = openapi()
    for path in ("/providers/health", "/providers/costs/export", "/budgets/{name}/raise", "/calls"):
        assert path in document["paths"]
    for row in document["paths"].values():
        for operation in row.values():
            assert {"200", "401"} <= operation["responses"].keys()


async def test_the_page_is_served_without_data(open_client: OpenClient) -> None:
    """The dashboard's files need no token, hold nothing of the ledger, and load nothing from elsewhere."""
    async with used(open_client) as client, served(client) as http:
        page = await http.get("/", headers={"authorization": ""})
        assert ("text/html; charset=utf-8", 200) == (page.headers["content-type"], page.status_code)
        assert "http" not in page.text.replace("https://", "http").split("<body>")[0].replace("http-equiv", "")
        for name in ("dashboard.js", "dashboard.css", "uplot.min.js", "uplot.min.css"):
            assert name in page.text
            assert 200 == (await http.get(f"/static/{name}", headers={"authorization": ""})).status_code
