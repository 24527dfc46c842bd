"""What is known of a batch: its row in the ledger, and the jobs at the host that it consists of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .._engine.attempt import Engine
from .._engine.target import Target
from .._ledger.book import Bookkeeper
from .._ledger.columns import Head
from .._ledger.ledger import Ledger
from .._protocols.batching import Batching, JobInfo, JobState
from ..errors import (
    ConfigurationError,
    UnsupportedByProviderError,
)

__all__ = ["BatchDesk", "Facts", "Part", "batching_of", "dumped", "head_of", "kept_ledger", "loaded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDesk:
    """What batches need of a client.

    Attributes:
        engine: of the running loop.
        books: of the client.
        ledger: of the client.
        aim: (provider, model, deployment) -> the target.
    """

    engine: Engine
    books: Bookkeeper
    ledger: Ledger
    aim: Callable[[str | None, str | None, str | None], Target]


@dataclass(slots=True, kw_only=True)
class Part:
    """One job at the host.

    Attributes:
        group: what its lines have in common, in the host's words.
        mark: what the host keeps with it.
        ranges: the places of its lines among the inputs, as (first, one after the last) each.
        file: the uploaded lines; ``""`` before, or where they travel with the job.
        sent: what was sent to make something and not answered yet: ``"upload"``, ``"create"`` or ``""``.
        host_id: the host's id; ``""`` before it is made.
        state: where it is.
        outputs: where its answers are, in the host's words.
        done: lines that are answered or failed.
        problem: why it failed as a whole.
    """

    group: str
    mark: str
    ranges: list[list[int]]
    file: str = ""
    sent: str = ""
    host_id: str = ""
    state: JobState = "creating"
    outputs: Sequence[str] = ()
    done: int = 0
    problem: str = ""

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return sum([end - start for start, end in self.ranges])

    def add(self, index: int) -> None:
        """Takes a line in."""
        if self.ranges and self.ranges[-1][1] == index:
            self.ranges[-1][1] += 1
        else:
            self.ranges.append([index, index + 1])

    @property
    def info(self) -> JobInfo:
        """What the host said of it last."""
        return JobInfo(id=self.host_id, state=self.state, outputs=tuple(self.outputs))


@dataclass(slots=True, kw_only=True)
class Facts:
    """What the row of a batch holds besides its columns.

    Attributes:
        mark: of the whole batch; the ids of its lines begin with it.
        provider: the configured name.
        kind: of the provider.
        deployment: the key, region or endpoint; None where the provider has only one.
        model: what answers.
        digest: of the inputs, so that the same id cannot name two batches.
        total: how many lines there are.
        timeout: seconds for each HTTP request.
        whose: user, agent and tags, for the ledger.
        storage: a folder of a bucket of the caller's; ``""`` where the host needs none.
        role: what the host reads the bucket with.
        parts: the jobs at the host.
    """

    mark: str
    provider: str
    kind: str
    deployment: str | None
    model: str
    digest: str
    total: int
    timeout: float | None = None
    whose: dict[str, Any] = field(default_factory=dict)
    storage: str = ""
    role: str = ""
    parts: list[Part] = field(default_factory=list)


def batching_of(target: Target) -> Batching:
    host = target.provider
    found = None if host.batching is None else host.batching(target.model)
    if found is None:
        raise UnsupportedByProviderError(
            f"{host.name} has no batches that are known here; use client.map", provider=host.name, model=target.model
        )
    return found


def dumped(facts: Facts) -> str:
    return json.dumps(asdict(facts), separators=(",", ":"))


def loaded(text: str) -> Facts:
    value = json.loads(text)
    return Facts(**{**value, "parts": [Part(**part) for part in value["parts"]]})


def head_of(desk: BatchDesk, facts: Facts, whose: Mapping[str, Any]) -> Head:
    return Head(
        provider=facts.provider,
        kind=facts.kind,
        model=facts.model,
        deployment=facts.deployment,
        requested_model=facts.model,
        session=desk.ledger.session,
        user=whose.get("user"),
        agent=whose.get("agent"),
        tags=whose.get("tags"),
    )


def kept_ledger(ledger: Any) -> Ledger:
    """The ledger that batches are rows of.

    Raises:
        ConfigurationError: the configuration keeps none.
    """
    if not isinstance(ledger, Ledger):
        raise ConfigurationError("a batch is a row of the ledger: set cost_tracking.enabled to true")
    return ledger
