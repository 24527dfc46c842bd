"""The Gemini API: generativelanguage.googleapis.com.

The key goes in a header of its own, never in the address: addresses end up in logs. The API version is part of the
path and follows from the model (``v1``, or ``v1beta`` for previews and aliases) unless the configuration names one.

Source: google-genai 3.4.0 (_api_client.py, _base_url.py), November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .._auth.keys import HeaderKey
from .._models.names import is_custom
from .._protocols.codec import JSONCodec, WireRequest
from ..errors import ConfigurationError, ProtocolError
from .counting import Counting, only
from .entry import base_url_of, find_key
from .listings import Listing, ModelEntry, Page, Proof, dig, first, get, items, known, text, words
from .provider import Provider, Route
from .spec import ConfigKey, HostSpec, api_key, found_by_each

if TYPE_CHECKING:
    from .._protocols.batching import Batching
    from .._protocols.filing import Filing
    from .._protocols.gemini import GeminiDialect

BASE_URL = "https://generativelanguage.googleapis.com"

_VERSION = re.compile(r"v\d+(?:alpha|beta)?\d*")
_SHORT_VERSIONS: Mapping[str, str] = {"beta": "v1beta", "alpha": "v1alpha"}


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host from the options of the entry and the environment.

    Args:
        name: what the configuration calls it.
        options: the keys of `HOST`, ``base_url`` (without a version). ``safety_settings`` is a list of
            ``{"category": ..., "threshold": ...}``, or one object of category and threshold.
        environ: the variables of `HOST`, ``GOOGLE_GEMINI_BASE_URL``.

    Raises:
        ConfigurationError: there is no key, or an option is not what it must be.
    """
    from .._protocols.gemini import Gemini, GeminiDialect

    key, where = find_key(name, options, environ, HOST.keys["api_key"].variables, needed=True)
    dialect = GeminiDialect(
        version=_version(name, HOST.look_up("api_version", options, environ)),
        safety_settings=_safety(name, options.get("safety_settings")),
    )
    route = Route(protocol=Gemini(dialect))
    counting = GeminiCounting(whole=True)
    return Provider(
        name=name,
        kind="gemini",
        base_url=_base_url(name, options.get("base_url") or environ.get("GOOGLE_GEMINI_BASE_URL") or BASE_URL),
        auth=HeaderKey(key, header="x-goog-api-key", prefix="", where=where),
        resolve=lambda operation, model, request: route,
        listing=GeminiListing(version=dialect.version or "v1beta"),
        counting=lambda model: counting,
        batching=lambda model: _batching(dialect),
        filing=lambda: _filing(dialect),
    )


def _filing(dialect: GeminiDialect) -> Filing:
    from .._protocols.gemini.upload import GeminiFiling

    return GeminiFiling(dialect)


def _batching(dialect: GeminiDialect) -> Batching:
    from .._protocols.gemini.batch import GeminiBatching

    return GeminiBatching(dialect)


_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")  # the first one that is set wins, as in Google's SDK
HOST = HostSpec(
    kind="gemini",
    build=build,
    keys={
        "api_key": api_key(*_VARIABLES),
        "api_version": ConfigKey(
            about="The version in the path (v1, v1beta).", variables=("GOOGLE_GENAI_API_VERSION",)
        ),
        "safety_settings": ConfigKey(about="safetySettings, as the API takes them.", form="objects"),
    },
    found_by=found_by_each(*_VARIABLES),
    base_url=BASE_URL,
    models=("gemini-3.8-flash", "gemini-3.6-flash"),
    synonyms=("google", "googleai", "google_ai", "google_genai", "palm"),
    rank=3,
    wires=("gemini",),
)


def _version(name: str, value: str | None) -> str | None:
    if not value:
        return None
    version = _SHORT_VERSIONS.get(value, value)
    if not _VERSION.fullmatch(version):
        raise ConfigurationError(f"providers.{name}.api_version must be like v1 or v1beta, not {value!r}")
    return version


def _base_url(name: str, value: str) -> str:
    base = base_url_of(name, value)
    version = base.rpartition("/")[2]
    if _VERSION.fullmatch(version):
        raise ConfigurationError(
            f"providers.{name}.base_url must not end in an API version: leave out /{version}, set api_version instead"
        )
    return base


def _safety(name: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    if isinstance(value, Mapping):
        value = [{"category": category, "threshold": threshold} for category, threshold in value.items()]
    settings = tuple(value or ())
    for setting in settings:
        if not isinstance(setting, Mapping) or not {"category", "threshold"} <= setting.keys():
            raise ConfigurationError(f"providers.{name}.safety_settings: each needs a category and a threshold")
    return settings


# --- the list of models ----------------------------------------------------------------------------------------------
#
# ``GET /{version}/models`` of the Gemini API: pages by ``pageToken``, names as ``models/...``.
#
# A model answers messages if it supports ``generateContent``. Nothing here says that a model is going away; responses
# do (``modelStatus``). Tuned models (``tunedModels/...``) have a list of their own and are left out of this one.
# Source: google-genai 3.4.0 (models.py, ``_Model_from_mldev``), recorded lists, November 2026.

_SIZE = "pageSize=1000"
_METHODS = "supportedGenerationMethods"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiListing(Listing):
    """Lists the models of the Gemini API.

    Attributes:
        version: of the API; previews and aliases are listed by ``v1beta`` only.
    """

    version: str = "v1beta"

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Asks for the model by name; if that is not possible, asks it for one word."""
        return ("model", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """Returns the request for the first page."""
        return (get(f"/{self.version}/models", _SIZE),)

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads one page of the list.

        Raises:
            ProtocolError: it is no list of models.
        """
        found = (_model_entry(item) for item in items(value, "models"))
        token = dig(value, ("nextPageToken",))
        following = get(request.path, f"{_SIZE}&pageToken={quote(token, safe='')}") if token else None
        return Page(entries=tuple([entry for entry in found if entry is not None]), following=following)

    def lookup(self, model: str) -> WireRequest | None:
        """Returns the request for one model. A resource name is used as it is."""
        name = model if "/" in model else f"models/{model}"
        return get(f"/{self.version}/{quote(name, safe='-._~/')}")

    def decode_one(self, value: Any) -> ModelEntry | None:
        """Reads one model.

        Raises:
            ProtocolError: it is none.
        """
        if not text(value, "name"):
            raise ProtocolError("the answer about a model names none")
        return _model_entry(value)


def _model_entry(item: Mapping[str, Any]) -> ModelEntry | None:
    name = text(item, "name").removeprefix("models/")
    if not name or is_custom(name):
        return None
    length = first(item, (("inputTokenLimit",),), int)
    methods = words(item.get(_METHODS))
    return ModelEntry(
        name=name,
        chat="generatecontent" in methods if _METHODS in item else None,
        facts=known(
            context_window=length,
            max_input_tokens=length,
            max_output_tokens=first(item, (("outputTokenLimit",),), int),
            reasoning=first(item, (("thinking",),), bool),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiCounting(Counting):
    """Gemini; ``whole`` where instructions and tools count only inside of a whole request (the Gemini API)."""

    whole: bool = False

    def derived_path(self, path: str, model: str) -> str:
        """Returns the path with ``:countTokens`` instead of ``:generateContent``."""
        return f"{path.rpartition(':')[0]}:countTokens"

    def body(self, body: dict[str, Any], model: str, json: JSONCodec) -> dict[str, Any]:
        """Returns the contents with the instructions and the tools."""
        kept = only(body, ("systemInstruction", "contents", "tools"))
        if not self.whole:
            return kept
        resource = model if "/" in model else f"models/{model}"
        return {"generateContentRequest": {"model": resource, **kept, **only(body, ("toolConfig",))}}
