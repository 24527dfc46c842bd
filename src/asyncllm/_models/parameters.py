"""Sampling hints that a model refuses: left out with a warning, or an error, as ``unsupported_parameters`` says.

Hints are ``temperature``, ``top_p`` and ``seed``: an answer without them is still the answer that was asked for. What a
model is not known to refuse is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, NamedTuple

from .._protocols.codec import LeftOut
from .._schema.facts import ModelFacts
from .._schema.request import Request
from ..errors import UnsupportedParameterError

Policy = Literal["drop", "error"]
HINTS = ("temperature", "top_p", "seed")


class Fitted(NamedTuple):
    """A request that the model takes, and the hints that were left out."""

    request: Request
    left_out: tuple[LeftOut, ...] = ()


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
    left_out = tuple([LeftOut(name, f"{request.model} takes no sampling parameters") for name in refused])
    check_left_out(left_out, policy, model=request.model, provider=provider)
    return Fitted(replace(request, temperature=None, top_p=None), left_out)


def check_left_out(left_out: Iterable[LeftOut], policy: Policy, *, model: str, provider: str | None = None) -> None:
    """Raises where a hint is not sent and the configuration says that this is an error.

    Args:
        left_out: what is not sent, as `asyncllm._protocols.codec.WireRequest` has it.
        policy: of the configuration.
        model: for the exception.
        provider: for the exception.

    Raises:
        UnsupportedParameterError: a hint was left out, and the policy is ``error``.
    """
    if policy != "error":
        return
    for found in left_out:
        if found.keyword in HINTS:
            raise UnsupportedParameterError(
                f"{found.keyword} cannot be sent: {found.reason}; leave it out, or set unsupported_parameters: drop",
                provider=provider,
                model=model,
            )
