"""Amazon Bedrock as a host."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm._config.kinds import KINDS
from asyncllm._framing.eventstream import EventStreamFramer
from asyncllm._framing.invoke import InvokeFramer
from asyncllm._providers.bedrock import build
from asyncllm._providers.spec import build_host as build_kind
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm._transport.base import Headers
from asyncllm.errors import ConfigurationError
from recordings import context

KEY = {"api_key": SecretStr("bedrock-api-key-test"), "region_name": "us-east-1"}
PAIR = {"aws_access_key_id": SecretStr("AKIDEXAMPLE"), "aws_secret_access_key": SecretStr("wJalrXUtnFEMI")}
REGION = {"region_name": "us-east-1"}


async def signed(options: dict[str, Any], environ: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of a signed request."""
    auth = build("b", options, environ or {}).auth
    headers = Headers((("content-type", "application/json"),))
    return dict(
        await auth.sign("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse", headers, b"{}")
    )


@pytest.mark.anyio
async def test_an_api_key_is_a_bearer_token() -> None:
    """The key is sent as it is, and never shown."""
    provider = build("aws", KEY, {})
    assert "Bearer bedrock-api-key-test" == (await signed(KEY))["authorization"]
    assert "bedrock-api-key-test" not in repr(provider)
    assert ("aws", "bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", None) == (
        provider.name,
        provider.kind,
        provider.base_url,
        provider.max_request_bytes,
    )


@pytest.mark.anyio
async def test_credentials_sign() -> None:
    """Keys sign for the service bedrock in the entry's region, and their session token travels along."""
    headers = await signed({**REGION, **PAIR, "aws_session_token": SecretStr("session")})
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-east-1/bedrock/aws4_request" in headers["authorization"]
    assert "session" == headers["x-amz-security-token"]


@pytest.mark.anyio
async def test_which_credential_counts() -> None:
    """What the entry holds goes before the environment's key, and that before the environment's credentials."""
    token = {"AWS_BEARER_TOKEN_BEDROCK": "from-env"}
    pair = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "s"}
    assert "Bearer bedrock-api-key-test" == (await signed(KEY, token))["authorization"]
    assert "AKIDEXAMPLE" in (await signed({**REGION, **PAIR}, token))["authorization"]
    assert "Bearer from-env" == (await signed(REGION, {**token, **pair}))["authorization"]
    assert "AKIDENV" in (await signed(REGION, pair))["authorization"]


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-central-1", "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", "https://bedrock-runtime.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "https://bedrock-runtime.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_regions(region: str, url: str) -> None:
    """Each partition has its domain."""
    assert url == build("b", {**KEY, "region_name": region}, {}).base_url


def test_where_the_region_and_the_address_come_from() -> None:
    """The entry, then the environment, then the address itself."""
    key = {"api_key": SecretStr("k")}
    environ = {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-east-2"}
    assert "https://bedrock-runtime.us-west-2.amazonaws.com" == build("b", key, environ).base_url
    environ.pop("AWS_REGION")
    assert "https://bedrock-runtime.us-east-2.amazonaws.com" == build("b", key, environ).base_url
    own = {**REGION, **PAIR, "base_url": "http://127.0.0.1:8080/"}
    assert ("http://127.0.0.1:8080", "SigV4(bedrock in us-east-1)") == (
        build("b", own, {}).base_url,
        repr(build("b", own, {}).auth),
    )
    named = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://bedrock-runtime-fips.us-west-1.amazonaws.com"}
    found = build("b", PAIR, named)
    assert (named["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"], "SigV4(bedrock in us-west-1)") == (
        found.base_url,
        repr(found.auth),
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"api_key": SecretStr("k")},
            "providers.b has no region: set region_name, or the environment variable AWS_REGION",
        ),
        ({**KEY, "region_name": "Virginia"}, "providers.b.region_name must be like us-east-1"),
        ({**KEY, "region_name": "us-east-1.evil.test/"}, "providers.b.region_name"),
        ({**KEY, "api": "chat"}, "providers.b.api must be one of converse, invoke"),
        ({**KEY, "max_tokens": 0}, "providers.b.max_tokens"),
        ({**KEY, **PAIR}, "holds both api_key and aws_access_key_id"),
        ({**KEY, "profile_name": "p"}, "holds both api_key and profile_name"),
        ({**REGION, "aws_access_key_id": SecretStr("a")}, "aws_access_key_id and aws_secret_access_key go together"),
        ({**KEY, "base_url": "ftp://x"}, "providers.b.base_url"),
        ({**KEY, "api_key": SecretStr("")}, "providers.b.api_key is empty"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], words: str) -> None:
    """A bad entry names the key that is wrong."""
    with pytest.raises(ConfigurationError, match=words):
        build("b", options, {})


@pytest.mark.parametrize(
    ("api", "model", "protocol", "framing"),
    [
        ("converse", "us.anthropic.claude-sonnet-4-6", "converse", EventStreamFramer),
        ("converse", "amazon.titan-text-lite-v1", "converse", EventStreamFramer),
        ("invoke", "us.anthropic.claude-sonnet-4-6", "anthropic", InvokeFramer),
        ("invoke", "amazon.titan-text-lite-v1", "invoke", InvokeFramer),
        ("invoke", "us.amazon.nova-2-lite-v1:0", "converse", EventStreamFramer),
    ],
)
def test_routes(api: str, model: str, protocol: str, framing: Any) -> None:
    """Converse is for every model; InvokeModel for those with a body of their own."""
    route = build("b", {**KEY, "api": api}, {}).resolve("chat", model, None)
    assert (protocol, framing) == (route.protocol.name, route.framing)


def test_claude_through_invoke() -> None:
    """The Messages body goes without model and stream, with its version and betas in it."""
    provider = build("b", {**KEY, "api": "invoke", "max_tokens": 50}, {})
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    for stream, operation in ((False, "invoke"), (True, "invoke-with-response-stream")):
        request = Request(
            model=model,
            messages=(Message.user("Hi"),),
            stream=stream,
            temperature=0.5,
            extra_headers={"anthropic-beta": "a"},
        )
        route = provider.resolve("chat", model, request)
        assert f"/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/{operation}" == route.path
        wire = route.protocol.encode(request, context("bedrock", "anthropic", model))
        assert {
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "Hi"}],
            "temperature": 0.5,
            "anthropic_beta": ["a"],
            "anthropic_version": "bedrock-2023-05-31",
        } == json.loads(wire.body)
        assert (("content-type", "application/json"),) == wire.headers
    assert 25_000_000 == provider.max_request_bytes


def test_max_tokens_of_the_entry() -> None:
    """What the entry says is asked for where a call does not."""
    provider = build("b", {**KEY, "max_tokens": 50}, {})
    request = Request(model="m", messages=(Message.user("Hi"),))
    wire = provider.resolve("chat", "m", None).protocol.encode(request, context("bedrock", "converse"))
    assert {"maxTokens": 50} == json.loads(wire.body)["inferenceConfig"]


def test_the_kind_is_known() -> None:
    """The configuration's table and this host speak of the same keys and APIs."""
    assert "bedrock" == build_kind("bedrock", "b", KEY, {}).kind
    kind = KINDS["bedrock"]
    for api in kind.keys["api"].choices:
        build("b", {**KEY, "api": api}, {})
    assert {"AWS_REGION", "AWS_DEFAULT_REGION"} == set(kind.keys["region_name"].variables)
    assert {"api_key", "region_name", "profile_name", "aws_session_token", *PAIR, "api"} == set(kind.keys)


@pytest.mark.slow
def test_a_key_needs_no_botocore() -> None:
    """Who signs in with a key never imports botocore, nor does who has only built the host."""
    script = (
        "import sys\n"
        "from pydantic import SecretStr\n"
        "from asyncllm._providers.bedrock import build\n"
        "build('b', {'api_key': SecretStr('k'), 'region_name': 'us-east-1'}, {})\n"
        "assert 'asyncllm._auth.sigv4' not in sys.modules\n"
        "build('b', {'region_name': 'us-east-1'}, {})\n"
        "assert not [name for name in sys.modules if name.startswith('botocore')]\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=180)  # our own words
    assert (0, "") == (done.returncode, done.stderr)
