"""Sampling hints that a model refuses: left out with a warning, or an error, as ``unsupported_parameters`` says.

Hints are ``temperature``, ``top_p`` and ``seed``: an answer without them is still the answer that was asked for. What a
model is not known to refuse is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from .._schema.facts import ModelFacts
from .._schema.request import Request
from ..errors import UnsupportedParameterError

Policy = Literal["drop", "error"]
HINTS = ("temperature", "top_p", "seed")


class Fitted(NamedTuple):
    """A request that the model takes, and a sentence for each hint that was left out."""

    request: Request
    warnings: tuple[str, ...] = ()


def fit_parameters(
    request: Request, capabilities: ModelFacts, policy: Policy, *, provider: str | None = None
) -> Fitted:
    """The request without the hints that its model is known to refuse.

    Raises:
        UnsupportedParameterError: there is such a hint, and the policy is ``error``.
    """
    if capabilities.sampling is not False:
        return Fitted(request)
    refused = [name for name in ("temperature", "top_p") if getattr(request, name) is not None]
    if not refused:
        return Fitted(request)
    warnings = tuple([f"{name} was left out: {request.model} takes no sampling parameters" for name in refused])
    if policy == "error":
        raise _refusal(warnings[0], request.model, provider)
    return Fitted(replace(request, temperature=None, top_p=None), warnings)


def check_warnings(warnings: Sequence[str], policy: Policy, *, model: str, provider: str | None = None) -> None:
    """Raises for what a codec left out by itself, because its wire has no place for it.

    Args:
        warnings: those of `asyncllm._protocols.codec.WireRequest`; what was left out is their first word.
        policy: of the configuration.
        model: for the exception.
        provider: for the exception.

    Raises:
        UnsupportedParameterError: a hint was left out, and the policy is ``error``.
    """
    if policy == "error":
        for warning in warnings:
            if warning.startswith(tuple([f"{name} was left out" for name in HINTS])):
                raise _refusal(warning, model, provider)


def _refusal(warning: str, model: str, provider: str | None) -> UnsupportedParameterError:
    name, _, why = warning.partition(" was left out: ")
    return UnsupportedParameterError(
        f"{name} cannot be sent: {why}; leave it out, or set unsupported_parameters: drop",
        provider=provider,
        model=model,
    )
