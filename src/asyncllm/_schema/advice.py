"""What an error advises: the words, and the value that each exception class carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RetryAdvice = Literal["no", "yes", "once", "after_refresh"]
FallbackAdvice = Literal["no", "yes", "larger_window", "opt_in", "as_inner"]
FallbackReason = Literal["content_filter", "budget"]
"""What a call goes on to the next target for only where the configuration or the call says so."""
HealthAdvice = Literal["none", "count", "cooldown", "credential_off", "model_off", "account_off", "until_reset"]
LedgerAdvice = Literal["zero", "unknown", "partial", "estimated", "real"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do about an error.

    Attributes:
        retry: try the same model again.
        fallback: go on to the next model of the chain.
        provider: go on to another provider, where the caller allowed that.
        health: what it says of the target's health.
        ledger: what the attempt is booked at.
        pause: the first pause before a retry, as a multiple of the usual one: longer where the provider throttles,
            shorter where there was no connection, because then there is nobody whom a quick retry could burden.
        retry_cost: what a retry takes from the target's retry quota: more where the failure itself took long.
        fallback_on: where ``fallback`` and ``provider`` say ``opt_in``: the word of the keyword ``fallback_on`` that
            lets a call go on to the next target.
    """

    retry: RetryAdvice = "no"
    fallback: FallbackAdvice = "no"
    provider: FallbackAdvice = "no"
    health: HealthAdvice = "none"
    ledger: LedgerAdvice = "zero"
    pause: float = 1.0
    retry_cost: int = 5
    fallback_on: FallbackReason | None = None
