"""The models a simulated host has, as its listing shows them: what is deprecated, what is fine-tuned, what is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class ListedModel:
    """Describes a model in a listing; each wire writes as much of it as its provider tells.

    Attributes:
        name: its id, as requests name it.
        deprecated: since when it is deprecated; None while it is not.
        retires: the day from which requests are refused as for an unknown model; None when none is announced.
        base: the model it was fine-tuned from; found in the names of OpenAI's fine-tuned models (``ft:base:org::id``).
    """

    name: str
    deprecated: date | None = None
    retires: date | None = None
    base: str | None = None

    def __post_init__(self) -> None:
        if self.base is None and self.name.startswith("ft:"):
            object.__setattr__(self, "base", self.name.split(":")[1])

    def retired(self, today: date) -> bool:
        """Whether requests are refused on this day."""
        return self.retires is not None and self.retires <= today


Models = Sequence[str | ListedModel] | Mapping[str, Sequence[str | ListedModel]] | None
"""The models of every kind of host, or of each by its kind; None for any name."""


def models_of(kind: str, models: Models) -> tuple[ListedModel, ...] | None:
    """Returns the models of a kind of host; None if every name is a model."""
    known = models.get(kind) if isinstance(models, Mapping) else models
    if known is None:
        return None
    return tuple(ListedModel(model) if isinstance(model, str) else model for model in known)


def listed(name: str, models: Iterable[ListedModel]) -> ListedModel:
    """Returns what is known of a model: its own entry, or its name alone."""
    return next((model for model in models if model.name == name), ListedModel(name))


def moment(day: date | None) -> str | None:
    """Returns the beginning of a day as APIs write it."""
    return None if day is None else f"{day.isoformat()}T00:00:00Z"
