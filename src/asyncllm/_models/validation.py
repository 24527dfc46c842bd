"""Checks whether a model can be used, by the cheapest real request, and why not.

Which calls prove it, and in which order, is the listing's to say (`asyncllm._providers.listings.Listing.proofs`); the
last one is always to let the model say a word. What decides:

=============================  ===================================================================================
an unknown name                at ``model``, in a reply that names it: it is unknown. Else the next proof is asked
a refused credential           at once
the network                    at once
a refused question             the next proof decides: keys may call models that they may not read about
=============================  ===================================================================================
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal

from .._protocols.codec import WireRequest
from .._providers.listings import Listing, ModelEntry, Proof
from .._providers.provider import Provider
from .._schema.messages import Message
from .._schema.request import Request
from .._schema.usage import Usage
from .._schema.values import dataclass
from ..errors import (
    AsyncLLMError,
    AuthenticationError,
    BillingError,
    ConfigurationError,
    ContentBlockedError,
    DeadlineExceededError,
    ModelNotFoundError,
    PermissionDeniedError,
    TransportError,
)
from .asker import Asker, Way, Write

Problem = Literal["unknown", "no_access", "region", "deprecated", "credential", "unreachable", "failed"]

_PROBLEMS: tuple[tuple[type[AsyncLLMError], Problem], ...] = (
    (AuthenticationError, "credential"),
    (ConfigurationError, "credential"),
    (ModelNotFoundError, "unknown"),
    (PermissionDeniedError, "no_access"),
    (BillingError, "no_access"),
    (TransportError, "unreachable"),
    (DeadlineExceededError, "unreachable"),
)
_AT_ONCE = frozenset({"credential", "unreachable"})
_WORD = "Say OK."
_MOST_TOKENS = 16  # the least that the Responses API takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Whether a model can be used.

    Attributes:
        provider: the name of the provider's entry.
        model: as it was asked for.
        usable: it can be called now.
        problem: why not: ``"unknown"``, ``"no_access"``, ``"region"`` (it exists, but not here), ``"deprecated"`` (its
            end has come; with ``usable`` it is announced), ``"credential"``, ``"unreachable"``, or ``"failed"`` for
            anything else; None where nothing is wrong.
        message: a sentence for people.
        proof: what settled it: ``"model"``, ``"access"``, ``"count"`` or ``"generate"``.
        at: when.
        error: what the provider answered, where it refused.
        usage: the tokens it took, where the model had to speak.
    """

    provider: str
    model: str
    usable: bool
    problem: Problem | None = None
    message: str
    proof: Proof | None = None
    at: datetime
    error: AsyncLLMError | None = None
    usage: Usage | None = None


def problem_of(error: AsyncLLMError) -> Problem:
    """Returns what an error says about a model."""
    return next((problem for kind, problem in _PROBLEMS if isinstance(error, kind)), "failed")


async def validate(asker: Asker, provider: Provider, model: str) -> Validation:
    """Checks whether a model can be used. Errors of providers and networks are in the result, not raised."""
    trial = _Trial(asker, provider, model)
    proofs = (provider.listing or Listing()).proofs
    failure: tuple[Proof, AsyncLLMError] | None = None
    for proof in proofs:
        try:
            settled = await trial.step(proof, settles="access" not in proofs)
        except AsyncLLMError as error:
            failure = (proof, error)
            problem = problem_of(error)
            # A gateway may have no page for a single model: only a reply that names the model says that it is unknown.
            named = model.lower() in error.message.lower()
            if problem in _AT_ONCE or (proof == "model" and problem == "unknown" and named):
                break
            continue
        if settled is not None:
            return settled
    if failure is None:  # unreachable for the listings here: to speak either settles it or fails
        raise ConfigurationError(f"{provider.name} has no way to prove that a model is usable")
    return await trial.refused(*failure)


class _Trial:
    """Checks one model, step by step."""

    def __init__(self, asker: Asker, provider: Provider, model: str) -> None:
        self._asker = asker
        self._provider = provider
        self._listing = provider.listing or Listing()
        self._model = model
        self._entry: ModelEntry | None = None

    async def step(self, proof: Proof, *, settles: bool) -> Validation | None:
        """Makes one step. Returns None if it does not decide. ``settles``: being listed is enough.

        Raises:
            AsyncLLMError: the provider refused, or could not be asked.
        """
        if proof == "model":
            return await self._look_up(settles)
        if proof == "access":
            return await self._ask_access()
        if proof == "count":
            return await self._count()
        return await self._speak()

    async def _look_up(self, settles: bool) -> Validation | None:
        wire = self._listing.lookup(self._model)
        if wire is None:
            return None
        value = await self._ask(wire, self._listing.base_url)
        self._entry = self._listing.decode_one(value)
        if self._entry is not None and self._entry.chat is False:
            sentence = f"{self._model} exists, but answers no messages under this name"
            if settles:
                return self._refuse("model", "failed", sentence)
            sentence += f" in this region; an inference profile may, such as us.{self._model}"
            return self._refuse("model", "region", sentence)
        return self._usable("model") if settles else None

    async def _ask_access(self) -> Validation | None:
        wire = self._listing.access(self._model)
        if wire is None:
            return None
        told = self._listing.decode_access(await self._ask(wire, self._listing.base_url))
        if told == "region":
            return self._refuse("access", "region", f"{self._model} is not offered in this region")
        if told == "no_access":
            return self._refuse("access", "no_access", f"this account may not use {self._model}: ask for access to it")
        return self._usable("access") if told == "granted" else None

    async def _count(self) -> Validation | None:
        provider, model = self._provider, self._model
        counting = provider.counting(model) if provider.counting is not None else None
        if counting is None:
            return None

        def write(way: Way) -> WireRequest:
            return counting.encode(self._request(), way.route.protocol, way.context, way.route.path)

        counting.decode(await self._ask(write))
        return self._usable("count")

    async def _speak(self) -> Validation:
        try:
            usage = (await self._asker.speak(self._provider, self._request(), operation="validate")).usage
        except ContentBlockedError as error:  # it answered, if only with a refusal
            usage = error.usage or Usage(source="unknown")
        return self._usable("generate", usage)

    async def refused(self, proof: Proof, error: AsyncLLMError) -> Validation:
        """Returns the verdict after the last refusal."""
        problem = problem_of(error)
        if problem == "unknown" and proof != "model" and await self._exists():
            sentence = f"{self._model} exists, but not in this location, or not for this project: try another location"
            return self._refuse(proof, "region", sentence, error)
        return self._refuse(proof, problem, error.message, error)

    async def _exists(self) -> bool:
        """Returns whether the provider has the model anywhere."""
        wire = self._listing.lookup(self._model)
        if wire is None:
            return False
        try:
            await self._ask(wire, self._listing.base_url)
        except AsyncLLMError:
            return False
        return True

    def _request(self) -> Request:
        return Request(model=self._model, messages=(Message.user(_WORD),), max_tokens=_MOST_TOKENS)

    async def _ask(self, asked: WireRequest | Write, base_url: str | None = None) -> object:
        write = (lambda way: asked) if isinstance(asked, WireRequest) else asked
        return await self._asker.ask(self._provider, write, operation="validate", model=self._model, base_url=base_url)

    def _usable(self, proof: Proof, usage: Usage | None = None) -> Validation:
        entry, now = self._entry, self._now()
        ends = entry.retires_at if entry is not None else None
        if ends is not None and ends <= now:
            return self._refuse(proof, "deprecated", f"{self._model} was switched off on {ends.date()}")
        problem: Problem | None = "deprecated" if ends or (entry is not None and entry.deprecated) else None
        end = f" and ends on {ends.date()}" if ends else ""
        return Validation(
            provider=self._provider.name,
            model=self._model,
            usable=True,
            problem=problem,
            message=f"{self._model} works, but is deprecated{end}" if problem else f"{self._model} works",
            proof=proof,
            at=now,
            usage=usage,
        )

    def _refuse(self, proof: Proof, problem: Problem, message: str, error: AsyncLLMError | None = None) -> Validation:
        return Validation(
            provider=self._provider.name,
            model=self._model,
            usable=False,
            problem=problem,
            message=message,
            proof=proof,
            at=self._now(),
            error=error,
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._asker.now(), timezone.utc)
