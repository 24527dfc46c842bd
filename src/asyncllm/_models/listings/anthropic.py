"""``GET /v1/models`` of the Claude API: pages by ``after_id``, with capabilities and a lifecycle.

Retired models are listed only when asked for, and are not asked for. There are no fine-tuned ones. Source: anthropic
SDK 2.11 (types/model_info.py, types/model_list_params.py), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from ..._protocols.base import WireRequest
from ...errors import ProtocolError
from .base import Entry, Listing, Page, Proof, get
from .reading import dig, first, items, known, moment, text

PATH = "/v1/models"
_SIZE = "limit=1000"
_FLAGS: Mapping[str, str] = MappingProxyType(
    {"images": "image_input", "documents": "pdf_input", "json_schema": "structured_outputs", "reasoning": "thinking"}
)
_STAGES: Mapping[str, bool] = MappingProxyType({"active": False, "deprecated": True, "retired": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicListing(Listing):
    """The list of the Claude API."""

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """The model by its name, else a word."""
        return ("model", "generate")

    def start(self) -> tuple[WireRequest, ...]:
        """The first page."""
        return (get(PATH, _SIZE),)

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads a page.

        Raises:
            ProtocolError: it is no list of models.
        """
        entries = tuple([_entry(item) for item in items(value, "data") if text(item, "id")])
        last = dig(value, ("last_id",))
        more = dig(value, ("has_more",)) is True and isinstance(last, str)
        return Page(entries=entries, following=get(PATH, f"{_SIZE}&after_id={quote(last, safe='')}") if more else None)

    def lookup(self, model: str) -> WireRequest | None:
        """The request for one model; aliases are resolved."""
        return get(f"{PATH}/{quote(model, safe='-._~')}")

    def decode_one(self, value: Any) -> Entry | None:
        """Reads one model.

        Raises:
            ProtocolError: it is none.
        """
        if not text(value, "id"):
            raise ProtocolError("the answer about a model names none")
        return _entry(value)


def _entry(item: Mapping[str, Any]) -> Entry:
    length = first(item, (("max_input_tokens",),), int)
    flags = {name: first(item, (("capabilities", word, "supported"),), bool) for name, word in _FLAGS.items()}
    return Entry(
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
