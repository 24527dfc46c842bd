"""How much slower this machine is than the one whose figures the bounds of CPU time in the tests are.

A bound in microseconds says something about our code only together with the machine. Where the machine is slower, the
bound grows with it; where it is as fast or faster, the bound is the figure itself.
"""

from __future__ import annotations

import time

_REFERENCE = 0.0053
"""Seconds that the loop below takes on the machine of the figures."""


def slowness() -> float:
    """At least 1: CPU time of a fixed piece of Python here, as a multiple of what it takes there; the best of five."""
    seconds = []
    for _ in range(5):
        started = time.process_time()
        words = {}
        for number in range(20_000):
            words[number & 255] = f"{number}:{len(words)}"
        "".join(words.values()).encode()
        seconds.append(time.process_time() - started)
    return max(1.0, min(seconds) / _REFERENCE)
