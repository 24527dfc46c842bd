"""asyncllm logs: searches what `asyncllm chat` asked and was answered, where the user has switched the log on."""

from __future__ import annotations

import argparse
import json

from . import chat_memory
from .folders import state_file, write_private

EXAMPLES = (
    "asyncllm logs on",
    "asyncllm logs oslo weather --number 5",
    "asyncllm logs --json | jq .answer",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm logs``."""
    parser.add_argument("words", nargs="*", help="words that the question or the answer must hold; or: on, off, path")
    parser.add_argument("-n", "--number", type=int, default=10, metavar="N", help="how many at most, newest last (10)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Switches the log on or off, or prints what fits."""
    words = arguments.words
    if words == ["on"]:
        write_private(state_file(chat_memory.SWITCH), "")
        print(f"asyncllm chat writes questions and answers to {state_file(chat_memory.LOG)}; asyncllm logs off ends it")
    elif words == ["off"]:
        state_file(chat_memory.SWITCH).unlink(missing_ok=True)
        print(f"nothing more is written; what was written stays in {state_file(chat_memory.LOG)}")
    elif words == ["path"]:
        print(state_file(chat_memory.LOG))
    else:
        _show([word.lower() for word in words], arguments.number, as_json=arguments.json)
    return 0


def _show(words: list[str], number: int, *, as_json: bool) -> None:
    fitting = [
        entry
        for entry in chat_memory.entries()
        if all(word in f"{entry.get('question')} {entry.get('answer')}".lower() for word in words)
    ]
    if not fitting and not words and not state_file(chat_memory.SWITCH).exists():
        print("the log is off; asyncllm logs on switches it on")
    for entry in fitting[-number:] if number > 0 else []:
        if as_json:
            print(json.dumps(entry, ensure_ascii=False))
        else:
            print(f"{entry.get('time')}  {entry.get('provider')}/{entry.get('model')}")
            print(f"> {entry.get('question')}\n{entry.get('answer')}\n")
