"""Everything the simulator can say, asked and read by the library's own codecs: both sides speak the same format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from asyncllm import errors
from asyncllm._protocols.codec import Context
from asyncllm._providers.provider import Provider, Route
from asyncllm._providers.spec import build_host as build
from asyncllm._schema.accumulate import Accumulator
from asyncllm._schema.content import Reasoning
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request, ResponseFormat, Tool, ToolChoice
from asyncllm._schema.response import Response
from asyncllm.testing import Fault, Reply, Simulator
from recordings import context

pytestmark = pytest.mark.anyio

WEATHER = Tool(
    "get_weather",
    "Tells the weather.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name", "tags"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Speaker:
    """A host with a model whose rules it writes for."""

    kind: str
    model: str
    options: tuple[tuple[str, Any], ...] = ()
    wire: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.wire}" if self.wire else self.kind

    def host(self, sim: Simulator, key: str | None = None) -> Provider:
        """The provider as the simulator's own configuration makes it."""
        entry = {**sim.config()["providers"][self.kind], **dict(self.options)}
        secret = "access_token" if "access_token" in entry else "api_key"
        entry[secret] = SecretStr(key or entry[secret])
        return build(self.kind, self.kind, entry, {})

    def context(self, route: Route) -> Context:
        return context(self.kind, route.protocol.name, self.model)


SPEAKERS = [
    Speaker("openai", "gpt-5-mini"),
    Speaker("openai", "gpt-5.6-terra", (("api", "responses"),), "responses"),
    Speaker("anthropic", "claude-opus-4-8"),
    Speaker("gemini", "gemini-3.5-flash"),
    Speaker("bedrock", "us.anthropic.claude-opus-4-8-v1:0"),
    Speaker("bedrock", "us.anthropic.claude-opus-4-8-v1:0", (("api", "invoke"),), "invoke"),
    Speaker("vertex", "gemini-3.5-flash", wire="gemini"),
    Speaker("vertex", "claude-opus-4-8", wire="claude"),
    Speaker("vertex", "openai/gpt-oss-120b-maas", wire="chat"),
    Speaker("vertex", "openai/gpt-5.6-terra", wire="responses"),
    Speaker("azure", "gpt-5-mini"),
]


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    found: Speaker = request.param
    return found


@pytest.fixture(params=[False, True], ids=["unary", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=5) as running:
        yield running


async def ask(
    sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, *messages: Message, stream: bool, **more: Any
) -> Response:
    """Sends a request as the codec writes it, and reads the answer as the codec reads it."""
    lower, answer, route = await fetch(sim, http, speaker, *messages, stream=stream, **more)
    if not stream:
        return route.protocol.decode(200, lower, answer, speaker.context(route))
    return decoded(route, lower, _split(answer, 50), speaker.context(route))


async def fetch(
    sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, *messages: Message, key: str | None = None, **more: Any
) -> tuple[dict[str, str], bytes, Route]:
    """The headers and the body of an answer; the error where it was one."""
    host = speaker.host(sim, key)
    request = Request(model=speaker.model, messages=messages, **{"max_tokens": 1000, **more})
    route = host.resolve("chat", speaker.model, request)
    told = speaker.context(route)
    wire = route.protocol.encode(request, told)
    query = wire.query if route.query is None else route.query
    url = f"{host.base_url}{route.path or wire.path}" + (f"?{query}" if query else "")
    headers = await host.auth.sign(wire.method, url, (*host.headers.items(), *wire.headers), wire.body)
    answer = await http.request(wire.method, url, headers=headers, content=wire.body)
    lower = {name.lower(): value for name, value in answer.headers.items()}
    if answer.status_code >= 400:
        raise route.protocol.decode_error(answer.status_code, lower, answer.content, told)
    return lower, answer.content, route


def decoded(route: Route, headers: dict[str, str], chunks: Iterable[bytes], told: Context) -> Response:
    """The response of a stream."""
    framer, decoder, result = route.framing(), route.protocol.decoder(headers, told), Accumulator()
    for chunk in chunks:
        result.feed(decoder.feed(framer.feed(chunk)))
    result.feed(decoder.feed(framer.close()))
    result.feed(decoder.close())
    return result.response()


def _split(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


async def test_text_and_usage(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """Text, finish reason, model and usage arrive."""
    found = await ask(sim, http, speaker, Message.user("Count to 10"), stream=stream)
    assert ("1 2 3 4 5 6 7 8 9 10", "stop") == (found.text, found.finish_reason)
    assert found.model in (speaker.model, speaker.model.rpartition("/")[2])
    assert (3, 5, 8) == (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens)
    assert (speaker.name != "bedrock") == bool(found.id)


async def test_tools_there_and_back(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """A call arrives with its arguments, and its answer put into the history is accepted and quoted."""
    question = Message.user("How is the weather in Oslo?")
    first = await ask(sim, http, speaker, question, stream=stream, tools=(WEATHER,))
    (call,) = first.tool_calls
    assert ("tool_calls", "get_weather", {"city": "Oslo"}) == (first.finish_reason, call.name, call.arguments)
    history = (question, first.message, Message.tool(call.id, "3 C", name="get_weather"))
    second = await ask(sim, http, speaker, *history, stream=stream, tools=(WEATHER,))
    assert ("The tool answered: 3 C", "stop") == (second.text, second.finish_reason)


async def test_parallel_tools(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """Several calls in one answer are told apart, and all their answers accepted."""
    sim.behave("*", tool_calls=3)
    question = Message.user("How is the weather in Oslo?")
    more = {"tools": (WEATHER,), "tool_choice": ToolChoice("auto"), "parallel_tool_calls": True}
    if speaker.kind == "gemini":
        del more["parallel_tool_calls"]
    first = await ask(sim, http, speaker, question, stream=stream, **more)
    assert 3 == len({call.id for call in first.tool_calls})
    answers = [Message.tool(call.id, f"{at} C", name=call.name) for at, call in enumerate(first.tool_calls)]
    second = await ask(sim, http, speaker, question, first.message, *answers, stream=stream, **more)
    assert "The tool answered: 0 C 1 C 2 C" == second.text


async def test_reasoning(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """Reasoning is counted everywhere, and readable with a signature that is accepted back where the wire has it."""
    question = Message.user("How is the weather in Oslo?")
    first = await ask(sim, http, speaker, question, stream=stream, tools=(WEATHER,), reasoning="low")
    assert (speaker.name != "bedrock") == bool(first.usage.reasoning_tokens)
    assert (speaker.name not in ("openai", "azure")) == bool(first.reasoning)
    answer = Message.tool(first.tool_calls[0].id, {"degrees": 3}, name="get_weather")
    second = await ask(
        sim, http, speaker, question, first.message, answer, stream=stream, tools=(WEATHER,), reasoning="low"
    )
    assert '"degrees"' in second.text


async def test_redacted_reasoning(sim: Simulator, http: httpx.AsyncClient, stream: bool) -> None:
    """Encrypted reasoning arrives as such."""
    sim.behave("*", redacted=True)
    found = await ask(sim, http, SPEAKERS[1], Message.user("Hm?"), stream=stream, reasoning="low")
    assert isinstance(found.message.content[0], Reasoning)
    assert found.message.content[0].encrypted


async def test_structured_output(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """An answer that must fit a schema fits it."""
    wanted = ResponseFormat(schema=PERSON)
    found = await ask(sim, http, speaker, Message.user("Who?"), stream=stream, response_format=wanted)
    assert '{"name": "name", "tags": ["tags"]}' == found.text


async def test_limits(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """Token limits and stop sequences cut the answer and say so."""
    short = await ask(sim, http, speaker, Message.user("Count to 100"), stream=stream, max_tokens=16)
    assert ("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 2", "length") == (
        short.text,
        short.finish_reason,
    )
    if speaker.wire == "responses":  # which has no stop sequences
        return
    stopped = await ask(sim, http, speaker, Message.user("Count to 100"), stream=stream, stop=("5",), reasoning="none")
    assert ("1 2 3 4 ", "stop") == (stopped.text, stopped.finish_reason)


async def test_refusals(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """A refusal is no success: each wire's word for it is understood, or it is blocked content."""
    sim.behave("*", reply=Reply(refusal="I will not."))
    if speaker.model.startswith(
        "gemini-"
    ):  # it has no refusals: its filter leaves no content at all, which is an error
        with pytest.raises(errors.ContentBlockedError, match="I will not") as caught:
            await ask(sim, http, speaker, Message.user("Do evil"), stream=stream)
        assert "SAFETY" == caught.value.code
    else:
        found = await ask(sim, http, speaker, Message.user("Do evil"), stream=stream)
        assert found.finish_reason in ("refusal", "content_filter")
    sim.behave("*", reply=Reply(text="Well, ", finish="content_filter"))
    found = await ask(sim, http, speaker, Message.user("Do evil"), stream=stream)
    assert found.finish_reason in ("refusal", "content_filter")


async def test_cache(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """Numbers of a reply travel: cached tokens are part of the input on every wire."""
    sim.behave("*", reply=Reply(text="ok", input_tokens=100, output_tokens=7, cache_read_tokens=60))
    usage = (await ask(sim, http, speaker, Message.user("hi"), stream=stream)).usage
    assert (100, 7, 60) == (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens)


async def test_errors(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """Each status is the error it should be, with its waiting time."""
    expected = {
        400: errors.BadRequestError,
        401: errors.AuthenticationError,
        403: errors.PermissionDeniedError,
        404: errors.ModelNotFoundError,
        429: errors.RateLimitError,
        500: errors.ServerError,
        502: errors.ServerError,
        503: errors.OverloadedError,
        504: errors.ProviderTimeoutError,
    }
    for status, kind in expected.items():
        sim.on("*", Fault.status(status, retry_after=2, times=1))
        with pytest.raises(errors.AsyncLLMError) as caught:
            await ask(sim, http, speaker, Message.user("hi"), stream=stream)
        assert (status, kind, 2) == (status, type(caught.value), caught.value.retry_after)


@pytest.mark.parametrize(
    ("kind", "status", "code", "expected"),
    [
        ("openai", 429, "insufficient_quota", errors.BillingError),
        ("openai", 400, "context_length_exceeded", errors.ContextWindowExceededError),
        ("anthropic", 529, None, errors.OverloadedError),
        ("anthropic", 402, None, errors.BillingError),
        ("anthropic", 413, None, errors.RequestTooLargeError),
        ("anthropic", 429, "enforced_spend_limit_reached", errors.BillingError),
        ("gemini", 429, "GenerateRequestsPerDayPerProjectPerModel-FreeTier", errors.QuotaExhaustedError),
        ("gemini", 429, "GenerateRequestsPerMinutePerProjectPerModel", errors.RateLimitError),
        ("gemini", 400, "API_KEY_INVALID", errors.AuthenticationError),
        ("bedrock", 403, "ExpiredTokenException", errors.AuthenticationError),
        ("bedrock", 400, "ServiceQuotaExceededException", errors.QuotaExhaustedError),
        ("bedrock", 429, "ModelNotReadyException", errors.OverloadedError),
        ("bedrock", 408, None, errors.ProviderTimeoutError),
        ("bedrock", 424, None, errors.ServerError),
        ("azure", 400, "content_filter", errors.ContentBlockedError),
    ],
)
async def test_error_codes(
    sim: Simulator,
    http: httpx.AsyncClient,
    kind: str,
    status: int,
    code: str | None,
    expected: type[errors.AsyncLLMError],
) -> None:
    """Each provider's own codes are understood."""
    speaker = next(each for each in SPEAKERS if each.kind == kind)
    sim.on("*", Fault.status(status, code=code))
    with pytest.raises(expected) as caught:
        await ask(sim, http, speaker, Message.user("hi"), stream=False)
    assert expected is type(caught.value)


async def test_context_window(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """A prompt that does not fit is the error for that."""
    sim.behave("*", context_window=5)
    with pytest.raises(errors.ContextWindowExceededError):
        await ask(sim, http, speaker, Message.user("word " * 20), stream=stream)


async def test_unknown_models_and_wrong_keys(http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """What the provider would refuse is refused in its words."""
    async with Simulator(models=("other",)) as sim:
        with pytest.raises(errors.ModelNotFoundError):
            await ask(sim, http, speaker, Message.user("hi"), stream=stream)
    async with Simulator(require_key=True) as sim:
        with pytest.raises(errors.AuthenticationError):
            await ask(sim, http, speaker, Message.user("hi"), stream=stream, key="wrong-key-of-some-length")
        assert (await ask(sim, http, speaker, Message.user("hi"), stream=stream, key="sk-sim-x")).text


@pytest.mark.parametrize("after", [0, 2])
async def test_broken_streams(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, after: int) -> None:
    """Truncation, errors in the stream and broken bytes are what they should be."""
    expected = [
        (Fault.truncate(after_events=after or None, times=1), errors.StreamTruncatedError),
        (Fault.error_event(status=503, after_events=after, times=1), errors.OverloadedError),
        (Fault.error_event(status=429, after_events=after, times=1), errors.RateLimitError),
        (Fault.error_event(status=500, after_events=after, times=1), errors.ServerError),
        (Fault.malformed(after_events=after, times=1), errors.ProtocolError),
        (Fault.bad_utf8(after_events=after, times=1), errors.ProtocolError),
    ]
    for fault, kind in expected:
        sim.on("*", fault)
        with pytest.raises(errors.AsyncLLMError) as caught:
            await ask(sim, http, speaker, Message.user("Count to 20"), stream=True)
        assert (fault.kind, kind) == (fault.kind, type(caught.value))


@pytest.mark.parametrize("fault", [Fault.html(), Fault.empty(), Fault.malformed(), Fault.bad_utf8(), Fault.truncate()])
async def test_broken_bodies(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, fault: Fault) -> None:
    """A 200 that is not the protocol's is a protocol error."""
    sim.on("*", fault)
    with pytest.raises(errors.ProtocolError):
        await ask(sim, http, speaker, Message.user("hi"), stream=False)


async def test_heartbeats_are_skipped(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker, stream: bool) -> None:
    """Heartbeats and slow bytes change nothing."""
    sim.on("*", Fault.heartbeats(interval=0.001, seconds=0.005, after_events=1, times=1))
    sim.on("*", Fault.drip(size=64, interval=0.0, times=1))
    for _ in range(2):
        found = await ask(sim, http, speaker, Message.user("Count to 10"), stream=stream)
        assert "1 2 3 4 5 6 7 8 9 10" == found.text


async def test_every_byte_offset(sim: Simulator, http: httpx.AsyncClient, speaker: Speaker) -> None:
    """Wherever a stream is cut into reads, the same response comes out."""
    lower, body, route = await fetch(sim, http, speaker, Message.user("Hi"), stream=True, max_tokens=100)
    told = speaker.context(route)
    whole = decoded(route, lower, [body], told)
    for at in range(1, len(body), 23):
        found = decoded(route, lower, [body[:at], body[at:]], told)
        assert replace(whole, raw=None) == replace(found, raw=None)
