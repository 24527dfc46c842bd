"""The Claude API: api.anthropic.com, or whatever serves the same format at another base URL.

The key goes in ``x-api-key``, a token (``access_token``, ``ANTHROPIC_AUTH_TOKEN``) in ``authorization``; the key is
taken where both are set. ``base_url`` is without ``/v1``, as in Anthropic's own SDK. Source: anthropic SDK 2.11
(``_client.py``, ``_constants.py``), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .._auth.keys import HeaderKey
from .._protocols.codec import JSONCodec, WireRequest
from ..errors import ConfigurationError, ProtocolError
from .counting import Counting
from .entry import base_url_of, find_key, max_tokens_of
from .listings import Listing, ModelEntry, Page, Proof, dig, first, get, items, known, moment, text
from .provider import Provider, Route
from .spec import ConfigKey, HostSpec, api_key, first_set, found_by_each

if TYPE_CHECKING:
    from .._protocols.anthropic import AnthropicDialect
    from .._protocols.batching import Batching
    from .._protocols.filing import Filing

BASE_URL = "https://api.anthropic.com"
MAX_REQUEST_BYTES = 32 * 1024 * 1024
"""The API answers 413 beyond this."""


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host from the options of the entry and the environment.

    Args:
        name: what the configuration calls it.
        options: the keys of `HOST`, ``base_url`` (without ``/v1``), ``max_tokens`` (where a call gives none).
        environ: the variables of `HOST`, ``ANTHROPIC_BASE_URL``.

    Raises:
        ConfigurationError: there is no key, or an option is not what it must be.
    """
    from .._protocols.anthropic import AnthropicMessages

    protocol = AnthropicMessages(_dialect(name, options))
    route = Route(protocol=protocol)
    counting = AnthropicCounting(path=f"{protocol.dialect.path}/count_tokens")
    return Provider(
        name=name,
        kind="anthropic",
        base_url=_base_url(name, options.get("base_url") or environ.get("ANTHROPIC_BASE_URL") or BASE_URL),
        auth=_auth(name, options, environ),
        resolve=lambda operation, model, request: route,
        headers={"anthropic-version": protocol.dialect.version},
        max_request_bytes=MAX_REQUEST_BYTES,
        listing=AnthropicListing(),
        counting=lambda model: counting,
        batching=lambda model: _batching(),
        filing=_filing,
    )


def _filing() -> Filing:
    from .._protocols.anthropic.upload import AnthropicFiling

    return AnthropicFiling()


def _batching() -> Batching:
    from .._protocols.anthropic.batch import AnthropicBatching

    return AnthropicBatching()


HOST = HostSpec(
    kind="anthropic",
    build=build,
    keys={
        "api_key": api_key("ANTHROPIC_API_KEY"),
        "access_token": ConfigKey(
            about="A bearer token, instead of a key.", form="secret", variables=("ANTHROPIC_AUTH_TOKEN",)
        ),
        "api_version": ConfigKey(about="The anthropic-version header."),
        "beta": ConfigKey(about="Values of the anthropic-beta header.", form="texts"),
    },
    found_by=found_by_each("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    base_url=BASE_URL,
    models=("claude-haiku-5-5", "claude-sonnet-5-5"),
    synonyms=("claude",),
    rank=2,
    wires=("anthropic",),
)


def _auth(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> HeaderKey:
    key_of, token_of = HOST.keys["api_key"].variables, HOST.keys["access_token"].variables
    if options.get("api_key") is None:
        token = options.get("access_token")
        if token is not None:
            return HeaderKey(token, where=f"providers.{name}.access_token")
        if not first_set(environ, key_of) and first_set(environ, token_of):
            found, where = find_key(name, {}, environ, token_of, needed=True)
            return HeaderKey(found, where=where)
    key, where = find_key(name, options, environ, (*key_of, *token_of), needed=True)
    return HeaderKey(key, header="x-api-key", prefix="", where=where)


def _dialect(name: str, options: Mapping[str, Any]) -> AnthropicDialect:
    from .._protocols.anthropic import AnthropicDialect

    facts: dict[str, Any] = {}
    version = options.get("api_version")
    if version:
        facts = {"version": str(version), "sampling_version": None}
    beta = options.get("beta") or ()
    names = [word.strip() for word in beta.split(",")] if isinstance(beta, str) else list(beta)
    if not all(isinstance(word, str) and word for word in names):
        raise ConfigurationError(f"providers.{name}.beta must be a list of names of beta features")
    if (most := max_tokens_of(name, options)) is not None:
        facts["max_tokens"] = most
    return AnthropicDialect(betas=tuple(names), **facts)


def _base_url(name: str, value: str) -> str:
    base = base_url_of(name, value)
    if base.endswith("/v1"):
        raise ConfigurationError(f"providers.{name}.base_url must not end in /v1: the paths below it begin with that")
    return base


# --- the list of models ----------------------------------------------------------------------------------------------
#
# ``GET /v1/models`` of the Claude API: pages by ``after_id``, with capabilities and a lifecycle.
#
# Retired models are listed only when asked for, and are not asked for. There are no fine-tuned ones. Source:
# anthropic SDK 2.11 (types/model_info.py, types/model_list_params.py), November 2026.

PATH = "/v1/models"
_SIZE = "limit=1000"
_FLAGS: Mapping[str, str] = MappingProxyType(
    {"images": "image_input", "documents": "pdf_input", "json_schema": "structured_outputs", "reasoning": "thinking"}
)
_STAGES: Mapping[str, bool] = MappingProxyType({"active": False, "deprecated": True, "retired": True})


class AnthropicListing(Listing):
    """Lists the models of the Claude API."""

    __slots__ = ()

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Asks for the model by name; if that is not possible, asks it for one word."""
        return ("model", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """Returns the request for the first page."""
        return (get(PATH, _SIZE),)

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads one page of the list.

        Raises:
            ProtocolError: it is no list of models.
        """
        entries = tuple([_model_entry(item) for item in items(value, "data") if text(item, "id")])
        last = dig(value, ("last_id",))
        more = dig(value, ("has_more",)) is True and isinstance(last, str)
        return Page(entries=entries, following=get(PATH, f"{_SIZE}&after_id={quote(last, safe='')}") if more else None)

    def lookup(self, model: str) -> WireRequest | None:
        """Returns the request for one model. The host resolves aliases."""
        return get(f"{PATH}/{quote(model, safe='-._~')}")

    def decode_one(self, value: Any) -> ModelEntry | None:
        """Reads one model.

        Raises:
            ProtocolError: it is none.
        """
        if not text(value, "id"):
            raise ProtocolError("the answer about a model names none")
        return _model_entry(value)


def _model_entry(item: Mapping[str, Any]) -> ModelEntry:
    length = first(item, (("max_input_tokens",),), int)
    flags = {name: first(item, (("capabilities", word, "supported"),), bool) for name, word in _FLAGS.items()}
    return ModelEntry(
        name=item["id"],
        created=moment(item.get("created_at")),
        deprecated=_STAGES.get(str(item.get("lifecycle"))),
        deprecated_since=moment(item.get("deprecated_at")),
        retires_at=moment(item.get("retires_at")),
        chat=True,
        facts=known(
            context_window=length,
            max_input_tokens=length,
            max_output_tokens=first(item, (("max_tokens",),), int),
            **flags,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicCounting(Counting):
    """Claude; with ``model_in_body`` where the codec puts the model into the path alone."""

    model_in_body: bool = False

    def body(self, body: dict[str, Any], model: str, json: JSONCodec) -> dict[str, Any]:
        """Returns the body without the fields that only an answer needs."""
        kept = {name: value for name, value in body.items() if name not in ("max_tokens", "stream", "stop_sequences")}
        return {"model": model, **kept} if self.model_in_body else kept
