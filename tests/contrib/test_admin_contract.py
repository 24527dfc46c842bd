"""The management endpoints against their own OpenAPI document: generated requests, right and wrong ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("schemathesis", reason="needs schemathesis")
pytest.importorskip("uvicorn")

import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from asyncllm import SyncClient
from asyncllm.contrib.asgi import admin, openapi
from asyncllm.testing import Simulator

TOKEN = "a-token-of-the-operator"
EXAMPLES = 8
OPERATIONS = sorted((method, path) for path, found in openapi()["paths"].items() for method in found)


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The endpoints of a client with a few calls, over real HTTP."""
    with Simulator.in_thread() as sim:
        config = sim.config(
            budgets=[{"name": "daily", "limit": 5}], catalog={"prices": {"gpt-sim": {"input": 1, "output": 10}}}
        )
        with SyncClient(config, environ={}) as client:
            for user in ("ann", "bob"):
                client.send("x", user=user, tags={"team": "red"})
            server = uvicorn.Server(
                uvicorn.Config(admin(client._client, token=TOKEN), port=0, log_level="error", lifespan="off")
            )
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            server.should_exit = True
            thread.join(5)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_generated_requests(served: str, method: str, path: str) -> None:
    """No 5xx but a ledger's own, no status that the document does not name, and nothing without the token."""
    schema = schemathesis.openapi.from_dict(openapi())
    operation: Any = schema[path][method.upper()]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def asked(case: Any) -> None:
        answer = case.call(base_url=served, headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code < 500, (answer.status_code, answer.text)
        # A string may be no time zone and no day all the same: that is a 422 with its sentence.
        case.validate_response(
            answer, headers={"authorization": f"Bearer {TOKEN}"}, excluded_checks=[positive_data_acceptance]
        )
        stranger = case.call(base_url=served, headers={"authorization": "Bearer wrong"})
        assert 401 == stranger.status_code

    asked()
