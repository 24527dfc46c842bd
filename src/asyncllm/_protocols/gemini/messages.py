"""Messages -> ``contents`` and ``systemInstruction``.

Rules of the wire, and what is made of them:

* Two roles, ``user`` and ``model``. Consecutive contents of one role become one; a content never has empty
  ``parts``.
* System messages at the head are the ``systemInstruction``; the wire has no place for later ones, which become user
  text.
* The results of parallel calls stand together in one user content, in the order of the calls. A result names its
  function; the name is found from the call. It has an ``id`` only if the call had one on the wire: an id that was
  made here is marked by ``extra={"functionCall": {"id": None}}`` on the call and never sent back to the host it was
  made for.
* A result is ``{"output": ...}``, a failure ``{"error": ...}``. Its media are ``parts`` of the result on Gemini 3
  and later, and follow the results before that.
* Signatures, reasoning, provider-run tools, unknown parts and ``extra`` go back to the host they came from, byte
  for byte; for another host they are left out, with a warning.
* Gemini 3 and later refuse a step of the current turn whose first ``functionCall`` has no signature. For calls that
  another host made, Google documents a signature that skips the check; it is put there, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..._schema.content import (
    Audio,
    Document,
    Image,
    Json,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    Video,
)
from ..._schema.messages import Message
from ..codec import Context, deep_merge
from ..parts import INVALID_JSON, PartWriter
from .dialect import GeminiDialect
from .parts import Media, write_detail, write_media

SKIP_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""Base64 of ``skip_thought_signature_validator``, Google's documented signature for history of another origin."""

_MEDIA = (Image, Audio, Video, Document)


class _Call(NamedTuple):
    name: str
    wire_id: str | None
    order: int


class ContentsWriter(PartWriter[GeminiDialect]):
    """Writes one conversation; used once.

    Attributes:
        system: the parts of ``systemInstruction``.
        contents: the ``contents``.
    """

    __slots__ = ("_calls", "_foreign_calls", "_generation", "_late_media", "_results", "contents", "system")

    def __init__(self, context: Context, dialect: GeminiDialect) -> None:
        super().__init__(context, dialect, "generateContent")
        self._generation = context.facts.generation or 0
        self.system: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []
        self._calls: dict[str, _Call] = {}
        self._foreign_calls: set[int] = set()  # identities of wire parts, which live as long as this
        self._results: list[tuple[int, dict[str, Any]]] = []
        self._late_media: list[dict[str, Any]] = []

    def write(self, messages: Iterable[Message]) -> None:
        """Writes the whole conversation.

        Raises:
            UnsupportedContentError: a part that the wire or the host has no place for.
            BadRequestError: a result whose function cannot be named, or nothing to answer.
        """
        for message in messages:
            role, content = message.role, message.content
            if message.name:
                self.warn(f"{self.dialect.host} has no names of speakers; they were left out")
            if role == "system":
                self._add_system(content)
            elif len(content) == 1 and _is_plain(content[0]):
                self._add("model" if role == "assistant" else "user", [{"text": content[0].text}])  # type: ignore[union-attr]
            else:
                self._add_parts("model" if role == "assistant" else "user", content)
        self._end_results()
        if not self.contents:
            raise self.bad(f"{self.dialect.host} needs at least one user message that is not empty")
        self._sign_foreign_steps()

    # -- contents ---------------------------------------------------------------------------------------------------

    def _add(self, role: str, parts: list[dict[str, Any]]) -> None:
        if self._results:
            self._end_results()
        contents = self.contents
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})

    def _add_parts(self, role: str, content: Iterable[Part]) -> None:
        parts: list[dict[str, Any]] = []
        for part in content:
            if type(part) is ToolResult:
                if parts:
                    self._add(role, parts)
                    parts = []
                self._add_result(part)
            else:
                wire = self._part(part)
                if wire is not None:
                    parts.append(wire)
        if parts:
            self._add(role, parts)

    def _add_system(self, content: Iterable[Part]) -> None:
        parts = []
        for part in content:
            if not isinstance(part, Text):
                raise self.refuse(
                    f"{self.dialect.host} takes only text as instructions: "
                    f"move the {type(part).__name__} into a user message"
                )
            if part.cache is not None:
                self.warn(_NO_CACHE_MARKS)
            if part.text:
                parts.append({"text": part.text})
        if not self.contents and not self._results:
            self.system.extend(parts)
        elif parts:
            self.warn(
                f"{self.dialect.host} takes instructions at the head of a conversation only; "
                "later ones were sent as the user's"
            )
            self._add("user", parts)

    def _end_results(self) -> None:
        results, late = self._results, self._late_media
        if results:
            self._results, self._late_media = [], []
            results.sort(key=lambda item: item[0])
            self._add("user", [wire for _, wire in results] + late)

    def _sign_foreign_steps(self) -> None:
        if self._generation < 3 or not self._foreign_calls:
            return
        contents = self.contents
        turn = max((at for at, content in enumerate(contents) if _opens_turn(content)), default=-1)
        for content in contents[turn + 1 :]:
            first = next((part for part in content["parts"] if "functionCall" in part), None)
            if first is not None and id(first) in self._foreign_calls:
                first["thoughtSignature"] = SKIP_SIGNATURE
                self.warn(
                    "a tool call of the current turn came from another host and has no signature of this one; "
                    "Google's signature that skips the check was sent with it"
                )

    # -- parts ------------------------------------------------------------------------------------------------------

    def _part(self, part: Part) -> dict[str, Any] | None:
        write = _WRITERS.get(type(part))
        if write is None:
            raise self.refuse(f"{self.dialect.host} has no place for {type(part).__name__}")
        return write(self, part)

    def _seal(self, wire: dict[str, Any], part: Any) -> dict[str, Any]:
        """Adds what only the part's own host understands, and speaks about what is left out."""
        if part.cache is not None:
            self.warn(_NO_CACHE_MARKS)
        signature = getattr(part, "signature", None)
        if not signature and not part.extra:
            return wire
        if not self.is_own(part.origin):
            self.warn("signatures and other data that belong to another host were left out of the history")
            return wire
        if part.extra:
            wire = deep_merge(wire, part.extra)
        if signature:
            wire["thoughtSignature"] = signature
        return wire

    def write_text(self, part: Text | Refusal) -> dict[str, Any] | None:
        foreign = not self.is_own(part.origin)
        if isinstance(part, Refusal):
            self.warn("a refusal was sent as text: this wire has no other place for it")
        elif part.citations and foreign:
            self.warn("the citations of another host were left out of the history")
        wire = self._seal({"text": part.text}, part)
        return wire if part.text or len(wire) > 1 else None

    def write_media(self, part: Media) -> dict[str, Any] | None:
        return self._seal(self._media_wire(part), part)

    def _media_wire(self, part: Media) -> dict[str, Any]:
        if isinstance(part, Document):
            if part.context or part.citations:
                self.warn(f"{self.dialect.host} takes no remarks on documents and no request to cite them")
            if part.text is not None:
                return {"text": part.text}
        if isinstance(part, Audio) and part.transcript and self._only_said(part):
            self.warn("speech of another host was sent as its transcript")
            return {"text": part.transcript}
        wire = write_media(part, self)
        write_detail(part, wire, self._generation, self)
        return wire

    def _only_said(self, part: Audio) -> bool:
        """Whether there is no sound to send: none at all, or another model's, which stands for what it said."""
        if part.data is None and part.url is None:
            return True
        return part.origin is not None and not self.is_own(part.origin)

    def write_reasoning(self, part: Reasoning) -> dict[str, Any] | None:
        if not self.is_own(part.origin):
            self.warn("reasoning that belongs to another host was left out of the history")
            return None
        wire = self._seal({"text": part.text, "thought": True}, part)
        return wire if part.text or "thoughtSignature" in wire else None

    def write_call(self, part: ToolCall) -> dict[str, Any]:
        arguments = part.arguments
        if part.kind == "custom":
            arguments = {"input": part.raw_arguments}
            self.warn(f"the call of the free-form tool {part.name} was sent as {{'input': text}}")
        if arguments is None:
            self.warn(f"the arguments of a call to {part.name} are no JSON object; they were sent as {INVALID_JSON}")
            arguments = {INVALID_JSON: part.raw_arguments}
        wire = self._seal({"functionCall": {"id": part.id, "name": part.name, "args": arguments}}, part)
        call = wire["functionCall"]
        if call["id"] is None:
            del call["id"]
        if "thoughtSignature" not in wire and not self.is_own(part.origin):
            self._foreign_calls.add(id(wire))
        self._calls[part.id] = _Call(part.name, call.get("id"), len(self._calls))
        return wire

    def write_own_raw(self, part: ProviderToolCall | ProviderToolResult) -> dict[str, Any] | None:
        if part.cache is not None:
            self.warn(_NO_CACHE_MARKS)
        if not self.is_own(part.origin):
            self.warn("the work of tools that another host ran was left out of the history")
            return None
        return dict(part.raw)

    def write_unknown(self, part: Unknown) -> dict[str, Any] | None:
        if self.is_own(part.origin) and isinstance(part.raw, Mapping):
            return dict(part.raw)
        if part.origin is None or self.is_own(part.origin):
            raise self.refuse(
                f"a part of unknown type {part.type!r} can be sent only as a mapping, with the origin of this host"
            )
        self.warn("content of a kind that only another host knows was left out of the history")
        return None

    # -- results ----------------------------------------------------------------------------------------------------

    def _add_result(self, part: ToolResult) -> None:
        call = self._calls.get(part.call_id)
        name = call.name if call else part.name
        if not name:
            raise self.bad(
                f"the result for call {part.call_id!r} answers no call of this conversation, so its function "
                "has no name: give it one, Message.tool(call_id, result, name=...)"
            )
        body: dict[str, Any] = {"id": call.wire_id} if call and call.wire_id else {}
        values: list[Any] = []
        media: list[dict[str, Any]] = []
        for item in part.content:
            self._result_item(item, values, media)
        body["name"] = name
        body["response"] = {"error" if part.is_error else "output": _one_value(values)} if values or not media else {}
        if media and self._generation >= 3:
            body["parts"] = media
        elif media:
            self.warn("this model takes no media inside a tool's result; they were sent after the results")
            self._late_media.extend(media)
        order = call.order if call else len(self._calls)
        self._results.append((order, self._seal({"functionResponse": body}, part)))

    def _result_item(self, item: ResultPart, values: list[Any], media: list[dict[str, Any]]) -> None:
        if isinstance(item, Text):
            if item.cache is not None:
                self.warn(_NO_CACHE_MARKS)
            values.append(item.text)
        elif isinstance(item, Json):
            # Google reads `$ref` in a result as a reference to one of its media, and refuses what it cannot find.
            values.append(self.json(item.value) if _has_reference(item.value) else item.value)
        elif isinstance(item, _MEDIA):
            wire = self._media_wire(item)
            if "text" in wire:
                values.append(wire["text"])
            else:
                media.append(wire)
        else:
            raise self.refuse(f"{self.dialect.host} has no place for {type(item).__name__} in the result of a tool")


_NO_CACHE_MARKS = "prompt-cache marks were left out: this wire has none, it caches by itself or through cachedContent"

_WRITERS: Mapping[type, Callable[[ContentsWriter, Any], dict[str, Any] | None]] = {
    Text: ContentsWriter.write_text,
    Refusal: ContentsWriter.write_text,
    Image: ContentsWriter.write_media,
    Audio: ContentsWriter.write_media,
    Video: ContentsWriter.write_media,
    Document: ContentsWriter.write_media,
    Reasoning: ContentsWriter.write_reasoning,
    ToolCall: ContentsWriter.write_call,
    ProviderToolCall: ContentsWriter.write_own_raw,
    ProviderToolResult: ContentsWriter.write_own_raw,
    Unknown: ContentsWriter.write_unknown,
}


def _is_plain(part: Part) -> bool:
    return (
        type(part) is Text
        and bool(part.text)
        and part.signature is None
        and part.extra is None
        and part.cache is None
        and not part.citations
    )


def _opens_turn(content: Mapping[str, Any]) -> bool:
    return content["role"] == "user" and any("functionResponse" not in part for part in content["parts"])


def _has_reference(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "$ref" in value or any(_has_reference(inner) for inner in value.values())
    return isinstance(value, (list, tuple)) and any(_has_reference(inner) for inner in value)


def _one_value(values: list[Any]) -> Any:
    """Joins the parts of a result: one value stays as it is, several texts become one text, a mixture stays a list."""
    if len(values) == 1:
        return values[0]
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    return values
