"""What ``asyncllm chat`` remembers: the last conversation, for ``--continue``, and the log where it is switched on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .folders import state_file, write_private

if TYPE_CHECKING:
    from .._schema.response import Response

LAST, LOG, SWITCH = "last-conversation.json", "chat-log.jsonl", "chat-log-is-on"


def remember(saved: str) -> None:
    """Keeps a conversation as the last one, in a file that only its owner can read."""
    _write(LAST, saved)


def last() -> str:
    """The last conversation.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return state_file(LAST).read_text(encoding="utf-8")
    except OSError:
        raise ConfigurationError("there is no conversation to continue yet; ask without --continue first") from None


def log(question: str, response: Response) -> None:
    """Writes a question and its answer into the log, where the user has switched it on."""
    if not state_file(SWITCH).exists():
        return
    entry = {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "provider": response.provider,
        "model": response.model,
        "question": question,
        "answer": response.text,
        "tokens": response.usage.total_tokens,
        "cost": None if response.cost is None else f"{response.cost:f}",
    }
    _write(LOG, json.dumps(entry, ensure_ascii=False) + "\n", append=True)


def _write(name: str, text: str, *, append: bool = False) -> None:
    """Writes, or says that it cannot: an answer is not lost because the home folder is read-only."""
    try:
        write_private(state_file(name), text, append=append)
    except OSError as error:
        print(f"asyncllm: {state_file(name)} cannot be written: {error.strerror}", file=sys.stderr)


def entries() -> Iterator[dict[str, Any]]:
    """The entries of the log, oldest first; a line that is broken is passed over."""
    try:
        text = state_file(LOG).read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
