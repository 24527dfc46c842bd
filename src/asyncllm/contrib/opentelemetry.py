"""OpenTelemetry: spans and metrics of calls, attempts and tools (``asyncllm-client[otel]``).

::

    client = asyncllm.Client("config.yaml", hooks=[OpenTelemetry()])

The theory. A call is one span of kind INTERNAL, each HTTP attempt in it one span of kind CLIENT: retries, fallbacks and
hedges stand beside each other, each with its own target, tokens and error. A run of the tool loop is a span around its
calls and its tools. Names and attributes are those of OpenTelemetry's conventions for generative AI; the package
``opentelemetry-util-genai`` owns them, writes them, and leaves out what an instrumentation around it writes already.
What the conventions have no name for stands under ``asyncllm.``.

The rules:

* No content is recorded, unless the standard variable ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` says so.
  Media and signatures are never recorded, only their type and, for links, their address without its query.
* Spans of the HTTP library are left out while an attempt has one of its own.
* Spans are never attached to the caller's context, so they cannot leak into the caller's other work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._engine.hooks import AttemptTrace, CallTrace, HookCall, HookTarget, RunTrace, TracingHook
from .._schema.content import (
    Audio,
    Document,
    Image,
    Json,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from .._schema.messages import Message
from .._schema.request import Request, Tool
from .._schema.response import Attempt, Response
from .._version import __version__
from ..errors import AsyncLLMError

try:
    from opentelemetry import context as otel_context
    from opentelemetry import propagate as otel_propagate
    from opentelemetry.instrumentation.utils import suppress_http_instrumentation
    from opentelemetry.metrics import Histogram, get_meter
    from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, get_tracer, set_span_in_context, use_span
    from opentelemetry.util.genai import types as genai
    from opentelemetry.util.genai.handler import TelemetryHandler
    from opentelemetry.util.genai.invocation import CLIENT_INFERENCE_CONTEXT_KEY
except ImportError as _error:
    raise ImportError(
        "asyncllm.contrib.opentelemetry needs its packages: python -m pip install 'asyncllm-client[otel]'"
    ) from _error

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetry"]

_SCOPE = "asyncllm"
# The conventions' words for providers whose kind is another word; the others are known by their kind.
_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "gemini": "gcp.gemini",
        "vertex": "gcp.vertex_ai",
        "bedrock": "aws.bedrock",
        "azure": "azure.ai.openai",
        "mistral": "mistral_ai",
        "xai": "x_ai",
        "moonshot": "moonshot_ai",
    }
)
_FINISH: Mapping[str, str] = MappingProxyType({"tool_calls": "tool_call", "refusal": "content_filter"})
_MODALITIES: Mapping[type, str] = MappingProxyType(
    {Image: "image", Audio: "audio", Video: "video", Document: "document"}
)


class OpenTelemetry(TracingHook):
    """Traces and measures every call of a client; give it in ``hooks``.

    Args:
        tracer_provider: where spans go; the global one by default.
        meter_provider: where metrics go; the global one by default.
        logger_provider: where events go, if the standard variables ask for events; the global one by default.
        propagate: send the trace's context (``traceparent``) to the providers. Off by default: most have no use for it,
            and it tells them which of your calls belong together.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        propagate: bool = False,
    ) -> None:
        self.handler: TelemetryHandler = TelemetryHandler(
            tracer_provider,
            meter_provider,
            logger_provider,
            instrumentation_scope_name=_SCOPE,
            instrumentation_scope_version=__version__,
        )
        self.tracer: Tracer = get_tracer(_SCOPE, __version__, tracer_provider)
        meter = get_meter(_SCOPE, __version__, meter_provider)
        self.cost: Histogram = meter.create_histogram(
            "asyncllm.client.cost", "{USD}", "What an attempt cost, where it is known."
        )
        self.queue: Histogram = meter.create_histogram(
            "asyncllm.client.queue.duration", "s", "How long an attempt waited for its turn under a limit."
        )
        self.propagate = propagate

    def trace_call(self, call: HookCall) -> CallTrace:
        """A call begins."""
        return _TracedCall(self, call)

    def trace_run(self, agent: str | None) -> RunTrace:
        """A run begins."""
        return _TracedRun(self, agent)


class _TracedCall:
    """The span of one call, and what its attempts share."""

    def __init__(self, hook: OpenTelemetry, call: HookCall) -> None:
        self.hook = hook
        self.call = call
        parent = otel_context.get_current()
        self.span: Any = None
        self.context = parent
        if parent.get(CLIENT_INFERENCE_CONTEXT_KEY) is None:  # else an instrumentation around us has its span
            told = {"asyncllm.user": call.user, "gen_ai.agent.name": call.agent}
            self.span = hook.tracer.start_span(
                f"asyncllm {call.operation}",
                parent,
                SpanKind.INTERNAL,
                {
                    "asyncllm.provider": call.provider,
                    "gen_ai.request.model": call.model,
                    **{name: value for name, value in told.items() if value is not None},
                    **{f"asyncllm.tag.{name}": value for name, value in (call.tags or {}).items()},
                },
            )
            self.context = set_span_in_context(self.span, parent)
        self.attempts = 0

    def attempt(self, target: HookTarget, request: Request) -> AttemptTrace:
        self.attempts += 1
        if self.call.operation != "chat":
            return _TracedRequest(self, target)
        return _TracedAttempt(self, target, request)

    def ended(self, reply: Any, error: BaseException | None) -> None:
        span = self.span
        if span is None or not span.is_recording():
            if span is not None:
                span.end()
            return
        span.set_attribute("asyncllm.attempts", self.attempts)
        if isinstance(reply, Response):
            span.set_attribute("gen_ai.response.model", reply.model or reply.requested_model)
            if reply.cost is not None:
                span.set_attribute("asyncllm.cost", float(reply.cost))
        elif reply is not None:
            span.set_attribute("gen_ai.response.model", getattr(reply, "model", "") or self.call.model)
        elif error is not None:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR, _sentence(error)))
        else:
            span.set_attribute("error.type", "cancelled")
        span.end()


class _TracedAttempt:
    """The span and the metrics of one HTTP attempt."""

    def __init__(self, of: _TracedCall, target: HookTarget, request: Request) -> None:
        self.hook = of.hook
        self.target = target
        self.request = request
        word = _PROVIDERS.get(target.kind, target.kind)
        self.labels = {"gen_ai.provider.name": word, "gen_ai.request.model": target.model}
        self.invocation = invocation = of.hook.handler.inference(
            word,
            request_model=target.model,
            server_address=target.server_address,
            server_port=target.server_port,
            context=of.context,
        )
        invocation.suspend()
        invocation.attributes["asyncllm.provider"] = target.provider
        invocation.attributes["asyncllm.attempt"] = target.number
        invocation.temperature = request.temperature
        invocation.top_p = request.top_p
        invocation.max_tokens = request.max_tokens
        invocation.seed = request.seed
        if request.stop:
            invocation.stop_sequences = request.stop
        if request.stream:
            invocation.request_stream = True
        if request.reasoning is not None:
            invocation.data.request_reasoning_level = str(request.reasoning)
        self.headers: Mapping[str, str] = {}
        if of.hook.propagate:
            carrier: dict[str, str] = {}
            otel_propagate.inject(carrier, invocation.context)
            self.headers = carrier

    @contextmanager
    def active(self) -> Iterator[None]:
        with self.invocation.activate(), suppress_http_instrumentation():
            yield

    def chunk(self) -> None:
        self.invocation.record_stream_chunk()

    def ended(self, attempt: Attempt | None, reply: Response | None) -> None:
        invocation = self.invocation
        if invocation.should_capture_content:
            invocation.input_messages = [_message(one) for one in self.request.messages if one.role != "system"]
            system = [part for one in self.request.messages if one.role == "system" for part in _parts(one)]
            if system:
                invocation.system_instruction = system
            tools = [one for one in self.request.tools if isinstance(one, Tool)]
            if tools:
                invocation.tool_definitions = [
                    genai.FunctionToolDefinition(one.name, one.description, dict(one.parameters)) for one in tools
                ]
        if reply is not None:
            reason = _FINISH.get(reply.finish_reason, reply.finish_reason)
            if attempt is not None and attempt.outcome == "ok":
                invocation.finish_reasons = [reason]
            if reply.model:
                invocation.response_model_name = reply.model
            if reply.id is not None:
                invocation.response_id = reply.id
            if invocation.should_capture_content:
                invocation.output_messages = [
                    genai.OutputMessage(role="assistant", parts=_parts(reply.message), finish_reason=reason)
                ]
        if attempt is not None:
            self._measure(attempt)
        kind, said = _outcome(attempt)
        if kind:
            invocation.fail(genai.Error(said, kind))
        else:
            invocation.stop()

    def _measure(self, attempt: Attempt) -> None:
        invocation, usage = self.invocation, attempt.usage
        invocation.input_tokens = usage.input_tokens
        invocation.output_tokens = usage.output_tokens
        invocation.thinking_tokens = usage.reasoning_tokens
        invocation.data.usage_cache_read_input_tokens = usage.cache_read_tokens
        invocation.data.usage_cache_write_input_tokens = usage.cache_write_tokens
        invocation.attributes.update(_figures(attempt))
        if attempt.cost is not None:
            self.hook.cost.record(float(attempt.cost), self.labels)
        if attempt.waited is not None:
            self.hook.queue.record(attempt.waited, self.labels)


class _TracedRequest:
    """The span of one HTTP attempt that asks for no reply in words: vectors, a ranking, a batch, a file."""

    def __init__(self, of: _TracedCall, target: HookTarget) -> None:
        self.hook = of.hook
        operation = of.call.operation
        word = _PROVIDERS.get(target.kind, target.kind)
        self.labels = {"gen_ai.provider.name": word, "gen_ai.request.model": target.model}
        told: dict[str, Any] = {"asyncllm.provider": target.provider, "asyncllm.attempt": target.number}
        place: dict[str, Any] = {"server.address": target.server_address, "server.port": target.server_port}
        self.invocation = None
        self.span: Any = None
        if operation == "embed":
            self.invocation = of.hook.handler.embedding(
                word,
                request_model=target.model,
                server_address=target.server_address,
                server_port=target.server_port,
                context=of.context,
            )
            self.invocation.suspend()
            self.invocation.attributes.update(told)
            context = self.invocation.context
        else:
            known = {name: value for name, value in place.items() if value is not None}
            self.span = of.hook.tracer.start_span(
                f"{operation} {target.model}",
                of.context,
                SpanKind.CLIENT,
                {"gen_ai.operation.name": operation, **self.labels, **told, **known},
            )
            context = set_span_in_context(self.span, of.context)
        self.headers: Mapping[str, str] = {}
        if of.hook.propagate:
            carrier: dict[str, str] = {}
            otel_propagate.inject(carrier, context)
            self.headers = carrier

    @contextmanager
    def active(self) -> Iterator[None]:
        shown = use_span(self.span) if self.invocation is None else self.invocation.activate()
        with shown, suppress_http_instrumentation():
            yield

    def chunk(self) -> None:
        """There are no streams of this kind."""

    def ended(self, attempt: Attempt | None, reply: Response | None) -> None:
        told = _figures(attempt)
        kind, said = _outcome(attempt)
        invocation, span = self.invocation, self.span
        if invocation is not None:
            invocation.attributes.update(told)
            if attempt is not None:
                invocation.input_tokens = attempt.usage.input_tokens
            if kind:
                invocation.fail(genai.Error(said, kind))
            else:
                invocation.stop()
        else:
            span.set_attributes(told)
            if kind:
                span.set_attribute("error.type", kind)
                span.set_status(Status(StatusCode.ERROR, said))
            span.end()
        if attempt is not None and attempt.cost is not None:
            self.hook.cost.record(float(attempt.cost), self.labels)
        if attempt is not None and attempt.waited is not None:
            self.hook.queue.record(attempt.waited, self.labels)


def _figures(attempt: Attempt | None) -> dict[str, Any]:
    """What the conventions have no name for."""
    if attempt is None:
        return {}
    usage = attempt.usage
    told = {
        "http.response.status_code": attempt.status,
        "asyncllm.request_id": attempt.request_id,
        "asyncllm.usage.source": None if usage.source == "provider" else usage.source,
        "asyncllm.cost": None if attempt.cost is None else float(attempt.cost),
        "asyncllm.unpriced_reason": attempt.unpriced_reason,
        "asyncllm.queue.duration": attempt.waited,
    }
    return {name: value for name, value in told.items() if value is not None}


def _outcome(attempt: Attempt | None) -> tuple[str, str]:
    """The class and the sentence of what went wrong; two empty texts where nothing did."""
    if attempt is None:
        return "not_sent", "nothing was sent"
    if attempt.outcome == "ok":
        return "", ""
    if attempt.error is None:
        return attempt.outcome, attempt.outcome
    return type(attempt.error).__name__, _sentence(attempt.error)


class _TracedRun:
    """The span of one run of the tool loop."""

    def __init__(self, hook: OpenTelemetry, agent: str | None) -> None:
        self._hook = hook
        self._agent = agent
        self._invocation = hook.handler.invoke_local_agent(agent_name=agent)
        self._invocation.suspend()

    def active(self) -> AbstractContextManager[Any]:
        return self._invocation.activate()

    @contextmanager
    def tool(self, call: ToolCall) -> Iterator[Callable[[ToolResult], None]]:
        invocation = self._hook.handler.tool(
            call.name, tool_type="function", agent_name=self._agent, context=self._invocation.context
        )
        invocation.tool_call_id = call.id
        capture = invocation.should_capture_content
        if capture:
            invocation.arguments = call.raw_arguments

        def tell(result: ToolResult) -> None:
            if capture:
                invocation.tool_result = _text_of(result)

        with invocation:
            yield tell

    def ended(self, error: BaseException | None) -> None:
        if error is None:
            self._invocation.stop()
        else:
            self._invocation.fail(genai.Error(_sentence(error), type(error).__name__))


def _sentence(error: BaseException) -> str:
    """What is told of an error: the library's own sentences hold no key; of others only the class is known to be so."""
    return error.message if isinstance(error, AsyncLLMError) else type(error).__name__


def _message(message: Message) -> genai.InputMessage:
    return genai.InputMessage(role=message.role, parts=_parts(message))


def _parts(message: Message) -> list[Any]:
    return [found for part in message.content if (found := _part(part)) is not None]


def _part(part: Any) -> Any:
    """A part as the conventions have it; None where it is left out."""
    if isinstance(part, Text):
        return genai.TextPart(part.text)
    if isinstance(part, Refusal):
        return genai.TextPart(part.text)
    if isinstance(part, Reasoning):
        return genai.ReasoningPart(part.text) if part.text else None
    if isinstance(part, ToolCall):
        return genai.ToolCallRequestPart(
            part.arguments if part.arguments is not None else part.raw_arguments, part.name, part.id
        )
    if isinstance(part, ToolResult):
        return genai.ToolCallResponsePart(_text_of(part), part.call_id)
    if isinstance(part, (ProviderToolCall, ProviderToolResult)):
        return genai.TextPart(f"[{type(part).__name__}]")
    modality = _MODALITIES.get(type(part))
    if modality is None:
        return None
    if part.file_id is not None:
        return genai.FilePart(part.media_type, modality, part.file_id)
    if part.url is not None and not part.url.startswith("data:"):
        return genai.UriPart(part.media_type, modality, part.url.partition("?")[0])
    return genai.TextPart(f"[{modality}]")


def _text_of(result: ToolResult) -> str:
    return "\n".join(map(_result_text, result.content))


def _result_text(part: Any) -> str:
    if isinstance(part, Text):
        return part.text
    return str(part.value) if isinstance(part, Json) else f"[{type(part).__name__}]"
