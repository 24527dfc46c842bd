"""The interactive part of ``asyncllm chat``: a prompt, answers as they come, and commands that begin with a slash."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import AsyncLLMError, BadRequestError
from . import chat_memory, prompts
from .figures import summary
from .opening import read_settings

if TYPE_CHECKING:
    from .._sync_conversation import SyncConversation

HELP = """/model [NAME]  the model that answers, or another one from now on
/cost          what this conversation has cost
/save FILE     writes the conversation to a file
/system TEXT   begins a new conversation with these instructions
/new           begins a new conversation
/quit          ends (Ctrl-D too); Ctrl-C ends an answer"""


class Shown(Protocol):
    """Shows the text of an answer while it grows."""

    def update(self, text: str) -> None:
        """Shows the whole text so far."""
        ...


def talk_with(arguments: argparse.Namespace) -> int:
    """Talks until the user ends it, and returns the exit code."""
    from .._schema.messages import Message
    from ..sync import SyncClient

    with SyncClient(read_settings(arguments.config, arguments.provider)) as client:
        kept = prompts.options(arguments)
        asked = {name: kept.pop(name) for name in ("response_format",) if name in kept}

        def begin(system: str | None, **more: Any) -> SyncConversation:
            return client.conversation(system=system, **{**prompts.where(arguments), **kept, **more})

        talk = begin(arguments.system, **({"saved": chat_memory.last()} if arguments.resume else {}))
        files: list[Path] = arguments.attach
        print(f"{talk.provider}; /help lists the commands", file=sys.stderr)
        while (line := _read()) is not None:
            command, _, rest = line.partition(" ")
            rest = rest.strip()
            if not line:
                continue
            if command in ("/quit", "/exit"):
                break
            if command == "/help":
                print(HELP)
            elif command == "/cost":
                unknown = f", and {talk.unpriced} attempts of unknown cost" if talk.unpriced else ""
                print(f"${talk.cost:f}{unknown}")
            elif command == "/model":
                if rest:
                    talk = talk.fork(model=rest)
                print(f"the next answer is of {rest}" if rest else f"{talk.provider} {_model(talk)}")
            elif command == "/save" and rest:
                Path(rest).write_text(talk.to_json(), encoding="utf-8")
                print(f"saved to {rest}")
            elif command in ("/new", "/system"):
                talk = begin(rest or arguments.system)
            elif command.startswith("/"):
                print(f"there is no command {command}\n{HELP}")
            else:
                message = Message.user(*prompts.content(line, files))
                files = []
                _answer(talk, line, [message], markdown=not arguments.no_markdown, **asked)
    return 0


def _read() -> str | None:
    """A line of the user; None at the end."""
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print(file=sys.stderr)
        return None


def _model(talk: SyncConversation) -> str:
    return str(talk._conversation._model or "")  # noqa: SLF001  # what the conversation asks, for its own user


def _answer(talk: SyncConversation, line: str, messages: list[Any], *, markdown: bool, **asked: Any) -> None:
    from .._schema.events import ToolStart

    try:
        with display(markdown=markdown) as shown, talk.run_stream(messages, **asked) as stream:
            text = ""
            for event in stream:
                if event.text:
                    text += event.text
                    shown.update(text)
                elif isinstance(event, ToolStart):
                    print(f"[{event.call.name}]", file=sys.stderr)
            run = stream.result
    except KeyboardInterrupt:
        print("\n(ended)", file=sys.stderr)
        return
    except (AsyncLLMError, BadRequestError) as error:
        print(f"\n{error}", file=sys.stderr)
        return
    if run.steps:
        response = run.steps[-1].reply
        print(summary(response), file=sys.stderr)
        chat_memory.log(line, response)
    chat_memory.remember(talk.to_json())


def display(*, markdown: bool) -> AbstractContextManager[Shown]:
    """Shows Markdown where stdout is a terminal and rich is installed; else the text as it comes."""
    if markdown and sys.stdout.isatty():
        try:
            from .markdown import MarkdownDisplay
        except ImportError:
            return nullcontext(PlainDisplay())
        return MarkdownDisplay()
    return PlainDisplay()


class PlainDisplay:
    """Prints what is new; ends the last line."""

    def __init__(self) -> None:
        self._shown = ""

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and not self._shown.endswith("\n"):
            print(flush=True)

    def update(self, text: str) -> None:
        """Prints what is new of the whole text."""
        print(text[len(self._shown) :], end="", flush=True)
        self._shown = text
