"""Batches field by field: what the vendors' own SDKs send and read, beside what is sent and read here.

Needs ``openai``, ``anthropic`` and ``google-genai`` (``nox -s oracle`` brings them); what an SDK that is not installed
would show is skipped. Bedrock is held to the service model of botocore, which is always there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, get_args

import botocore.session
import pytest
from botocore.validate import ParamValidator

from asyncllm import SyncClient
from asyncllm._protocols.anthropic import batch as claude
from asyncllm._protocols.converse import batch as converse
from asyncllm._protocols.gemini import batch as gemini
from asyncllm._protocols.gemini import cloud_batch
from asyncllm._protocols.openai_chat import batch as openai_files
from asyncllm.testing import Simulator

MODELS = {"openai": "gpt-5.4-mini", "anthropic": "claude-haiku-5-5", "gemini": "gemini-3.8-flash"}
ROLE = "arn:aws:iam::123456789012:role/batches"


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator.in_thread(reply="fine") as running:
        yield running


def made_here(sim: Simulator, provider: str) -> tuple[str, Any]:
    """The path and the body of the request that makes a job, as this library sends it."""
    sim.requests.clear()
    with SyncClient(sim.config(), environ={}) as client:
        batch = client.batch(["hi"], provider=provider, model=MODELS[provider], max_tokens=50)
        batch.wait(timeout=30)
        assert ["fine"] == [item.text for item in batch]
    return created(sim)


def created(sim: Simulator) -> tuple[str, Any]:
    found = [request for request in sim.requests if request.operation == "batch.create"]
    return re.sub(r"/v1(beta)?/", "/v/", found[-1].path), found[-1].body


def shape(value: Any) -> Any:
    """The keys of a body and the types of its values: ids differ."""
    if isinstance(value, dict):
        return {key: shape(value[key]) for key in sorted(value) if key != "metadata"}
    return [shape(one) for one in value] if isinstance(value, list) else type(value)


def until(over: Any, look: Any) -> Any:
    for _ in range(200):
        job = look()
        if over(job):
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_openai(sim: Simulator) -> None:
    """The same body makes a job; the SDK reads the simulated one to its last field; every state is known."""
    openai = pytest.importorskip("openai")
    ours = made_here(sim, "openai")
    client = openai.OpenAI(api_key="k", base_url=sim.url("openai"))
    body = b'"body":{"model":"gpt-5.4-mini","messages":[{"role":"user","content":"hi"}]}'
    line = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions",' + body + b"}\n"
    file = client.files.create(file=("a.jsonl", line), purpose="batch")
    job = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
    )
    theirs = created(sim)
    assert (theirs[0], shape(theirs[1])) == (ours[0], shape(ours[1]))
    job = until(lambda job: job.status == "completed", lambda: client.batches.retrieve(job.id))
    assert ({}, 1) == (job.model_extra, job.request_counts.completed)
    assert '"custom_id":"a"' in client.files.content(job.output_file_id).text.replace(" ", "")
    assert set(get_args(openai.types.Batch.model_fields["status"].annotation)) == set(openai_files._STATES)


def test_anthropic(sim: Simulator) -> None:
    """The same body makes a job; the SDK finds and reads the results; every kind of result and error is known."""
    anthropic = pytest.importorskip("anthropic")
    from anthropic.types import ErrorObject
    from anthropic.types.messages import MessageBatch, MessageBatchResult

    ours = made_here(sim, "anthropic")
    client = anthropic.Anthropic(api_key="k", base_url=sim.url("anthropic"))
    said = {"model": MODELS["anthropic"], "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    job = client.messages.batches.create(requests=[{"custom_id": "a", "params": said}])
    theirs = created(sim)
    assert (theirs[0], shape(theirs[1])) == (ours[0], shape(ours[1]))
    job = until(lambda job: job.processing_status == "ended", lambda: client.messages.batches.retrieve(job.id))
    assert ({}, 1) == (job.model_extra, job.request_counts.succeeded)
    (line,) = client.messages.batches.results(job.id)
    assert ("a", "succeeded", "fine") == (line.custom_id, line.result.type, line.result.message.content[0].text)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", ours[1]["requests"][0]["custom_id"])
    assert {"in_progress", "canceling", "ended"} == set(
        get_args(MessageBatch.model_fields["processing_status"].annotation)
    )
    kinds = {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(MessageBatchResult)[0])}
    assert {"succeeded", "errored", "canceled", "expired"} == kinds
    errors = {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(ErrorObject)[0])}
    assert set() == errors - set(claude._STATUSES)


def test_gemini(sim: Simulator) -> None:
    """The same body makes a job; the SDK reads the answers and finds the job in the list; every state is known."""
    genai = pytest.importorskip("google.genai")
    ours = made_here(sim, "gemini")
    client = genai.Client(api_key="k", http_options={"base_url": sim.url("gemini")})
    line = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "metadata": {"key": "a"}}
    job = client.batches.create(
        model=MODELS["gemini"], src=[{**line, "config": {"max_output_tokens": 50}}], config={"display_name": "mine"}
    )
    theirs = created(sim)
    assert (theirs[0], shape(theirs[1])) == (ours[0], shape(ours[1]))
    job = until(lambda job: job.state.name == "JOB_STATE_SUCCEEDED", lambda: client.batches.get(name=job.name))
    (answer,) = job.dest.inlined_responses
    assert ({"key": "a"}, "fine") == (answer.metadata, answer.response.text)
    assert job.name in [one.name for one in client.batches.list()]
    words = {state.value.removeprefix("JOB_STATE_") for state in genai.types.JobState}
    running = {"UNSPECIFIED", "QUEUED", "PENDING", "RUNNING", "CANCELLING", "PAUSED", "UPDATING"}
    assert words == running | set(gemini._STATES) == running | set(cloud_batch._STATES)


def test_bedrock(sim: Simulator) -> None:
    """The request fits the service model; each field that is read, of ours and of the simulator, is in it."""
    model = botocore.session.get_session().get_service_model("bedrock")
    config = sim.config()
    config["providers"]["bedrock"].pop("api_key")
    config["providers"]["bedrock"].update(aws_access_key_id="sk-sim-bedrock", aws_secret_access_key="sk-sim-secret")
    sim.requests.clear()
    with SyncClient(config, environ={"AWS_ENDPOINT_URL_S3": f"{sim.url('bedrock')}/s3"}) as client:
        said = {"provider": "bedrock", "model": "amazon.nova-lite-v1:0", "storage": "s3://bucket/runs", "role": ROLE}
        batch = client.batch(["hi"], **said)
        batch.wait(timeout=30)
        assert (["fine"], 1) == ([item.text for item in batch], batch.done)
    path, body = created(sim)
    make = model.operation_model("CreateModelInvocationJob")
    assert path.endswith(make.http["requestUri"])
    assert "" == ParamValidator().validate(body, make.input_shape).generate_report()
    for name in ("jobName", "clientRequestToken"):
        rules = make.input_shape.members[name].metadata
        assert re.fullmatch(rules["pattern"], body[name])
        assert len(body[name]) <= rules["max"]
    assert body["modelInvocationType"] in make.input_shape.members["modelInvocationType"].enum
    read = model.operation_model("GetModelInvocationJob").output_shape.members
    ((_, job),) = [(job.id, job) for job in sim.batches.values() if job.form == "aws_bucket"]
    assert set() == set(sim._answering.services.batches._bedrock(job)) - set(read)
    running = {"Submitted", "InProgress", "Stopping", "Validating", "Scheduled"}
    assert set(read["status"].enum) == running | set(converse._STATES)


def test_vertex(sim: Simulator) -> None:
    """The same body makes a job."""
    genai = pytest.importorskip("google.genai")
    from google.oauth2.credentials import Credentials

    sim.requests.clear()
    storage = "gs://bucket/runs"
    with SyncClient(sim.config(), environ={"STORAGE_EMULATOR_HOST": sim.url("vertex")}) as client:
        batch = client.batch(["hi"], provider="vertex", model=MODELS["gemini"], storage=storage)
        batch.wait(timeout=30)
        assert ["fine"] == [item.text for item in batch]
    path, ours = created(sim)
    options = genai.types.HttpOptions(base_url=sim.url("vertex"))
    client = genai.Client(
        vertexai=True, project="p", location="l", credentials=Credentials("sk-sim"), http_options=options
    )
    source = ours["inputConfig"]["gcsSource"]["uris"][0]
    client.batches.create(
        model=f"publishers/google/models/{MODELS['gemini']}",
        src=source,
        config={"display_name": "mine", "dest": f"{storage}/other"},
    )
    theirs = created(sim)
    assert shape(theirs[1]) == shape(ours)
    assert theirs[0].rpartition("/")[2] == path.rpartition("/")[2] == "batchPredictionJobs"
