"""The interface of a listing, and what it reads: entries, a page at a time.

Rules: a listing knows no clock and no network. Some hosts keep several lists (Bedrock's models and profiles, Vertex's
publishers); each is a *chain* of pages, known by the path of its requests, and one chain may fail without the others.
What an API does not say is ``None``. Models of the caller's own (fine-tuned, tuned, imported, provisioned, adapters)
are left out of every page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timezone
from typing import Any, Literal

from .._protocols.codec import WireRequest
from .._schema.values import dataclass
from ..errors import ProtocolError

Proof = Literal["model", "access", "count", "generate"]
"""A way to prove that a model can be used; see `Listing.proofs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model as its host describes it.

    Attributes:
        name: what a request calls it.
        aliases: other names for the same model.
        behind: the model that a profile stands for, where the host lists both.
        created: when it came into being.
        deprecated: the host has announced its end; None where the host says nothing of that.
        deprecated_since: since when.
        retires_at: when it is switched off.
        chat: whether it answers messages under this name; False for embeddings, pictures and their like, and for what
            can only be reached under another name.
        facts: what the host says it can do, by the field names of `asyncllm._models.ModelFacts`.
    """

    name: str
    aliases: tuple[str, ...] = ()
    behind: str | None = None
    created: datetime | None = None
    deprecated: bool | None = None
    deprecated_since: datetime | None = None
    retires_at: datetime | None = None
    chat: bool | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The models of one answer, and the request for the next page (None after the last page)."""

    entries: tuple[ModelEntry, ...]
    following: WireRequest | None = None


Access = Literal["granted", "no_access", "region"]
"""What an account may do with a model that exists: call it, not call it, not call it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How one host lists its models; a format says `start` and `decode`, and more where its host offers more.

    Attributes:
        base_url: where to ask; None for the host's usual base URL.
    """

    base_url: str | None = None

    @property
    def proofs(self) -> Sequence[Proof]:
        """Returns the ways to prove that a model can be used, the cheapest first.

        ``model``: read it by name (`lookup`). ``access``: ask what the account may do with it (`access`). ``count``:
        count the tokens of a word. ``generate``: let it say a word.
        """
        return ("generate",)

    def start(self) -> Sequence[WireRequest]:
        """Returns the first request of each list."""
        raise NotImplementedError

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads the JSON of an answer to a request of `start`, or to one that followed it.

        Raises:
            ProtocolError: it is no list of models.
        """
        raise NotImplementedError

    def lookup(self, model: str) -> WireRequest | None:
        """Returns the request for one model; None if the host has no endpoint for it."""
        return None

    def decode_one(self, value: Any) -> ModelEntry | None:
        """Reads the answer to `lookup`; None for a model that belongs to the caller.

        Raises:
            ProtocolError: it is no model.
        """
        raise NotImplementedError

    def access(self, model: str) -> WireRequest | None:
        """Returns the request for what this account may do with a model; None if the host cannot say."""
        return None

    def decode_access(self, value: Any) -> Access | None:
        """Reads the answer to `access`; None if it decides nothing."""
        return None


def get(path: str, query: str = "", headers: tuple[tuple[str, str], ...] = ()) -> WireRequest:
    """Returns a GET request."""
    return WireRequest(
        method="GET", path=path, query=query, headers=(("accept", "application/json"), *headers), body=b""
    )


# --- reading values that may be there or not, without trusting their type --------------------------------------------

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?")
_NEVER = 4_000_000_000  # seconds, in 2096: how Azure writes "no end is planned"


def moment(value: Any) -> datetime | None:
    """Returns a date, a time or seconds since the epoch in UTC; None for 0, for "never" and for anything else."""
    if isinstance(value, str):
        found = _ISO.fullmatch(value.strip())
        if found is None:
            return None
        day, clock, zone = found.groups()
        zone = "+00:00" if zone in (None, "Z") else f"{zone[:3]}:{zone[-2:]}"
        try:
            return datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone}").astimezone(timezone.utc)
        except (ValueError, OverflowError):
            return None
    if type(value) in (int, float) and 0 < value < _NEVER:
        return datetime.fromtimestamp(value, timezone.utc)
    return None


def dig(value: Any, path: Sequence[str]) -> Any:
    """Returns the value at a path of keys; None if a key is missing."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def first(value: Any, paths: Sequence[Sequence[str]], kind: type) -> Any:
    """Returns the first value of a type at one of these paths. A number must be above 0, a text not empty."""
    for path in paths:
        found = dig(value, path)
        fits = type(found) is kind
        if fits and (kind is bool or (found > 0 if kind is int else found)):
            return found
    return None


def items(value: Any, *names: str) -> Iterator[Mapping[str, Any]]:
    """Returns the objects of the first of these lists that exists. Other values in it are skipped.

    Raises:
        ProtocolError: none is there.
    """
    found = next((found for name in names if isinstance(found := dig(value, (name,)), list)), None)
    if found is None:
        raise ProtocolError(f"the list of models has no {' or '.join(names)}: is base_url that of the API?")
    for item in found:
        if isinstance(item, Mapping):
            yield item


def text(value: Any, key: str) -> str:
    """Returns the text under a key; an empty text if there is none."""
    found = dig(value, (key,))
    return found if isinstance(found, str) else ""


def listed(value: Any) -> list[Any]:
    """Returns the value if it is a list, or else an empty list."""
    return value if isinstance(value, list) else []


def words(value: Any) -> frozenset[str]:
    """Returns the words of a list in lower case; nothing if the value is not a list."""
    return frozenset(word.lower() for word in listed(value) if isinstance(word, str))


def known(**facts: Any) -> dict[str, Any]:
    """Returns the facts that are not None."""
    return {name: value for name, value in facts.items() if value is not None}
