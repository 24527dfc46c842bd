"""What is known of one model of one provider, and where each fact is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from .._schema.facts import NOTHING_KNOWN, FactSource, ModelFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model as a provider has it; ``None`` is unknown.

    Attributes:
        name: what a request calls it.
        provider: the name of the provider's entry in the configuration.
        aliases: other names for it, as the provider tells them.
        chat: it answers messages; False where the provider says that it is for something else.
        created: when it came into being.
        deprecated: its provider has announced its end, or no longer lists it. It can be used all the same.
        deprecated_since: since when, or since when it is missing from the list.
        retires_at: when it is switched off.
        last_seen: when the provider last listed it.
        last_validated: when it was last proved usable.
        context_window: tokens, input and output together.
        output_limit: the longest output, in tokens.
        input_price: US dollars for a million tokens, today.
        output_price: the same for the output.
        capabilities: what it can do; each of its facts has a source of its own.
        sources: attribute -> where its value is from: ``"api"`` (the provider), ``"catalog"`` (the package's data) or
            ``"config"``.
    """

    name: str
    provider: str
    aliases: tuple[str, ...] = ()
    chat: bool | None = None
    created: datetime | None = None
    deprecated: bool = False
    deprecated_since: datetime | None = None
    retires_at: datetime | None = None
    last_seen: datetime | None = None
    last_validated: datetime | None = None
    context_window: int | None = None
    output_limit: int | None = None
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    capabilities: ModelFacts = NOTHING_KNOWN
    sources: Mapping[str, FactSource] = field(default_factory=dict)
