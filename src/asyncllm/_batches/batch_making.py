"""Making a batch: inputs become lines, lines become jobs at the host, and all of them rows of the ledger."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import anyio

from .._engine.attempt import HTTPAttempt
from .._engine.call import Call, Patience
from .._engine.target import Target
from .._ledger.budgets import Hold
from .._ledger.columns import Head
from .._ledger.jobs import JobRow, line_id
from .._ledger.units import new_ulid
from .._map.item import Item
from .._models.bounds import bound_of
from .._protocols.batching import Batching, bucket_of
from .._schema.request import Request
from .._schema.response import Response
from ..errors import (
    AsyncLLMError,
    BadRequestError,
)
from .batch_facts import BatchDesk, Facts, Part, batching_of, dumped, head_of
from .batch_job import Batch

__all__ = ["BatchPlan", "Prepared", "make_batch", "prepare"]

_REFUSED = (
    "fallback",
    "fallback_on",
    "task",
    "sticky_key",
    "hedge",
    "on_interrupt",
    "validation_retries",
    "priority",
    "cache_response",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An input, ready to be a line.

    Attributes:
        index: its place.
        said: the input itself.
        request: what is asked.
        whose: user, agent and tags.
    """

    index: int
    said: Any
    request: Request
    whose: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """A batch that is about to be made.

    Attributes:
        desk: of the client.
        target: where it is asked.
        ready: the inputs that can be lines.
        refused: those that cannot, with the reason.
        parse: reads an answer as the type that was asked for.
        timeout: seconds for each HTTP request.
    """

    desk: BatchDesk
    target: Target
    ready: list[Prepared]
    refused: list[Item[Any]]
    parse: Callable[[Response[Any]], Response[Any]]
    timeout: float | None


async def prepare(
    inputs: Iterable[Any] | AsyncIterable[Any],
    options: Mapping[str, Any],
    read: Callable[[Any, Mapping[str, Any]], Awaitable[tuple[Request, Mapping[str, Any]]]],
    places: Sequence[int] | None = None,
) -> tuple[list[Prepared], list[Item[Any]]]:
    """Reads all inputs; what is wrong with one is an item with its error.

    Args:
        inputs: prompts, lists of messages, or dicts with ``messages`` and keywords of their own.
        options: the keywords of all of them.
        read: (messages, keywords) -> the request, and for whom it is.
        places: of the inputs among all; from 0 on by default.

    Raises:
        BadRequestError: a keyword that has no meaning in a batch.
    """
    from .._map.crew import refuse_table
    from ..bulk import call_of

    refuse_table(inputs)
    for name in (*_REFUSED, "extra_headers"):
        if options.get(name) is not None:
            raise BadRequestError(f"{name} has no meaning in a batch; leave it out")
    if isinstance(inputs, (str, bytes, Mapping)) or not isinstance(inputs, (Iterable, AsyncIterable)):
        raise BadRequestError("inputs must be an iterable of prompts, message lists or dicts; put one input in a list")
    ready: list[Prepared] = []
    refused: list[Item[Any]] = []
    count = 0
    async for said in _each(inputs):
        index = count if places is None else places[count]
        count += 1
        try:
            messages, own = call_of(said)
            wrong = next((name for name in (*_REFUSED, "extra_headers", "provider", "model") if name in own), None)
            if wrong is not None:
                raise BadRequestError(f"{wrong} of one input has no meaning in a batch; give it for all of them")
            request, whose = await read(messages, {**options, **own})
        except (AsyncLLMError, TypeError) as error:
            refused.append(Item(index=index, input=said, error=error))
        else:
            ready.append(Prepared(index=index, said=said, request=request, whose=whose))
    return ready, refused


async def _each(inputs: Any) -> AsyncIterator[Any]:
    if isinstance(inputs, AsyncIterable):
        async for said in inputs:
            yield said
        return
    for at, said in enumerate(inputs):
        if at % 256 == 255:
            await anyio.lowlevel.checkpoint()
        yield said


async def make_batch(
    desk: BatchDesk,
    target: Target,
    lines: Sequence[Prepared],
    *,
    id: str | None,
    parse: Callable[[Response[Any]], Response[Any]],
    timeout: float | None,  # noqa: ASYNC109  # of each HTTP request
    storage: str | None = None,
    role: str | None = None,
) -> Batch[Any]:
    """Makes a batch, or joins the one of this id and goes on where its making stopped.

    Args:
        desk: of the client.
        target: where it is asked.
        lines: what is asked, at least one.
        id: what it is called; a ULID by default.
        parse: reads an answer as the type that was asked for.
        timeout: seconds for each HTTP request.
        storage: a folder of a bucket of the caller's, where the host needs one.
        role: what the host reads the bucket with.

    Raises:
        BadRequestError: there are no lines, or the id names a batch of other inputs.
        UnsupportedByProviderError: the host has no batches.
        BudgetExceededError: a hard budget has no room for all lines; nothing was made.
        ConnectionLostError: whether a job was made is not known, and the host cannot be asked.
        AsyncLLMError: the host refused, or could not be reached.
    """
    if not lines:
        raise BadRequestError("a batch needs at least one input")
    wire = batching_of(target)
    place = _storage(wire, target, storage)
    written = await _written(desk, target, lines, wire)
    digest = blake2b(b"\n".join([body for _, _, body in written]), digest_size=16).hexdigest()
    rows = [] if id is None else await desk.ledger.jobs(id)
    if rows:
        batch: Batch[Any] = Batch(desk, rows[0], parse, {line.index: line.said for line in lines})
        if batch.digest != digest:
            raise BadRequestError(f"the batch {id!r} is there and has other inputs or keywords; give another id")
    else:
        row, facts = _new_row(desk, target, written, id, digest, timeout, lines[0].whose, wire)
        facts.storage, facts.role = place, role or ""
        row = replace(row, data=dumped(facts))
        await desk.ledger.open_job(row, [_line(desk, target, row, facts, *one) for one in written])
        batch = Batch(desk, row, parse, {line.index: line.said for line in lines})
    await batch.make_jobs([(group, _numbered(batch.mark, line, body)) for group, line, body in written])
    return batch


def _storage(wire: Batching, target: Target, storage: str | None) -> str:
    """The folder of the bucket, where the host needs one."""
    if not wire.storage:
        if storage is not None:
            raise BadRequestError(f"storage has no meaning for {target.provider.name}; leave it out")
        return ""
    if storage is None or not storage.startswith(f"{wire.storage}://"):
        raise BadRequestError(
            f"{target.provider.name} needs a bucket of yours: storage='{wire.storage}://bucket/folder'"
        )
    folder = storage.rstrip("/")
    bucket_of(f"{folder}/a")
    return folder


def _numbered(mark: str, line: Prepared, body: bytes) -> bytes:
    return body.replace(_PLACE, f"{mark}-{line.index}".encode(), 1)


_PLACE = b"asyncllm-line-id"
"""Stands for the id of a line until the mark of its batch is known."""
_Written = tuple[str, Prepared, bytes]


async def _written(desk: BatchDesk, target: Target, lines: Sequence[Prepared], wire: Batching) -> list[_Written]:
    """Each line as the host takes it, with its group, in the order of groups."""
    found: list[_Written] = []
    for at, line in enumerate(lines):
        call = Call(desk.engine, (target,), line.request, Patience(total=None))
        attempt = HTTPAttempt.of_line(call)
        try:
            one, _ = attempt.encode()
        except AsyncLLMError as error:
            error.about(provider=target.provider.name, model=target.model)
            error.tell(f"It is input {line.index} of the batch.")
            raise
        found.append((wire.group(one), line, wire.line(_PLACE.decode(), one, attempt.context)))
        if at % 64 == 63:
            await anyio.lowlevel.checkpoint()
    return sorted(found, key=lambda one: one[0])


def _new_row(
    desk: BatchDesk,
    target: Target,
    written: Sequence[_Written],
    id: str | None,
    digest: str,
    timeout: float | None,
    whose: Mapping[str, Any],
    wire: Batching,
) -> tuple[JobRow, Facts]:
    created = desk.ledger.now()
    mark = new_ulid(created // 1000, os.urandom(16)).lower()  # some hosts know no capitals
    facts = Facts(
        mark=mark,
        provider=target.provider.name,
        kind=target.provider.kind,
        deployment=target.provider.deployment,
        model=target.model,
        digest=digest,
        total=len(written),
        timeout=timeout,
        whose=dict(whose),
    )
    _share(facts, written, wire)
    return JobRow(id=id or mark, created=created, expires_at=None, state="creating", data=dumped(facts)), facts


def _share(facts: Facts, written: Sequence[_Written], wire: Batching) -> None:
    """Shares the lines among jobs, by their groups and the bounds of the host."""
    parts = facts.parts
    size = count = 0
    for group, line, body in written:
        size, count = size + len(body) + 32, count + 1
        if not parts or parts[-1].group != group or count > wire.most_lines or size > wire.most_bytes:
            parts.append(Part(group=group, mark=f"{facts.mark}-p{len(parts)}", ranges=[]))
            size, count = len(body) + 32, 1
        parts[-1].add(line.index)


def _line(
    desk: BatchDesk, target: Target, row: JobRow, facts: Facts, group: str, line: Prepared, body: bytes
) -> tuple[str, Head, Hold | None]:
    """The row of a line in the ledger: its id, its head, and what it reserves."""
    call = Call(desk.engine, (target,), line.request, Patience(total=None))
    input_tokens, max_tokens = call.expected
    head = head_of(desk, facts, line.whose)._replace(input_estimate=input_tokens, output_estimate=max_tokens)
    hold = None
    if desk.books.budgeted:
        wire, _ = HTTPAttempt.of_line(call).encode()
        bound = bound_of(desk.engine.json.loads(wire.body), target.model, dict(wire.headers))
        hold = desk.books.hold(head, lambda: bound, target.provider.place, batch=True)
    return line_id(row.created, facts.mark, line.index), head, hold
