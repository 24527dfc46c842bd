"""asyncllm chat: asks a real provider and shows the answer as it arrives; without a question, a conversation.

The provider comes from ``--config``, else from ``./config.yaml`` or the user's own configuration where there is one,
else from the key variables in the environment. The answer goes to stdout, what it used to stderr. The last conversation
is kept for ``--continue``.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import chat_memory, interrupt, prompts
from .dialogue import display, talk_with
from .figures import summary
from .opening import open_client

if TYPE_CHECKING:
    from .._schema.response import Attempt, Response
    from ..conversation import Conversation

EXAMPLES = (
    'asyncllm chat "Why is the sky blue?"',
    "asyncllm chat",
    'git diff | asyncllm chat -s "Write a commit message."',
    'asyncllm chat -a invoice.pdf --schema schema.json "Extract the fields."',
    'asyncllm chat -c "And at night?"',
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm chat``."""
    parser.add_argument(
        "question", nargs="?", help="what to ask; '-' reads it from stdin; without one, a conversation on a terminal"
    )
    prompts.configure(parser)
    parser.add_argument("-c", "--continue", dest="resume", action="store_true", help="go on with the last conversation")
    parser.add_argument("--no-markdown", action="store_true", help="do not draw Markdown on a terminal")
    parser.add_argument("--json", action="store_true", help="print the whole reply as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Asks, prints the answer, and returns the exit code; without a question on a terminal, talks."""
    if arguments.question is None and sys.stdin.isatty() and not arguments.json:
        return talk_with(arguments)
    return interrupt.run(_ask(arguments, _question(arguments.question or "-")))


def _question(argument: str) -> str:
    if argument == "-" and sys.stdin.isatty():
        print("Type the question, then Ctrl-D:", file=sys.stderr)
    question = (sys.stdin.read() if argument == "-" else argument).strip()
    if not question:
        raise ConfigurationError("there is no question: give one as the argument, or pipe it in")
    return question


async def _ask(arguments: argparse.Namespace, question: str) -> int:
    from .._schema.messages import Message

    options = prompts.options(arguments)
    message = Message.user(*prompts.content(question, arguments.attach))
    async with open_client(arguments.config, arguments.provider) as client:
        start: dict[str, Any] = {"system": arguments.system, **prompts.where(arguments)}
        if arguments.resume:
            start["saved"] = chat_memory.last()
        talk = client.conversation(**start)
        if arguments.json:
            response = await _whole(talk, message, options)
            print(json.dumps(as_object(response)))
        else:
            response = await _show(talk, message, options, markdown=not arguments.no_markdown)
    chat_memory.remember(talk.to_json())
    chat_memory.log(question, response)
    return 0


async def _whole(talk: Conversation, message: Any, options: dict[str, Any]) -> Response[Any]:
    response: Response[Any]
    if "tools" in options:
        response = (await talk.run([message], **options)).steps[-1].reply
    else:
        response = await talk.send([message], **options)
    return response


async def _show(talk: Conversation, message: Any, options: dict[str, Any], *, markdown: bool) -> Response[Any]:
    text = ""
    response: Response[Any]
    with display(markdown=markdown) as shown:
        if "tools" in options:
            async with talk.run_stream([message], **options) as run:
                async for event in run:
                    text += event.text or ""
                    shown.update(text)
            response = run.result.steps[-1].reply
        else:
            async with talk.stream([message], **options) as stream:
                async for event in stream:
                    text += event.text or ""
                    shown.update(text)
            response = stream.response
    print(summary(response), file=sys.stderr)
    for warning in response.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return response


def as_object(response: Response) -> dict[str, Any]:
    """A reply as what ``--json`` prints; money is a decimal string, unknown values are null."""
    return {
        "text": response.text,
        "finish_reason": response.finish_reason,
        "provider": response.provider,
        "model": response.model,
        "requested_model": response.requested_model,
        "request_id": response.request_id,
        "usage": asdict(response.usage),
        "cost": None if response.cost is None else f"{response.cost:f}",
        "attempts": [_attempt(attempt) for attempt in response.attempts],
        "warnings": list(response.warnings),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "error": None if attempt.error is None else f"{type(attempt.error).__name__}: {attempt.error}",
        "latency": attempt.latency,
        "request_id": attempt.request_id,
    }
