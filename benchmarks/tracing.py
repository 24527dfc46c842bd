"""What hooks and tracing cost a call: CPU time of this thread, with the OpenTelemetry SDK and an exporter that drops.

Run it with ``python benchmarks/tracing.py``; each figure is the smallest of several rounds, taken in turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import asyncllm
from asyncllm.contrib.opentelemetry import OpenTelemetry
from asyncllm.testing import Simulator

CALLS, ROUNDS = 300, 5


class Dropped(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class Silent(asyncllm.Hook):
    """A hook that looks at every call and says nothing."""

    def before_call(self, call: asyncllm.HookCall) -> None:
        return None

    def after_attempt(self, call: asyncllm.HookCall, attempt: asyncllm.Attempt) -> None:
        return None


def traced(*, sampled: bool = True, metrics: bool = True) -> OpenTelemetry:
    tracers = TracerProvider() if sampled else TracerProvider(sampler=ALWAYS_OFF)
    tracers.add_span_processor(BatchSpanProcessor(Dropped(), max_queue_size=1_000_000))
    meters = MeterProvider([InMemoryMetricReader()]) if metrics else NoOpMeterProvider()
    return OpenTelemetry(tracer_provider=tracers, meter_provider=meters)


async def main() -> None:
    variants: dict[str, list[asyncllm.Hook]] = {
        "without hooks": [],
        "a silent hook": [Silent()],
        "traces, none sampled, no metrics": [traced(sampled=False, metrics=False)],
        "traces": [traced(metrics=False)],
        "traces and metrics": [traced()],
    }
    with Simulator.in_thread(keep=0) as simulator:
        clients = {name: asyncllm.Client(simulator.config(), hooks=hooks) for name, hooks in variants.items()}
        least = dict.fromkeys(clients, float("inf"))
        for _ in range(ROUNDS):
            for name, client in clients.items():
                await client.send("hi")
                began = time.thread_time()
                for _ in range(CALLS):
                    await client.send("hi")
                least[name] = min(least[name], (time.thread_time() - began) / CALLS)
        for client in clients.values():
            await client.aclose()
    base = least["without hooks"]
    for name, seconds in least.items():
        print(f"{name:34} {seconds * 1e6:7.0f} us a call  {(seconds - base) * 1e6:+7.0f}")


asyncio.run(main())
