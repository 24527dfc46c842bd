"""Batches at the provider: many requests in one job, answered within a day at a lower price (`Client.batch`).

::

    batch = await client.batch(prompts, id="reviews")
    await batch.wait()
    async for item in batch:
        print(item.index, item.text if item.error is None else item.error)

The rules:

* A batch is a row of the ledger, committed with a mark before anything is made at the host. The same ``id`` in another
  process joins it; `Client.open_batch` opens it without its inputs.
* What makes something at the host (an upload, a job) is never repeated while its outcome is unknown: it is looked for
  by its mark first. Where the host has no such search, `ConnectionLostError` says so.
* Lines that the host cannot take together (too many, too large, another path) are jobs of their own: `Part`.
* Every line is an open row of the ledger that belongs to the batch, with its reservation. Whoever reads its answer
  settles it at the price of batches; who comes first counts.
* Each HTTP request is an attempt of the engine, with the operation ``batch``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Generic

import anyio
from typing_extensions import TypeVar

from .._checks import seconds
from .._engine.attempt import HTTPAttempt
from .._engine.call import Call, Patience, Payer, Question
from .._engine.questions import ask
from .._engine.target import Target
from .._ledger.book import BATCH_TIER, BookedAttempt, CallBook, Settled
from .._ledger.booking import Opening
from .._ledger.jobs import JobRow, line_id
from .._ledger.units import to_moment
from .._map.item import Item
from .._protocols.batching import OVER, Batching, JobInfo, JobState, LineAnswer, NewJob
from .._providers.provider import Route
from .._schema.redaction import forget_locals
from .._schema.request import Request
from .._schema.response import Attempt, Outcome, Response
from .._schema.usage import UNKNOWN_USAGE
from .._transport.base import HTTPReply
from ..errors import (
    AsyncLLMError,
    AuthenticationError,
    BadRequestError,
    BatchError,
    BillingError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    LimitTimeoutError,
    ModelNotFoundError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    UnsupportedByProviderError,
    UnsupportedError,
)
from .batch_facts import BatchDesk, Facts, Part, batching_of, dumped, head_of, loaded

__all__ = ["Batch", "open_batch"]

T = TypeVar("T", default=Any)
_FIRST_POLL, _LONGEST_POLL = 1.0, 60.0
_TRIES = 5
_LOOKS = (0.2, 1.0, 3.0)  # seconds after which a job that may have been made is looked for
# Nothing was made at the host when it says one of these, or when it was not reached.
_NOT_MADE = (
    *(BadRequestError, AuthenticationError, PermissionDeniedError, ModelNotFoundError, BillingError),
    *(QuotaExhaustedError, RateLimitError, OverloadedError, ConnectError, UnsupportedError, LimitTimeoutError),
)
_AGAIN = (RateLimitError, OverloadedError, ConnectError)
_TOLD: Mapping[str, str] = {
    "expired": "the batch expired before this line was answered",
    "cancelled": "the batch was cancelled before this line was answered",
    "failed": "the batch failed as a whole",
    "missing": "the provider's results have no answer to this line",
}
_log = logging.getLogger("asyncllm")


async def open_batch(desk: BatchDesk, id: str, parse: Callable[[Response[Any]], Response[Any]]) -> Batch[Any]:
    """The batch of an id, made by any process on the same ledger.

    Raises:
        BatchError: there is none.
    """
    rows = await desk.ledger.jobs(id)
    if not rows:
        raise BatchError(f"the ledger has no batch {id!r}; is cost_tracking.database the one it was made with?")
    return Batch(desk, rows[0], parse, {})


class Batch(Generic[T]):
    """A batch at the provider. Iterate it for the answers of the jobs that are over.

    Attributes:
        id: what it is called; opens it again in any process on the same ledger.
        created: when it was made, UTC.
    """

    def __init__(
        self,
        desk: Any,  # a BatchDesk; named so, no part of the engine is a part of the public interface
        row: Any,  # a JobRow
        parse: Callable[[Any], Any],
        inputs: Mapping[int, Any],
    ) -> None:
        self.id: str = row.id
        self.created: datetime = to_moment(row.created)
        self._facts: Facts = loaded(row.data)
        self._desk: BatchDesk = desk
        self._row: JobRow = row
        self._parse = parse
        self._inputs = inputs
        self._target: Target = desk.aim(self._facts.provider, self._facts.model, self._facts.deployment)
        self._wire: Batching = batching_of(self._target)

    def __repr__(self) -> str:
        return f"Batch({self.id!r}, state={self.state!r}, done={self.done}, total={self.total})"

    @property
    def provider(self) -> str:
        """The configured name of the provider."""
        return self._facts.provider

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._facts.model

    @property
    def mark(self) -> str:
        """What the provider keeps with its jobs."""
        return self._facts.mark

    @property
    def digest(self) -> str:
        """Of the inputs and keywords: the same id cannot name two batches."""
        return self._facts.digest

    @property
    def total(self) -> int:
        """How many lines it has."""
        return self._facts.total

    @property
    def done(self) -> int:
        """Lines that are answered or failed, as far as the provider said when it was last asked."""
        return sum([part.lines if part.state in OVER else part.done for part in self._facts.parts])

    @property
    def state(self) -> JobState:
        """Where it is, as of the last `refresh`: ``"creating"``, ``"running"``, or how it ended.

        With several jobs at the provider it is over when all of them are; the worst end counts.
        """
        states = [part.state for part in self._facts.parts]
        order: tuple[JobState, ...] = ("creating", "running", "failed", "expired", "cancelled", "ended")
        return next(state for state in order if state in states)

    @property
    def is_over(self) -> bool:
        """Whether no further answer will come."""
        return self.state in OVER

    @property
    def expires_at(self) -> datetime | None:
        """When the provider deletes the answers, UTC; None while it has not said."""
        return None if self._row.expires_at is None else to_moment(self._row.expires_at)

    @property
    def host_ids(self) -> tuple[str, ...]:
        """The provider's own ids of its jobs."""
        return tuple([part.host_id for part in self._facts.parts if part.host_id])

    # How far it is.

    async def refresh(self) -> Batch[T]:
        """Asks the provider how far it is.

        Raises:
            AsyncLLMError: the provider could not be reached.
        """
        changed = False
        for part in self._facts.parts:
            if part.state not in OVER:
                if not part.host_id and not await self._found(part):
                    continue
                found = await self._json(self._wire.status(part.host_id))
                self._take(part, self._wire.read_job(found))
                changed = True
        if changed:
            await self._save()
        return self

    async def wait(self, timeout: float | None = None, *, poll: float | None = None) -> Batch[T]:  # noqa: ASYNC109
        """Waits until it is over, and returns it.

        Args:
            timeout: seconds to wait at most; without end by default.
            poll: seconds between two questions; by default 1, then longer, up to 60.

        Raises:
            BadRequestError: an argument is no number of seconds above 0.
            DeadlineExceededError: it is not over in time; it goes on at the provider.
            BatchError: a job of it was never made.
            AsyncLLMError: the provider could not be reached.
        """
        for name, value in (("timeout", timeout), ("poll", poll)):
            if value is not None:
                seconds(name, value)
        pause = poll or _FIRST_POLL
        with anyio.move_on_after(timeout):
            while not (await self.refresh()).is_over:
                if self.state == "creating":
                    raise BatchError(
                        "a job of this batch was never made: give its inputs again with the same id, by client.batch",
                        reason="missing",
                        provider=self.provider,
                        model=self.model,
                    )
                await anyio.sleep(pause)
                if poll is None:
                    pause = min(1.5 * pause, _LONGEST_POLL)
            return self
        raise DeadlineExceededError(
            f"the batch {self.id!r} is not over after {timeout:g} s; wait again, or open it later by its id",
            provider=self.provider,
            model=self.model,
        )

    async def cancel(self) -> Batch[T]:
        """Ends it early; what is answered by then can be read.

        Raises:
            AsyncLLMError: the provider refused, or could not be reached.
        """
        for part in self._facts.parts:
            if part.host_id and part.state not in OVER:
                await self._json(self._wire.cancel(part.host_id))
        return await self.refresh()

    def _take(self, part: Part, info: JobInfo) -> None:
        part.host_id, part.state, part.sent = info.id, info.state, ""
        part.outputs, part.problem = info.outputs, info.problem
        part.done = part.done if info.done is None else info.done
        if info.expires_at is not None:
            expires_at = int(info.expires_at * 1e6)
            self._row = replace(self._row, expires_at=max(expires_at, self._row.expires_at or 0))

    async def _save(self) -> None:
        self._row = replace(self._row, state=self.state, data=dumped(self._facts))
        await self._desk.ledger.save_job(self._row)

    # Making it.

    async def make_jobs(self, lines: Sequence[tuple[str, bytes]]) -> None:
        """Makes the jobs that are not made yet, of lines in the order of their groups."""
        start = 0
        for part in self._facts.parts:
            own = [body for _, body in lines[start : start + part.lines]]
            start += part.lines
            if not part.host_id:
                try:
                    await self._make(part, own)
                except _NOT_MADE as error:
                    part.state, part.problem, part.sent = "failed", error.message, ""
                    await self._save()
                    if len(self._facts.parts) == 1:
                        await self._give_back()
                    raise
        await self._save()

    async def _give_back(self) -> None:
        """Nothing was made: no line has a row, and nothing is reserved."""
        for opening in await self._desk.ledger.lines_of(self.id):
            self._desk.ledger.settle(opening, None)

    async def _make(self, part: Part, lines: Sequence[bytes]) -> None:
        if await self._found(part):
            return
        model, context = self._facts.model, self._line_attempt(part.group).context
        job = NewJob(
            mark=part.mark,
            model=model,
            group=part.group,
            lines=lines,
            file=part.file,
            storage=self._facts.storage,
            role=self._facts.role,
        )
        upload = None if part.file else self._wire.upload(job, context)
        if upload is not None:
            part.file = await self._once(
                part, "upload", upload, partial(self._wire.read_upload, job=job), self._uploaded
            )
            await self._save()
            job = replace(job, file=part.file)
        create = self._wire.create(job, context)
        info = await self._once(part, "create", create, self._wire.read_job, self._created)
        self._take(part, info)
        await self._save()

    async def _found(self, part: Part) -> bool:
        """Whether the job of a part, which was asked for before, is at the host; then the part knows it."""
        if part.sent != "create":
            return False
        if not self._wire.found_by_mark:
            raise self._lost(part)
        info = await self._created(part)
        if info is None:
            return False
        self._take(part, info)
        await self._save()
        return True

    def _lost(self, part: Part) -> ConnectionLostError:
        return ConnectionLostError(
            f"whether the {part.sent} of {part.lines} lines reached {self.provider} is not known, and this provider "
            "has no search for it: look into its console. It is not sent again by itself; another id sends it anew",
            provider=self.provider,
            model=self.model,
        )

    async def _created(self, part: Part) -> JobInfo | None:
        found = await self._json(self._wire.find(part.mark))
        return next((info for info in self._wire.read_jobs(found) if info.mark == part.mark), None)

    async def _uploaded(self, part: Part) -> str | None:
        wire = self._wire.find_upload(part.mark)
        return None if wire is None else self._wire.read_uploads(await self._json(wire), part.mark)

    async def _once(
        self,
        part: Part,
        what: str,
        wire: Any,
        read: Callable[[Any], Any],
        look: Callable[[Part], Any],
    ) -> Any:
        """Sends what makes something, once; where its outcome is unknown it is looked for before it is sent again."""
        if part.sent == what:
            found = await look(part)
            if found is not None:
                return found
        part.sent = what
        await self._save()  # the mark is committed before the request leaves
        for attempt in range(1, _TRIES + 1):
            try:
                return read(await self._json(wire, repeats=False))
            except _NOT_MADE as error:
                forget_locals(error)
                if not isinstance(error, _AGAIN) or attempt == _TRIES:
                    raise
                await anyio.sleep(error.retry_after or 0.5 * 2**attempt * self._desk.engine.draw())
            except AsyncLLMError as error:
                forget_locals(error)  # of what could not be read: a server may echo a key in it
                if what == "create" and not self._wire.found_by_mark:
                    lost = self._lost(part)
                    lost.attempts = error.attempts
                    raise lost from error
                for pause in _LOOKS:
                    await anyio.sleep(pause)
                    found = await look(part)
                    if found is not None:
                        return found
                if attempt == _TRIES:
                    raise
        raise AssertionError("the last try returns or raises")

    # Asking the host.

    async def _json(self, wire: Any, *, repeats: bool = True) -> Any:
        async def read(attempt: HTTPAttempt) -> Any:
            reply = await attempt.send()
            value = self._desk.engine.json.loads(reply.body) if reply.body.strip() else {}
            attempt.settle("ok")
            return value

        return await self._ask(wire, read, repeats=repeats)

    async def _ask(self, wire: Any, read: Callable[[HTTPAttempt], Any], *, repeats: bool = True) -> Any:
        target, facts = self._target, self._facts
        if self._wire.at_storage(wire):
            target = self._storage()
        if not repeats:
            target = replace(target, retry=replace(target.retry, max_attempts=1, max_attempts_per_call=1))
        total = target.timeouts.total if facts.timeout is None else facts.timeout
        call = Call(
            self._desk.engine,
            (target,),
            Request(model=facts.model, messages=()),
            Patience(total=total),
            Payer(**facts.whose),
            operation="batch",
            question=Question(write=lambda way: wire, repeats=repeats),
            expected=(0, 0),
        )
        return await ask(call, read)

    def _storage(self) -> Target:
        """Where the caller's bucket is."""
        host = self._target.provider
        if host.storage is None:
            raise UnsupportedByProviderError(f"{host.name} cannot reach buckets", provider=host.name)
        return replace(self._target, provider=host.storage())

    # Reading the answers.

    async def results(self) -> list[Item[T]]:
        """All answers of the jobs that are over, in the order of the inputs.

        Raises:
            AsyncLLMError: the provider could not be reached.
        """
        return sorted([item async for item in self], key=lambda item: item.index)

    async def __aiter__(self) -> AsyncIterator[Item[T]]:
        for part in self._facts.parts:
            if part.state in OVER:
                for item in await self._read(part):
                    yield item

    async def _read(self, part: Part) -> list[Item[T]]:
        """The items of one job, in the order of the inputs; each line is settled, once for all processes."""
        answers: list[LineAnswer] = []
        context = self._line_attempt(part.group).context
        wires = list(self._wire.results(part.info)) if part.host_id else []
        while wires:
            wire = wires.pop(0)
            try:
                body = await self._ask(wire, _body)
            except (NotFoundError, ModelNotFoundError):
                if part.state == "ended" or not self._wire.storage:
                    raise
                continue  # a job that was ended early may have written nothing
            further = self._wire.follow(wire, body, context)
            wires += further
            answers += () if further else self._wire.read_results(body, context)
        opened = {opening.id: opening for opening in await self._desk.ledger.lines_of(self.id)}
        items: dict[int, Item[T]] = {}
        for count, answer in enumerate(answers):
            index = self._index(answer.id)
            if index is not None and index not in items:
                items[index] = self._item(index, part, answer, opened)
            if count % 64 == 63:
                await anyio.lowlevel.checkpoint()
        reason = part.state if part.state in ("expired", "cancelled", "failed") else "missing"
        for index in [index for start, end in part.ranges for index in range(start, end) if index not in items]:
            items[index] = self._item(index, part, LineAnswer(id="", unanswered=reason), opened)
        return [items[index] for index in sorted(items)]

    def _index(self, ident: str) -> int | None:
        mark, _, number = ident.rpartition("-")
        return int(number) if mark == self._facts.mark and number.isdecimal() else None

    def _line_attempt(self, group: str) -> HTTPAttempt:
        facts = self._facts
        call = Call(self._desk.engine, (self._target,), Request(model=facts.model, messages=()), Patience(total=None))
        protocol = self._wire.protocol(group)
        return HTTPAttempt.of_line(call, None if protocol is None else Route(protocol=protocol))

    def _item(self, index: int, part: Part, answer: LineAnswer, opened: Mapping[str, Opening]) -> Item[T]:
        attempt = self._line_attempt(part.group)
        response: Response[Any] | None = None
        error: AsyncLLMError | None = None
        if answer.unanswered is not None:
            told = _TOLD.get(answer.unanswered, answer.unanswered)
            problem = f": {part.problem}" if part.problem else ""
            error = BatchError(f"{told}{problem}", reason=answer.unanswered, request_id=answer.request_id)
        elif not 200 <= answer.status < 300:
            error = attempt.judge(answer.status, {}, answer.body)
        else:
            try:
                response = attempt.decode(HTTPReply(status=answer.status, headers={}, body=answer.body))
            except AsyncLLMError as failure:
                error = failure
        if response is not None:
            usage = response.usage
            if usage.source != "unknown":
                usage = replace(usage, service_tier=BATCH_TIER)
            response = replace(response, usage=usage, request_id=answer.request_id)
        if error is not None:
            error = attempt.complete(error)
            error.request_id = error.request_id or answer.request_id
        booked = self._settle(index, answer, response, error, opened)
        record = self._record(answer, response, error, booked)
        said = self._inputs.get(index)
        if response is None or error is not None:
            error = error or BatchError("no answer")
            error.attempts = (record,)
            return Item(index=index, input=said, error=error)
        response = replace(attempt.dress(response), **_bill(booked), request_id=answer.request_id, attempts=(record,))
        try:
            return Item(index=index, input=said, reply=self._parse(response))
        except AsyncLLMError as failure:
            failure.about(provider=self.provider, model=self.model)
            failure.attempts = (record,)
            return Item(index=index, input=said, error=failure)

    def _settle(
        self,
        index: int,
        answer: LineAnswer,
        response: Response[Any] | None,
        error: AsyncLLMError | None,
        opened: Mapping[str, Opening],
    ) -> Settled:
        """Books a line, unless somebody has; what it is booked at either way."""
        key = line_id(self._row.created, self._facts.mark, index)
        opening = opened.get(key)
        if opening is None:
            head = head_of(self._desk, self._facts, self._facts.whose)
            opening = Opening(key, self._row.created, head, None, None)
            opening.settled = True
        outcome: Outcome = "ok" if error is None else "unknown" if answer.unanswered == "missing" else "error"
        booked = BookedAttempt(CallBook(self._desk.books, {}), opening, self._target.provider.place)
        return booked.settle(
            outcome,
            error=error,
            status=None if answer.unanswered is not None else answer.status,
            usage=UNKNOWN_USAGE if response is None else response.usage,
            partial=response,
            request_id=answer.request_id,
            free=outcome == "error" and not (answer.unanswered is None and 200 <= answer.status < 300),
        )

    def _record(
        self, answer: LineAnswer, response: Response[Any] | None, error: AsyncLLMError | None, booked: Settled
    ) -> Attempt:
        return Attempt(
            provider=self.provider,
            model=self.model,
            deployment=self._facts.deployment,
            outcome="ok" if response is not None else "error",
            error=error,
            status=answer.status if answer.unanswered is None else None,
            request_id=answer.request_id,
            **_bill(booked),
        )


def _bill(booked: Settled) -> dict[str, Any]:
    return {
        "usage": booked.usage,
        "cost": booked.cost,
        "cost_source": booked.cost_source,
        "unpriced_reason": booked.unpriced_reason,
    }


async def _body(attempt: HTTPAttempt) -> bytes:
    """The whole body of a result, which may be larger than any reply."""
    exchange = await attempt.stream()
    blocks: list[bytes] = []
    try:
        while (data := await exchange.receive()) is not None:
            blocks.append(data)
    except BaseException:
        exchange.abort()
        raise
    exchange.release()
    attempt.settle("ok")
    return b"".join(blocks)
