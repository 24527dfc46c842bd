"""`Simulator`: a server on a loopback socket that speaks the providers' wire formats, and fails on demand.

How it lives: one background task (in the caller's event loop, or in a thread of its own) holds the listener and the
connections in a task group. The task group belongs to that task, never to the caller's: so a simulator may be opened
and closed in different tasks, as some test frameworks do with fixtures.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.from_thread import BlockingPortal

from .answering import Answering
from .faults import Fault, FaultPlan
from .hosts import main_hosts, simulated, simulated_kinds
from .listing import Models, models_of
from .mocked import raw_request, response
from .model import ModelBehaviour
from .record import Received
from .scripted import Answer, AnswerQueues, check_sent
from .server import GoneError, HungUpError, RawRequest, ServerConnection
from .wires.wire import Rules

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Self


class Simulator:
    """Runs a server that behaves like the providers, for tests.

    Use it as ``async with Simulator() as sim:`` on asyncio or trio, or from blocking code as
    ``with Simulator.in_thread() as sim:``. It listens on the loopback interface only unless told otherwise.

    Args:
        seed: what ids, wordings and probabilities are drawn from; the same seed gives the same answers.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        models: the models that exist (any other is answered as unknown): names and `ListedModel` values, or a mapping
            of kinds of host to those; None: every name works.
        require_key: refuse requests without a key, or with other keys than those of `config` (or those given here).
        check_signatures: refuse thinking that comes back without the signature it was given, as Anthropic does.
        keep: how many requests ``requests`` remembers; None for all. The counts are not affected.
        behaviour: fields of `ModelBehaviour`, for every model: ``reply``, ``latency``, ``chunk_delay``, ...

    Attributes:
        models: as the argument; it may be changed at any time, and holds from the next request on.
        requests: what it received, oldest first, as `Received` records.
        connections: connections accepted so far.
        open_connections: connections open now.
        in_flight: requests being answered now.
        peak_in_flight: the most requests that were answered at the same time.

    Raises:
        OSError: the port is taken.
        TypeError: a field that `ModelBehaviour` does not have.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        models: Models = None,
        require_key: bool | str | Sequence[str] = False,
        check_signatures: bool = True,
        keep: int | None = None,
        **behaviour: Any,
    ) -> None:
        self.requests: deque[Received] = deque(maxlen=keep)
        self.connections: int = 0
        self.open_connections: int = 0
        self.in_flight: int = 0
        self.peak_in_flight: int = 0
        self.models = models
        self._host = host
        self._port = port
        self._counts: Counter[tuple[str, str, int | None, str]] = Counter()
        self._plan = FaultPlan(seed)
        self._queues = AnswerQueues()
        self._defaults = ModelBehaviour(**behaviour)
        self._behaviours: dict[str, ModelBehaviour] = {}
        self._answering = Answering(
            seed=seed,
            rules=Rules(keys=_keys(require_key), signatures=check_signatures),
            models_of=lambda kind: models_of(kind, self.models),
            behaviour_of=self._behaviour_of,
            pick=self._plan.pick,
            scripted=self._queues.next,
            failed=self._failed,
        )
        self._received = 0
        self._running = False
        self._stop: anyio.Event | None = None
        self._finished: anyio.Event | None = None
        self._failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def batches(self) -> Mapping[str, Any]:
        """Returns the jobs that were made at the batch endpoints, by their ids."""
        return self._answering.services.batches.jobs

    @property
    def files(self) -> Mapping[str, Any]:
        """Returns the files that are stored, by their ids."""
        return self._answering.services.files.stored

    @property
    def batch_seconds(self) -> float:
        """Returns the seconds from the making of a batch to its end; 0 unless it is set."""
        return self._answering.services.batches.seconds

    @batch_seconds.setter
    def batch_seconds(self, seconds: float) -> None:
        self._answering.services.batches.seconds = seconds

    # --- what tests ask and tell ---------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Returns the port that it listens on."""
        return self._port

    def url(self, kind: str) -> str:
        """Returns the ``base_url`` for a kind of host (``"openai"``, ``"anthropic"``, ``"groq"``, ...), as its SDK
        takes it.

        Raises:
            ValueError: no such kind is simulated.
            RuntimeError: the simulator is not running.
        """
        simulation = simulated(kind)
        if simulation is None:
            raise ValueError(f"{kind!r} is not simulated; these are: {', '.join(simulated_kinds())}")
        if not self._running:
            raise RuntimeError("the simulator is not running; use it as `async with Simulator() as sim:`")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/{kind}{simulation.suffix}"

    def config(self, **changes: Any) -> dict[str, Any]:
        """Returns a configuration for `asyncllm.Client` with every main provider; ``changes`` replace its keys."""
        providers = {
            kind: {
                host.credential: f"sk-sim-{kind}",
                "base_url": self.url(kind),
                "fallback_models": [model.name for model in models_of(kind, self.models) or ()] or list(host.models),
                **host.settings,
            }
            for kind, host in main_hosts().items()
        }
        first = next(iter(providers))
        model = providers[first]["fallback_models"][0]
        return {"active_provider": first, "active_model": model, "providers": providers, **changes}

    def on(self, model: str, fault: Fault, *, provider: str | None = None, operation: str = "generate") -> None:
        """Lets a fault happen to requests for a model, after the faults it already has.

        Args:
            model: the model's name, or ``"*"`` for all.
            fault: what happens, and how often.
            provider: only when sent to this kind of host.
            operation: ``"generate"``, ``"embed"``, ``"rerank"``, ``"models"``, ``"model"``, ``"count_tokens"`` or
                ``"*"``.
        """
        self._plan.add(model, fault, provider, operation)

    def off(self, model: str | None = None) -> None:
        """Ends the faults of a model (``"*"``: those given for all models); without a model, all of them."""
        self._plan.remove(model)

    def behave(self, model: str, **changes: Any) -> None:
        """Changes fields of one model's `ModelBehaviour`; ``"*"`` changes the default of models without their own."""
        if model == "*":
            self._defaults = replace(self._defaults, **changes)
        else:
            self._behaviours[model] = replace(self._behaviour_of(model), **changes)

    def script(self, *answers: Answer, model: str = "*") -> None:
        """Gives the answers to the next requests, one each, in this order.

        A request after the last answer is refused, and the simulator raises `AssertionError` when it closes. A `Fault`
        among the answers is the answer to one request, so a retry takes the next one.

        Args:
            answers: texts, `Reply` or `ToolUse` values, functions of the request, or `Fault` values.
            model: the model they are for; ``"*"``: all models without a script of their own.
        """
        self._queues.add(model, answers)

    @property
    def script_left(self) -> int:
        """Returns how many scripted answers nobody has asked for yet."""
        return self._queues.left

    def assert_sent(
        self,
        *,
        times: int | None = None,
        prompt: str | re.Pattern[str] | None = None,
        model: str | None = None,
        provider: str | None = None,
        tools: Sequence[str] | None = None,
        stream: bool | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> list[Received]:
        """Checks what models were asked, and returns the requests that fit.

        Args:
            times: how many requests must fit; None for one or more.
            prompt: the text of the last user message, or a compiled pattern to be found in it.
            model: the model asked for.
            provider: the kind of host.
            tools: the names of the tools offered.
            stream: whether a stream was asked for.
            body: a part of the JSON that was sent: these keys must be there with these values.

        Raises:
            AssertionError: too many or too few requests fit; the text lists what was sent.
        """
        wanted = {
            "prompt": prompt, "model": model, "provider": provider, "tools": tools, "stream": stream, "body": body
        }  # fmt: skip
        return check_sent(self.requests, wanted, times)

    def respond(self, request: httpx.Request) -> httpx.Response:
        """Answers one request without a socket: a side effect for respx, a handler for ``httpx.MockTransport``.

        The simulator need not be running. The request may be addressed to the provider's real URL.

        Raises:
            httpx.TransportError: a fault breaks the connection.
        """
        self._received += 1
        record, script = self._answering.answer(raw_request(request), 0, self._received)
        self.requests.append(record)
        record.status, record.outcome = script.status or None, "sent"
        self._counts[record.provider, record.model, record.status, record.operation] += 1
        return response(script)

    def count(
        self,
        *,
        model: str | None = None,
        provider: str | None = None,
        status: int | None = None,
        operation: str = "generate",
    ) -> int:
        """Counts the requests that were answered or broken off, all or those that match; a 200 that goes wrong is a
        200.
        """
        wanted = (provider, model, status, operation)
        return sum(
            number
            for key, number in self._counts.items()
            if all(want is None or want == have for want, have in zip(wanted, key, strict=True))
        )

    def reset(self) -> None:
        """Forgets requests, counts, faults and scripted answers; behaviours and connections stay."""
        self.requests.clear()
        self._counts.clear()
        self._plan.remove(None)
        self._queues.clear()
        self._failure = None
        self.peak_in_flight = self.in_flight

    # --- lifetime ------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._prepare()
        started = anyio.Event()
        self._finished = anyio.Event()
        try:
            self._task = asyncio.get_running_loop().create_task(self._in_background(started.set))
        except RuntimeError:  # no asyncio loop is running in this thread: it is trio
            import trio

            trio.lowlevel.spawn_system_task(self._in_background, started.set)
        await started.wait()
        self._raise_failure()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            self._signal_stop()
            if self._finished is not None:
                await self._finished.wait()
        if error is None:
            self._raise_failure()

    @classmethod
    @contextmanager
    def in_thread(cls, **settings: Any) -> Iterator[Self]:
        """Runs the simulator in a daemon thread with an event loop of its own, for blocking code; the arguments are the
        same.
        """
        sim = cls(**settings)
        sim._prepare()
        started = threading.Event()
        portals: list[BlockingPortal] = []

        async def main() -> None:
            async with BlockingPortal() as portal:
                portals.append(portal)
                await sim._in_background(started.set)

        thread = threading.Thread(target=anyio.run, args=(main,), name="asyncllm-simulator", daemon=True)
        thread.start()
        started.wait()
        sim._raise_failure()
        try:
            yield sim
        finally:
            portals[0].call(sim._signal_stop)
            thread.join(timeout=10)
        sim._raise_failure()

    async def serve_forever(self, started: Callable[[], None] | None = None) -> None:
        """Serves until cancelled; ``started`` is called once it listens."""
        self._prepare()
        await self._serve(started or (lambda: None))

    def _prepare(self) -> None:
        if self._running:
            raise RuntimeError("the simulator is already running")
        self._failure = None

    def _signal_stop(self) -> None:
        if self._stop is not None:
            self._stop.set()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def _in_background(self, started: Callable[[], None]) -> None:
        try:
            await self._serve(started)
        except Exception as error:  # noqa: BLE001 - raised again where the simulator is opened or closed
            self._failure = error
        finally:
            started()
            if self._finished is not None:
                self._finished.set()

    async def _serve(self, started: Callable[[], None]) -> None:
        listener = await anyio.create_tcp_listener(local_host=self._host, local_port=self._port)
        self._stop = anyio.Event()
        wanted = self._port
        try:
            async with listener, anyio.create_task_group() as tasks:
                self._port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's extra, not Django's
                self._running = True
                tasks.start_soon(listener.serve, self._connected)
                started()
                await self._stop.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._running = False
            self._port = wanted

    # --- requests ------------------------------------------------------------------------------------------------

    async def _connected(self, stream: SocketStream) -> None:
        self.connections += 1
        self.open_connections += 1
        number = self.connections
        try:
            await ServerConnection(stream, lambda connection, request: self._respond(connection, request, number)).run()
        finally:
            self.open_connections -= 1

    async def _respond(self, connection: ServerConnection, raw: RawRequest, number: int) -> None:
        self._received += 1
        record, script = self._answering.answer(raw, number, self._received)
        self.requests.append(record)
        record.status = script.status or None
        self._counts[record.provider, record.model, record.status, record.operation] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

        def ended() -> None:
            if record.outcome is None:
                record.outcome = "sent"
                self.in_flight -= 1

        try:
            await connection.perform(script, record, ended)
        except GoneError:
            record.outcome = record.outcome or "abandoned"
            raise
        except HungUpError:
            record.outcome = record.outcome or "broken off"
            raise
        finally:
            if record.outcome != "sent":
                self.in_flight -= 1

    def _failed(self, error: Exception) -> None:
        self._failure = error

    def _behaviour_of(self, model: str) -> ModelBehaviour:
        return self._behaviours.get(model, self._defaults)


def _keys(require: bool | str | Sequence[str]) -> tuple[str, ...] | None:
    if isinstance(require, bool):
        return ("sk-sim-*",) if require else None
    return (require,) if isinstance(require, str) else tuple(require)
