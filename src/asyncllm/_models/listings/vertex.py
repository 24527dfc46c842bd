"""The Model Garden of Vertex AI: ``GET /v1beta1/publishers/{publisher}/models``, a chain of pages a publisher.

It says which models there are in the world, not which of them this project may call in its location: `proofs` ask the
location itself. It tells no limits and no end of life, and it holds much that is no language model, and open weights
that run only on machines of one's own: what answers messages as a service is told by the name. Publishers whose list
is refused cost nobody the others. Source: google_cloud_aiplatform 2.7.0 (types/publisher_model.py), a recorded list,
November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from ..._protocols.base import WireRequest
from ...errors import ProtocolError
from .base import Entry, Listing, Page, Proof, get
from .reading import dig, items

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
    """The lists of the publishers.

    Attributes:
        publishers: whose.
    """

    publishers: tuple[str, ...] = PUBLISHERS

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """A count of tokens, which is free and proves location and permission; else a word."""
        return ("count", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """The first page of each publisher."""
        return tuple([get(f"/v1beta1/publishers/{publisher}/models", _SIZE) for publisher in self.publishers])

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads a page; a publisher without models is an empty object.

        Raises:
            ProtocolError: it is no list of models.
        """
        listed = {"publisherModels": []} if value == {} else value
        entries = [entry for item in items(listed, "publisherModels") if (entry := _entry(item))]
        token = dig(value, ("nextPageToken",))
        following = get(request.path, f"{_SIZE}&pageToken={quote(token, safe='')}") if token else None
        return Page(entries=tuple(entries), following=following)

    def lookup(self, model: str) -> WireRequest | None:
        """The request for one model; None for what is in no publisher's list (an endpoint, a tuned model)."""
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

    def decode_one(self, value: Any) -> Entry | None:
        """Reads one model.

        Raises:
            ProtocolError: it is none.
        """
        entry = _entry(value) if isinstance(value, Mapping) else None
        if entry is None:
            raise ProtocolError("the answer about a model names none")
        return entry


def _entry(item: Mapping[str, Any]) -> Entry | None:
    found = _NAME.fullmatch(str(item.get("name")))
    if found is None:
        return None
    publisher, name = found.groups()
    chats = _CHATS.get(publisher, _AS_A_SERVICE).fullmatch(name) is not None
    return Entry(name=name if publisher in _BARE else f"{publisher}/{name}", chat=chats)
