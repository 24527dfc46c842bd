"""What the simulated hosts do besides generating: vectors, rankings, files and batches.

A service knows its paths by itself and is asked before the wires. Keys, models and errors are those of one wire of the
host; the operation's name (``"embed"``, ``"batch.create"``, ...) is what `asyncllm.testing.Simulator.on` and ``count``
take. A fault that breaks off an answer after its beginning happens when the work is done: the job is made.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import batch_answers, file_answers, vector_answers
from .batch_answers import Ask
from .faults import Fault
from .model import ModelBehaviour
from .record import Arrival
from .script import Script, plain, unary
from .wires.wire import Operation, Problem, Turn, Wire

_SPOKEN = ("gemini", "converse", "openai_chat", "anthropic")


def operation(arrival: Arrival) -> Operation | None:
    """Returns what a request wants of a service; None if it is for none."""
    return vector_answers.operation(arrival) or batch_answers.operation(arrival) or file_answers.operation(arrival)


def wire_of(wires: Sequence[Wire]) -> Wire:
    """Returns the wire whose form keys, models and errors have."""
    by_name = {wire.name: wire for wire in reversed(wires)}
    return next((by_name[name] for name in _SPOKEN if name in by_name), wires[0])


def is_service(name: str) -> bool:
    """Whether an operation is that of a service."""
    return name in ("embed", "rerank") or name.startswith(("batch.", "file."))


class Services:
    """Answers requests that are not about chat: batches, files, vectors and rankings.

    Args:
        ask: answers one line of a batch.
    """

    def __init__(self, ask: Ask) -> None:
        self.files = file_answers.FileDesk()
        self.batches = batch_answers.JobDesk(self.files, ask)

    def answer(
        self,
        arrival: Arrival,
        wanted: Operation,
        wire: Wire,
        turn: Turn,
        behaviour: ModelBehaviour,
        fault: Fault | None,
    ) -> Script:
        """Returns the script of the answer."""
        if wanted.name.startswith("batch."):
            found = self.batches.answer(arrival, wanted, turn.token)
        elif wanted.name.startswith("file."):
            found = self.files.answer(arrival, wanted, turn.token)
        else:
            found = vector_answers.answer(arrival, wanted)
        if isinstance(found, Problem):
            return plain(found.status, wire.headers(found.status, turn, found.code), wire.error(found, turn))
        body, headers = found
        if fault is not None:
            return unary(body, wire, turn, behaviour, fault)
        return plain(200, (*wire.headers(200, turn), *headers), body, latency=behaviour.latency)
