"""Vertex AI (Gemini Enterprise Agent Platform): one host, four wire formats. The model's name decides.

==============================================  ==========================================  ========================
model                                           path below ``projects/P/locations/L``       format
==============================================  ==========================================  ========================
``gemini-...``, any other bare name,            ``publishers/google/models/M:generate...``  Gemini
``google/...``, ``publishers/...``,             (or the resource itself)
``endpoints/...``, ``projects/...``
``claude-...``, ``anthropic/...``               ``publishers/anthropic/models/M:rawPredict``  Messages
``gpt-...``, ``openai/gpt-...``                 ``publishers/openai/v1/responses``          Responses
``mistralai/...``, ``ai21/...``                 ``publishers/P/models/M:rawPredict``        chat completions
any other ``publisher/model``, ``gpt-oss``      ``endpoints/openapi/chat/completions``      chat completions
==============================================  ==========================================  ========================

A location is a region, ``us`` or ``eu`` (several regions), or ``global``; each sort has its own host. Models live in
some of them only. Google answers for its partners with errors of its own as well, so their codes are known to every
format. Sources: google-genai 3.4.0 (_api_client.py, _transformers.py), anthropic 2.11.0 (lib/vertex), openai 3.52.0
(providers/vertex.py), litellm 1.109.1 (vertex_ai), November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import errors
from .._auth.keys import HeaderKey
from .._protocols.codec import WireRequest
from .._schema.request import WITHOUT_TEXT
from ..errors import BadRequestError, ConfigurationError, ProtocolError
from .anthropic import AnthropicCounting
from .compatible import dialect_of
from .counting import Counting
from .entry import base_url_of, max_tokens_of
from .gemini import GeminiCounting
from .listings import Listing, ModelEntry, Page, Proof, dig, get, items
from .provider import Provider, Route
from .spec import ConfigKey, HostSpec

if TYPE_CHECKING:
    from .._protocols.anthropic import AnthropicDialect
    from .._protocols.batching import Batching
    from .._protocols.codec import WireProtocol
    from .._protocols.openai_chat import ChatDialect
    from .._schema.request import Operation, Request

_IN_BATCHES = ("gemini", "anthropic")
LOCATION = "global"
"""Where models are asked when nothing says where, as in Google's SDK."""
URL_VARIABLE = "GOOGLE_VERTEX_BASE_URL"
RANKING_URL = "https://discoveryengine.googleapis.com"
"""Where documents are ranked, whatever the location."""
VERSION = "v1beta1"
"""Of Gemini; partner models are served by ``v1``, but AI21's."""
CLAUDE_SAMPLING_VERSION = "vertex-2023-10-16"
"""Of the Messages format, where ``temperature`` and its like are asked for: 2026-10-21 has none."""

_PROJECT = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.:-]*")
_LOCATION = re.compile(r"[a-z0-9-]+")
_VERSION = re.compile(r"v\d+(?:alpha|beta)?\d*")
_PUBLISHED = re.compile(r"publishers/([^/]+)/models/([^/]+)")
# The publishers whose own body is sent as it is (``rawPredict``), and the API version of their paths.
_RAW_VERSIONS: Mapping[str, str] = {"anthropic": "v1", "mistralai": "v1", "ai21": "v1beta1"}

GOOGLE_CODES: Mapping[str, type[errors.AsyncLLMError]] = {
    "resource_exhausted": errors.RateLimitError,
    "unauthenticated": errors.AuthenticationError,
    "permission_denied": errors.PermissionDeniedError,
    "not_found": errors.ModelNotFoundError,
    "unavailable": errors.OverloadedError,
    "deadline_exceeded": errors.ProviderTimeoutError,
    "internal": errors.ServerError,
}
"""google.rpc's words that decide by themselves, for the formats that are not Google's."""


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host from the options of the entry and the environment.

    Args:
        name: what the configuration calls it.
        options: the keys of `HOST`, ``base_url`` (the host alone), ``max_tokens`` (asked for where a call does not say
            and the format demands a number), ``network`` (for credential traffic).
        environ: the variables of `HOST`, ``GOOGLE_VERTEX_BASE_URL``, and where Google's credentials are.

    Raises:
        ConfigurationError: there is no project, or an option is not what it must be.
    """
    from .._auth.google import GoogleAuth, find_auth, find_project  # here: other hosts need none of it
    from .._auth.google_metadata import on_google

    key = options.get("api_key")
    if key is not None:
        return _express(name, key, options, environ)
    project = find_project(options, environ) or HOST.look_up("project_id", options, environ)
    if not project and (options.get("access_token") is not None or not on_google(environ)):
        raise _no_project(name)
    location = HOST.look_up("location", options, environ) or LOCATION
    if project:
        _check(name, "project_id", project, _PROJECT, "my-project-1")
    _check(name, "location", location, _LOCATION, "us-central1, us, eu or global")
    url = options.get("base_url") or environ.get(URL_VARIABLE) or host_of(location)
    routes = VertexRoutes(project or "", location, _version(name, options, environ), max_tokens_of(name, options))
    auth = find_auth(options, environ, options.get("network"))

    async def ask_machine() -> None:
        if not routes.project:
            found = await auth.project() if isinstance(auth, GoogleAuth) else None
            if not found:
                raise _no_project(name)
            routes.begin(found)

    def storage() -> Provider:
        at = environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
        return replace(provider, base_url=at.rstrip("/"), urls={})

    provider = Provider(
        name=name,
        kind="vertex",
        base_url=_bare(name, base_url_of(name, url)),
        auth=auth,
        resolve=routes.resolve,
        find_out=None if project else ask_machine,
        listing=VertexListing(),
        counting=routes.counting,
        place=location,
        batching=lambda model: _batching(routes, model),
        storage=storage,
        urls={"rerank": RANKING_URL} if url == host_of(location) else {},
    )
    return provider


def _batching(routes: VertexRoutes, model: str) -> Batching | None:
    """Returns how batches are made: for Gemini and Claude. No jobs of other publishers are known here."""
    from .._protocols.gemini.cloud_batch import VertexBatching

    wire = routes.resolve("chat", model, None).protocol
    return VertexBatching(routes.parent, wire.name == "anthropic", wire) if wire.name in _IN_BATCHES else None


def _no_project(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"providers.{name} has no project: set project_id, or the environment variable GOOGLE_CLOUD_PROJECT",
        provider=name,
    )


def _is_found(environ: Mapping[str, str]) -> bool:
    """Returns whether this is a machine of Google's, whose metadata server gives credentials and a project."""
    from .._auth.google_metadata import on_google

    return on_google(environ)


def _express(name: str, key: Any, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host of express mode: only an API key, no project, only Google's own models."""
    from .._protocols.gemini import Gemini, GeminiDialect

    url = options.get("base_url") or environ.get(URL_VARIABLE) or host_of("global")
    dialect = GeminiDialect.vertex(None, None, version=_version(name, options, environ))
    route, counting = Route(protocol=Gemini(dialect)), GeminiCounting()
    return Provider(
        name=name,
        kind="vertex",
        base_url=_bare(name, base_url_of(name, url)),
        auth=HeaderKey(key, header="x-goog-api-key", prefix="", where=f"providers.{name}.api_key"),
        resolve=lambda operation, model, request: route,
        listing=VertexListing(),
        counting=lambda model: counting,
    )


HOST = HostSpec(
    kind="vertex",
    build=build,
    keys={
        "access_token": ConfigKey(about="An OAuth token, used as it is.", form="secret"),
        "api_key": ConfigKey(about="vertex: a key of express mode; Gemini only, without a project.", form="secret"),
        "credentials_path": ConfigKey(about="A Google credentials file.", form="path"),
        "project_id": ConfigKey(
            about="The Google Cloud project.",
            variables=("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"),
            pattern=r"^[a-zA-Z0-9_-][a-zA-Z0-9_.:-]*$",
        ),
        "location": ConfigKey(
            about="A region, a multi-region (us, eu) or global.",
            variables=("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"),
            pattern=r"^[a-z0-9-]+$",
        ),
        "api_version": ConfigKey(
            about="The version in Gemini's paths (v1, v1beta1).", variables=("GOOGLE_GENAI_API_VERSION",)
        ),
    },
    found_by=(frozenset({"GOOGLE_APPLICATION_CREDENTIALS"}), frozenset({"GOOGLE_CLOUD_PROJECT"})),
    found=_is_found,
    models=("gemini-3.8-flash",),
    synonyms=("vertexai", "vertex_ai", "google_vertex", "gcp"),
    rank=6,
    wires=("gemini", "anthropic", "openai_chat", "openai_responses"),
    example={"project_id": "sim-project", "location": "us-central1"},
)


def host_of(location: str) -> str:
    """Returns the URL of the host that serves a location."""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if "-" not in location:  # several regions at once: us, eu
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _check(name: str, option: str, value: object, pattern: re.Pattern[str], example: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigurationError(f"providers.{name}.{option} must be like {example}, not {value!r}", provider=name)


def _bare(name: str, url: str) -> str:
    last = url.rpartition("/")[2]
    if _VERSION.fullmatch(last):
        raise ConfigurationError(
            f"providers.{name}.base_url is the host alone: leave out /{last}, the paths begin with a version",
            provider=name,
        )
    return url


def _version(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    value = HOST.look_up("api_version", options, environ) or VERSION
    version = {"beta": VERSION}.get(value, value)
    _check(name, "api_version", version, _VERSION, "v1 or v1beta1")
    return version


class VertexRoutes:
    """Chooses the format and the path by the model's name; a codec is loaded when the first model needs it.

    Args:
        project: of the requests; "" until `begin` names it.
        location: of the requests.
        version: of Gemini's paths.
        max_tokens: asked for where a call does not say and the format demands a number.
    """

    __slots__ = ("_codecs", "_countings", "_location", "_max_tokens", "_parent", "_routes", "_version", "project")

    def __init__(self, project: str, location: str, version: str, max_tokens: int | None) -> None:
        self._location = location
        self._version = version
        self._max_tokens = max_tokens
        self.begin(project)

    def begin(self, project: str) -> None:
        """Sets the project of all later requests."""
        self.project = project
        self._parent = f"projects/{quote(project, safe=':')}/locations/{self._location}"
        self._codecs: dict[str, WireProtocol] = {}
        self._routes: dict[str, Route] = {}
        counting_claude = self._predict("v1", "anthropic", "count-tokens", stream=False)
        self._countings: Mapping[str, Counting] = {
            "google": GeminiCounting(),
            "anthropic": AnthropicCounting(path=counting_claude, model_in_body=True),
        }

    @property
    def parent(self) -> str:
        """The resource at the start of all paths."""
        return self._parent

    def resolve(self, operation: Operation, model: str, request: Request | None) -> Route:
        """Returns the route of one request.

        Raises:
            BadRequestError: the model's name ends where its publisher does.
        """
        if operation in WITHOUT_TEXT:
            return self._fixed("gemini")
        published = _PUBLISHED.fullmatch(model)
        publisher, name = published.groups() if published else _split(model)
        if operation != "list" and not name:
            raise BadRequestError(f"{model!r} is not a model id: the name after the publisher is missing")
        if publisher == "google":
            return self._fixed("gemini")
        if publisher == "openai" and not name.startswith("gpt-oss"):
            return self._fixed("responses", f"/v1/{self._parent}/publishers/openai/v1/responses")
        version = _RAW_VERSIONS.get(publisher)
        if version is None:
            return self._fixed("chat", f"/v1/{self._parent}/endpoints/openapi/chat/completions")
        path = self._predict(version, publisher, name, stream=request is not None and request.stream)
        return Route(protocol=self._codec(publisher), path=path)

    def counting(self, model: str) -> Counting | None:
        """Returns how tokens are counted for a model; None for publishers that cannot count."""
        published = _PUBLISHED.fullmatch(model)
        return self._countings.get(published[1] if published else _split(model)[0])

    def _predict(self, version: str, publisher: str, model: str, *, stream: bool) -> str:
        verb = "streamRawPredict" if stream else "rawPredict"
        return f"/{version}/{self._parent}/publishers/{publisher}/models/{quote(model, safe='-._~@')}:{verb}"

    def _fixed(self, codec: str, path: str | None = None) -> Route:
        """Returns the route to a format whose path does not depend on the model."""
        route = self._routes.get(codec)
        if route is None:
            route = self._routes[codec] = Route(protocol=self._codec(codec), path=path)
        return route

    def _codec(self, name: str) -> WireProtocol:
        codec = self._codecs.get(name)
        if codec is None:
            codec = self._codecs[name] = getattr(self, f"_{name}")()
        return codec

    def _gemini(self) -> WireProtocol:
        from .._protocols.gemini import Gemini, GeminiDialect

        return Gemini(GeminiDialect.vertex(self.project, self._location, version=self._version))

    def _anthropic(self) -> WireProtocol:
        from .._protocols.anthropic import AnthropicMessages

        return AnthropicMessages(_claude_dialect(self._max_tokens))

    def _chat(self) -> WireProtocol:
        from .._protocols.openai_chat import OpenAIChat

        codes = tuple(GOOGLE_CODES.items())
        return OpenAIChat(
            replace(dialect_of("openai_compatible"), reasoning_back="field", error_codes=codes, adapt=_with_publisher)
        )

    def _mistralai(self) -> WireProtocol:
        from .._protocols.openai_chat import OpenAIChat

        return OpenAIChat(_bare_model(dialect_of("mistral")))

    def _ai21(self) -> WireProtocol:
        from .._protocols.openai_chat import OpenAIChat

        return OpenAIChat(_bare_model(dialect_of("openai_compatible")))

    def _responses(self) -> WireProtocol:
        from .._protocols.openai_responses import OpenAIResponses, ResponsesDialect

        usual = ResponsesDialect()
        return OpenAIResponses(
            replace(
                usual,
                hosted_tools={},
                compaction=False,
                error_codes=(*GOOGLE_CODES.items(), *usual.error_codes),
                adapt=_without_publisher,
            )
        )


def _split(model: str) -> tuple[str, str]:
    """Splits ``publisher/name``. Any other name is sent to Google as it is."""
    if "/" not in model:
        maker = {"claude": "anthropic", "gpt": "openai"}.get(model.partition("-")[0], "google")
        return maker, model
    publisher, _, name = model.partition("/")
    if publisher in ("projects", "endpoints", "publishers", "models"):
        return "google", model
    return publisher, name


def _claude_dialect(max_tokens: int | None) -> AnthropicDialect:
    from .._protocols.anthropic import AnthropicDialect

    facts: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    return AnthropicDialect(
        sampling_version=CLAUDE_SAMPLING_VERSION,
        version_in_body=True,
        model_in_body=False,
        file_ids=False,
        hosted_tools=(),
        compaction=False,
        codes=GOOGLE_CODES,
        **facts,
    )


def _bare_model(dialect: ChatDialect) -> ChatDialect:
    before: Callable[[dict[str, Any]], dict[str, Any]] = dialect.adapt or dict

    def adapt(body: dict[str, Any]) -> dict[str, Any]:
        return _without_publisher(before(body))

    return replace(dialect, adapt=adapt, error_codes=(*GOOGLE_CODES.items(), *dialect.error_codes))


def _with_publisher(body: dict[str, Any]) -> dict[str, Any]:
    """Returns the body with ``publisher/model``, also if the caller gave the whole resource name."""
    published = _PUBLISHED.fullmatch(body["model"])
    return {**body, "model": "/".join(published.groups())} if published else body


def _without_publisher(body: dict[str, Any]) -> dict[str, Any]:
    """Returns the body with the name of the model only, because the publisher is in the path."""
    return {**body, "model": body["model"].rpartition("/")[2]}


# --- the list of models ----------------------------------------------------------------------------------------------
#
# The Model Garden of Vertex AI: ``GET /v1beta1/publishers/{publisher}/models``, a chain of pages a publisher.
#
# It says which models there are in the world, not which of them this project may call in its location: `proofs` ask
# the location itself. It tells no limits and no end of life, and it holds much that is no language model, and open
# weights that run only on machines of one's own: what answers messages as a service is told by the name. Publishers
# whose list is refused cost nobody the others. Source: google_cloud_aiplatform 2.7.0 (types/publisher_model.py), a
# recorded list, November 2026.

_SIZE = "pageSize=100"
_NAME = re.compile(r"publishers/([^/]+)/models/([^/@]+)(?:@.*)?")
# What is called by its bare name; every other name carries its publisher.
_BARE = frozenset({"google", "anthropic"})
# Publisher -> the names that answer messages; of the publishers not named, those that run as a service.
_CHATS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "google": re.compile(r"gemini-(?!.*(?:embedding|live|tts)).*"),
        "anthropic": re.compile(r"claude-.*"),
        "mistralai": re.compile(r"(?:mistral-(?!ocr)|codestral-|ministral-|magistral-).*"),
        "ai21": re.compile(r"jamba-.*"),
        "openai": re.compile(r"gpt-(?!oss).*|gpt-oss-.*-maas"),
    }
)
_AS_A_SERVICE = re.compile(r".*-maas")

PUBLISHERS = (
    *("google", "anthropic", "openai", "meta", "mistralai", "ai21"),
    *("deepseek-ai", "qwen", "moonshotai", "minimaxai", "zai-org", "xai"),
)
"""Whose models are asked for: those who offer language models as a service (Google's documentation, November 2026)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexListing(Listing):
    """Lists the models of each publisher.

    Attributes:
        publishers: whose.
    """

    publishers: tuple[str, ...] = PUBLISHERS

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Counts tokens, which is free and proves location and permission. Else it asks for one word."""
        return ("count", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """Returns the request for the first page of each publisher."""
        return tuple([get(f"/v1beta1/publishers/{publisher}/models", _SIZE) for publisher in self.publishers])

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads one page. A publisher without models gives an empty object.

        Raises:
            ProtocolError: it is no list of models.
        """
        listed = {"publisherModels": []} if value == {} else value
        entries = [entry for item in items(listed, "publisherModels") if (entry := _model_entry(item))]
        token = dig(value, ("nextPageToken",))
        following = get(request.path, f"{_SIZE}&pageToken={quote(token, safe='')}") if token else None
        return Page(entries=tuple(entries), following=following)

    def lookup(self, model: str) -> WireRequest | None:
        """Returns the request for one model; None for an endpoint or a tuned model, which are in no list."""
        published = _NAME.fullmatch(model)
        if published:
            publisher, name = published.groups()
        elif "/" in model:
            publisher, _, name = model.partition("/")
            if publisher in ("projects", "endpoints", "models") or "/" in name:
                return None
        else:
            publisher, name = ("anthropic" if model.startswith("claude") else "google"), model
        return get(f"/v1beta1/publishers/{quote(publisher)}/models/{quote(name, safe='-._~@')}")

    def decode_one(self, value: Any) -> ModelEntry | None:
        """Reads one model.

        Raises:
            ProtocolError: it is none.
        """
        entry = _model_entry(value) if isinstance(value, Mapping) else None
        if entry is None:
            raise ProtocolError("the answer about a model names none")
        return entry


def _model_entry(item: Mapping[str, Any]) -> ModelEntry | None:
    found = _NAME.fullmatch(str(item.get("name")))
    if found is None:
        return None
    publisher, name = found.groups()
    chats = _CHATS.get(publisher, _AS_A_SERVICE).fullmatch(name) is not None
    return ModelEntry(name=name if publisher in _BARE else f"{publisher}/{name}", chat=chats)
