"""Signatures of AWS: the published cases, and botocore's own on anything else."""

from __future__ import annotations

import asyncio
import datetime
import time
from typing import Any
from unittest import mock

import pytest
from botocore.auth import SIGNED_HEADERS_BLACKLIST, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from asyncllm._auth.sigv4 import AWSKeys, SigV4
from asyncllm._transport.base import Headers
from machine_speed import slowness

KEYS = AWSKeys(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.timezone.utc)
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
JSON = Headers([("content-type", "application/json")])


class Source:
    """Credentials that the test sets."""

    def __init__(self, keys: AWSKeys = KEYS) -> None:
        self.keys = keys

    async def get(self) -> AWSKeys:
        return self.keys

    async def refresh(self) -> bool:
        return False


def signer(source: Source | None = None, at: datetime.datetime = NOON, **options: Any) -> SigV4:
    return SigV4(source or Source(), region=options.pop("region", "us-east-1"), clock=at.timestamp, **options)


def sign(auth: SigV4, url: str, headers: Headers = JSON, body: bytes = b"", method: str = "POST") -> dict[str, str]:
    return dict(asyncio.run(auth.sign(method, url, headers, body)))


def by_botocore(
    method: str, url: str, headers: Headers, body: bytes, keys: AWSKeys, at: datetime.datetime, region: str
) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    with mock.patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        SigV4Auth(Credentials(keys.access_key, keys.secret_key, keys.token), "bedrock", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize(
    ("path", "signature"),
    [
        (
            "/model/us.anthropic.claude-sonnet-5-5-v1%3A0/converse",
            "5375826c139ec3557d1575e6e4279f5b1781ce77d65fd799bcd3951b2aad536f",
        ),
        (
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse",
            "7c73299abe6bff623c2903553b7502ccfced7c91f8fad4a3295f93ef83c8be93",
        ),
    ],
)
def test_known_signatures(path: str, signature: str) -> None:
    """Requests to Bedrock are signed as AWS expects, with an escaped model id and with an ARN."""
    signed = sign(signer(), HOST + path, body=b'{"messages":[]}')

    assert {
        "content-type": "application/json",
        "x-amz-date": "20261120T120000Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/bedrock/aws4_request, "
        f"SignedHeaders=content-type;host;x-amz-date, Signature={signature}",
    } == signed


segments = st.one_of(
    st.text("abcXYZ019-._~!$&'()*+,;=:@ %äß漢🦊", max_size=8),
    st.sampled_from(["", ".", "..", "%2F", "%3A", "%252F", "a%20b"]),
)
paths = st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts))
queries = st.one_of(st.just(""), st.text("abAB019-._~%=&+ä", min_size=1, max_size=20).map(lambda text: "?" + text))
names = st.one_of(
    st.sampled_from(
        [*SIGNED_HEADERS_BLACKLIST, "User-Agent", "X-Amzn-Trace-Id", "Content-Type", "X-Amz-Content-SHA256", "Date"]
    ),
    st.sampled_from(["x-amz-target", "X-Amz-Meta-B", "accept", "x-amz-date", "X-Amz-Security-Token", "Authorization"]),
    st.text("abcXYZ-019", min_size=1, max_size=10),
)
values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
hosts = st.sampled_from(
    [HOST, "https://EXAMPLE.com:8443", "https://example.com:443", "http://127.0.0.1:80", "http://[::1]:99"]
)
moments = st.datetimes(
    datetime.datetime(1990, 1, 1), datetime.datetime(2090, 1, 1), timezones=st.just(datetime.timezone.utc)
).map(lambda moment: moment.replace(microsecond=0))


@pytest.mark.slow
@given(
    method=st.sampled_from(["GET", "post", "PUT"]),
    url=st.tuples(hosts, paths, queries).map("".join),
    headers=st.lists(st.tuples(names, values), max_size=6, unique_by=lambda pair: pair[0].lower()).map(Headers),
    body=st.binary(max_size=300),
    keys=st.builds(
        AWSKeys,
        access_key=st.text("ABC123", min_size=1, max_size=20),
        secret_key=st.text("abc/+=9ä", min_size=1, max_size=40),
        token=st.none() | st.text("abc/+=", min_size=1, max_size=40),
    ),
    at=moments,
    region=st.sampled_from(["us-east-1", "eu-central-1"]),
)
@example("GET", f"{HOST}/a//b/../c/?b=2&a=1&a=0&flag", JSON, b"", KEYS, NOON, "us-east-1")
@example("GET", HOST, Headers([("x-a", " a   b\t c "), ("host", "other")]), b"", KEYS, NOON, "us-east-1")
def test_any_request_is_signed_as_botocore_signs_it(
    method: str, url: str, headers: Headers, body: bytes, keys: AWSKeys, at: datetime.datetime, region: str
) -> None:
    """For any path, query, headers, body, credentials and time, botocore gives the same headers."""
    if keys.token is None:  # what is left of other credentials is taken off here; botocore leaves it on
        headers = Headers([pair for pair in headers if pair[0].lower() != "x-amz-security-token"])
    signed = sign(signer(Source(keys), at, region=region), url, headers, body, method)

    assert by_botocore(method, url, headers, body, keys, at, region) == signed


def test_repeated_headers_are_signed_together() -> None:
    """Headers of one name are joined in their order, and all of them are sent."""
    headers = Headers([("x-a", "1"), ("X-A", " 2"), ("x-b", "")])
    signed = asyncio.run(signer().sign("GET", HOST, headers, b""))

    assert (
        by_botocore("GET", HOST, headers, b"", KEYS, NOON, "us-east-1")["authorization"]
        == dict(signed)["authorization"]
    )
    assert ["1", " 2"] == [value for name, value in signed if name == "x-a"]


def test_every_attempt_is_signed_anew() -> None:
    """A retry replaces time, token and signature of the attempt before it, and changed credentials are used at once."""
    now, source = [NOON.timestamp()], Source()
    auth = SigV4(source, region="us-east-1", clock=lambda: now[0])
    first = asyncio.run(auth.sign("POST", HOST, JSON, b"{}"))
    now[0] += 86_400
    source.keys = AWSKeys(access_key="OTHER", secret_key="s", token="t")
    again = asyncio.run(auth.sign("POST", HOST, first, b"{}"))

    assert len(again) == len(dict(again)) == len(first) + 1
    assert ("20261121T120000Z", "t") == (dict(again)["x-amz-date"], dict(again)["x-amz-security-token"])
    later = NOON + datetime.timedelta(days=1)
    assert sign(signer(source, later), HOST, JSON, b"{}") == dict(again)


def test_the_service_and_the_region_are_signed() -> None:
    """The scope names region and service."""
    signed = sign(signer(region="eu-west-1", service="bedrock-mantle"), HOST)
    assert "/20261120/eu-west-1/bedrock-mantle/aws4_request," in signed["authorization"]


def test_what_follows_from_urls_is_forgotten_in_time() -> None:
    """A thousand URLs leave no more than a few hundred remembered."""
    auth = signer()
    for number in range(1000):
        sign(auth, f"{HOST}/model/{number}/converse")
    assert 256 >= len(auth._urls)


def test_secrets_are_in_no_repr() -> None:
    """Neither the keys nor the signer show anything secret."""
    auth = signer(Source(AWSKeys(access_key="AKIAX", secret_key="canary", token="canary")))
    sign(auth, HOST)
    assert "SigV4(bedrock in us-east-1)" == repr(auth)
    assert "canary" not in repr(AWSKeys(access_key="AKIAX", secret_key="canary", token="canary"))
    assert not asyncio.run(auth.refresh())


@pytest.mark.slow
def test_signing_is_cheap() -> None:
    """A body of 300 bytes is signed in about 8 µs; the bound of 20 µs is for the best of several rounds."""
    auth, url = SigV4(Source(), region="us-east-1"), f"{HOST}/model/m/converse"
    headers = Headers([("content-type", "application/json"), ("accept", "application/json")])

    async def measure() -> float:
        began = time.process_time()
        for _ in range(1000):
            await auth.sign("POST", url, headers, b"x" * 300)
        return (time.process_time() - began) / 1000

    assert 20e-6 * slowness() > min(asyncio.run(measure()) for _ in range(5))
