"""What a model can do, as far as public data knows: `CapabilityBook.find` -> `ModelFacts`.

Rules: ``None`` is "nobody says", and whoever asks treats it as allowed; a model that is in no table gets `ModelFacts`
of ``None`` throughout, never the values of a similar one. A dated snapshot of a known model is that model, and so is a
route to it (``model:host``). Each fact says where it is from: ``"catalog"`` (the package's data), ``"config"``
(``catalog.capabilities``), ``"api"`` (the provider itself). The data: ``data/capabilities.json``, compiled by
``nox -s prices``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from .._schema.facts import NOTHING_KNOWN, ModelFacts
from .files import read_data
from .names import spellings, without_version

_MOST_REMEMBERED = 4096

_NUMBERS: Mapping[str, str] = MappingProxyType(
    {"w": "context_window", "i": "max_input_tokens", "o": "max_output_tokens"}
)
# A flag is a letter: capital where the model can, small where it cannot. Two of them only ever say yes.
_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "t": "tools",
        "i": "images",
        "d": "documents",
        "a": "audio",
        "v": "video",
        "j": "json_schema",
        "r": "reasoning",
        "s": "sampling",
        "o": "responses_only",
        "x": "deprecated",
    }
)


class CapabilityBook:
    """ModelFacts of models, for one configuration. Safe to share between threads and event loops."""

    __slots__ = ("_data", "_found", "_overrides")

    def __init__(self, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Reads nothing yet.

        Args:
            overrides: ``model`` or ``provider/model`` -> field -> value: ``catalog.capabilities`` of the configuration,
                without what is not set.

        Raises:
            ValueError: a field that there is not.
        """
        self._overrides = {name.lower(): dict(facts) for name, facts in (overrides or {}).items()}
        for facts in self._overrides.values():
            NOTHING_KNOWN.overlaid(facts, "config")
        self._found: dict[tuple[str, str, str | None], ModelFacts] = {}
        self._data: dict[str, Any] | None = None

    def load(self) -> None:
        """Reads the data file now, if it is not read yet. Blocking, a few milliseconds."""
        self._loaded()

    @property
    def version(self) -> str:
        """Date and sources of the data."""
        return str(self._loaded()["version"])

    def find(self, kind: str, model: str, *, provider: str | None = None) -> ModelFacts:
        """What is known of a model; `NOTHING_KNOWN` where nothing is.

        Args:
            kind: the provider's kind (``"openai"``, ``"bedrock"``, ``"groq"`` ...).
            model: its name as it is sent.
            provider: the name of the provider's entry in the configuration, for overrides under ``provider/model``.
        """
        key = (kind, model, provider)
        found = self._found.get(key)
        if found is None:
            found = _read(self._facts(kind, model))
            for name in (model, f"{kind}/{model}", f"{provider or kind}/{model}"):
                found = found.overlaid(self._overrides.get(name.lower(), {}), "config")
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[key] = found
        return found

    def models(self, kind: str) -> Iterator[str]:
        """The names of a kind's models in the data: a table, not a list of what the provider serves."""
        yield from self._loaded()["kinds"].get(kind, ())

    def _facts(self, kind: str, model: str) -> Mapping[str, Any] | None:
        rows = self._loaded()["kinds"].get(kind, {})
        names = list(spellings(model))
        routed = [name.rpartition(":")[0] for name in names]
        return next((rows[name] for name in (*names, *map(without_version, names), *routed) if name in rows), None)

    def _loaded(self) -> dict[str, Any]:
        if self._data is None:
            self._data = read_data("capabilities.json")
        return self._data


def _read(row: Mapping[str, Any] | None) -> ModelFacts:
    """A row of the data file, with its short keys, as capabilities."""
    if row is None:
        return NOTHING_KNOWN
    facts: dict[str, Any] = {name: row[key] for key, name in _NUMBERS.items() if key in row}
    facts.setdefault("context_window", facts.get("max_input_tokens"))
    facts.update((_FLAGS[letter.lower()], letter.isupper()) for letter in row.get("f", ""))
    if "x" in row:
        facts["retires_on"] = date.fromisoformat(row["x"])
    return NOTHING_KNOWN.overlaid(facts, "catalog")
