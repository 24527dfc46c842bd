"""From a raw request to the script of its answer: host, wire, checks, fault, reply, in that order.

What the provider would refuse is refused before a fault is used up: ``times=2`` counts requests that were in order.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from . import services
from .behaviour import CacheMemory, compose
from .faults import Fault
from .hosts import Host, main_hosts, simulated
from .kept import Kept
from .listing import ListedModel, listed
from .model import ModelBehaviour, ModelRequest, tokens
from .record import CREDENTIALS, Arrival, Received
from .script import Script, failure, plain, stream, unary
from .scripted import Answer, ScriptUsedUpError, spoken
from .server import RawRequest
from .wires import openai_errors
from .wires.wire import Operation, Problem, Rules, Turn, Wire, dumps, token_of


class Answering:
    """Works out answers.

    Args:
        seed: what ids and wordings are drawn from.
        rules: what requests must fulfil, but for the models.
        models_of: the models of a kind of host; None when every name is one.
        behaviour_of: the behaviour of a model.
        pick: the fault that happens to a request, if any.
        scripted: the next answer of the test's script; None where there is no script for the model.
        failed: told of an exception that a reply function raised; the client gets a 500.
    """

    def __init__(
        self,
        *,
        seed: int,
        rules: Rules,
        models_of: Callable[[str], tuple[ListedModel, ...] | None],
        behaviour_of: Callable[[str], ModelBehaviour],
        pick: Callable[[Received], Fault | None],
        scripted: Callable[[str], Answer | None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._seed = seed
        self._rules = rules
        self._models_of = models_of
        self._cache = CacheMemory()
        self._behaviour_of = behaviour_of
        self._pick = pick
        self._scripted = scripted
        self._failed = failed
        self.services = services.Services(self._line)
        self._lines = 0
        self._kept = Kept()

    def answer(self, raw: RawRequest, connection: int, number: int) -> tuple[Received, Script]:
        """Returns the record of a request, and the script of its answer."""
        kind, sent = _arrival(raw, connection)
        arrival = self._kept.completed(sent)
        now = time.time()
        host = simulated(kind)
        wire, operation = _meaning(host, arrival)
        record = Received(
            number=number,
            provider=kind,
            wire=wire.name if wire else "",
            operation=operation.name if operation else "unknown",
            model=operation.model if operation else "",
            stream=operation.stream if operation else False,
            method=raw.method,
            path=raw.target.partition("?")[0],
            query=arrival.query,
            headers={name: value for name, value in raw.headers.items() if name not in CREDENTIALS},
            authenticated=not CREDENTIALS.isdisjoint(raw.headers),
            body=sent.body,
            connection=connection,
            time=now,
        )
        turn = Turn(token=token_of(self._seed, number), now=now)
        if host is not None and operation is None and (found := self._kept.answer(arrival, now)) is not None:
            record.wire, record.operation = host.wires[0].name, "kept"
            return record, _of_what_is_kept(found, host, arrival, self._rules, turn)
        if host is None or wire is None or operation is None:
            return record, _nowhere(raw, host, turn)
        models = self._models_of(kind)
        rules = self._rules
        if models is not None:
            today = datetime.fromtimestamp(now, timezone.utc).date()
            retired = tuple(model.name for model in models if model.retired(today))
            rules = replace(
                rules, models=tuple(model.name for model in models if model.name not in retired), retired=retired
            )
            turn = replace(turn, listed=listed(operation.model, models))
        problem = wire.check(arrival, operation, rules)
        if raw.body is None:
            problem = Problem(status=413)
        if problem is not None:
            return record, _refused(wire, problem, turn)
        return record, self._perform(record, arrival, wire, operation, host, turn)

    def _line(self, kind: str, path: str, headers: Mapping[str, str], body: Any) -> tuple[int, bytes]:
        """Returns the answer to one line of a batch: that of the request by itself."""
        self._lines += 1
        host = simulated(kind)
        base = "" if host is None or path.startswith(host.suffix or "/v1") else host.suffix
        raw = RawRequest("POST", f"/{kind}{base}{path}", {**headers, "content-type": "application/json"}, dumps(body))
        _, script = self.answer(raw, 0, 10**9 + self._lines)
        return script.status, b"".join([step for step in script.steps if isinstance(step, bytes)])

    def _perform(
        self, record: Received, arrival: Arrival, wire: Wire, operation: Operation, host: Host, turn: Turn
    ) -> Script:
        fault = self._pick(record)
        behaviour = self._behaviour_of(operation.model)
        if operation.name == "generate":
            record.asked = wire.parse(arrival, operation)
            if fault is None:
                try:
                    answer = self._scripted(operation.model)
                except ScriptUsedUpError as error:
                    self._failed(error)
                    return _refused(wire, Problem(status=400, message=str(error)), turn)
                fault = answer if isinstance(answer, Fault) else None
                if answer is not None and fault is None:
                    behaviour = replace(behaviour, reply=spoken(answer))
        if fault is not None:
            record.fault = fault.kind
            script = failure(fault, wire, turn, behaviour.latency)
            if script is not None:
                return script
        if services.is_service(operation.name):
            return self.services.answer(arrival, operation, wire, turn, behaviour, fault)
        if record.asked is not None:
            return self._generate(record.asked, wire, turn, behaviour, fault, arrival)
        known = self._models_of(record.provider)
        models = [ListedModel(name) for name in host.models] if known is None else known
        return unary(wire.look_up(arrival, operation, models), wire, turn, behaviour, fault)

    def _generate(
        self,
        request: ModelRequest,
        wire: Wire,
        turn: Turn,
        behaviour: ModelBehaviour,
        fault: Fault | None,
        arrival: Arrival,
    ) -> Script:
        window = behaviour.context_window
        if window is not None and (length := tokens(request.text)) > window:
            return _refused(wire, wire.too_long(length, window), turn)
        try:
            reply = compose(request, behaviour, self._seed, self._cache)
        except Exception as error:  # noqa: BLE001 - a user's reply function may raise anything; it is raised again on exit
            self._failed(error)
            return _refused(wire, Problem(status=500, message=f"the reply function raised {error!r}"), turn)
        if self._kept.wants(arrival):
            done = replace(request, body={**request.body, "stream": False, "done": True})
            self._kept.remember(arrival, json.loads(wire.unary(done, reply, turn)))
        turn = replace(turn, chunk_size=behaviour.chunk_size)
        if request.stream:
            return stream(wire.events(request, reply, turn), wire, turn, behaviour, fault)
        return unary(wire.unary(request, reply, turn), wire, turn, behaviour, fault)


def _arrival(raw: RawRequest, connection: int) -> tuple[str, Arrival]:
    """Returns the kind of host, and the request as it looks below that host's base."""
    target, _, query = raw.target.partition("?")
    kind, _, rest = target.lstrip("/").partition("/")
    known = simulated(kind) is not None
    path = f"/{rest}" if known else target
    body: Any = None
    if raw.body:
        try:
            body = json.loads(raw.body)
        except ValueError:
            body = None
    arrival = Arrival(
        provider=kind,
        method=raw.method,
        path=path,
        query=query,
        headers=raw.headers,
        body=body,
        content=raw.body,
        target=raw.target,
        connection=connection,
    )
    if known:
        return kind, arrival
    # A URL without a kind in front: the host whose mark it bears, else the first that knows the path.
    hosts = main_hosts()
    found = [name for name, host in hosts.items() if any(wire.operation(arrival) for wire in host.wires)]
    marked = [name for name in found if hosts[name].mark in raw.headers]
    kind = next(iter(marked + found), "")
    return kind, replace(arrival, provider=kind)


def _meaning(host: Host | None, arrival: Arrival) -> tuple[Wire | None, Operation | None]:
    if host is not None and (wanted := services.operation(arrival)) is not None:
        return services.wire_of(host.wires), wanted
    for wire in host.wires if host else ():
        operation = wire.operation(arrival)
        if operation is not None:
            return wire, operation
    return None, None


def _refused(wire: Wire, problem: Problem, turn: Turn) -> Script:
    return plain(problem.status, wire.headers(problem.status, turn, problem.code), wire.error(problem, turn))


def _of_what_is_kept(found: dict[str, Any] | Problem, host: Host, arrival: Arrival, rules: Rules, turn: Turn) -> Script:
    wire = host.wires[0]
    problem = openai_errors.check_key(arrival.headers, rules)
    if problem is not None or isinstance(found, Problem):
        return _refused(wire, problem or found, turn)  # type: ignore[arg-type]  # one of them is a problem
    return plain(200, wire.headers(200, turn), dumps(found))


def _nowhere(raw: RawRequest, host: Host | None, turn: Turn) -> Script:
    message = f"Invalid URL ({raw.method} {raw.target.partition('?')[0]})"
    if host is None:
        return plain(404, (), dumps({"error": {"message": message, "type": "invalid_request_error"}}))
    return _refused(host.wires[0], Problem(status=404, code="unknown_url", message=message), turn)
