"""The simulator's Bedrock: frames that botocore accepts, signatures, errors, the control plane."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from asyncllm._testing.record import Arrival
from asyncllm._testing.wires import aws_auth
from asyncllm._testing.wires.framings import EVENT_STREAM, message
from asyncllm.testing import Fault, ListedModel, Reply, Simulator, ToolUse

pytestmark = pytest.mark.anyio

MODEL = "us.anthropic.claude-sim-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
HI = {"messages": [{"role": "user", "content": [{"text": "Count to 9"}]}]}
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
USE = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}]}
RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"n": 3}}]}}]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=7) as running:
        yield running


def url(sim: Simulator, verb: str, model: str = MODEL) -> str:
    return f"{sim.url('bedrock')}/model/{quote(model, safe='-._~')}/{verb}"


async def converse(sim: Simulator, http: httpx.AsyncClient, *, stream: bool = False, **changes: Any) -> httpx.Response:
    return await http.post(url(sim, "converse-stream" if stream else "converse"), json=HI | changes)


def frames(body: bytes) -> list[tuple[dict[str, Any], Any]]:
    """(headers, payload) of each frame, as botocore reads them: it checks both checksums."""
    eventstream = pytest.importorskip("botocore.eventstream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(body)
    return [(event.headers, json.loads(event.payload)) for event in buffer]


def named(body: bytes) -> list[tuple[str, Any]]:
    return [(headers[":event-type"], payload) for headers, payload in frames(body)]


@pytest.mark.parametrize("model", [MODEL, ARN])
async def test_whole(sim: Simulator, http: httpx.AsyncClient, model: str) -> None:
    """An answer has its message, its usage and a request id; a model may be an ARN."""
    answer = await http.post(url(sim, "converse", model), json=HI)
    body = answer.json()
    assert [{"text": "1 2 3 4 5 6 7 8 9"}] == body["output"]["message"]["content"]
    assert ("end_turn", 8) == (body["stopReason"], body["usage"]["totalTokens"])
    assert 36 == len(answer.headers["x-amzn-requestid"])
    assert (model, "converse") == (sim.requests[0].model, sim.requests[0].wire)


async def test_stream(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Frames come in Bedrock's order, padded; text begins without a start, and the usage follows the stop."""
    answer = await converse(sim, http, stream=True)
    told = named(answer.content)
    expected = ["messageStart", *["contentBlockDelta"] * 3, "contentBlockStop", "messageStop", "metadata"]
    assert "application/vnd.amazon.eventstream" == answer.headers["content-type"]
    assert expected == [name for name, _ in told]
    assert "1 2 3 4 5 6 7 8 9" == "".join(payload["delta"]["text"] for name, payload in told if "Delta" in name)
    assert all("abc".startswith(payload["p"][:3]) for _, payload in told)
    assert {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}.items() <= told[-1][1]["usage"].items()


async def test_stream_of_a_call(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A call begins with its name and id, and its input comes in pieces; reasoning ends with its signature."""
    asked = {
        "messages": [{"role": "user", "content": [{"text": "call f"}]}],
        "toolConfig": {"tools": [TOOL], "toolChoice": {"tool": {"name": "f"}}},
        "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
    }
    told = named((await converse(sim, http, stream=True, **asked)).content)
    first = [payload.get("delta") for _, payload in told if payload.get("contentBlockIndex") == 0]
    assert "signature" in first[-2]["reasoningContent"]
    assert None is first[-1]
    begun = next(payload for name, payload in told if name == "contentBlockStart")
    assert (1, "f") == (begun["contentBlockIndex"], begun["start"]["toolUse"]["name"])
    assert {"stopReason": "tool_use"}.items() <= told[-2][1].items()
    whole = (await converse(sim, http, **asked)).json()["output"]["message"]
    answered = [*asked["messages"], whole, {"role": "user", "content": []}]
    call = whole["content"][1]["toolUse"]
    answered[-1]["content"] = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"json": {"n": 3}}]}}]
    second = await converse(sim, http, **{**asked, "messages": answered})
    assert 'The tool answered: {"n": 3}' == second.json()["output"]["message"]["content"][-1]["text"]
    whole["content"][0]["reasoningContent"]["reasoningText"]["text"] = "changed"
    refused = await converse(sim, http, **{**asked, "messages": answered})
    assert "Invalid `signature`" in refused.json()["message"]


async def test_settings(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Schemas, stop sequences, limits and marks for the cache are understood."""
    schema = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False})
    wanted = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "x", "schema": schema}}}}
    body = (await converse(sim, http, outputConfig=wanted)).json()
    assert '{"n": 1}' == body["output"]["message"]["content"][0]["text"]
    stop = {"inferenceConfig": {"stopSequences": ["5"]}, "additionalModelResponseFieldPaths": ["/stop_sequence"]}
    told = named((await converse(sim, http, stream=True, **stop)).content)
    ended = {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "5"}}
    assert ended.items() <= told[-2][1].items()
    system = [{"text": "long " * 100}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    first, second = [(await converse(sim, http, system=system)).json()["usage"] for _ in range(2)]
    assert (3, 125, [{"inputTokens": 125, "ttl": "1h"}]) == (
        first["inputTokens"],
        first["cacheWriteInputTokens"],
        first["cacheDetails"],
    )
    assert (125, 0) == (second["cacheReadInputTokens"], second["cacheWriteInputTokens"])
    sim.behave("*", reply=Reply(tool_calls=(ToolUse("f", "{broken"), ToolUse("f", "[1]"))))
    calls = (await converse(sim, http)).json()["output"]["message"]["content"]
    assert [{}, {}] == [call["toolUse"]["input"] for call in calls]
    sim.behave("*", reply=Reply(reasoning="Hm.", redacted=True, text=""))
    thinking = {"additionalModelRequestFields": {"thinking": {"type": "enabled"}}}
    (block,) = (await converse(sim, http, **thinking)).json()["output"]["message"]["content"]
    assert b"Hm." == b64decode(block["reasoningContent"]["redactedContent"])


async def test_invoke(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Claude's own body travels through InvokeModel; its events are wrapped in chunks, the last one with figures."""
    whole = (await http.post(url(sim, "invoke"), json=CLAUDE)).json()
    assert ("message", "end_turn") == (whole["type"], whole["stop_reason"])
    answer = await http.post(url(sim, "invoke-with-response-stream"), json=CLAUDE)
    told = [json.loads(b64decode(payload["bytes"])) for name, payload in named(answer.content) if name == "chunk"]
    assert ("message_start", "message_stop") == (told[0]["type"], told[-1]["type"])
    assert "ping" not in {event["type"] for event in told}
    assert 1 == told[-1]["amazon-bedrock-invocationMetrics"]["inputTokenCount"]
    text = "".join(event["delta"].get("text", "") for event in told if event["type"] == "content_block_delta")
    assert whole["content"][0]["text"] == text
    for changes, words in (
        ({"model": "x"}, "model: Extra inputs"),
        ({"stream": True}, "stream: Extra inputs"),
        ({"anthropic_version": None}, "anthropic_version: Field required"),
        ({"anthropic_version": "2026-10-21"}, "Invalid API version"),
        ({"messages": []}, "at least one message"),
    ):
        refused = await http.post(url(sim, "invoke"), json=CLAUDE | changes)
        assert (400, True) == (refused.status_code, words in refused.json()["message"])
    assert 400 == (await http.post(url(sim, "invoke"), content=b"[]")).status_code


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, None, "ValidationException"),
        (400, "ServiceQuotaExceededException", "ServiceQuotaExceededException"),
        (403, "ExpiredTokenException", "ExpiredTokenException"),
        (404, None, "ResourceNotFoundException"),
        (418, None, "ValidationException"),
        (424, None, "ModelErrorException"),
        (429, None, "ThrottlingException"),
        (502, None, "InternalServerException"),
        (503, None, "ServiceUnavailableException"),
    ],
)
async def test_errors(sim: Simulator, http: httpx.AsyncClient, status: int, code: str | None, expected: str) -> None:
    """The code of an error is in a header, its message in the body."""
    sim.on("*", Fault.status(status, code=code, headers={"x-amz-retry-after": "1500"}))
    for verb, body in (("converse", HI), ("converse-stream", HI), ("invoke", CLAUDE)):
        answer = await http.post(url(sim, verb), json=body)
        assert (status, expected) == (answer.status_code, answer.headers["x-amzn-errortype"].partition(":")[0])
        assert answer.json()["message"]
        assert "1500" == answer.headers["x-amz-retry-after"]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, None, "throttlingException"),
        (500, None, "internalServerException"),
        (503, None, "serviceUnavailableException"),
        (424, None, "modelStreamErrorException"),
        (400, None, "validationException"),
        (403, None, "validationException"),
        (504, None, "modelTimeoutException"),
        (500, "NobodyKnowsException", "internalServerException"),
    ],
)
async def test_exception_frames(
    sim: Simulator, http: httpx.AsyncClient, status: int, code: str | None, expected: str
) -> None:
    """An error in a stream is an exception frame inside a 200; in a whole answer it is the error's body."""
    sim.on("*", Fault.error_event(status=status, code=code, message="Oh.", after_events=1))
    answer = await converse(sim, http, stream=True)
    headers, payload = frames(answer.content)[-1]
    assert (200, "exception", expected) == (answer.status_code, headers[":message-type"], headers[":exception-type"])
    assert {"message": "Oh."} == payload
    assert ["messageStart", "contentBlockDelta"] == [h[":event-type"] for h, _ in frames(answer.content)[:-1]]
    assert {"message": "Oh."} == (await converse(sim, http)).json()


async def test_broken_frames(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A malformed frame has a checksum that does not fit; broken text has one that does."""
    eventstream = pytest.importorskip("botocore.eventstream")
    sim.on("*", Fault.malformed(after_events=1, times=1))
    with pytest.raises(eventstream.ChecksumMismatch):
        frames((await converse(sim, http, stream=True)).content)
    for verb, body in (("converse-stream", HI), ("invoke-with-response-stream", CLAUDE)):
        sim.on("*", Fault.bad_utf8(after_events=1, times=1))
        buffer = eventstream.EventStreamBuffer()
        buffer.add_data((await http.post(url(sim, verb), json=body)).content)
        payloads = [event.payload for event in buffer]
        if verb != "converse-stream":
            payloads = [b64decode(json.loads(payload)["bytes"]) for payload in payloads]
        assert 1 == sum(b"\xff\xfe" in payload for payload in payloads)


async def test_huge_frame(sim: Simulator, http: httpx.AsyncClient) -> None:
    """A huge frame is of a kind that nobody knows, and well-formed."""
    sim.on("*", Fault.huge(size=2**20))
    told = named((await converse(sim, http, stream=True)).content)
    assert 2**20 == len(next(payload["p"] for name, payload in told if name == "padding"))
    assert "metadata" == told[-1][0]
    assert 2**20 < sum(map(len, EVENT_STREAM.filler(2**20)))


async def test_there_are_no_heartbeats(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Where others send heartbeats, Bedrock is silent."""
    whole = (await converse(sim, http, stream=True)).content
    sim.on("*", Fault.heartbeats(interval=0.001, seconds=0.003, after_events=1))
    assert len(named(whole)) == len(named((await converse(sim, http, stream=True)).content))


def test_the_bytes_of_a_frame() -> None:
    """A frame is the same, byte for byte, as one that botocore was seen to accept."""
    expected = bytes.fromhex(
        "0000009e00000057fe1b824f0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d74"
        "7970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c"
        "6f636b496e646578223a302c2264656c7461223a7b2274657874223a224869227d2c2270223a22616263227d9343f010"
    )
    assert expected == message("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abc"}')


@pytest.mark.parametrize(
    ("path", "signature"),
    [
        (
            "/model/us.anthropic.claude-sonnet-5-5-v1%3A0/converse",
            "5375826c139ec3557d1575e6e4279f5b1781ce77d65fd799bcd3951b2aad536f",
        ),
        (f"/model/{quote(ARN, safe='')}/converse", "7c73299abe6bff623c2903553b7502ccfced7c91f8fad4a3295f93ef83c8be93"),
    ],
)
def test_known_signatures(monkeypatch: pytest.MonkeyPatch, path: str, signature: str) -> None:
    """Signatures that botocore made are accepted, and others are not."""
    monkeypatch.setattr(aws_auth, "SECRET", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

    def arrival(signature: str, body: bytes = b'{"messages":[]}') -> Arrival:
        scope = "AKIDEXAMPLE/20261120/us-east-1/bedrock/aws4_request"
        signed = f"Credential={scope}, SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        headers = {
            "content-type": "application/json",
            "host": "bedrock-runtime.us-east-1.amazonaws.com",
            "x-amz-date": "20261120T120000Z",
            "authorization": f"AWS4-HMAC-SHA256 {signed}",
        }
        place = {"provider": "bedrock", "method": "POST", "path": path, "query": "", "target": path, "connection": 1}
        return Arrival(headers=headers, body=None, content=body, **place)

    assert None is aws_auth.check(arrival(signature), ("AKID*",))
    for wrong in (arrival("0" * 64), arrival(signature, b"{}")):
        problem = aws_auth.check(wrong, ("AKID*",))
        assert problem
        assert "InvalidSignatureException" == problem.code
        assert None is aws_auth.check(wrong, None)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("Bearer wrong", "AccessDeniedException"),
        ("AWS4-HMAC-SHA256 Credential=me", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential={}/bedrock-runtime/aws4_request", "InvalidSignatureException"),
        ("AWS4-HMAC-SHA256 Credential={}/bedrock/aws4_request", "UnrecognizedClientException"),
    ],
)
async def test_wrong_credentials(http: httpx.AsyncClient, header: str | None, code: str) -> None:
    """Whoever cannot prove who they are is told so in AWS's words."""
    async with Simulator(require_key=True) as sim:
        headers = {"x-amz-date": "20261120T120000Z"}
        if header is not None:
            tail = f", SignedHeaders=host;x-amz-date, Signature={'0' * 64}" if "{}" in header else ""
            headers["authorization"] = header.format("somebody/20261120/us-east-1") + tail
        answer = await http.post(url(sim, "converse"), json=HI, headers=headers)
        assert (403, code) == (answer.status_code, answer.headers["x-amzn-errortype"].partition(":")[0])


async def test_signed_by_botocore(http: httpx.AsyncClient) -> None:
    """What botocore signs is accepted, with a query as well."""
    auth = pytest.importorskip("botocore.auth")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    async with Simulator(require_key=True) as sim:
        signer = auth.SigV4Auth(Credentials("sk-sim-id", aws_auth.SECRET, "session"), "bedrock", "eu-west-1")
        body = json.dumps(HI).encode()
        listing = f"{sim.url('bedrock')}/inference-profiles?type=SYSTEM_DEFINED&maxResults=5"
        for method, address, data in (("POST", url(sim, "converse", ARN), body), ("GET", listing, b"")):
            request = AWSRequest(method, address, data=data, headers={"Content-Type": "application/json"})
            signer.add_auth(request)
            answer = await http.request(method, address, content=data, headers=dict(request.headers))
            assert 200 == answer.status_code


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"messages": []}, "messages is empty"),
        ({"messages": [{"role": "tool", "content": []}]}, "Value 'tool'"),
        ({"messages": [{"role": "user", "content": []}]}, "is empty"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "must set one of"),
        ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "is blank"),
        ({"messages": [{"role": "assistant", "content": [{"text": "hi"}]}]}, "must start with a user message"),
        ({"model": "x"}, "Unknown field"),
        ({"inferenceConfig": {"temperature": 2}}, "Value '2' at 'inferenceConfig.temperature'"),
        ({"inferenceConfig": {"maxTokens": 0}}, "Value '0' at 'inferenceConfig.maxTokens'"),
        ({"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": {}}}}}}, "must be a string"),
        ({"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}}, "not a valid JSON schema"),
        ({"messages": [*HI["messages"], USE, RESULT]}, "toolConfig field must be defined"),
        ({"messages": [*HI["messages"], USE], "toolConfig": {"tools": [TOOL]}}, "Expected toolResult blocks"),
        ({"messages": [*HI["messages"], RESULT], "toolConfig": {"tools": [TOOL]}}, "exceeds the number of toolUse"),
        ({"toolConfig": {"tools": []}}, "at least one tool"),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}}, "must be a JSON object"),
        ({"toolConfig": {"tools": [TOOL], "toolChoice": {"none": {}}}}, "auto, any, tool"),
    ],
)
async def test_refused(sim: Simulator, http: httpx.AsyncClient, changes: Any, words: str) -> None:
    """What Converse would refuse is a ValidationException that says why."""
    answer = await converse(sim, http, **changes)
    assert (400, True) == (answer.status_code, answer.headers["x-amzn-errortype"].startswith("ValidationException:"))
    assert words in answer.json()["message"]


async def test_tool_choices(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Any tool can be demanded; Claude's own words forbid them, or several at once."""
    sim.behave("*", tool_calls=2)
    demanded = {"tools": [TOOL], "toolChoice": {"any": {}}}
    for more, calls in (
        ({}, 2),
        ({"tool_choice": {"disable_parallel_tool_use": True}}, 1),
    ):
        body = (await converse(sim, http, toolConfig=demanded, additionalModelRequestFields=more)).json()
        assert calls == len(body["output"]["message"]["content"])
    forbidden = {"additionalModelRequestFields": {"tool_choice": {"type": "none"}}}
    sim.behave("*", tool_use="always")
    assert "end_turn" == (await converse(sim, http, toolConfig={"tools": [TOOL]}, **forbidden)).json()["stopReason"]


async def test_counts(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Tokens are counted of a conversation, or of Claude's own body."""
    for wrapped in ({"converse": HI}, {"invokeModel": {"body": b64encode(json.dumps(CLAUDE).encode()).decode()}}):
        answer = await http.post(url(sim, "count-tokens"), json={"input": wrapped})
        assert answer.json()["inputTokens"] >= 3
    assert 400 == (await http.post(url(sim, "count-tokens"), json={})).status_code
    assert 400 == (await http.post(url(sim, "count-tokens"), content=b"x")).status_code
    assert 404 == (await http.post(url(sim, "embed"), json={})).status_code


async def test_control_plane(http: httpx.AsyncClient) -> None:
    """Foundation models, inference profiles and fine-tuned models are lists of their own."""
    models = ["amazon.nova-sim", MODEL, ARN, ListedModel("mine", base="amazon.nova-sim")]
    async with Simulator(models=models) as sim:
        base = sim.url("bedrock")
        (nova,) = (await http.get(f"{base}/foundation-models?byProvider=amazon")).json()["modelSummaries"]
        assert ("amazon.nova-sim", {"status": "ACTIVE", "startOfLifeTime": "2026-06-01T00:00:00Z"}) == (
            nova["modelId"],
            nova["modelLifecycle"],
        )
        assert [] == (await http.get(f"{base}/foundation-models?byProvider=meta")).json()["modelSummaries"]
        page = (await http.get(f"{base}/inference-profiles?maxResults=1")).json()
        rest = (await http.get(f"{base}/inference-profiles?nextToken={page['nextToken']}")).json()
        found = [each["inferenceProfileSummaries"][0]["inferenceProfileId"] for each in (page, rest)]
        assert [MODEL, "abc123"] == found
        applied = (await http.get(f"{base}/inference-profiles?type=APPLICATION")).json()["inferenceProfileSummaries"]
        assert ["abc123"] == [each["inferenceProfileId"] for each in applied]
        (tuned,) = (await http.get(f"{base}/custom-models")).json()["modelSummaries"]
        assert ("mine", "FINE_TUNING") == (tuned["modelName"], tuned["customizationType"])
        details = await http.get(f"{base}/foundation-models/amazon.nova-sim")
        assert "amazon.nova-sim" == details.json()["modelDetails"]["modelId"]
        profile = await http.get(f"{base}/inference-profiles/{quote(ARN, safe='')}")
        assert "APPLICATION" == profile.json()["type"]
        assert "ValidationException" in (await http.get(f"{base}/foundation-models/x")).headers["x-amzn-errortype"]
        for verb, body in (("converse", HI), ("invoke", CLAUDE)):
            unknown = await http.post(url(sim, verb, "x"), json=body)
            assert "The provided model identifier is invalid." == unknown.json()["message"]
            sim.behave("*", context_window=0)
            assert "Input is too long" in (await http.post(url(sim, verb), json=body)).json()["message"]
            sim.behave("*", context_window=None)
