"""Bedrock's control plane: which models, inference profiles and fine-tuned models there are.

Shapes as in botocore's model of ``bedrock`` (``FoundationModelSummary``, ``InferenceProfileSummary``,
``CustomModelSummary``). What carries a geography before the vendor (``us.``, ``global.``), or is the ARN of a profile,
is an inference profile; what has a base model was fine-tuned; the rest are foundation models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import parse_qs, unquote

from ..listing import ListedModel, listed, moment
from ..record import Arrival
from .wire import Operation, dumps

_REGION = "us-east-1"
_ACCOUNT = "123456789012"
_PROFILE = re.compile(r"(?:us|eu|apac|jp|au|global)\.\w+\.|arn:.*inference-profile/")
_AVAILABILITY = "foundation-model-availability"
_LISTS = ("foundation-models", "inference-profiles", "custom-models", _AVAILABILITY)


def operation(arrival: Arrival) -> Operation | None:
    """Returns what a request to the control plane wants; None when the path is not of it."""
    kind, _, name = arrival.path.lstrip("/").partition("/")
    if arrival.method != "GET" or kind not in _LISTS:
        return None
    return Operation(name="model", model=unquote(name)) if name else Operation(name="models")


def exists(name: str, models: Sequence[str]) -> bool:
    """Whether the control plane knows a model: one that is listed, or that stands behind a listed profile."""
    return any(name in (model, model.partition(".")[2]) for model in models)


def look_up(arrival: Arrival, wanted: Operation, models: Sequence[ListedModel]) -> bytes:
    """Returns the answer of the control plane."""
    kind = arrival.path.lstrip("/").partition("/")[0]
    asked = parse_qs(arrival.query)
    if wanted.name == "model":
        model = listed(wanted.model, models)
        if kind == _AVAILABILITY:
            return dumps(_available(model))
        return dumps({"modelDetails": _model(model)} if kind == "foundation-models" else _profile(model))
    if kind == "foundation-models":
        found = [_model(model) for model in models if not _is_profile(model) and not model.base]
        provider = asked.get("byProvider", [""])[0].lower()
        return dumps({"modelSummaries": [each for each in found if provider in ("", each["providerName"].lower())]})
    if kind == "custom-models":
        return dumps({"modelSummaries": [_custom(model) for model in models if model.base]})
    kinds = asked.get("type", ["SYSTEM_DEFINED", "APPLICATION"])
    profiles = [profile for model in models if _is_profile(model) and (profile := _profile(model))["type"] in kinds]
    start, size = (asked.get(name, [""])[0] for name in ("nextToken", "maxResults"))
    at = int(start) if start.isdigit() else 0
    end = at + (int(size) if size.isdigit() else 1000)
    more = {"nextToken": str(end)} if end < len(profiles) else {}
    return dumps({"inferenceProfileSummaries": profiles[at:end], **more})


def _is_profile(model: ListedModel) -> bool:
    return _PROFILE.match(model.name) is not None


def _model(model: ListedModel) -> dict[str, Any]:
    name = model.name
    today = datetime.now(timezone.utc).date()
    gone = [day for day in (model.deprecated, model.retires) if day is not None and day <= today]
    cycle = {
        "status": "LEGACY" if gone else "ACTIVE",
        "startOfLifeTime": moment(date(2026, 6, 1)),
        "legacyTime": moment(model.deprecated),
        "endOfLifeTime": moment(model.retires),
    }
    return {
        "modelArn": f"arn:aws:bedrock:{_REGION}::foundation-model/{name}",
        "modelId": name,
        "modelName": name.rpartition(".")[2],
        "providerName": name.partition(".")[0].title(),
        "inputModalities": ["TEXT", "IMAGE"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": [],
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {word: value for word, value in cycle.items() if value is not None},
    }


def _available(model: ListedModel) -> dict[str, Any]:
    return {
        "modelId": model.name,
        "agreementAvailability": {"status": "AVAILABLE"},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
    }


def _profile(model: ListedModel) -> dict[str, Any]:
    name = model.name
    own = name if name.startswith("arn:") else f"arn:aws:bedrock:{_REGION}:{_ACCOUNT}:inference-profile/{name}"
    behind = model.base or name.partition(".")[2]
    return {
        "inferenceProfileId": name.rpartition("/")[2],
        "inferenceProfileArn": own,
        "inferenceProfileName": name.rpartition("/")[2],
        "models": [{"modelArn": f"arn:aws:bedrock:{_REGION}::foundation-model/{behind}"}],
        "status": "ACTIVE",
        "type": "APPLICATION" if "application-" in name else "SYSTEM_DEFINED",
    }


def _custom(model: ListedModel) -> dict[str, Any]:
    name = model.name
    own = name if name.startswith("arn:") else f"arn:aws:bedrock:{_REGION}:{_ACCOUNT}:custom-model/{name}"
    return {
        "modelArn": own,
        "modelName": name.rpartition("/")[2],
        "creationTime": moment(date(2026, 6, 1)),
        "baseModelArn": f"arn:aws:bedrock:{_REGION}::foundation-model/{model.base}",
        "customizationType": "FINE_TUNING",
        "modelStatus": "Active",
    }
