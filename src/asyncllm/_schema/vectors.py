"""Embeddings and rankings: what is asked of a model that writes no text, and what it answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from .request import Request
from .response import Attempt, CostSource, RateLimits
from .usage import UNKNOWN_USAGE, Usage
from .values import dataclass

Purpose = Literal["query", "document", "similarity", "classification", "clustering"]
"""What vectors are for: models that know the difference embed a question otherwise than the text that answers it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest(Request):
    """Texts to embed in one HTTP request.

    Attributes:
        texts: at least one, none of them empty.
        dimensions: the length of the vectors; None for the model's own.
        purpose: what the vectors are for; None leaves it to the model.
    """

    texts: tuple[str, ...] = ()
    dimensions: int | None = None
    purpose: Purpose | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest(Request):
    """Documents to be put in order by how well they answer a query.

    Attributes:
        query: the question.
        documents: at least one.
        top: only the best so many are wanted; None for all.
    """

    query: str = ""
    documents: tuple[str, ...] = ()
    top: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What a wire answers to an `EmbedRequest`: a vector for each text, in their order."""

    vectors: tuple[list[float], ...]
    usage: Usage = UNKNOWN_USAGE
    model: str = ""
    request_id: str | None = None
    rate_limits: RateLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranked:
    """What a wire answers to a `RerankRequest`: (place of the document, score), the best first."""

    scores: tuple[tuple[int, float], ...]
    usage: Usage = UNKNOWN_USAGE
    model: str = ""
    request_id: str | None = None
    rate_limits: RateLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings(Sequence[list[float]]):
    """The vectors of some texts, in the order of the texts; a sequence of them.

    Attributes:
        vectors: one for each text.
        dimensions: the length of each vector.
        usage: tokens of all requests together; unknown is unknown.
        cost: USD; None when a part of the bill is unknown.
        cost_source: who says so: ``"provider"``, the price ``"table"``, or an ``"estimate"``; None without a cost.
        unpriced_reason: why there is no cost; None where there is one.
        provider: the configured name of the provider that answered; of the first one where there were several.
        model: the model that answered, in the provider's words.
        requested_model: the model that was asked for.
        attempts: every HTTP attempt of the call.
        warnings: what was left out or changed on the way, a sentence each.
    """

    vectors: tuple[list[float], ...]
    dimensions: int
    usage: Usage = UNKNOWN_USAGE
    cost: Decimal | None = None
    cost_source: CostSource | None = None
    unpriced_reason: str | None = None
    provider: str = ""
    model: str = ""
    requested_model: str = ""
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[list[float]]:
        return iter(self.vectors)

    def __getitem__(self, place: Any) -> Any:
        return self.vectors[place]

    def array(self) -> Any:
        """The vectors as a NumPy array of 32-bit floats, one row for each text.

        Raises:
            ModuleNotFoundError: NumPy is not installed.
        """
        if find_spec("numpy") is None:
            raise ModuleNotFoundError("array() needs NumPy: python -m pip install numpy; or use .vectors", name="numpy")
        return import_module("numpy").array(self.vectors, dtype="float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A document and how well it answers the query.

    Attributes:
        index: its place among the documents that were given, from 0.
        score: higher is better; the scale is the model's own.
        document: its text.
    """

    index: int
    score: float
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(Sequence[Ranked]):
    """Documents in the order of their scores, the best first; a sequence of them.

    Attributes:
        results: the documents with their scores.
        usage: tokens, where the host counts them; unknown is unknown.
        cost: USD; None when a part of the bill is unknown.
        cost_source: who says so: ``"provider"``, the price ``"table"``, or an ``"estimate"``; None without a cost.
        unpriced_reason: why there is no cost; None where there is one.
        provider: the configured name of the provider that answered.
        model: the model that answered, in the provider's words.
        requested_model: the model that was asked for.
        attempts: every HTTP attempt of the call.
    """

    results: tuple[Ranked, ...]
    usage: Usage = UNKNOWN_USAGE
    cost: Decimal | None = None
    cost_source: CostSource | None = None
    unpriced_reason: str | None = None
    provider: str = ""
    model: str = ""
    requested_model: str = ""
    attempts: tuple[Attempt, ...] = ()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Ranked]:
        return iter(self.results)

    def __getitem__(self, place: Any) -> Any:
        return self.results[place]
