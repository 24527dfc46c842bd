"""What the simulated hosts do besides generating: vectors and rankings.

A service knows its paths by itself and is asked before the wires. Keys, models and faults are those of the host's first
wire; the operation's name (``"embed"``, ``"rerank"``) is what `asyncllm.testing.Simulator.on` and ``count`` take.
"""

from __future__ import annotations

from . import vector_answers
from .faults import Fault
from .model import ModelBehaviour
from .record import Arrival
from .script import Script, plain, unary
from .wires.wire import Operation, Problem, Turn, Wire

NAMES = frozenset({"embed", "rerank"})


def operation(arrival: Arrival) -> Operation | None:
    """What a request wants of a service; None where it is for none."""
    return vector_answers.operation(arrival)


class Services:
    """The services of one simulator."""

    def answer(
        self,
        arrival: Arrival,
        wanted: Operation,
        wire: Wire,
        turn: Turn,
        behaviour: ModelBehaviour,
        fault: Fault | None,
    ) -> Script:
        """The script of the answer."""
        found = vector_answers.answer(arrival, wanted)
        if isinstance(found, Problem):
            return plain(found.status, wire.headers(found.status, turn, found.code), wire.error(found, turn))
        body, headers = found
        if fault is not None:
            return unary(body, wire, turn, behaviour, fault)
        return plain(200, (*wire.headers(200, turn), *headers), body, latency=behaviour.latency)
