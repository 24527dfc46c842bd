"""Reasoning in the two structured forms of the chat format: OpenRouter's details and Mistral's thinking chunks.

Both are kept whole in `Reasoning.extra`, so that they go back as they came: under ``reasoning_details`` the list of
entries, under ``chunk`` the thinking chunk. Streams cut them into deltas; merged again they are what the unary answer
would have held. Entries of text and summary are continued by entries of the same type and index (a signature may
come alone); every other kind arrives whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..._schema.content import Origin, Reasoning

_TEXT_KEYS: Mapping[str, str] = {"reasoning.text": "text", "reasoning.summary": "summary"}


def merge_details(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries with their deltas joined, in the order in which each began."""
    merged: list[dict[str, Any]] = []
    places: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        kind = entry.get("type")
        text_key = _TEXT_KEYS.get(kind) if isinstance(kind, str) else None
        if text_key is None:
            merged.append(dict(entry))
            continue
        place = (str(kind), str(entry.get("index")))
        known = places.get(place)
        if known is None:
            known = places[place] = dict(entry)
            merged.append(known)
            continue
        for name, value in entry.items():
            if name == text_key and isinstance(value, str) and isinstance(known.get(name), str):
                known[name] += value
            elif value is not None:
                known[name] = value
    return merged


def details_text(entries: Iterable[Mapping[str, Any]]) -> str:
    """The readable text of the entries."""
    found = [entry.get(_TEXT_KEYS.get(str(entry.get("type")), "")) for entry in entries]
    return "".join([text for text in found if isinstance(text, str)])


def details_part(text: str, entries: list[dict[str, Any]], origin: Origin) -> Reasoning:
    """The part for a run of reasoning with merged details."""
    signature = next((entry["signature"] for entry in entries if isinstance(entry.get("signature"), str)), None)
    encrypted = next((entry["data"] for entry in entries if isinstance(entry.get("data"), str)), None)
    ident = next((entry["id"] for entry in entries if isinstance(entry.get("id"), str)), None)
    extra = {"reasoning_details": entries} if entries else None
    return Reasoning(text, signature=signature, encrypted=encrypted, id=ident, origin=origin, extra=extra)


def is_thinking(chunk: object) -> bool:
    """Whether an item of a content list is Mistral's thinking chunk."""
    return isinstance(chunk, dict) and chunk.get("type") == "thinking"


def thinking_text(chunk: Mapping[str, Any]) -> str:
    """The readable text of a thinking chunk, whose ``thinking`` is a list of items or a string."""
    thinking = chunk.get("thinking")
    if isinstance(thinking, str):
        return thinking
    items = thinking if isinstance(thinking, list) else []
    found = [item.get("text") for item in items if isinstance(item, dict) and item.get("type") == "text"]
    return "".join([text for text in found if isinstance(text, str)])


def merge_thinking(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """One thinking chunk of the deltas of a run: texts joined, everything else in order, later fields win."""
    if len(chunks) == 1:
        return chunks[0]
    whole: dict[str, Any] = {}
    items: list[Any] = []
    for chunk in chunks:
        whole.update({name: value for name, value in chunk.items() if value is not None})
        thinking = chunk.get("thinking")
        fresh = [{"type": "text", "text": thinking}] if isinstance(thinking, str) else thinking
        for item in fresh if isinstance(fresh, list) else []:
            if _is_text(item) and items and _is_text(items[-1]):
                items[-1] = {**items[-1], "text": items[-1]["text"] + item["text"]}
            else:
                items.append(item)
    return {**whole, "thinking": items}


def _is_text(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == "text" and isinstance(item.get("text"), str)


def thinking_part(chunk: dict[str, Any], origin: Origin) -> Reasoning:
    """The part for a whole thinking chunk."""
    signature = chunk.get("signature")
    return Reasoning(
        thinking_text(chunk),
        signature=signature if isinstance(signature, str) else None,
        origin=origin,
        extra={"chunk": chunk},
    )
