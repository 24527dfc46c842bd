"""OpenTelemetry: what a collector receives of calls, attempts, runs and tools, over HTTP in its own protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import pytest

pytest.importorskip("opentelemetry.util.genai", reason="needs asyncllm-client[otel]")

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.genai.handler import TelemetryHandler

from asyncllm import Client, Image, Message, Text, errors, tool
from asyncllm.contrib.opentelemetry import OpenTelemetry
from asyncllm.testing import Fault, Reply, Simulator

pytestmark = pytest.mark.anyio
KEY = "sk-canary-0123456789abcdefghij"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini")}}


class Span:
    """A span as the collector has it."""

    def __init__(self, found: Any) -> None:
        self.name = found.name
        self.kind = {1: "internal", 3: "client"}.get(found.kind, found.kind)
        self.id, self.parent, self.trace = found.span_id.hex(), found.parent_span_id.hex(), found.trace_id.hex()
        self.failed = found.status.code == 2
        self.message = found.status.message
        self.attributes = {one.key: value_of(one.value) for one in found.attributes}
        self.start = found.start_time_unix_nano


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    return getattr(value, kind)


class Collector:
    """A receiver of OTLP over HTTP; what it has received, decoded."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the server's own name
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.bodies.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{self.url}/v1/traces")))
        self.meters = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter(f"{self.url}/v1/metrics"), 1_000_000)]
        )

    def hook(self, **options: Any) -> OpenTelemetry:
        return OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters, **options)

    async def spans(self) -> list[Span]:
        """Every span so far, the earliest first."""
        await anyio.to_thread.run_sync(self.tracers.force_flush)
        found = []
        for path, body in self.bodies:
            if path == "/v1/traces":
                request = ExportTraceServiceRequest.FromString(body)
                found += [Span(s) for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        return sorted(found, key=lambda span: span.start)

    async def metrics(self) -> dict[str, list[tuple[dict[str, Any], int, float]]]:
        """Name -> (labels, count, sum) of each series, as last received."""
        await anyio.to_thread.run_sync(self.meters.force_flush)
        found: dict[str, list[tuple[dict[str, Any], int, float]]] = {}
        for path, body in self.bodies:
            if path != "/v1/metrics":
                continue
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        found[metric.name] = [
                            ({one.key: value_of(one.value) for one in p.attributes}, p.count, p.sum)
                            for p in metric.histogram.data_points
                        ]
        return found

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


def client_of(sim: Simulator, *hooks: Any, **changes: Any) -> Client:
    config = sim.config(**{"retry": {"max_attempts": 2, "base_delay": 0, "max_delay": 0}, "catalog": PRICES, **changes})
    for entry in config["providers"].values():
        if "api_key" in entry:
            entry["api_key"] = KEY
    return Client(config, environ={}, hooks=hooks)


async def test_a_call_is_a_span_with_its_attempts(collector: Collector) -> None:
    """A retry stands beside the first attempt; names are those of the conventions."""
    reply = Reply(text="four", input_tokens=1000, output_tokens=100)
    async with Simulator(reply=reply) as sim, client_of(sim, collector.hook()) as client:
        sim.on("*", Fault(status=500, times=1))
        await client.send("2+2?", user="ann", tags={"team": "red"}, max_tokens=200, temperature=0.5)
        call, first, second = await collector.spans()
        assert ("asyncllm chat", "internal", "", False) == (call.name, call.kind, call.parent, call.failed)
        assert {(call.id, "client", "chat gpt-sim")} == {(one.parent, one.kind, one.name) for one in (first, second)}
        assert ("ServerError", True) == (first.attributes["error.type"], first.failed)
        wanted = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-sim",
            "gen_ai.request.max_tokens": 200,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "server.address": "127.0.0.1",
            "http.response.status_code": 200,
            "asyncllm.cost": 0.002,
            "asyncllm.attempt": 2,
        }
        assert wanted == {name: second.attributes.get(name) for name in wanted}
        assert not second.failed
        assert ("ann", "red", 2, 0.002) == tuple(
            call.attributes[f"asyncllm.{name}"] for name in ("user", "tag.team", "attempts", "cost")
        )
        metrics = await collector.metrics()
        assert {"gen_ai.client.operation.duration", "gen_ai.client.token.usage", "asyncllm.client.cost"} <= set(metrics)
        assert 2 == sum(count for _, count, _ in metrics["gen_ai.client.operation.duration"])
        assert {"input": 1000, "output": 100} == {
            labels["gen_ai.token.type"]: total for labels, _, total in metrics["gen_ai.client.token.usage"]
        }
        assert [("gpt-sim", 2, 0.002)] == [
            (labels["gen_ai.request.model"], count, total) for labels, count, total in metrics["asyncllm.client.cost"]
        ]


async def test_a_fallback_is_an_attempt_of_the_same_call(collector: Collector) -> None:
    """Each hop has a span with its own model, and the call says who answered."""
    async with Simulator() as sim, client_of(sim, collector.hook(), retry={"max_attempts": 1}) as client:
        sim.on("*", Fault(status=500, times=1))
        await client.send("x", fallback=["gpt-sim-mini"])
        call, first, second = await collector.spans()
        assert ["gpt-sim", "gpt-sim-mini"] == [one.attributes["gen_ai.request.model"] for one in (first, second)]
        assert {call.trace} == {first.trace, second.trace}
        assert "gpt-sim-mini" == call.attributes["gen_ai.response.model"]


async def test_a_stream_has_the_times_of_its_chunks(collector: Collector) -> None:
    """Time to the first chunk and time per chunk are measured, and the span ends with the stream."""
    async with (
        Simulator(reply="one two three four five six seven eight", chunk_delay=0.02) as sim,
        client_of(sim, collector.hook()) as client,
    ):
        async for _ in client.stream("x"):
            pass
        call, attempt = await collector.spans()
        assert call.id == attempt.parent
        assert True is attempt.attributes["gen_ai.request.stream"]
        assert attempt.attributes["gen_ai.response.time_to_first_chunk"] > 0
        assert attempt.attributes["gen_ai.usage.output_tokens"] > 0
        metrics = await collector.metrics()
        assert 1 == metrics["gen_ai.client.operation.time_to_first_chunk"][0][1]
        assert metrics["gen_ai.client.operation.time_per_output_chunk"][0][1] >= 2


async def test_errors_and_early_ends_are_told(collector: Collector) -> None:
    """A refused call, a stream that was left, and a cancelled call end their spans with what happened."""
    async with Simulator(reply="a b c d e f", chunk_delay=0.05) as sim, client_of(sim, collector.hook()) as client:
        sim.on("*", Fault(status=400, times=1))
        with pytest.raises(errors.BadRequestError):
            await client.send("x")
        async with client.stream("x") as stream:
            async for event in stream:
                if event.text:
                    break
        spans = await collector.spans()
        assert ["BadRequestError", "BadRequestError", "cancelled", "cancelled"] == [
            one.attributes.get("error.type") for one in spans
        ]


async def test_a_cancelled_call_ends_its_spans(collector: Collector) -> None:
    """Nothing is left open when the caller goes away."""
    async with Simulator(latency=5) as sim, client_of(sim, collector.hook()) as client:
        with anyio.move_on_after(0.3):
            await client.send("x")
        call, attempt = await collector.spans()
        assert ("cancelled", "cancelled") == (call.attributes["error.type"], attempt.attributes["error.type"])


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_run_has_its_tools(collector: Collector, streamed: bool) -> None:
    """Calls and tools stand under the run; what a tool sends itself stands under the tool."""

    @tool
    async def get_weather(city: str) -> str:
        """The weather."""
        await client.send(f"weather in {city}")
        return "sunny"

    async with Simulator() as sim, client_of(sim, collector.hook()) as client:
        if streamed:
            async with client.run_stream("Weather in Oslo?", tools=[get_weather], agent="meteo") as events:
                async for _ in events:
                    pass
        else:
            await client.run("Weather in Oslo?", tools=[get_weather], agent="meteo")
        spans = await collector.spans()
    run = spans[0]
    assert "invoke_agent meteo" == run.name
    assert {run.trace} == {one.trace for one in spans}
    tools = [one for one in spans if one.name == "execute_tool get_weather"]
    assert [run.id] == [one.parent for one in tools]
    assert tools[0].attributes["gen_ai.tool.call.id"]
    parents = [one.parent for one in spans if one.name == "asyncllm chat"]
    assert [run.id, tools[0].id, run.id] == parents
    assert "gen_ai.execute_tool.duration" in await collector.metrics()


async def test_no_content_without_the_variable(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts, answers and results are in no span; with the variable they are, but keys and media never."""
    picture = Image(data=b"\x89PNG\r\n\x1a\ncanary-of-a-picture", media_type="image/png")
    messages = [Message.system("be brief"), Message("user", (Text("canary-prompt"), picture))]
    async with Simulator(reply="canary-answer") as sim, client_of(sim, collector.hook()) as client:
        await client.send(messages)
        sim.on("*", Fault(status=401, times=1))
        with pytest.raises(errors.AuthenticationError):
            await client.send("canary-prompt", extra_headers={"x-token": "canary-of-the-caller"})
        await collector.spans()
        await collector.metrics()
        assert collector.bodies
        assert not [path for path, body in collector.bodies if b"canary" in body]
    monkeypatch.setenv(CONTENT, "SPAN_ONLY")
    async with Simulator(reply="canary-answer") as sim, client_of(sim, collector.hook()) as client:
        await client.send(messages, extra_headers={"x-token": "canary-of-the-caller"})
        attempt = (await collector.spans())[-1]
        said = json.loads(attempt.attributes["gen_ai.input.messages"])
        assert ["canary-prompt", "[image]"] == [part["content"] for part in said[0]["parts"]]
        assert "be brief" in attempt.attributes["gen_ai.system_instructions"]
        assert "canary-answer" in attempt.attributes["gen_ai.output.messages"]
    for canary in (KEY, "canary-of-a-picture", "canary-of-the-caller"):
        assert not [path for path, body in collector.bodies if canary.encode() in body]


async def test_the_trace_goes_along_only_where_that_is_asked_for(collector: Collector) -> None:
    """``propagate`` sends ``traceparent`` with the id of the attempt's own span."""
    async with Simulator() as sim:
        for propagate in (False, True):
            async with client_of(sim, collector.hook(propagate=propagate)) as client:
                await client.send("x")
        spans = await collector.spans()
        assert "traceparent" not in sim.requests[0].headers
        assert sim.requests[1].headers["traceparent"].startswith(f"00-{spans[-1].trace}-{spans[-1].id}-")


async def test_no_span_twice(collector: Collector, http_library: str) -> None:
    """Neither an instrumentation of httpx below nor one of generative AI above makes a second span of an attempt."""
    if http_library != "httpx":
        pytest.skip("the instrumentation is of httpx")
    HTTPXClientInstrumentor().instrument(tracer_provider=collector.tracers)
    try:
        async with Simulator() as sim, client_of(sim, collector.hook()) as client:
            await client.send("x")
            async for _ in client.stream("x"):
                pass
            assert ["asyncllm chat", "chat gpt-sim"] * 2 == [one.name for one in await collector.spans()]
        async with Simulator() as sim, client_of(sim) as client:
            await client.send("x")
            assert "POST" == (await collector.spans())[-1].name
    finally:
        HTTPXClientInstrumentor().uninstrument()
    outer = TelemetryHandler(collector.tracers, collector.meters)
    before = len(await collector.spans())
    async with Simulator() as sim, client_of(sim, collector.hook()) as client:
        with outer.inference("openai", request_model="outer"):
            await client.send("x")
        assert ["chat outer"] == [one.name for one in (await collector.spans())[before:]]


async def test_spans_have_the_callers_span_as_parent(collector: Collector) -> None:
    """A call in the caller's span belongs to it, and the caller's context is unchanged after it."""
    from opentelemetry import trace

    tracer = collector.tracers.get_tracer("application")
    async with AsyncExitStack() as stack:
        sim = await stack.enter_async_context(Simulator(reply="a b c"))
        client = await stack.enter_async_context(client_of(sim, collector.hook()))
        with tracer.start_as_current_span("request") as mine:
            stream = client.stream("x")
            async for _ in stream:
                assert mine is trace.get_current_span()
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(client.send, "x")
            assert mine is trace.get_current_span()
        spans = await collector.spans()
    root = next(one for one in spans if one.name == "request")
    assert [root.id] * 4 == [one.parent for one in spans if one.name == "asyncllm chat"]


async def test_two_tracers_are_refused(collector: Collector) -> None:
    """A call has one trace."""
    with pytest.raises(errors.ConfigurationError, match="two tracers"):
        Client({"providers": {"openai": {"api_key": "k"}}, "active_provider": "openai"}, hooks=[collector.hook()] * 2)


async def test_vectors_batches_and_files_have_spans(collector: Collector) -> None:
    """Each has a span of its own with its attempts in it; vectors under the conventions' name, with their tokens."""
    async with AsyncExitStack() as stack:
        sim = await stack.enter_async_context(Simulator())
        client = await stack.enter_async_context(Client(sim.config(), environ={}, hooks=[collector.hook()]))
        await client.embed(["a", "b"], model="text-embedding-3-small", user="ann")
        await client.upload(b"%PDF-1.4", name="a.pdf", provider="openai")
        with pytest.raises(errors.AsyncLLMError):
            await client.embed(["a"], model="text-embedding-3-small", provider="anthropic")
    spans = await collector.spans()
    call = next(span for span in spans if span.name == "asyncllm embed")
    attempt = next(span for span in spans if span.parent == call.id)
    assert ("internal", "ann", 1) == (call.kind, call.attributes["asyncllm.user"], call.attributes["asyncllm.attempts"])
    assert ("embeddings text-embedding-3-small", "client") == (attempt.name, attempt.kind)
    assert attempt.attributes["gen_ai.usage.input_tokens"] > 0
    assert 200 == attempt.attributes["http.response.status_code"]
    files = [span for span in spans if span.name.startswith("file ")]
    assert files
    assert all(span.kind == "client" and not span.failed for span in files)
