"""A scenario: models, keys, replies, faults and pace of a simulator, read from a YAML or JSON file.

It is what ``asyncllm simulate --scenario FILE`` takes, for programs in any language. The keys are the fields of
`Scenario`; a key that does not exist is an error with the nearest one that does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Annotated, Any, Literal

from .._config.document import RefusedError, place, read_file
from .._config.nearest import ConfigProblem
from .._config.reading import Reader
from .._config.rules import at_least
from ..errors import ConfigurationError
from .faults import Fault, Kind
from .model import ModelRequest, Reply, ToolUse
from .simulator import Simulator

Seconds = Annotated[float, at_least(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioReply:
    """Says what a model answers.

    Attributes:
        model: the model it is for; ``"*"`` is every model.
        prompt: a regular expression to be found in the last user message; ``""`` fits every prompt.
        text: the answer.
        tool: the name of a tool to call.
        arguments: the arguments of that call.
        reasoning: thinking before the answer.
        refusal: why the model refuses.
    """

    model: str = "*"
    prompt: str = ""
    text: str = ""
    tool: str | None = None
    arguments: Mapping[str, Any] | None = None
    reasoning: str = ""
    refusal: str | None = None

    def fits(self, request: ModelRequest) -> bool:
        """Whether this is the answer to a request."""
        return self.model in ("*", request.model) and re.search(self.prompt, request.prompt) is not None

    def reply(self) -> Reply:
        """Returns the answer."""
        calls = (ToolUse(self.tool, self.arguments or {}),) if self.tool else ()
        return Reply(text=self.text, reasoning=self.reasoning, tool_calls=calls, refusal=self.refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFault:
    """Says what goes wrong, and how often. What a kind of fault needs is said by the constructor of `Fault` of that
    name.

    Attributes:
        model: the model it happens to; ``"*"`` is every model.
        provider: only when sent to this kind of host.
        operation: ``"generate"``, ``"models"``, ``"model"``, ``"count_tokens"`` or ``"*"``.
        times: how often at most; None for always.
        probability: of happening to a request.
    """

    kind: Kind = "status"
    model: str = "*"
    provider: str | None = None
    operation: Literal["generate", "models", "model", "count_tokens", "*"] = "generate"
    times: Annotated[int | None, at_least(1)] = None
    probability: float | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    retry_after: Seconds | None = None
    after_events: int | None = None
    seconds: Seconds | None = None
    interval: Seconds | None = None
    size: int | None = None

    def fault(self) -> Fault:
        """Returns the fault.

        Raises:
            ValueError: this kind has no such detail, or lacks one.
        """
        often = {"times": self.times, "probability": self.probability}
        names = ("status", "code", "message", "retry_after", "after_events", "seconds", "interval", "size")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        make = getattr(Fault, self.kind)
        takes = signature(make).parameters
        for name in given:
            if name not in takes:
                raise ValueError(f"the fault {self.kind} does not take {name}")
        for name, parameter in takes.items():
            if (
                parameter.kind is not Parameter.VAR_KEYWORD
                and parameter.default is Parameter.empty
                and name not in given
            ):
                raise ValueError(f"the fault {self.kind} needs {name}")
        made: Fault = make(**given, **often)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Holds what a simulator is told by a file.

    Attributes:
        seed: what ids, wordings and probabilities are drawn from.
        models: the models that exist, by kind of host; None: every name works.
        keys: the keys that are accepted; ``*`` at the end stands for any rest. None accepts every request.
        replies: what models say; the first that fits is the answer, and the built-in model answers the rest.
        faults: what goes wrong; the first that fits happens.
        latency: seconds before the head of an answer.
        chunk_delay: seconds between two writes of a stream.
        chunk_size: characters in one event.
        context_window: input tokens above this are refused.
    """

    seed: int = 0
    models: Mapping[str, tuple[str, ...]] | None = None
    keys: tuple[str, ...] | None = None
    replies: tuple[ScenarioReply, ...] = ()
    faults: tuple[ScenarioFault, ...] = ()
    latency: Seconds = 0.0
    chunk_delay: Seconds = 0.0
    chunk_size: Annotated[int, at_least(1)] = 8
    context_window: int | None = None

    def simulator(self, **changes: Any) -> Simulator:
        """Makes a simulator that plays it; ``changes`` are arguments of `Simulator`, and win.

        Raises:
            ConfigurationError: a fault cannot be.
        """
        settings: dict[str, Any] = {
            "seed": self.seed,
            "models": self.models,
            "require_key": self.keys if self.keys is not None else False,
            "reply": self._reply if self.replies else None,
            "latency": self.latency,
            "chunk_delay": self.chunk_delay,
            "chunk_size": self.chunk_size,
            "context_window": self.context_window,
        }
        playing = Simulator(**{**settings, **changes})
        for number, one in enumerate(self.faults):
            try:
                fault = one.fault()
            except ValueError as error:
                raise ConfigurationError(f"faults[{number}]: {error}") from None
            playing.on(one.model, fault, provider=one.provider, operation=one.operation)
        return playing

    def _reply(self, request: ModelRequest) -> Any:
        return next((one.reply() for one in self.replies if one.fits(request)), None)


def load_scenario(path: str | os.PathLike[str]) -> Scenario:
    """Reads a scenario from a YAML or JSON file.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong; the sentences name file and line.
    """
    try:
        document = read_file(path)
    except RefusedError as refused:
        where = place(os.fspath(path), refused.line, refused.path)
        raise ConfigurationError(f"{where}: {refused.sentence}") from None
    reader = Reader()
    scenario = reader.read(Scenario, document.tree)
    problems = [*reader.problems, *(_patterns(scenario.replies) if isinstance(scenario, Scenario) else ())]
    if problems:
        sentences = tuple(f"{document.place(one.path)}: {one.sentence()}" for one in problems)
        raise ConfigurationError("the scenario cannot be used", problems=sentences)
    return scenario  # type: ignore[no-any-return]  # without problems it is what was asked for


def _patterns(replies: Sequence[ScenarioReply]) -> list[ConfigProblem]:
    found = []
    for number, one in enumerate(replies):
        try:
            re.compile(one.prompt)
        except re.error as error:
            found.append(ConfigProblem(("replies", number, "prompt"), f"is no regular expression: {error}"))
    return found
