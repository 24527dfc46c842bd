"""What writing a request needs in the Messages format and in Converse, which took over its rules: whose a part is, what
has to be said about those that cannot go on, and the parts that are written alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.content import Origin, ProviderToolCall, ProviderToolResult, ToolCall, Unknown, parse_arguments
from ...errors import BadRequestError, UnsupportedContentError, UnsupportedParameterError
from ..arguments import INVALID_JSON
from ..base import Context

Block = dict[str, Any]


class PartWriter:
    """The host of one request, and what has to be said about it."""

    __slots__ = ("_context", "_warnings")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out or changed so far, each sentence once."""
        return tuple(self._warnings)

    def warn(self, sentence: str) -> None:
        """Puts a sentence among the response's warnings."""
        self._warnings[sentence] = None

    def refuse(self, sentence: str) -> UnsupportedContentError:
        """The exception for a part that cannot be carried."""
        return UnsupportedContentError(sentence, provider=self._context.provider, model=self._context.model)

    def refuse_parameter(self, sentence: str) -> UnsupportedParameterError:
        """The exception for a keyword that cannot be carried."""
        return UnsupportedParameterError(sentence, provider=self._context.provider, model=self._context.model)

    def bad(self, sentence: str) -> BadRequestError:
        """The exception for what no wire could carry."""
        return BadRequestError(sentence, provider=self._context.provider, model=self._context.model)

    def json(self, value: Any) -> str:
        """A value as JSON text."""
        return self._context.json.dumps(value).decode()

    def _ours(self, origin: Origin | None) -> bool:
        return origin is not None and origin == self._context.origin

    def _left_out(self, what: str, origin: Origin | None) -> None:
        source = f"from {origin.provider} ({origin.protocol})" if origin else "of no known origin"
        self.warn(f"{what} {source} was left out: {self._context.provider} would not recognise it")

    def _arguments(self, part: ToolCall) -> dict[str, Any]:
        """What a call is given, as the object that ``input`` must be."""
        if part.kind == "custom":
            self.warn(
                f"the call of the free-form tool {part.name} was sent as {{'input': text}}: arguments are objects"
            )
            return {"input": part.raw_arguments}
        arguments = parse_arguments(part.raw_arguments)
        if arguments is None:
            arguments = {INVALID_JSON: part.raw_arguments}
            self.warn(
                f"the arguments of the call of {part.name} are no JSON object, and were sent under {INVALID_JSON}"
            )
        return arguments

    def _provider_tool(self, part: ProviderToolCall | ProviderToolResult) -> Block | None:
        if not self._ours(part.origin):
            what = "call" if isinstance(part, ProviderToolCall) else "result"
            self._left_out(f"the {what} of a tool the provider ran ({part.name})", part.origin)
            return None
        return dict(part.raw)

    def _unknown(self, part: Unknown) -> Block | None:
        if not self._ours(part.origin) or not isinstance(part.raw, Mapping):
            self._left_out(f"content of type {part.type!r}", part.origin)
            return None
        return dict(part.raw)
