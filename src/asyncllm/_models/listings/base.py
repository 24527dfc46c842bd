"""The interface of a listing, and what it reads: entries, a page at a time.

Rules: a listing knows no clock and no network. Some hosts keep several lists (Bedrock's models and profiles, Vertex's
publishers); each is a *chain* of pages, known by the path of its requests, and one chain may fail without the others.
What an API does not say is ``None``. Models of the caller's own (fine-tuned, tuned, imported, provisioned, adapters)
are left out of every page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ..._protocols.base import WireRequest

Proof = Literal["model", "access", "count", "generate"]
"""A way to prove that a model can be used; see `Listing.proofs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
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
    """What one answer holds, and the request for the next one; None after the last."""

    entries: tuple[Entry, ...]
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
        """The ways to prove that a model can be used, the cheapest first.

        ``model``: read it by name (`lookup`). ``access``: ask what the account may do with it (`access`). ``count``:
        count the tokens of a word. ``generate``: let it say a word.
        """
        return ("generate",)

    def start(self) -> Sequence[WireRequest]:
        """The first request of every chain."""
        raise NotImplementedError

    def decode(self, request: WireRequest, value: Any) -> Page:
        """Reads the JSON of an answer to a request of `start`, or to one that followed it.

        Raises:
            ProtocolError: it is no list of models.
        """
        raise NotImplementedError

    def lookup(self, model: str) -> WireRequest | None:
        """The request for one model; None where there is no such endpoint, or none for such a model."""
        return None

    def decode_one(self, value: Any) -> Entry | None:
        """Reads the answer to `lookup`; None for a model of the caller's own.

        Raises:
            ProtocolError: it is no model.
        """
        raise NotImplementedError

    def access(self, model: str) -> WireRequest | None:
        """The request for what this account may do with a model, where a host can be asked that."""
        return None

    def decode_access(self, value: Any) -> Access | None:
        """Reads the answer to `access`; None where it settles nothing."""
        return None


def get(path: str, query: str = "", headers: tuple[tuple[str, str], ...] = ()) -> WireRequest:
    """A request to read something."""
    return WireRequest(
        method="GET", path=path, query=query, headers=(("accept", "application/json"), *headers), body=b""
    )
