"""Lists of models, by format: recorded ones, handwritten ones, and arbitrary JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncllm._protocols.codec import WireRequest
from asyncllm._providers.anthropic import AnthropicListing
from asyncllm._providers.bedrock import BedrockListing
from asyncllm._providers.compatible import ROWS
from asyncllm._providers.gemini import GeminiListing
from asyncllm._providers.listings import Listing, ModelEntry, Page, get, moment
from asyncllm._providers.openai_listing import OpenAIListing
from asyncllm._providers.spec import build_host as build
from asyncllm._providers.vertex import PUBLISHERS, VertexListing
from asyncllm.errors import AsyncLLMError, AuthenticationError, ProtocolError
from recordings import body_of, context, headers_of, recorded

OPENAI = OpenAIListing(single=True)
CONTROL = BedrockListing(base_url="https://bedrock.us-east-1.amazonaws.com")
FORMATS: Mapping[str, Listing] = {
    "anthropic": AnthropicListing(),
    "gemini": GeminiListing(),
    "vertex-gemini": VertexListing(),
    "bedrock-misc": CONTROL,
}


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]  # a year and what follows it


def ask(exchange: dict[str, Any]) -> WireRequest:
    path, _, query = exchange["endpoint"].partition("?")
    return get(path, query)


def read(listing: Listing, value: Any, request: WireRequest | None = None) -> Page:
    return listing.decode(request or listing.start()[0], value)


def entries(listing: Listing, value: Any) -> dict[str, ModelEntry]:
    return {entry.name: entry for entry in read(listing, value).entries}


def one(**item: Any) -> ModelEntry:
    """The entry of an OpenAI-like item."""
    (entry,) = read(OPENAI, {"data": [{"id": "m", **item}]}).entries
    return entry


# Recording -> entries, those that answer messages, those that do not, those whose end is announced. One of Bedrock's
# is only to be provisioned.
RECORDED = {
    "anthropic-61520ba423": (11, 11, 0, 0),
    "anthropic-d022d88188": (10, 10, 0, 0),
    "azure-misc-42b8171e5c": (14, 8, 6, 10),
    "bedrock-misc-088b87245a": (13, 9, 4, 0),
    "bedrock-misc-3ba7968cb6": (14, 8, 6, 0),
    "cerebras-8180dd73c0": (3, 0, 0, 0),
    "cohere-dd704fd200": (31, 16, 15, 0),
    "copilot-691951b4e1": (14, 12, 2, 0),
    "venice-56aea69dfa": (14, 0, 0, 0),
    "deepseek-1e0ae89cbd": (2, 0, 0, 0),
    "gemini-3990831b98": (14, 12, 2, 0),
    "gemini-8abb05626d": (14, 13, 1, 0),
    "groq-1bc94a1155": (13, 9, 4, 0),
    "llamacpp-2d6a710f07": (1, 0, 0, 0),
    "llamacpp-ab7cad0081": (1, 0, 0, 0),
    "mistral-14102c0564": (14, 13, 1, 0),
    "mistral-c7dc3a5d66": (14, 13, 1, 0),
    "ollama-0d61db4352": (5, 0, 0, 0),
    "ollama-5a23fe569d": (3, 0, 0, 0),
    "ollama-b67f68575a": (3, 0, 0, 0),
    "openai-misc-1891cf1fc4": (85, 0, 0, 0),
    "openai-misc-cdc64ffa52": (14, 0, 0, 6),
    "openrouter-0e705eb484": (14, 14, 0, 0),
    "openrouter-fc24a2fb2e": (5, 5, 0, 0),
    "perplexity-e8328cd363": (39, 0, 0, 0),
    "together-dda37d545a": (12, 12, 0, 0),
    "vertex-gemini-08ecc59707": (10, 10, 0, 0),
    "gpustack-3b269b6b94": (1, 0, 0, 0),
    "xai-677ee936e1": (11, 0, 0, 0),
    "xai-6bbe198477": (13, 0, 0, 0),
}
FILES = (
    *("anthropic", "azure", "bedrock-misc", "cerebras", "cohere", "compat-other", "deepseek", "gemini", "groq"),
    *("llamacpp", "mistral", "ollama", "openai-misc", "openrouter", "perplexity", "together", "vertex-gemini"),
    *("vllm-and-local", "xai"),
)
SINGLE = {"anthropic-292a61c7a1", "openai-misc-47917ecdf8", "openai-misc-6be1e581fa"}


def test_every_recorded_list_is_read() -> None:
    """Each recorded list gives as many models as it holds, told apart by what they are for and whether they end."""
    found = {}
    for exchange in recorded(*FILES, kind="list_models", status=200, method="GET"):
        if exchange["id"] in SINGLE:
            continue
        listing = FORMATS.get(exchange["provider"], OPENAI)
        read = listing.decode(ask(exchange), json.loads(body_of(exchange))).entries
        chats = [entry.chat for entry in read]
        ended = sum(entry.deprecated is True for entry in read)
        found[exchange["id"]] = (len(read), chats.count(True), chats.count(False), ended)
    assert RECORDED == found


def test_recorded_single_models_are_read() -> None:
    """The answer to a question about one model names it and its age."""
    found = {}
    for exchange in recorded("anthropic", "openai-misc", kind="list_models"):
        if exchange["id"] in SINGLE:
            listing = FORMATS.get(exchange["provider"], OPENAI)
            entry = listing.decode_one(json.loads(body_of(exchange)))
            assert entry is not None and entry.created is not None
            found[entry.name] = entry.created.date().isoformat()
            lookup = listing.lookup(entry.name)
            assert lookup is not None and exchange["endpoint"].endswith(lookup.path)
    assert {
        "claude-sonnet-4-20250514": "2025-05-22",
        "gpt-3.5-turbo-instruct": "2023-08-24",
        "gpt-4": "2023-06-27",
    } == found


@pytest.mark.slow
def test_recorded_refusals_of_a_list_are_about_the_credential() -> None:
    """Every host's refusal of a key, in its own shape, is an authentication error."""
    kinds = {"openai-misc": "openai", "xiaomi": "openai_compatible", "cohere": "openai_compatible"}
    seen = 0
    for exchange in recorded(*FILES, kind="list_models"):
        if exchange["status"] < 400:
            continue
        kind = kinds.get(exchange["provider"], exchange["provider"])
        kind = kind if kind in (*ROWS, "openai", "anthropic", "gemini") else "openai_compatible"
        options = {"base_url": "https://host.example"} if kind == "openai_compatible" else {}
        host = build(kind, kind, options, dict.fromkeys(KEYS, "k"))
        error = host.resolve("list", "", None).protocol.decode_error(
            exchange["status"], headers_of(exchange), body_of(exchange), context(kind)
        )
        assert isinstance(error, AuthenticationError), exchange["id"]
        seen += 1
    assert 13 == seen


KEYS = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"),
    *(variable for row in ROWS.values() for variable in row.key_variables),
)


# --- OpenAI and compatible -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"shutdown_date": "2026-10-23"}, (True, utc(2026, 10, 23))),
        ({"shutdown_date": None}, (False, None)),
        ({}, (None, None)),
        ({"expiration_date": "2027-01-31"}, (True, utc(2027, 1, 31))),
        ({"deprecation": "2026-12-01T12:00:00Z"}, (True, utc(2026, 12, 1, 12))),
        ({"lifecycle_status": "generally-available", "deprecation": {"inference": 4102358400}}, (False, None)),
        ({"lifecycle_status": "deprecated", "deprecation": {"inference": 1745971200}}, (True, utc(2025, 4, 30))),
        ({"lifecycle_status": "preview", "deprecation": {"inference": 1798761600}}, (False, utc(2027, 1, 1))),
    ],
)
def test_an_announced_end(item: dict[str, Any], expected: tuple[Any, Any]) -> None:
    """A date that is set means an end; null means none; no such field says nothing; Azure's status decides."""
    entry = one(**item)
    assert expected == (entry.deprecated, entry.retires_at)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"max_model_len": 32768, "root": "m", "parent": None}, {"context_window": 32768}),
        ({"context_window": 131072, "max_completion_tokens": 65536},
         {"context_window": 131072, "max_output_tokens": 65536}),
        ({"context_length": 0}, {}),
        ({"max_context_length": 262144, "capabilities": {"function_calling": True, "vision": False}},
         {"context_window": 262144, "tools": True, "images": False}),
        ({"meta": {"n_ctx": 8192, "n_ctx_train": 40960}}, {"context_window": 8192}),
        ({"limits": {"max_input_tokens": 1000, "max_output_tokens": 10}, "capabilities": ["streaming", "tool-calling"],
          "supported_input_modalities": ["text", "audio"]},
         {"max_input_tokens": 1000, "max_output_tokens": 10, "tools": True, "images": False, "audio": True,
          "video": False}),
        ({"architecture": {"input_modalities": ["text", "image", "file"]}, "supported_parameters": ["tools", "top_p"]},
         {"images": True, "audio": False, "video": False, "documents": True, "tools": True, "json_schema": False,
          "reasoning": False, "sampling": False}),
        ({"context_length": "4096", "capabilities": {"vision": "yes"}}, {}),
    ],
)  # fmt: skip
def test_what_hosts_tell_of_a_model(item: dict[str, Any], expected: dict[str, Any]) -> None:
    """Windows, limits and abilities, wherever a host puts them; what has the wrong type is not taken."""
    assert expected == dict(one(**item).facts)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, None),
        ({"type": "chat"}, True),
        ({"type": "image"}, False),
        ({"type": "language"}, None),
        ({"active": False}, False),
        ({"output_modalities": ["speech"]}, False),
        ({"architecture": {"output_modalities": ["image", "text"]}}, True),
        ({"capabilities": {"completion_chat": False}}, False),
        ({"endpoints": ["embed"]}, False),
        ({"capabilities": {"type": "embeddings"}}, False),
    ],
)
def test_what_answers_messages(item: dict[str, Any], expected: bool | None) -> None:
    """What a host says a model is for; nothing where it says nothing."""
    assert expected is one(**item).chat


@pytest.mark.parametrize(
    "item",
    [
        {"id": "ft:gpt-4.1-mini-2025-04-14:acme::BkaILRSh"},
        {"id": "curie:ft-acme-2023-01-01"},
        {"id": "gpt-35-turbo-0613.ft-abc"},
        {"id": "acme/Llama-3-8b-ft-2024"},
        {"id": "my-tune", "type": "fine-tuned"},
        {"id": "sql-adapter", "parent": "meta-llama/Llama-3.1-8B"},
        {"name": "mine-ft", "finetuned": True},
        {"id": "accounts/acme/models/x", "kind": "HF_PEFT_ADDON"},
        {"object": "model"},
        "no object",
    ],
)
def test_models_of_one_s_own_are_not_listed(item: Any) -> None:
    """Fine-tuned models, adapters, and what has no name are left out."""
    assert ["m"] == list(entries(OPENAI, {"data": [item, {"id": "m"}]}))


def test_bodies_that_are_lists_and_other_lists() -> None:
    """Together answers with a list, Ollama with ``models``; names and times are taken from where they are."""
    assert ["m"] == list(entries(OPENAI, [{"id": "m"}]))
    listed = entries(
        OPENAI, {"models": [{"model": "x", "name": "llama3:8b", "modified_at": "2026-03-08T21:07:29.02-07:00"}]}
    )
    assert utc(2026, 3, 9, 4, 7, 29) == listed["llama3:8b"].created
    assert ("a",) == one(aliases=["a", "m", 3]).aliases


def test_further_pages_stay_where_the_list_is() -> None:
    """A link to the next page gives its query only: no answer sends the key elsewhere."""
    value = {"data": [{"id": "m"}], "links": {"next": "https://elsewhere.example/api/v1/models?offset=500"}}
    following = read(OPENAI, value).following
    assert following is not None
    assert ("/models", "offset=500") == (following.path, following.query)
    assert read(OPENAI, {"data": [], "links": {"next": None}}).following is None


def test_one_model_by_name() -> None:
    """The name is one escaped segment; hosts without that endpoint have no such request."""
    found = OPENAI.lookup("org/m:free")
    assert found is not None and "/models/org%2Fm%3Afree" == found.path
    assert OpenAIListing().lookup("m") is None
    assert ("model", "generate") == OPENAI.proofs
    assert ("generate",) == OpenAIListing().proofs
    assert OPENAI.decode_one({"id": "ft:m:a::b"}) is None


@pytest.mark.parametrize("listing", [OPENAI, *FORMATS.values()], ids=lambda listing: type(listing).__name__)
@pytest.mark.parametrize("value", [None, 3, "text", [1], {"data": 3}, {"error": "no"}, {"models": {}}])
def test_what_is_no_list_is_said(listing: Listing, value: Any) -> None:
    """JSON of another shape is a protocol error with a hint; so is an answer about a model that names none."""
    if not (listing is OPENAI and isinstance(value, list)):
        with pytest.raises(ProtocolError, match="base_url"):
            read(listing, value)
    with pytest.raises(ProtocolError, match="names none"):
        listing.decode_one(value)


FIELDS = (
    "id name type created shutdown_date aliases capabilities architecture input_modalities features parent meta "
    "modelId modelLifecycle status inferenceTypesSupported outputModalities inferenceProfileId models modelArn "
    "converse userDocumentTypesSupported supportedGenerationMethods inputTokenLimit max_tokens lifecycle"
).split()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 2**40) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(JSON, st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON), max_size=4))
def test_arbitrary_answers_give_entries_or_a_protocol_error(value: Any, listed: list[Any]) -> None:
    """Whatever a server sends, a listing reads it or raises what it documents."""
    for listing in (OPENAI, *FORMATS.values()):
        for request in listing.start():
            for body in (value, *[{name: listed} for name in LISTS]):
                try:
                    found = listing.decode(request, body).entries
                except ProtocolError:
                    continue
                assert all(isinstance(entry, ModelEntry) and entry.name for entry in found)
        try:
            listing.decode_one(value)
        except ProtocolError:
            continue


LISTS = ("data", "models", "publisherModels", "modelSummaries", "inferenceProfileSummaries")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-10-23", utc(2026, 10, 23)),
        ("2026-06-19T17:15:40.188240254-07:00", utc(2026, 6, 20, 0, 15, 40)),
        ("2026-06-19 17:15:40", utc(2026, 6, 19, 17, 15, 40)),
        (1686588896, utc(2023, 6, 12, 16, 54, 56)),
        (0, None),
        (4102358400, None),
        (True, None),
        ("soon", None),
        ("2026-13-45", None),
        ("0001-01-01T00:00:00+14:00", None),
        ({}, None),
    ],
)
def test_moments(value: Any, expected: datetime | None) -> None:
    """Dates, times and seconds in UTC; anything else, and "never", is no moment."""
    found = moment(value)
    assert expected == (found.replace(microsecond=0) if found else None)


# --- Anthropic -----------------------------------------------------------------------------------------------------


def test_anthropic_pages_and_lifecycle() -> None:
    """Pages follow the last name; an entry has its limits, abilities and dates."""
    listing = AnthropicListing()
    assert "limit=1000" == listing.start()[0].query
    item = {
        "id": "claude-old",
        "created_at": "2025-09-29T00:00:00Z",
        "lifecycle": "deprecated",
        "deprecated_at": "2026-05-01T00:00:00Z",
        "retires_at": "2026-11-30T00:00:00Z",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": {"image_input": {"supported": True}, "thinking": {"supported": False}},
    }
    page = read(listing, {"data": [item], "has_more": True, "last_id": "claude old"})
    assert page.following is not None and "limit=1000&after_id=claude%20old" == page.following.query
    (entry,) = page.entries
    assert (True, utc(2026, 5, 1), utc(2026, 11, 30)) == (entry.deprecated, entry.deprecated_since, entry.retires_at)
    expected = {"context_window": 200_000, "max_input_tokens": 200_000, "max_output_tokens": 64_000}
    assert {**expected, "images": True, "reasoning": False} == dict(entry.facts)
    assert read(listing, {"data": [], "has_more": True, "last_id": None}).following is None
    assert read(listing, {"data": [], "has_more": False, "last_id": "x"}).following is None


# --- Gemini --------------------------------------------------------------------------------------------------------


def test_gemini_names_pages_and_tuned_models() -> None:
    """Names lose ``models/``, tuned models are left out, pages follow the token."""
    listing = GeminiListing(version="v1alpha")
    page = read(
        listing,
        {"models": [{"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent"], "thinking": True},
                    {"name": "models/plain"}, {"name": "tunedModels/mine-1"}, {"version": 3}],
         "nextPageToken": "a b"},
    )  # fmt: skip
    assert [("gemini-x", True), ("plain", None)] == [(entry.name, entry.chat) for entry in page.entries]
    assert page.following is not None
    assert ("/v1alpha/models", "pageSize=1000&pageToken=a%20b") == (page.following.path, page.following.query)
    for model, path in (("gemini-x", "/v1alpha/models/gemini-x"), ("tunedModels/m", "/v1alpha/tunedModels/m")):
        found = listing.lookup(model)
        assert found is not None and path == found.path
    assert listing.decode_one({"name": "tunedModels/mine-1"}) is None


# --- Vertex --------------------------------------------------------------------------------------------------------


def test_vertex_asks_every_publisher() -> None:
    """A chain a publisher; a page leads on within its own chain; no models are an empty object."""
    listing = VertexListing()
    starts = listing.start()
    assert [f"/v1beta1/publishers/{publisher}/models" for publisher in PUBLISHERS] == [start.path for start in starts]
    page = read(listing, {"publisherModels": [], "nextPageToken": "t"}, starts[3])
    assert page.following is not None
    assert ("/v1beta1/publishers/meta/models", "pageSize=100&pageToken=t") == (
        page.following.path,
        page.following.query,
    )
    assert () == read(listing, {}).entries


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("publishers/google/models/gemini-2.5-pro", ("gemini-2.5-pro", True)),
        ("publishers/google/models/gemini-embedding-001", ("gemini-embedding-001", False)),
        ("publishers/google/models/imagen-4", ("imagen-4", False)),
        ("publishers/anthropic/models/claude-sonnet-5-5", ("claude-sonnet-5-5", True)),
        ("publishers/meta/models/llama-4-maas", ("meta/llama-4-maas", True)),
        ("publishers/meta/models/llama3@001", ("meta/llama3", False)),
        ("publishers/mistralai/models/mistral-large-2512", ("mistralai/mistral-large-2512", True)),
        ("publishers/mistralai/models/mistral-ocr-2505", ("mistralai/mistral-ocr-2505", False)),
        ("publishers/openai/models/gpt-oss-120b-maas", ("openai/gpt-oss-120b-maas", True)),
        ("publishers/openai/models/gpt-oss", ("openai/gpt-oss", False)),
    ],
)
def test_vertex_names(resource: str, expected: tuple[str, bool]) -> None:
    """A model is called as a request would call it, and its name tells whether it is a language model as a service."""
    entry = VertexListing().decode_one({"name": resource})
    assert entry is not None
    assert expected == (entry.name, entry.chat)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-pro", "/v1beta1/publishers/google/models/gemini-2.5-pro"),
        ("claude-opus-4-5@20251101", "/v1beta1/publishers/anthropic/models/claude-opus-4-5@20251101"),
        ("meta/llama-4-maas", "/v1beta1/publishers/meta/models/llama-4-maas"),
        ("publishers/ai21/models/jamba-2", "/v1beta1/publishers/ai21/models/jamba-2"),
        ("projects/p/locations/l/endpoints/7", None),
        ("endpoints/7", None),
    ],
)
def test_vertex_one_model(model: str, expected: str | None) -> None:
    """A model is asked for at its publisher; an endpoint of one's own is in no publisher's list."""
    found = VertexListing().lookup(model)
    assert expected == (found.path if found else None)


# --- Bedrock -------------------------------------------------------------------------------------------------------


def test_bedrock_models_and_profiles() -> None:
    """On-demand models answer, others only under a profile; what is provisioned or somebody's own is left out."""
    models, profiles = CONTROL.start()
    listed = CONTROL.decode(
        models,
        {"modelSummaries": [
            {"modelId": "a.old-v1:0", "inferenceTypesSupported": ["ON_DEMAND"], "outputModalities": ["TEXT"],
             "inputModalities": ["TEXT", "SPEECH"],
             "modelLifecycle": {"status": "LEGACY", "legacyTime": "2026-01-01T00:00:00Z", "endOfLifeTime": 1798761600}},
            {"modelId": "a.new", "inferenceTypesSupported": ["INFERENCE_PROFILE"], "outputModalities": ["TEXT"]},
            {"modelId": "a.embed", "inferenceTypesSupported": ["ON_DEMAND"], "outputModalities": ["EMBEDDING"]},
            {"modelId": "a.reserved", "inferenceTypesSupported": ["PROVISIONED"], "outputModalities": ["TEXT"]},
        ]},
    )  # fmt: skip
    assert [("a.old-v1:0", True), ("a.new", False), ("a.embed", False)] == [(e.name, e.chat) for e in listed.entries]
    old = listed.entries[0]
    assert (True, utc(2026, 1, 1), utc(2027, 1, 1)) == (old.deprecated, old.deprecated_since, old.retires_at)
    assert {"images": False, "video": False, "audio": True} == dict(old.facts)
    page = CONTROL.decode(
        profiles,
        {"inferenceProfileSummaries": [
            {"inferenceProfileId": "us.a.new", "type": "SYSTEM_DEFINED", "createdAt": "2026-02-01T00:00:00Z",
             "models": [{"modelArn": "arn:aws:bedrock:us-east-1::foundation-model/a.new"}]},
            {"inferenceProfileId": "abc123", "type": "APPLICATION"},
        ], "nextToken": "t="},
    )  # fmt: skip
    assert [("us.a.new", "a.new", True)] == [(entry.name, entry.behind, entry.chat) for entry in page.entries]
    assert page.following is not None and page.following.query.endswith("&type=SYSTEM_DEFINED&nextToken=t%3D")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("amazon.nova-pro-v1:0", "/foundation-models/amazon.nova-pro-v1%3A0"),
        ("us.amazon.nova-pro-v1:0", "/inference-profiles/us.amazon.nova-pro-v1%3A0"),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/a.b",
            "/foundation-models/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fa.b",
        ),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/x", None),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", None),
    ],
)
def test_bedrock_one_model(model: str, expected: str | None) -> None:
    """Models and profiles are asked for where they are; what is somebody's own is not."""
    found, access = CONTROL.lookup(model), CONTROL.access(model)
    assert expected == (found.path if found else None)
    assert (expected is None) is (access is None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"regionAvailability": "NOT_AVAILABLE", "authorizationStatus": "NOT_AUTHORIZED"}, "region"),
        ({"regionAvailability": "AVAILABLE", "authorizationStatus": "NOT_AUTHORIZED"}, "no_access"),
        ({"authorizationStatus": "AUTHORIZED", "entitlementAvailability": "AVAILABLE"}, "granted"),
        ({"authorizationStatus": "AUTHORIZED", "entitlementAvailability": "NOT_AVAILABLE"}, None),
        ({}, None),
    ],
)
def test_bedrock_access(value: dict[str, Any], expected: str | None) -> None:
    """The region is told first, then the right; an entitlement that is not there yet settles nothing."""
    assert expected == CONTROL.decode_access(value)


def test_bedrock_answers_about_one() -> None:
    """Details of a model or of a profile; one that is somebody's own is none."""
    model = CONTROL.decode_one({"modelDetails": {"modelId": "a.b", "outputModalities": ["TEXT"]}})
    assert model is not None and ("a.b", True) == (model.name, model.chat)
    profile = CONTROL.decode_one({"inferenceProfileId": "us.a.b"})
    assert profile is not None and profile.behind is None
    assert CONTROL.decode_one({"inferenceProfileId": "x", "type": "APPLICATION"}) is None


# --- hosts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        ({}, {}, "https://bedrock.eu-west-1.amazonaws.com"),
        ({"base_url": "https://bedrock-runtime-fips.eu-west-1.amazonaws.com"}, {},
         "https://bedrock-fips.eu-west-1.amazonaws.com"),
        ({"base_url": "http://127.0.0.1:1/x"}, {}, "http://127.0.0.1:1/x"),
        ({}, {"AWS_ENDPOINT_URL_BEDROCK": "https://vpce.example/"}, "https://vpce.example"),
    ],
)  # fmt: skip
def test_where_the_control_plane_is(options: dict[str, Any], environ: dict[str, str], expected: str) -> None:
    """Beside the runtime endpoint, unless the environment or a server of one's own says otherwise."""
    keys = {"AWS_BEARER_TOKEN_BEDROCK": "k", **environ}
    host = build("bedrock", "bedrock", {"region_name": "eu-west-1", **options}, keys)
    assert host.listing is not None
    assert expected == host.listing.base_url


def test_every_host_says_how_it_lists() -> None:
    """All kinds but those that only a configuration knows have a listing; GitHub's is elsewhere unless redirected."""
    environ = dict.fromkeys(KEYS, "k")
    for kind in ROWS:
        host = build(kind, kind, {"base_url": "https://host.example/v1"}, environ)
        assert host.listing is not None and host.listing.base_url is None, kind
    github = build("github", "github", {}, environ)
    assert github.listing is not None and "https://models.github.ai/catalog" == github.listing.base_url


def test_a_listing_by_itself_can_only_speak() -> None:
    """The least a listing can be: no lists, no single models, and a word as the only proof."""
    listing = Listing()
    assert ("generate",) == listing.proofs
    assert (None, None, None) == (listing.lookup("m"), listing.access("m"), listing.decode_access({}))
    for act in (listing.start, lambda: listing.decode(get("/"), {}), lambda: listing.decode_one({})):
        with pytest.raises(NotImplementedError):
            act()
    assert issubclass(ProtocolError, AsyncLLMError)
