"""The registry's memory, and the file that keeps it between runs.

The file is JSON, one object a provider, replaced as a whole or not at all. A file that is broken or of another version
is as good as none: it holds nothing that cannot be asked for again. It never holds a key; a provider is recognised by
its kind and a digest of its base URL, so that an entry which now means another server starts anew.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from .._providers.listings import ModelEntry
from .._providers.provider import Provider

VERSION = 1
_DATES = ("created", "deprecated_since", "retires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """Holds a model that was listed.

    Attributes:
        entry: as it was listed last.
        chain: the list it stood in, by its path.
        last_seen: when it was listed last.
        gone_since: since when it is missing from that list; None while it is there.
    """

    entry: ModelEntry
    chain: str
    last_seen: datetime
    gone_since: datetime | None = None


@dataclass(slots=True, kw_only=True)
class HostState:
    """Holds what is remembered of one provider.

    Attributes:
        identity: of the server, see `identity_of`.
        kind: the provider's kind.
        refreshed_at: when its list was last read, wholly or in part.
        records: by name.
        validated: name -> when that model was last proved usable.
    """

    identity: str
    kind: str
    refreshed_at: datetime | None = None
    records: dict[str, SavedModel] = field(default_factory=dict)
    validated: dict[str, datetime] = field(default_factory=dict)


def identity_of(provider: Provider) -> str:
    """Returns what identifies a server. No address can be read from it."""
    return f"{provider.kind} {sha256(provider.base_url.encode()).hexdigest()[:16]}"


def read(path: Path) -> dict[str, HostState]:
    """Returns the content of the file, by provider; nothing if there is no such file. It blocks.

    Raises:
        ValueError: the file is not what `write` makes.
        OSError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf8")
    except FileNotFoundError:
        return {}
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise ValueError(f"it is of version {data['version']!r}")
        return {name: _state(value) for name, value in data["providers"].items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no list of models: {error!r}") from None


def write(path: Path, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes providers (as `plain` returns them) into the file and keeps the other ones. Blocking, atomic.

    Raises:
        OSError: it cannot be written.
    """
    try:
        others = {name: plain(state) for name, state in read(path).items()}
    except ValueError:
        others = {}
    text = json.dumps({"version": VERSION, "providers": {**others, **states}}, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        fresh = Path(file.name)
        try:
            file.write(text)
        except BaseException:
            fresh.unlink()
            raise
    fresh.replace(path)


def plain(state: HostState) -> dict[str, Any]:
    """Returns a state as JSON values."""
    return {
        "identity": state.identity,
        "kind": state.kind,
        "refreshed_at": _text(state.refreshed_at),
        "models": [_plain_record(record) for record in state.records.values()],
        "validated": {name: _text(when) for name, when in state.validated.items()},
    }


def _plain_record(record: SavedModel) -> dict[str, Any]:
    entry = record.entry
    values = {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "behind": entry.behind,
        "deprecated": entry.deprecated,
        "chat": entry.chat,
        "facts": dict(entry.facts),
        **{name: _text(getattr(entry, name)) for name in _DATES},
        "chain": record.chain,
        "last_seen": _text(record.last_seen),
        "gone_since": _text(record.gone_since),
    }
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def _state(value: Mapping[str, Any]) -> HostState:
    return HostState(
        identity=value["identity"],
        kind=value["kind"],
        refreshed_at=_moment(value["refreshed_at"]),
        records={found["name"]: _record(found) for found in value["models"]},
        validated={name: datetime.fromisoformat(when) for name, when in value["validated"].items()},
    )


def _record(value: Mapping[str, Any]) -> SavedModel:
    entry = ModelEntry(
        name=value["name"],
        aliases=tuple(value.get("aliases", ())),
        behind=value.get("behind"),
        deprecated=value.get("deprecated"),
        chat=value.get("chat"),
        facts=value.get("facts", {}),
        **{name: _moment(value.get(name)) for name in _DATES},
    )
    return SavedModel(
        entry=entry,
        chain=value["chain"],
        last_seen=datetime.fromisoformat(value["last_seen"]),
        gone_since=_moment(value.get("gone_since")),
    )


def _text(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
