"""The retry quota of a target: retries are paid for by successes.

A bucket of 500. A retry takes 5 (10 after a timeout); when it leads to a success all of that comes back, and a success
at the first attempt adds 1. While a target mostly works, retries are free in effect; when it mostly fails, the bucket
runs dry and each call makes one attempt only. Source: the standard retry mode of the AWS SDKs.
"""

from __future__ import annotations

CAPACITY = 500


class RetryQuota:
    """The bucket of one target.

    Attributes:
        left: what it holds.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = CAPACITY

    def take(self, cost: int) -> None:
        """A retry is made."""
        self.left = max(0, self.left - cost)

    def give(self, amount: int) -> None:
        """A call succeeded."""
        if self.left < CAPACITY:
            self.left = min(CAPACITY, self.left + amount)
