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
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .._auth.keys import HeaderKey
from .._auth.signing import Auth
from .._models.names import is_custom
from .._protocols.codec import JSONCodec, WireRequest
from .._schema.request import WITHOUT_TEXT
from ..errors import ConfigurationError, ProtocolError
from .counting import Counting, only
from .entry import api_of, base_url_of, find_key, max_tokens_of
from .listings import Access, Listing, ModelEntry, Page, Proof, dig, get, items, known, listed, moment, text, words
from .provider import Provider, Route
from .spec import ConfigKey, HostSpec, api_key

if TYPE_CHECKING:
    from .._protocols.anthropic import AnthropicDialect
    from .._protocols.batching import Batching
    from .._protocols.codec import WireProtocol
    from .._schema.request import Operation, Request

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


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host from the options of the entry and the environment.

    Args:
        name: what the configuration calls it.
        options: the keys of `HOST`, ``base_url``, ``max_tokens`` (asked for where a call says nothing), ``network``
            (for credential traffic).
        environ: the variables of `HOST`, ``AWS_ENDPOINT_URL_BEDROCK_RUNTIME``, and what AWS's chain reads.

    Raises:
        ConfigurationError: there is no region, two ways to say who we are, or an option is not what it must be.
    """
    api = api_of(name, options, HOST.keys["api"].choices)
    url = options.get("base_url") or _endpoint(URL_VARIABLE, environ)
    region = _region(name, options, environ, url)
    fips = "-fips" if _says_yes("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT", options, environ) else ""
    control = _control_plane(name, url, f"bedrock{fips}.{region}", environ)

    def storage() -> Provider:
        from .._auth.aws import find_credentials
        from .._auth.sigv4 import SigV4

        signing = SigV4(find_credentials(options, environ, options.get("network")), region=region, service="s3")
        s3 = environ.get("AWS_ENDPOINT_URL_S3") or f"https://s3.{region}.{_domain(region)}"
        return replace(provider, base_url=s3.rstrip("/"), auth=signing, urls={}, headers={})

    provider = Provider(
        name=name,
        kind="bedrock",
        base_url=base_url_of(name, url) if url else f"https://bedrock-runtime{fips}.{region}.{_domain(region)}",
        auth=_auth(name, options, environ, region),
        resolve=BedrockRoutes(max_tokens_of(name, options), invoke=api == "invoke").resolve,
        max_request_bytes=MAX_INVOKE_BYTES if api == "invoke" else None,
        listing=BedrockListing(base_url=control),
        batching=lambda model: _batching(),
        storage=storage,
        urls={"batch": control},
        counting=_counting,
        place=region,
    )
    return provider


def _batching() -> Batching:
    from .._protocols.converse.batch import BedrockBatching

    return BedrockBatching()


def _is_found(environ: Mapping[str, str]) -> bool:
    """Returns whether there is a role of the machine (IRSA, Pod Identity, ECS) or a profile, and a region."""
    if not any(all(environ.get(name) for name in names) for names in _SIGNS):
        return False
    return _find_region({}, environ, None) is not None


def _has_region(environ: Mapping[str, str]) -> bool:
    """Returns whether the environment names a region: AWS keys without one may be there for other services."""
    return _find_region({}, environ, _endpoint(URL_VARIABLE, environ)) is not None


_SIGNS = (
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_PROFILE",),
)


_SECRETS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
HOST = HostSpec(
    kind="bedrock",
    build=build,
    keys={
        "api_key": api_key("AWS_BEARER_TOKEN_BEDROCK"),
        "aws_access_key_id": ConfigKey(
            about="With aws_secret_access_key.", form="secret", variables=("AWS_ACCESS_KEY_ID",)
        ),
        "aws_secret_access_key": ConfigKey(
            about="With aws_access_key_id.", form="secret", variables=("AWS_SECRET_ACCESS_KEY",)
        ),
        "aws_session_token": ConfigKey(
            about="For temporary credentials.", form="secret", variables=("AWS_SESSION_TOKEN",)
        ),
        "profile_name": ConfigKey(about="A profile of the AWS configuration files.", signs_in=True),
        "region_name": ConfigKey(
            about="The AWS region.", variables=("AWS_REGION", "AWS_DEFAULT_REGION"), pattern=r"^[a-z0-9-]+$"
        ),
        "api": ConfigKey(about="converse or invoke (default converse).", choices=("converse", "invoke")),
    },
    found_by=(frozenset({"AWS_BEARER_TOKEN_BEDROCK"}), frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"})),
    found=_is_found,
    complete=_has_region,
    together=frozenset(_SECRETS),
    pairs=(("aws_access_key_id", "aws_secret_access_key"),),
    models=("global.anthropic.claude-haiku-5-5", "global.anthropic.claude-sonnet-5-5"),
    synonyms=("aws", "amazon", "aws_bedrock", "amazon_bedrock"),
    rank=4,
    wires=("converse", "anthropic"),
    example={"region_name": "us-east-1"},
)


def _endpoint(variable: str, environ: Mapping[str, str]) -> str | None:
    """Returns the URL that the environment sets for this service, or else the one it sets for all services."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return environ.get(variable) or environ.get("AWS_ENDPOINT_URL")


def _says_yes(setting: str, variable: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    from .._auth.aws_config import setting_of

    return (environ.get(variable) or setting_of(setting, options, environ) or "").lower() == "true"


def _find_region(options: Mapping[str, Any], environ: Mapping[str, str], url: str | None) -> Any:
    """Returns the region of the entry, the environment, the AWS profile or the URL; None if none names one."""
    region = HOST.look_up("region_name", options, environ)
    if not region:
        from .._auth.aws_config import setting_of

        region = setting_of("region", options, environ)
    if not region and url and (found := _IN_URL.search(url)):
        region = found[1]
    return region or None


def _region(name: str, options: Mapping[str, Any], environ: Mapping[str, str], url: str | None) -> str:
    region = _find_region(options, environ, url)
    if not region:
        raise ConfigurationError(
            f"providers.{name} has no region: set region_name, or the environment variable "
            f"{' or '.join(HOST.keys['region_name'].variables)}",
            provider=name,
        )
    if not _REGION.fullmatch(str(region)):
        raise ConfigurationError(f"providers.{name}.region_name must be like us-east-1, not {region!r}", provider=name)
    return str(region)


def _control_plane(name: str, url: str | None, host: str, environ: Mapping[str, str]) -> str:
    """Returns the URL that lists models: the control plane of the region, or the configured base URL."""
    own = _endpoint(CONTROL_URL_VARIABLE, environ)
    if own or url:
        return _RUNTIME.sub("//bedrock", base_url_of(name, own or url or ""), count=1)
    return f"https://{host}.{_domain(host.rpartition('.')[2])}"


def _counting(model: str) -> Counting | None:
    """Returns how tokens are counted. Bedrock counts only for the models of its own list."""
    return None if is_custom(model) else BedrockCounting()


def _domain(region: str) -> str:
    return next((domain for prefix, domain in _DOMAINS.items() if region.startswith(prefix)), _DOMAIN)


def _auth(name: str, options: Mapping[str, Any], environ: Mapping[str, str], region: str) -> Auth:
    own = [key for key in (*_SECRETS, "profile_name") if options.get(key) is not None]
    if own and options.get("api_key") is not None:
        raise ConfigurationError(
            f"providers.{name} holds both api_key and {own[0]}: keep the one to sign in with", provider=name
        )
    if not own:
        key, where = find_key(name, options, environ, HOST.keys["api_key"].variables, needed=False)
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


class BedrockRoutes:
    """Chooses the wire format by the model: Converse, or with ``invoke`` the vendor's own format if it is known here.

    Args:
        max_tokens: asked for where a call does not say.
        invoke: ``api: invoke``.
    """

    __slots__ = ("_claude", "_converse", "_invoke", "_max_tokens")

    def __init__(self, max_tokens: int | None, *, invoke: bool) -> None:
        from .._framing.eventstream import EventStreamFramer
        from .._protocols.converse import Converse, ConverseDialect

        self._invoke = invoke
        self._max_tokens = max_tokens
        self._converse = Route(protocol=Converse(ConverseDialect(max_tokens=max_tokens)), framing=EventStreamFramer)
        self._claude: WireProtocol | None = None

    def resolve(self, operation: Operation, model: str, request: Request | None) -> Route:
        """Returns the route of one request."""
        if not self._invoke or operation in WITHOUT_TEXT:
            return self._converse
        return self._to_invoke(model, request) or self._converse

    def _to_invoke(self, model: str, request: Request | None) -> Route | None:
        """Returns the route to InvokeModel, or None for a model whose own body is not known here."""
        from .._framing.invoke import InvokeFramer
        from .._protocols.aws_shapes import base_model, model_path
        from .._protocols.invoke import InvokeModel, family_of

        if base_model(model).startswith("anthropic."):
            if self._claude is None:
                from .._protocols.anthropic import AnthropicMessages

                self._claude = AnthropicMessages(_claude_dialect(self._max_tokens))
            streams = request is not None and request.stream
            path = model_path(model, "invoke-with-response-stream" if streams else "invoke")
            return Route(protocol=self._claude, path=path, framing=InvokeFramer)
        family = family_of(model)
        return None if family is None else Route(protocol=InvokeModel(family, self._max_tokens), framing=InvokeFramer)


def _claude_dialect(max_tokens: int | None) -> AnthropicDialect:
    """Bedrock takes one version of the Messages API for every Claude. For ids with a version it refuses a later one."""
    from .._protocols.anthropic import AnthropicDialect
    from .._protocols.aws_shapes import CODES, PHRASES, VAGUE

    most: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    return AnthropicDialect(
        version="bedrock-2023-05-31",
        sampling_version=None,
        version_in_body=True,
        model_in_body=False,
        stream_in_body=False,
        betas_in_body=True,
        file_ids=False,
        hosted_tools=(),
        compaction=False,
        codes=CODES,
        vague_codes=VAGUE,
        phrases=PHRASES,
        code_header="x-amzn-errortype",
        request_id_headers=("x-amzn-requestid",),
        **most,
    )


# --- the list of models ----------------------------------------------------------------------------------------------
#
# Bedrock's control plane: ``GET /foundation-models`` and ``GET /inference-profiles``, two chains at another host.
#
# A foundation model answers under its own id if it is offered on demand; newer ones answer only under the id of an
# inference profile (``us.anthropic...``), which stands for the model behind it and is listed besides. What is only to
# be provisioned, and application profiles (somebody's own), are left out. ``converse``, which recorded lists hold and
# botocore's model has not, is read for media only: its ``maxTokensMaximum`` is the whole window for some models and
# the bound of the output for others. Source: botocore 1.44.5 (``bedrock``), recorded lists, November 2026.

MODELS = "/foundation-models"
PROFILES = "/inference-profiles"
_PROFILES_QUERY = "maxResults=1000&type=SYSTEM_DEFINED"


class BedrockListing(Listing):
    """The lists of the control plane, whose ``base_url`` is ``https://bedrock.{region}.amazonaws.com``."""

    __slots__ = ()

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Asks what the account may do with the model. Without that permission: counts tokens, or asks for one word."""
        return ("model", "access", "count", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """Returns the requests for the models and for the first page of the profiles."""
        return get(MODELS), get(PROFILES, _PROFILES_QUERY)

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads one page of either list.

        Raises:
            ProtocolError: it is none.
        """
        if request.path == MODELS:
            return Page(entries=tuple([entry for item in items(value, "modelSummaries") if (entry := _model(item))]))
        entries = [entry for item in items(value, "inferenceProfileSummaries") if (entry := _profile(item))]
        token = dig(value, ("nextToken",))
        following = get(PROFILES, f"{_PROFILES_QUERY}&nextToken={quote(token, safe='')}") if token else None
        return Page(entries=tuple(entries), following=following)

    def lookup(self, model: str) -> WireRequest | None:
        """Returns the request for a model or a profile; None for a provisioned or imported model."""
        if is_custom(model):
            return None
        profile = ":inference-profile/" in model or _base_model(model) != model.rpartition("/")[2]
        kind = PROFILES if profile else MODELS
        return get(f"{kind}/{quote(model, safe='-._~')}")

    def access(self, model: str) -> WireRequest | None:
        """Returns the request for what this account may do with a model (of a profile: its model) in this region."""
        if is_custom(model):
            return None
        return get(f"/foundation-model-availability/{quote(_base_model(model), safe='-._~')}")

    def decode_access(self, value: Any) -> Access | None:
        """Reads the answer. A missing entitlement may come with the first call, so it does not count as a refusal."""
        if dig(value, ("regionAvailability",)) == "NOT_AVAILABLE":
            return "region"
        if dig(value, ("authorizationStatus",)) == "NOT_AUTHORIZED":
            return "no_access"
        return "granted" if dig(value, ("entitlementAvailability",)) == "AVAILABLE" else None

    def decode_one(self, value: Any) -> ModelEntry | None:
        """Reads one model or profile.

        Raises:
            ProtocolError: it is none.
        """
        details = dig(value, ("modelDetails",))
        if isinstance(details, Mapping):
            return _model(details)
        if text(value, "inferenceProfileId"):
            return _profile(value)
        raise ProtocolError("the answer about a model names none")


def _base_model(model: str) -> str:
    from .._protocols.aws_shapes import base_model

    return base_model(model)


def _model(item: Mapping[str, Any]) -> ModelEntry | None:
    name = text(item, "modelId")
    kinds = words(item.get("inferenceTypesSupported"))
    if not name or is_custom(name) or kinds == {"provisioned"}:
        return None
    status = dig(item, ("modelLifecycle", "status"))
    inputs = words(item.get("inputModalities"))
    documents = dig(item, ("converse", "userDocumentTypesSupported"))
    media = {"images": "image" in inputs, "video": "video" in inputs, "audio": bool(inputs & {"speech", "audio"})}
    return ModelEntry(
        name=name,
        created=moment(dig(item, ("modelLifecycle", "startOfLifeTime"))),
        deprecated=status == "LEGACY" if isinstance(status, str) else None,
        deprecated_since=moment(dig(item, ("modelLifecycle", "legacyTime"))),
        retires_at=moment(dig(item, ("modelLifecycle", "endOfLifeTime"))),
        chat="text" in words(item.get("outputModalities")) and (not kinds or "on_demand" in kinds),
        facts=known(
            **(media if inputs else {}),
            documents=bool(documents) if isinstance(documents, list) else None,
        ),
    )


def _profile(item: Mapping[str, Any]) -> ModelEntry | None:
    name = text(item, "inferenceProfileId")
    if not name or item.get("type") == "APPLICATION" or is_custom(text(item, "inferenceProfileArn")):
        return None
    arns = [text(model, "modelArn") for model in listed(item.get("models"))]
    behind = next((arn.rpartition("/")[2] for arn in arns if arn), None)
    return ModelEntry(name=name, behind=behind, created=moment(item.get("createdAt")), chat=True)


class BedrockCounting(Counting):
    """Counts tokens on Bedrock by the model behind a profile, because Bedrock refuses the id of the profile."""

    __slots__ = ()

    def derived_path(self, path: str, model: str) -> str:
        """The path of the model itself."""
        from .._protocols.aws_shapes import model_path

        return model_path(_base_model(model), "count-tokens")

    def body(self, body: dict[str, Any], model: str, json: JSONCodec) -> dict[str, Any]:
        """Returns the body of Converse as it is, and any body of InvokeModel as base64."""
        names = ("messages", "system", "toolConfig", "additionalModelRequestFields")
        if "anthropic_version" in body:
            return {"input": {"invokeModel": {"body": b64encode(json.dumps(body)).decode()}}}
        return {"input": {"converse": only(body, names)}}
