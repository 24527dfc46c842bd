"""Answers in Markdown, drawn while they grow. Needs rich."""

from __future__ import annotations

from rich.live import Live
from rich.markdown import Markdown


class MarkdownDisplay:
    """Draws the whole text anew with every piece, and leaves it on the terminal at the end."""

    def __init__(self) -> None:
        self._live = Live(auto_refresh=False, vertical_overflow="visible")

    def __enter__(self) -> MarkdownDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, text: str) -> None:
        """Shows the whole text so far."""
        self._live.update(Markdown(text), refresh=True)
