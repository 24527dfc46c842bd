"""InvokeModel's older bodies as one value: `asyncllm._protocols.codec.WireProtocol`.

They hold text and four settings. Everything else (tools, images, reasoning, a schema) is refused with the way to have
it: the same model through Converse. ``extra_body`` is merged last: its keys win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..._schema.content import Refusal, Text
from ..._schema.messages import Message
from ..._schema.request import Request
from ..._schema.response import Response
from ...errors import AsyncLLMError, BadRequestError, ProtocolError, UnsupportedContentError, UnsupportedParameterError
from ..aws import decode_error, model_path, request_id_of
from ..classify import snippet
from ..codec import Context, WireRequest, deep_merge
from ..parts import as_text
from .dialect import Dialogue, TextFamily, find
from .response import finish_reason, intervened, usage_of
from .stream import InvokeStreamDecoder


@dataclass(frozen=True, slots=True)
class InvokeModel:
    """One vendor's text body; its streams are AWS event streams of chunks (`asyncllm._framing.invoke`).

    Attributes:
        family: the vendor's row.
        max_tokens: how much to ask for when the caller does not say; None leaves it to the model's own default.
    """

    family: TextFamily
    max_tokens: int | None = None

    @property
    def name(self) -> str:
        """``"invoke"``."""
        return "invoke"

    def encode(self, request: Request, context: Context) -> WireRequest:
        """Writes the request; what is left out is in its warnings.

        Raises:
            UnsupportedContentError: a part that is not text.
            UnsupportedParameterError: a keyword that these bodies have no place for.
            BadRequestError: a conversation that does not end with the user, or a value that JSON cannot say.
        """
        for name, asked in (
            ("tools", bool(request.tools)),
            ("response_format", request.response_format is not None),
            ("reasoning", request.reasoning not in (None, "none", 0)),
            ("streaming", request.stream and not self.family.streams),
        ):
            if asked:
                raise UnsupportedParameterError(
                    f"InvokeModel's body of {request.model} has no {name}; use api: converse",
                    provider=context.provider,
                    model=context.model,
                )
        warnings: list[str] = []
        body = self.family.prompt(_conversation(request.messages, context))
        settings = self._settings(request, warnings)
        if settings and self.family.inside is not None:
            body[self.family.inside] = settings
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
            warnings=tuple(warnings),
        )

    def _settings(self, request: Request, warnings: list[str]) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        most = request.max_tokens if request.max_tokens is not None else self.max_tokens
        for name, value in (
            ("max_tokens", most),
            ("temperature", request.temperature),
            ("top_p", request.top_p),
            ("stop", list(request.stop) or None),
            ("seed", request.seed),
        ):
            field = self.family.settings.get(name)
            if value is not None and field is not None:
                settings[field] = value
            elif value is not None:
                warnings.append(f"{name} was left out: InvokeModel's body of {request.model} has none")
        return settings

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> Response:
        """Reads a whole reply.

        Raises:
            ProtocolError: it is not of this family.
        """
        try:
            value = context.json.loads(body)
        except AsyncLLMError:
            value = None
        text = find(value, self.family.text)
        if not isinstance(value, dict) or not isinstance(text, str):
            raise ProtocolError(
                f"the answer holds no text: {snippet(body)!r}",
                provider=context.provider,
                model=context.model,
                status=status,
                request_id=request_id_of(headers),
            )
        word = as_text(find(value, self.family.finish))
        return Response(
            message=Message("assistant", (Text(text, origin=context.origin),)),
            finish_reason=finish_reason(word, blocked=intervened(value)),
            raw_finish_reason=word,
            usage=usage_of(headers, value, self.family),
            provider=context.provider,
            model=context.model,
            requested_model=context.model,
            request_id=request_id_of(headers),
            raw=value,
        )

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes, context: Context) -> AsyncLLMError:
        """The exception for a failed answer; never raises."""
        return decode_error(status, headers, body, context)

    def decoder(self, headers: Mapping[str, str], context: Context) -> InvokeStreamDecoder:
        """A decoder for one stream."""
        return InvokeStreamDecoder(headers, context, self.family)


def _conversation(messages: tuple[Message, ...], context: Context) -> Dialogue:
    """What was said, the turns of one speaker joined."""
    system: list[str] = []
    turns: list[tuple[str, str]] = []
    for message in messages:
        text = _text(message, context)
        if message.role == "system":
            system.append(text)
        elif turns and turns[-1][0] == message.role:
            turns[-1] = (message.role, f"{turns[-1][1]}\n\n{text}")
        else:
            turns.append((message.role, text))
    if not turns or turns[0][0] != "user" or turns[-1][0] != "user":
        raise BadRequestError(
            "a prompt for this model begins and ends with the user; add the user's message, or use api: converse",
            provider=context.provider,
            model=context.model,
        )
    return Dialogue("\n\n".join(system), tuple(turns))


def _text(message: Message, context: Context) -> str:
    for part in message.content:
        if message.role == "tool" or not isinstance(part, (Text, Refusal)):
            raise UnsupportedContentError(
                f"InvokeModel's text bodies cannot carry {type(part).__name__}; use api: converse",
                provider=context.provider,
                model=context.model,
            )
    return "".join([part.text for part in message.content if isinstance(part, (Text, Refusal))])
