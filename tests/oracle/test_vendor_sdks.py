"""The vendors' own SDKs as oracles: the same request through theirs and through ours, compared as it was received.

Needs ``openai``, ``anthropic``, ``google-genai`` and ``boto3`` (``nox -s oracle`` brings them); skipped without.
``ASYNCLLM_ORACLE_REQUESTS`` says how many requests a host gets; without it nothing runs.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from ours import arguments
from scenarios import scenario
from theirs import VENDORS, Vendor

from asyncllm import SyncClient
from asyncllm._schema.content import Origin
from asyncllm.testing import Simulator

# The SDKs and what they bring warn of their own affairs.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
REQUESTS = int(os.environ.get("ASYNCLLM_ORACLE_REQUESTS", "0"))
MISSING = "<missing>"
SPELLINGS: Mapping[str, str] = {
    "mime_type": "mimeType",
    "file_uri": "fileUri",
    "inline_data": "inlineData",
    "thinking_level": "thinkingLevel",
    "include_thoughts": "includeThoughts",
    "parameters_json_schema": "parametersJsonSchema",
}


def same_bytes(ours: Any, theirs: Any) -> bool:
    """Whether two texts are the same bytes in either alphabet of base64."""
    clean = [str(text).replace("-", "+").replace("_", "/").rstrip("=") for text in (ours, theirs)]
    return clean[0] == clean[1] and bool(base64.b64decode(clean[0] + "=" * (-len(clean[0]) % 4)))


def same_json(ours: Any, theirs: Any) -> bool:
    """Whether two texts are the same JSON."""
    return bool(json.loads(ours) == json.loads(theirs))


@dataclass(frozen=True)
class Justified:
    """A difference that is meant.

    Attributes:
        vendor: whose SDK.
        path: where in the request, as a regular expression.
        holds: (ours, theirs) -> whether it is this difference.
        why: what makes both equivalent.
    """

    vendor: str
    path: str
    holds: Callable[[Any, Any], bool]
    why: str


JUSTIFIED = (
    Justified(
        "gemini", r".*\.inlineData\.data", same_bytes, "the SDK writes URL-safe base64; Google's servers read both"
    ),
    Justified(
        "gemini",
        r"/body\.systemInstruction\.role",
        lambda ours, theirs: (MISSING, "user") == (ours, theirs),
        "instructions have no speaker; the field is not read",
    ),
    Justified(
        "gemini",
        r"/body\.generationConfig",
        lambda ours, theirs: (ours, theirs) == (MISSING, {}),
        "an object without settings sets nothing",
    ),
    Justified("bedrock", r".*\.jsonSchema\.schema", same_json, "a schema inside a text: blanks mean nothing"),
)


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ; the order of keys is none."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            yield from differences(
                ours.get(key, MISSING), theirs.get(key, MISSING), f"{path}.{key}" if path else f"/{key}"
            )
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{path}[{at}]")
    elif ours != theirs or isinstance(ours, bool) is not isinstance(theirs, bool):
        yield path, ours, theirs


def received(simulator: Simulator) -> dict[str, Any]:
    """The last request as the server saw it."""
    last = simulator.requests[-1]
    assert 200 == last.status
    return {"method": last.method, "path": last.path, "query": last.query, "body": camel(last.body)}


def camel(value: Any) -> Any:
    """The fields that Google's SDK writes as ``mime_type``: protobuf's JSON reads a name in either form."""
    if isinstance(value, dict):
        return {SPELLINGS.get(name, name): camel(inner) for name, inner in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.in_thread(check_signatures=False, keep=1, tool_use="never") as running:
        yield running


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_the_vendor_s_own_sdk_sends_the_same(vendor: Vendor, simulator: Simulator) -> None:
    """Generated requests arrive equal in method, path, query and JSON, but for differences with a reason."""
    if not REQUESTS:
        pytest.skip("the vendors' SDKs are asked by `nox -s oracle` only")
    if not _is_there(vendor.module):
        pytest.skip(f"{vendor.module} is not installed; run `nox -s oracle`")
    url = simulator.url(vendor.kind)
    entry = {"kind": vendor.kind, "api_key": "sk-sim-oracle", "base_url": url, "fallback_models": [vendor.model]}
    config = {"active_provider": vendor.name, "providers": {vendor.name: {**entry, **dict(vendor.settings)}}}
    unexplained: dict[str, str] = {}
    explained: Counter[Justified] = Counter()
    with SyncClient(config, environ={}) as client:
        for number in range(REQUESTS):
            asked = scenario(vendor.name, number, vendor.traits)
            vendor.send(asked, vendor.model, url)
            theirs = received(simulator)
            given = arguments(asked, Origin(vendor.kind, vendor.protocol))
            if asked.stream:
                list(client.stream(**given))
            else:
                client.send(**given)
            for path, mine, other in differences(received(simulator), theirs):
                row = next(
                    (
                        it
                        for it in JUSTIFIED
                        if it.vendor == vendor.name and re.fullmatch(it.path, path) and it.holds(mine, other)
                    ),
                    None,
                )
                if row is None:
                    unexplained.setdefault(
                        re.sub(r"\d+", "", path),
                        f"request {number}: ours {str(mine)[:200]!r}, theirs {str(other)[:200]!r}",
                    )
                else:
                    explained[row] += 1
    print(f"{vendor.name}: {REQUESTS} requests; justified: {[(row.path, times) for row, times in explained.items()]}")
    assert "" == "\n".join(f"{path}: {case}" for path, case in unexplained.items())
    assert {row for row in JUSTIFIED if row.vendor == vendor.name} == set(explained)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
