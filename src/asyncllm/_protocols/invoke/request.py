"""`Request` -> the older text body of one vendor.

These bodies hold text and a few settings. Everything else (tools, images, a schema) is refused with the way to have it:
the same model through Converse. These models do not reason, so reasoning is left out. ``extra_body`` is merged last:
its keys win.
"""

from __future__ import annotations

from typing import Any

from ..._schema.content import Refusal, Text
from ..._schema.facts import ReasoningRules
from ..._schema.messages import Message
from ..._schema.request import Request
from ..aws_shapes import model_path
from ..codec import Context, WireRequest, deep_merge
from ..parts import PartWriter, refuse_compaction, settings_without_tools
from ..reasoning import ask
from .dialect import Dialogue, InvokeDialect

InvokeWriter = PartWriter[InvokeDialect]
_NO_REASONING = ReasoningRules()


def write_request(request: Request, context: Context, dialect: InvokeDialect) -> WireRequest:
    """Writes the request; what is left out is in its warnings.

    Raises:
        UnsupportedContentError: a part that is not text.
        UnsupportedParameterError: a keyword that these bodies have no place for.
        BadRequestError: a conversation that does not end with the user, or a value that JSON cannot say.
    """
    writer = PartWriter(context, dialect, "InvokeModel")
    for name, asked in (
        ("tools", bool(request.tools)),
        ("response_format", request.response_format is not None),
        ("streaming", request.stream and not dialect.family.streams),
    ):
        if asked:
            raise writer.refuse_keyword(name, f"InvokeModel's body of {request.model} has none; use api: converse")
    ask(request, _NO_REASONING, writer)
    settings_without_tools(request, writer)
    if request.compact_at is not None:
        raise refuse_compaction(writer)
    if request.cache is not None:
        writer.leave_out("cache", "these models have no prompt cache")
    body = dialect.family.prompt(_conversation(request.messages, writer))
    settings = _settings(request, writer)
    if settings and dialect.family.inside is not None:
        body[dialect.family.inside] = settings
    else:
        body.update(settings)
    if request.extra_body:
        body = deep_merge(body, request.extra_body)
    headers = [(name.lower(), value) for name, value in (request.extra_headers or {}).items()]
    return WireRequest(
        method="POST",
        path=model_path(request.model, "invoke-with-response-stream" if request.stream else "invoke"),
        headers=(
            ("content-type", "application/json"),
            *(pair for pair in headers if pair[0] != "content-type"),
        ),
        body=context.json.dumps(body),
        left_out=writer.left_out,
        warnings=writer.warnings,
    )


def _settings(request: Request, writer: InvokeWriter) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    most = request.max_tokens if request.max_tokens is not None else writer.dialect.max_tokens
    for name, value in (
        ("max_tokens", most),
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("stop", list(request.stop) or None),
        ("seed", request.seed),
    ):
        field = writer.dialect.family.settings.get(name)
        if value is not None and field is not None:
            settings[field] = value
        elif value is not None:
            writer.leave_out(name, f"InvokeModel's body of {request.model} has none")
    return settings


def _conversation(messages: tuple[Message, ...], writer: InvokeWriter) -> Dialogue:
    """Returns what was said, with the turns of one speaker joined."""
    system: list[str] = []
    turns: list[tuple[str, str]] = []
    for message in messages:
        text = _text(message, writer)
        if message.role == "system":
            system.append(text)
        elif turns and turns[-1][0] == message.role:
            turns[-1] = (message.role, f"{turns[-1][1]}\n\n{text}")
        else:
            turns.append((message.role, text))
    if not turns or turns[0][0] != "user" or turns[-1][0] != "user":
        raise writer.bad(
            "a prompt for this model begins and ends with the user; add the user's message, or use api: converse"
        )
    return Dialogue("\n\n".join(system), tuple(turns))


def _text(message: Message, writer: InvokeWriter) -> str:
    for part in message.content:
        if message.role == "tool" or not isinstance(part, (Text, Refusal)):
            raise writer.refuse(f"InvokeModel's text bodies cannot carry {type(part).__name__}; use api: converse")
    return "".join([part.text for part in message.content if isinstance(part, (Text, Refusal))])
