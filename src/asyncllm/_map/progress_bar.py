"""The bar of a map in the terminal, by rich."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..bulk import MapProgress


def bar() -> Callable[[MapProgress], None]:
    """A bar in the terminal.

    Raises:
        ConfigurationError: rich is not installed.
    """
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        raise ConfigurationError(
            "progress=True needs rich: python -m pip install 'asyncllm-client[cli]', or give a function as progress="
        ) from None
    return Bar(
        Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
        )
    )


class Bar:
    """Shows how far a map is."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("asyncllm", total=None, facts="")
        progress.start()

    def __call__(self, found: MapProgress) -> None:
        left = "" if found.cost_left is None else f", {_dollars(found.cost_left)} left"
        failed = f", {found.failed} failed" if found.failed else ""
        self._progress.update(
            self._task,
            completed=found.done,
            total=found.total,
            facts=f"{found.rate:.1f}/s, {_dollars(found.cost)}{left}{failed}",
        )

    def close(self) -> None:
        self._progress.stop()


def _dollars(cost: Decimal) -> str:
    return f"${cost:.2f}" if cost >= 1 else f"${cost:.4f}"
