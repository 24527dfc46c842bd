"""Wire parts -> canonical parts.

Order, signatures and unknown fields of a part stay with it: ``signature`` is its ``thoughtSignature``, ``extra``
holds every other field of the part that the canonical one has no place for, verbatim, at the place where the wire
had it.

A call without an ``id`` gets one made here, marked by ``extra={"functionCall": {"id": None}}``, so that it is not
sent back. A ``functionCall`` that a ``functionResponse`` of the same content answers was run by the provider (its
MCP servers). An empty text part that carries nothing says nothing and is left out; with a signature it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..._schema.content import Part, ProviderToolCall, ProviderToolResult, Reasoning, Text, ToolCall, Unknown
from ...errors import AsyncLLMError, ProtocolError
from ..base import Context
from .media import read_media
from .partial_arguments import PartialArguments

_CALL_FIELDS = frozenset({"id", "name", "args", "partialArgs", "willContinue"})


class PartReader:
    """Reads the parts of one content, in order."""

    __slots__ = ("_code_id", "_context")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._code_id = ""

    def read(self, part: Any) -> Part | None:
        """One whole part; None for one that says nothing.

        Raises:
            ProtocolError: it holds what JSON text cannot say.
        """
        if not isinstance(part, dict):
            return self.unknown(part)
        if isinstance(part.get("text"), str):
            return self.text(part)
        for field, read in _READERS.items():
            if field in part:
                return read(self, part)
        return self.unknown(part) if part.keys() - {"thought"} else None

    def unknown(self, raw: Any) -> Unknown:
        """A part of a kind this version does not know."""
        known = [key for key in raw if key not in ("thought", "thoughtSignature")] if isinstance(raw, dict) else []
        return Unknown(type=known[0] if known else "part", raw=raw, origin=self._context.origin)

    def text(self, part: dict[str, Any]) -> Text | Reasoning | None:
        """Text or a thought, complete as it stands."""
        text, origin = part["text"], self._context.origin
        if part.get("thought") is True:
            signature, extra = _signed(part, "text", "thought")
            if not text and signature is None and extra is None:
                return None
            return Reasoning(text, signature=signature, origin=origin, extra=extra)
        signature, extra = _signed(part, "text")
        if not text and signature is None and not (extra and extra.keys() - {"thought"}):
            return None
        return Text(text, signature=signature, origin=origin, extra=extra)

    def call(self, part: dict[str, Any]) -> ToolCall | Unknown:
        """A whole function call."""
        call = part["functionCall"]
        if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"]:
            return self.unknown(part)
        arguments = call.get("args")
        if arguments is None and "partialArgs" in call:
            partial = PartialArguments(self._context)
            partial.feed(call["partialArgs"])
            arguments = partial.close()
        if arguments is not None and not isinstance(arguments, dict):
            return self.unknown(part)
        return self.make_call(part, arguments or {})

    def make_call(self, part: dict[str, Any], arguments: dict[str, Any]) -> ToolCall:
        """The call of a part, with these arguments."""
        call = part["functionCall"]
        signature, extra = _signed(part, "functionCall")
        inner = {key: value for key, value in call.items() if key not in _CALL_FIELDS}
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            call_id = self._context.new_id("call_")
            inner["id"] = None
        if inner:
            extra = {**(extra or {}), "functionCall": inner}
        return ToolCall(
            call_id,
            call["name"],
            raw_arguments=self.json_text(arguments),
            signature=signature,
            origin=self._context.origin,
            extra=extra,
        )

    def json_text(self, value: Any) -> str:
        """Compact JSON of a value that came in an answer."""
        try:
            return self._context.json.dumps(value).decode()
        except AsyncLLMError:
            pass
        raise ProtocolError(
            "the answer holds a value that cannot be written as JSON again",
            provider=self._context.provider,
            model=self._context.model,
        )

    def media(self, part: dict[str, Any]) -> Part:
        """Inline media or a file the model points to."""
        _, extra = _signed(part, "inlineData", "fileData")
        signature = part.get("thoughtSignature")
        if isinstance(signature, str):
            extra = {**(extra or {}), "thoughtSignature": signature}
        return read_media(part, self._context.origin, extra)

    def code(self, part: dict[str, Any]) -> Part:
        """Code the model wrote and the provider ran."""
        body = part["executableCode"]
        if not isinstance(body, dict):
            return self.unknown(part)
        given = body.get("id")
        self._code_id = given if isinstance(given, str) and given else self._context.new_id("code_")
        return self._provider_call(part, self._code_id, "code_execution", body)

    def code_result(self, part: dict[str, Any]) -> Part:
        """What the code gave."""
        body = part["codeExecutionResult"]
        if not isinstance(body, dict):
            return self.unknown(part)
        given = body.get("id")
        return ProviderToolResult(
            call_id=given if isinstance(given, str) and given else self._code_id,
            name="code_execution",
            raw=part,
            is_error=body.get("outcome") not in ("OUTCOME_OK", 1),
            signature=_signature(part),
            origin=self._context.origin,
        )

    def tool_call(self, part: dict[str, Any]) -> Part:
        """A tool the provider ran."""
        body = part["toolCall"]
        if not isinstance(body, dict):
            return self.unknown(part)
        given = body.get("id")
        call_id = given if isinstance(given, str) and given else self._context.new_id("tool_")
        return self._provider_call(part, call_id, _tool_name(body), body.get("args") or {})

    def tool_response(self, part: dict[str, Any]) -> Part:
        """What such a tool gave."""
        body = part["toolResponse"]
        if not isinstance(body, dict):
            return self.unknown(part)
        return self._provider_result(part, body, _tool_name(body))

    def function_response(self, part: dict[str, Any]) -> Part:
        """The result of a function the provider ran."""
        body = part["functionResponse"]
        if not isinstance(body, dict):
            return self.unknown(part)
        name = body.get("name")
        return self._provider_result(part, body, name if isinstance(name, str) else "")

    def _provider_call(self, part: dict[str, Any], call_id: str, name: str, arguments: Any) -> ProviderToolCall:
        return ProviderToolCall(
            id=call_id,
            name=name,
            raw_arguments=self.json_text(arguments),
            raw=part,
            signature=_signature(part),
            origin=self._context.origin,
        )

    def _provider_result(self, part: dict[str, Any], body: dict[str, Any], name: str) -> ProviderToolResult:
        given, response = body.get("id"), body.get("response")
        return ProviderToolResult(
            call_id=given if isinstance(given, str) else "",
            name=name,
            raw=part,
            is_error=isinstance(response, dict) and "error" in response,
            signature=_signature(part),
            origin=self._context.origin,
        )


_READERS: Mapping[str, Callable[[PartReader, dict[str, Any]], Part]] = {
    "functionCall": PartReader.call,
    "inlineData": PartReader.media,
    "fileData": PartReader.media,
    "executableCode": PartReader.code,
    "codeExecutionResult": PartReader.code_result,
    "toolCall": PartReader.tool_call,
    "toolResponse": PartReader.tool_response,
    "functionResponse": PartReader.function_response,
}


class OpenCalls:
    """Function calls of one content that the provider may yet answer itself, found in constant time."""

    __slots__ = ("_open", "_places")

    def __init__(self) -> None:
        self._open: dict[int, tuple[ToolCall, dict[str, Any]]] = {}
        self._places: dict[tuple[str, str], list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, place: int, call: ToolCall, wire: dict[str, Any]) -> None:
        """A call, with its place in the content and its wire part."""
        self._open[place] = call, wire
        for key in (("id", call.id), ("name", call.name)):
            self._places.setdefault(key, []).append(place)

    def answer(self, result: ProviderToolResult) -> tuple[int, ProviderToolCall] | None:
        """The call that this result answers, as one the provider ran: by id where the result has one, else by name."""
        places = self._places.get(("id", result.call_id) if result.call_id else ("name", result.name), [])
        while places:
            place = places.pop(0)
            if place in self._open:
                return place, _run_by_provider(*self._open.pop(place))
        return None

    def close(self) -> list[tuple[int, ToolCall]]:
        """The calls that nobody answered: the caller's."""
        left = [(place, call) for place, (call, _) in self._open.items()]
        self._open.clear()
        self._places.clear()
        return left


def _run_by_provider(call: ToolCall, wire: Mapping[str, Any]) -> ProviderToolCall:
    return ProviderToolCall(
        id=call.id,
        name=call.name,
        raw_arguments=call.raw_arguments,
        raw=wire,
        signature=call.signature,
        origin=call.origin,
    )


def _signature(part: Mapping[str, Any]) -> str | None:
    signature = part.get("thoughtSignature")
    return signature if isinstance(signature, str) else None


def _signed(part: Mapping[str, Any], *known: str) -> tuple[str | None, dict[str, Any] | None]:
    """The signature of a part, and its fields beyond those that are known."""
    signature = _signature(part)
    taken = {*known, "thoughtSignature"} if signature is not None else set(known)
    extra = {key: value for key, value in part.items() if key not in taken}
    return signature, extra or None


def _tool_name(body: Mapping[str, Any]) -> str:
    name = body.get("toolType")
    return name.lower() if isinstance(name, str) else "tool"
