"""What a stream is to do, written down before any event loop is there to do it on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .._schema.request import Request
from .call import Patience, Payer
from .exchange import Engine
from .formats import Parse
from .router import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a stream is to do.

    Attributes:
        engine: gives the engine of the running loop, when the stream opens.
        parse: reads the finished text as the type the caller asked for.
        on_interrupt: what to do when it is cut after its first content: raise, or begin again on the next target.
        variant: what load balancing chose for the call.
    """

    engine: Callable[[], Engine]
    targets: Sequence[Target]
    request: Request
    patience: Patience
    parse: Parse | None
    on_interrupt: Literal["raise", "restart"] = "raise"
    payer: Payer | None = None
    variant: str | None = None
