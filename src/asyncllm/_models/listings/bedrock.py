"""Bedrock's control plane: ``GET /foundation-models`` and ``GET /inference-profiles``, two chains at another host.

A foundation model answers under its own id if it is offered on demand; newer ones answer only under the id of an
inference profile (``us.anthropic...``), which stands for the model behind it and is listed besides. What is only to be
provisioned, and application profiles (somebody's own), are left out. ``converse``, which recorded lists hold and
botocore's model has not, is read for media only: its ``maxTokensMaximum`` is the whole window for some models and the
bound of the output for others. Source: botocore 1.44.5 (``bedrock``), recorded lists, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..._protocols.base import WireRequest
from ..._protocols.converse.models import base_model
from ...errors import ProtocolError
from ..names import is_custom
from .base import Access, Entry, Listing, Page, Proof, get
from .reading import dig, items, known, listed, moment, text, words

MODELS = "/foundation-models"
PROFILES = "/inference-profiles"
_PROFILES_QUERY = "maxResults=1000&type=SYSTEM_DEFINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockListing(Listing):
    """The lists of the control plane, whose ``base_url`` is ``https://bedrock.{region}.amazonaws.com``."""

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """What the account may do with the model; without the right to ask that, a count of tokens or a word."""
        return ("model", "access", "count", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """The models, and the first page of the profiles."""
        return get(MODELS), get(PROFILES, _PROFILES_QUERY)

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads a page of either list.

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
        """The request for a model or a profile; None for what is neither (a provisioned or imported model)."""
        if is_custom(model):
            return None
        kind = PROFILES if ":inference-profile/" in model or base_model(model) != model.rpartition("/")[2] else MODELS
        return get(f"{kind}/{quote(model, safe='-._~')}")

    def access(self, model: str) -> WireRequest | None:
        """The request for what this account may do with a model in this region; a profile's is that of its model."""
        if is_custom(model):
            return None
        return get(f"/foundation-model-availability/{quote(base_model(model), safe='-._~')}")

    def decode_access(self, value: Any) -> Access | None:
        """Reads it. An entitlement that is not there yet may come with the first call, so it decides nothing."""
        if dig(value, ("regionAvailability",)) == "NOT_AVAILABLE":
            return "region"
        if dig(value, ("authorizationStatus",)) == "NOT_AUTHORIZED":
            return "no_access"
        return "granted" if dig(value, ("entitlementAvailability",)) == "AVAILABLE" else None

    def decode_one(self, value: Any) -> Entry | None:
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


def _model(item: Mapping[str, Any]) -> Entry | None:
    name = text(item, "modelId")
    kinds = words(item.get("inferenceTypesSupported"))
    if not name or is_custom(name) or kinds == {"provisioned"}:
        return None
    status = dig(item, ("modelLifecycle", "status"))
    inputs = words(item.get("inputModalities"))
    documents = dig(item, ("converse", "userDocumentTypesSupported"))
    media = {"images": "image" in inputs, "video": "video" in inputs, "audio": bool(inputs & {"speech", "audio"})}
    return Entry(
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


def _profile(item: Mapping[str, Any]) -> Entry | None:
    name = text(item, "inferenceProfileId")
    if not name or item.get("type") == "APPLICATION" or is_custom(text(item, "inferenceProfileArn")):
        return None
    arns = [text(model, "modelArn") for model in listed(item.get("models"))]
    behind = next((arn.rpartition("/")[2] for arn in arns if arn), None)
    return Entry(name=name, behind=behind, created=moment(item.get("createdAt")), chat=True)
