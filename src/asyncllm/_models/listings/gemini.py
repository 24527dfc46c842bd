"""``GET /{version}/models`` of the Gemini API: pages by ``pageToken``, names as ``models/...``.

A model answers messages if it supports ``generateContent``. Nothing here says that a model is going away; responses do
(``modelStatus``). Tuned models (``tunedModels/...``) have a list of their own and are left out of this one. Source:
google-genai 3.4.0 (models.py, ``_Model_from_mldev``), recorded lists, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..._protocols.base import WireRequest
from ...errors import ProtocolError
from ..names import is_custom
from .base import Entry, Listing, Page, Proof, get
from .reading import dig, first, items, known, text, words

_SIZE = "pageSize=1000"
_METHODS = "supportedGenerationMethods"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiListing(Listing):
    """The list of the Gemini API.

    Attributes:
        version: of the API; previews and aliases are listed by ``v1beta`` only.
    """

    version: str = "v1beta"

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """The model by its name, else a word."""
        return ("model", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """The first page."""
        return (get(f"/{self.version}/models", _SIZE),)

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads a page.

        Raises:
            ProtocolError: it is no list of models.
        """
        found = (_entry(item) for item in items(value, "models"))
        token = dig(value, ("nextPageToken",))
        following = get(request.path, f"{_SIZE}&pageToken={quote(token, safe='')}") if token else None
        return Page(entries=tuple([entry for entry in found if entry is not None]), following=following)

    def lookup(self, model: str) -> WireRequest | None:
        """The request for one model; a resource name is taken as it is."""
        name = model if "/" in model else f"models/{model}"
        return get(f"/{self.version}/{quote(name, safe='-._~/')}")

    def decode_one(self, value: Any) -> Entry | None:
        """Reads one model.

        Raises:
            ProtocolError: it is none.
        """
        if not text(value, "name"):
            raise ProtocolError("the answer about a model names none")
        return _entry(value)


def _entry(item: Mapping[str, Any]) -> Entry | None:
    name = text(item, "name").removeprefix("models/")
    if not name or is_custom(name):
        return None
    length = first(item, (("inputTokenLimit",),), int)
    methods = words(item.get(_METHODS))
    return Entry(
        name=name,
        chat="generatecontent" in methods if _METHODS in item else None,
        facts=known(
            context_window=length,
            max_input_tokens=length,
            max_output_tokens=first(item, (("outputTokenLimit",),), int),
            reasoning=first(item, (("thinking",),), bool),
        ),
    )
