"""How many tokens a request will take, before anybody has counted them: for limits, prices and window sizes.

It is an estimate, used for decisions only and never reported as usage.
"""

from __future__ import annotations

from .._models.tokens import estimate_tokens
from .._schema.request import Request

ASSUMED_OUTPUT_TOKENS = 1024  # of a call that sets no max_tokens


def estimate(request: Request) -> tuple[int, int]:
    """Input and output tokens of a request, roughly."""
    return estimate_tokens(request), request.max_tokens or ASSUMED_OUTPUT_TOKENS
