"""Amazon Bedrock: ``bedrock-runtime.{region}``, with an API key or signed requests.

``api: converse`` (the default) speaks one format to every model. ``api: invoke`` sends each vendor's own body where
there is one here: Claude's Messages, and the rows of `asyncllm._protocols.invoke`; every other model is reached through
Converse all the same, which the same IAM permission allows.

Who we are, the first that is there: ``api_key`` of the entry; its keys or its profile; ``AWS_BEARER_TOKEN_BEDROCK``;
then AWS's own chain (environment, profiles, SSO, web identity, containers, the instance). An entry that holds both a
key and AWS credentials is refused, as by the vendors' SDKs. Sources: botocore 1.44.5 (``endpoint-rule-set``,
``partitions``), anthropic SDK 2.11 (``lib/bedrock``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._auth.base import Auth
from .._auth.keys import HeaderKey
from .._framing.eventstream import EventStreamFramer
from .._framing.invoke import InvokeFramer
from .._models.counting import BedrockCounting, Counting
from .._models.listings.bedrock import BedrockListing
from .._models.names import is_custom
from .._protocols.anthropic import AnthropicDialect, AnthropicMessages
from .._protocols.converse import Converse, ConverseDialect
from .._protocols.converse.errors import CODES, PHRASES, VAGUE
from .._protocols.converse.models import base_model
from .._protocols.converse.path import model_path
from .._protocols.invoke import InvokeModel, family_of
from ..errors import ConfigurationError
from .base import Provider, Route
from .keys import base_url_of, find_key

KEY_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
URL_VARIABLE = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
CONTROL_URL_VARIABLE = "AWS_ENDPOINT_URL_BEDROCK"
MAX_INVOKE_BYTES = 25_000_000
"""The most that InvokeModel takes as a body; Converse names no bound."""

# The beginning of a region -> the domain of its partition; every other region is of the first one.
_DOMAINS: Mapping[str, str] = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}
_DOMAIN = "amazonaws.com"
_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]+)+-\d+")
_RUNTIME = re.compile(r"//bedrock-runtime\b")
_IN_URL = re.compile(r"//bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_OWN_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "profile_name")


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """The host, from the entry's options and what the environment adds.

    Args:
        name: what the configuration calls it.
        options: ``region_name``; ``api_key`` (a secret), or ``aws_access_key_id`` with ``aws_secret_access_key`` and
            perhaps ``aws_session_token`` (secrets), or ``profile_name``; ``base_url``; ``api`` (``converse`` or
            ``invoke``); ``max_tokens`` (asked for where a call does not say).
        environ: ``AWS_BEARER_TOKEN_BEDROCK``, ``AWS_REGION``, ``AWS_DEFAULT_REGION``,
            ``AWS_ENDPOINT_URL_BEDROCK_RUNTIME``, and what AWS's chain reads.

    Raises:
        ConfigurationError: there is no region, two ways to say who we are, or an option is not what it must be.
    """
    api = options.get("api") or "converse"
    if api not in ("converse", "invoke"):
        raise ConfigurationError(f"providers.{name}.api must be converse or invoke, not {api!r}", provider=name)
    most = options.get("max_tokens")
    if most is not None and (type(most) is not int or most < 1):
        raise ConfigurationError(
            f"providers.{name}.max_tokens must be a whole number of tokens, at least 1", provider=name
        )
    url = options.get("base_url") or environ.get(URL_VARIABLE)
    region = _region(name, options, environ, url)
    return Provider(
        name=name,
        kind="bedrock",
        base_url=base_url_of(name, url) if url else f"https://bedrock-runtime.{region}.{_domain(region)}",
        auth=_auth(name, options, environ, region),
        resolve=_Routes(most, invoke=api == "invoke"),
        max_request_bytes=MAX_INVOKE_BYTES if api == "invoke" else None,
        listing=BedrockListing(base_url=_control_plane(name, url, region, environ)),
        counting=_counting,
    )


def _region(name: str, options: Mapping[str, Any], environ: Mapping[str, str], url: str | None) -> str:
    region = options.get("region_name") or next((environ[key] for key in REGION_VARIABLES if environ.get(key)), None)
    if not region and url and (found := _IN_URL.search(url)):
        region = found[1]
    if not region:
        raise ConfigurationError(
            f"providers.{name} has no region: set region_name, or the environment variable "
            f"{' or '.join(REGION_VARIABLES)}",
            provider=name,
        )
    if not _REGION.fullmatch(str(region)):
        raise ConfigurationError(f"providers.{name}.region_name must be like us-east-1, not {region!r}", provider=name)
    return str(region)


def _control_plane(name: str, url: str | None, region: str, environ: Mapping[str, str]) -> str:
    """Where models are listed: beside the runtime endpoint, or wherever everything else is sent."""
    own = environ.get(CONTROL_URL_VARIABLE)
    if own or url:
        return _RUNTIME.sub("//bedrock", base_url_of(name, own or url or ""), count=1)
    return f"https://bedrock.{region}.{_domain(region)}"


def _counting(model: str) -> Counting | None:
    """How the tokens of a request are counted: only for the models that are in Bedrock's own list."""
    return None if is_custom(model) else BedrockCounting()


def _domain(region: str) -> str:
    return next((domain for prefix, domain in _DOMAINS.items() if region.startswith(prefix)), _DOMAIN)


def _auth(name: str, options: Mapping[str, Any], environ: Mapping[str, str], region: str) -> Auth:
    own = [key for key in _OWN_KEYS if options.get(key) is not None]
    if own and options.get("api_key") is not None:
        raise ConfigurationError(
            f"providers.{name} holds both api_key and {own[0]}: keep the one to sign in with", provider=name
        )
    if not own:
        key, where = find_key(name, options, environ, (KEY_VARIABLE,), needed=False)
        if key is not None:
            return HeaderKey(key, where=where)
    if ("aws_access_key_id" in own) != ("aws_secret_access_key" in own):
        raise ConfigurationError(
            f"providers.{name}: aws_access_key_id and aws_secret_access_key go together; one is missing", provider=name
        )
    # Here: who signs in with a key needs none of it.
    from .._auth.aws import find_credentials
    from .._auth.sigv4 import SigV4

    return SigV4(find_credentials(options, environ, options.get("network")), region=region)


class _Routes:
    """model, stream -> how the call travels."""

    __slots__ = ("_claude", "_converse", "_invoke", "_max_tokens")

    def __init__(self, max_tokens: int | None, *, invoke: bool) -> None:
        self._invoke = invoke
        self._max_tokens = max_tokens
        self._converse = Route(protocol=Converse(ConverseDialect(max_tokens=max_tokens)), framing=EventStreamFramer)
        self._claude = AnthropicMessages(_claude_dialect(max_tokens))

    def __call__(self, model: str, stream: bool) -> Route:
        if self._invoke:
            if base_model(model).startswith("anthropic."):
                path = model_path(model, "invoke-with-response-stream" if stream else "invoke")
                return Route(protocol=self._claude, path=path, framing=InvokeFramer)
            family = family_of(model)
            if family is not None:
                return Route(protocol=InvokeModel(family, self._max_tokens), framing=InvokeFramer)
        return self._converse


def _claude_dialect(max_tokens: int | None) -> AnthropicDialect:
    """Bedrock takes this one version for every Claude; a later one it refuses for models with a version in their id."""
    most: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    return AnthropicDialect(
        version="bedrock-2023-05-31",
        sampling_version=None,
        version_in_body=True,
        model_in_body=False,
        stream_in_body=False,
        betas_in_body=True,
        file_ids=False,
        codes=CODES,
        vague_codes=VAGUE,
        phrases=PHRASES,
        code_header="x-amzn-errortype",
        request_id_headers=("x-amzn-requestid",),
        **most,
    )
