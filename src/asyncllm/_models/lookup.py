"""Finds the facts of a model: `FactBook.find` returns `asyncllm._schema.facts.ModelFacts`.

Rules: ``None`` is "nobody says", and whoever asks treats it as allowed; a model that is in no table gets nothing but
``None``, never the values of a similar one. A dated snapshot of a known model is that model, and so is a route to it
(``model:host``).

There are two kinds of data, both in ``data/``:

- ``facts/<kind>.json``: windows, limits, media and ends of single models, compiled by ``nox -s prices``. Only the files
  of the kinds that are asked about are read.
- ``families.json``: how families of models reason and what their wires take, written by hand. A row is the beginning
  of a name and a shape; a shape may be ``like`` another one. Of the rows of a group, the longest one that fits counts.
  A later group goes over an earlier one: a host's own rule is a row in a group of its own. A name may go on after the
  row's text, but not with another version number: ``gpt-5`` is not ``gpt-5.7``. A row that ends in a dot or a dash fits
  every version. Dots and dashes are the same. A row that begins with ``*`` fits every name that holds its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date
from types import MappingProxyType
from typing import Any

from .._schema.facts import NOTHING_KNOWN, ModelFacts, ReasoningRules
from .files import read_data
from .names import is_custom, spellings, without_version

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
_RULES = frozenset(found.name for found in fields(ReasoningRules))
_FINE_TUNED = re.compile(r"^ft:")
_VERSION = re.compile(r"-?\d{1,2}(?![\da-z])|\d")


class FactBook:
    """Looks up facts of models, for one configuration. It can be shared between threads and event loops."""

    __slots__ = ("_about", "_families", "_found", "_kinds", "_models", "_overrides", "_priced_as")

    def __init__(
        self,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        kinds: Iterable[str] = (),
        priced_as: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            overrides: ``model`` or ``provider/model`` -> field -> value: ``catalog.capabilities`` of the configuration,
                without what is not set.
            kinds: whose data `load` reads; that of other kinds is read when it is asked about.
            priced_as: the name of a provider's entry -> name of a deployment -> the model behind it.

        Raises:
            ValueError: a field that there is not.
        """
        self._priced_as = priced_as or {}
        self._kinds = tuple(dict.fromkeys(kinds))
        self._overrides = {name.lower(): dict(facts) for name, facts in (overrides or {}).items()}
        for facts in self._overrides.values():
            NOTHING_KNOWN.overlaid(facts, "config")
        self._found: dict[tuple[str, str, str | None], ModelFacts] = {}
        self._models: dict[str, Mapping[str, Any]] = {}
        self._families: Families | None = None
        self._about: Mapping[str, Any] | None = None

    def load(self) -> None:
        """Reads the data of the configured kinds now, if it is not read yet. Blocking, about half a millisecond."""
        self._family_rows()
        for kind in self._kinds:
            self._rows(kind)

    @property
    def version(self) -> str:
        """Returns date and sources of the compiled data."""
        return str(self._index()["version"])

    def find(self, kind: str, model: str, *, provider: str | None = None) -> ModelFacts:
        """Returns the facts of a model, or `NOTHING_KNOWN`.

        Args:
            kind: the provider's kind (``"openai"``, ``"bedrock"``, ``"groq"`` ...).
            model: its name as it is sent.
            provider: the name of the provider's entry in the configuration, for overrides under ``provider/model``.
        """
        key = (kind, model, provider)
        found = self._found.get(key)
        if found is None:
            behind = self._priced_as.get(provider or "", {}).get(model, model)
            found = _read(self._facts(kind, behind)).overlaid(self._family_rows().find(kind, behind), "catalog")
            for name in (model, f"{kind}/{model}", f"{provider or kind}/{model}"):
                found = found.overlaid(self._overrides.get(name.lower(), {}), "config")
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[key] = found
        return found

    def models(self, kind: str) -> Iterator[str]:
        """Yields the names of a kind's models in the data: a table, not a list of what the provider serves."""
        yield from self._rows(kind)

    def _facts(self, kind: str, model: str) -> Mapping[str, Any] | None:
        rows = self._rows(kind)
        names = list(spellings(model))
        routed = [name.rpartition(":")[0] for name in names]
        return next((rows[name] for name in (*names, *map(without_version, names), *routed) if name in rows), None)

    def _rows(self, kind: str) -> Mapping[str, Any]:
        rows = self._models.get(kind)
        if rows is None:
            known = kind in self._index()["kinds"]
            rows = self._models[kind] = read_data(f"facts/{kind}.json") if known else {}
        return rows

    def _index(self) -> Mapping[str, Any]:
        if self._about is None:
            self._about = read_data("facts/index.json")
        return self._about

    def _family_rows(self) -> Families:
        if self._families is None:
            self._families = Families(read_data("families.json"))
        return self._families


class Families:
    """Looks up the rows of ``families.json``."""

    __slots__ = ("_groups", "_shapes")

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Splits the data by kind.

        Raises:
            KeyError: a row is like a shape that there is not.
        """
        self._shapes: Mapping[str, Any] = data["shapes"]
        groups: dict[str, list[dict[str, Any]]] = {}
        for group in data["families"]:
            rows = {_plain(name): row for name, row in group["models"].items()}
            for kind in group["kinds"].split():
                groups.setdefault(kind, []).append(rows)
        self._groups = groups

    def find(self, kind: str, model: str) -> dict[str, Any]:
        """Returns the facts of a model's family, by the field names of `ModelFacts`; empty for a model of no known
        family.
        """
        bare = _bare(model)
        names = _candidates(bare)
        merged: dict[str, Any] = {}
        for rows in self._groups.get(kind, ()) if names else ():
            fitting = [row for row in rows if any(_fits(row, name, bare) for name in names)]
            if fitting:
                merged.update(self._whole(rows[max(fitting, key=len)]))
        facts = {name: value for name, value in merged.items() if name not in _RULES}
        ways = {name: value for name, value in merged.items() if name in _RULES}
        if ways:
            facts["rules"] = _rules(ways)
            facts["reasoning"] = facts["rules"].reasons
        return facts

    def _whole(self, row: str | Mapping[str, Any]) -> dict[str, Any]:
        """Returns a row merged with the shapes that it is ``like``."""
        if isinstance(row, str):
            row = {"like": row}
        below = self._whole(self._shapes[row["like"]]) if "like" in row else {}
        return {**below, **{name: value for name, value in row.items() if name != "like"}}


def _rules(ways: Mapping[str, Any]) -> ReasoningRules:
    told = dict(ways)
    for name in ("efforts", "modes"):
        if name in told:
            told[name] = tuple(told[name].split())
    if told.get("budgets") is not None:
        told["budgets"] = tuple(told["budgets"])
    return ReasoningRules(**told)


def _bare(model: str) -> str:
    """Returns a model's name without what its host adds; empty for a custom model.

    A fine-tuned model reasons as the model that it is made of.
    """
    name = _FINE_TUNED.sub("", model.lower())
    return "" if is_custom(name) else list(spellings(name))[-1].rpartition("/")[2]


def _candidates(bare: str) -> list[str]:
    """Returns the plain names under which a family is looked for: as it is, and without a vendor (``anthropic.``)
    before it.
    """
    return [_plain(name) for name in (bare, bare.partition(".")[2]) if name]


def _plain(name: str) -> str:
    return name if name.startswith("*") else name.replace(".", "-").replace("@", "-")


def _fits(row: str, name: str, bare: str) -> bool:
    if row.startswith("*"):
        return row[1:] in bare
    if not name.startswith(row):
        return False
    return row.endswith("-") or not row or _VERSION.match(name, len(row)) is None


def _read(row: Mapping[str, Any] | None) -> ModelFacts:
    """Reads a row of a file of compiled facts, with its short keys, as facts."""
    if row is None:
        return NOTHING_KNOWN
    facts: dict[str, Any] = {name: row[key] for key, name in _NUMBERS.items() if key in row}
    facts.setdefault("context_window", facts.get("max_input_tokens"))
    facts.update((_FLAGS[letter.lower()], letter.isupper()) for letter in row.get("f", ""))
    if "x" in row:
        facts["retires_on"] = date.fromisoformat(row["x"])
    return NOTHING_KNOWN.overlaid(facts, "catalog")
