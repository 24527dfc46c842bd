"""Pictures, sound, films and documents: bytes as ``inlineData``, addresses as ``fileData``.

The type of the bytes is required by the wire. Where the caller left it out it is read from the first bytes, or from the
ending of an address; where neither tells, bytes are refused and an address goes without.

Wire parts -> canonical parts.

Order, signatures and unknown fields of a part stay with it: ``signature`` is its ``thoughtSignature``, ``extra``
holds every other field of the part that the canonical one has no place for, verbatim, at the place where the wire
had it.

A call without an ``id`` gets one made here, marked by ``extra={"functionCall": {"id": None}}``, so that it is not
sent back. A ``functionCall`` that a ``functionResponse`` of the same content answers was run by the provider (its
MCP servers). An empty text part that carries nothing says nothing and is left out; with a signature it is kept.

Tool arguments that Vertex streams in pieces: a JSON path and a value each.

Rules: text for one path is concatenated while the piece before it said ``willContinue``; anything else replaces. A
path is RFC 9535's simple form: ``$``, then names (``.a``, ``['a b']``) and positions (``[0]``). Positions grow one
by one: a path that would leave a hole in a list is refused, so that no answer can ask for a list of a billion.

Source: google-genai 3.4.0, types.py, PartialArg.

"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Union

from ..._schema.content import (
    Audio,
    Document,
    Image,
    Origin,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
    Video,
)
from ...errors import AsyncLLMError, ProtocolError
from ..codec import Context
from ..parts import PartWriter
from .dialect import GeminiDialect

Media = Union[Image, Audio, Video, Document]
Writer = PartWriter[GeminiDialect]

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftyp", "video/mp4"),
)
_ENDINGS: Mapping[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
}
_DETAIL: Mapping[str, str] = {
    "low": "MEDIA_RESOLUTION_LOW",
    "medium": "MEDIA_RESOLUTION_MEDIUM",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}


def write_media(part: Media, writer: Writer) -> dict[str, Any]:
    """Writes the wire part for one piece of media.

    Raises:
        UnsupportedContentError: it holds nothing that this host can take.
    """
    kind = type(part).__name__.lower()
    if part.data is not None:
        return _inline(part.data, part.media_type or _sniff(part.data), kind, part, writer)
    if part.url is not None:
        if part.url[:5].lower() == "data:":
            media_type, data = _data_url(part.url, kind, writer)
            return _inline(data, part.media_type or media_type, kind, part, writer)
        return _file(part.url, part, writer)
    if part.file_id is not None:
        writer.check_stored(part)
        return _file(_file_address(part.file_id, kind, writer), part, writer)
    raise writer.refuse(f"the {kind} holds neither data nor an address: give it data, url or file_id")


def write_detail(part: Media, wire: dict[str, Any], generation: int, writer: Writer) -> None:
    """Adds how closely an image is to be looked at, where the model takes that for one part (Gemini 3 and later)."""
    detail = part.detail if isinstance(part, Image) else None
    if detail is None or detail == "auto":
        return
    if generation >= 3 and detail in _DETAIL:
        wire["mediaResolution"] = {"level": _DETAIL[detail]}
    else:
        writer.warn(f"this model has no image detail {detail!r} for one image; it was left out")


def _inline(data: bytes, media_type: str | None, kind: str, part: Media, writer: Writer) -> dict[str, Any]:
    if media_type is None:
        raise writer.refuse(f"the type of the {kind} is not known: give it a media_type such as image/png")
    blob = {"mimeType": media_type, "data": base64.b64encode(data).decode("ascii")}
    if isinstance(part, Document) and part.name:
        if writer.dialect.display_names:
            blob["displayName"] = part.name
        else:
            writer.warn(f"{writer.dialect.host} takes no names of documents; they were left out")
    return {"inlineData": blob}


def _file(address: str, part: Media, writer: Writer) -> dict[str, Any]:
    file = {"fileUri": address}
    ending = address.partition("?")[0].rpartition(".")[2].lower()
    media_type = part.media_type or _ENDINGS.get(ending)
    if media_type is not None:
        file["mimeType"] = media_type
    if isinstance(part, Document) and part.name:
        writer.warn("the names of documents that are given by address are not sent")
    return {"fileData": file}


def _file_address(file_id: str, kind: str, writer: Writer) -> str:
    if "://" in file_id:
        return file_id
    if writer.dialect.files_base is None:
        raise writer.refuse(
            f"{writer.dialect.host} has no uploaded files: give the {kind} as data, or as a gs:// or https:// address"
        )
    return writer.dialect.files_base + (file_id if file_id.startswith("files/") else f"files/{file_id}")


def _data_url(url: str, kind: str, writer: Writer) -> tuple[str | None, bytes]:
    head, _, payload = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    data = from_base64(payload) if "base64" in parameters else None
    if data is None:
        raise writer.refuse(f"the data: address of the {kind} is not base64: give the bytes as data")
    return media_type or None, data


def _sniff(data: bytes) -> str | None:
    head = data[:16]
    return next((kind for at, magic, kind in _MAGIC if head[at : at + len(magic)] == magic), None)


def from_base64(text: str) -> bytes | None:
    """Decodes base64 in either alphabet, padded or not; returns None if it is neither."""
    try:
        clean = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(clean + "=" * (-len(clean) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None


_KINDS: Mapping[str, type[Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}


def read_media(part: Mapping[str, Any], origin: Origin, extra: dict[str, Any] | None) -> Media | Unknown:
    """Reads media that the model sent. What is no picture, sound or film by its type is a document."""
    inline = part.get("inlineData")
    blob = inline if inline is not None else part.get("fileData")
    blob = blob if isinstance(blob, dict) else {}
    media_type = blob.get("mimeType") if isinstance(blob.get("mimeType"), str) else None
    source: dict[str, Any] = {}
    if inline is not None and isinstance(blob.get("data"), str):
        source["data"] = from_base64(blob["data"])
    elif isinstance(blob.get("fileUri"), str):
        source["url"] = blob["fileUri"]
    if not source or None in source.values():
        return Unknown(type="inlineData" if inline is not None else "fileData", raw=dict(part), origin=origin)
    kind = _KINDS.get((media_type or "").partition("/")[0])
    extra = dict(extra) if extra else {}
    if kind is Image:
        signature = extra.pop("thoughtSignature", None)
        return Image(**source, media_type=media_type, signature=signature, origin=origin, extra=extra or None)
    if kind is None:
        name = blob.get("displayName") if isinstance(blob.get("displayName"), str) else None
        return Document(**source, media_type=media_type, name=name, origin=origin, extra=extra or None)
    return kind(**source, media_type=media_type, origin=origin, extra=extra or None)


_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_VALUES = ("numberValue", "boolValue", "nullValue")
_MOST_STEPS = 100


class PartialArguments:
    """Puts the arguments of one call together."""

    __slots__ = ("_arguments", "_context", "_open_path", "_texts")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._arguments: dict[str, Any] = {}
        self._open_path = ""
        self._texts: list[str] = []  # of the open path, joined once: joining at every piece would be quadratic

    def feed(self, pieces: Any) -> None:
        """Takes the ``partialArgs`` of one chunk.

        Raises:
            ProtocolError: they are not what the wire describes.
        """
        for piece in pieces if isinstance(pieces, list) else ():
            if not isinstance(piece, dict) or not isinstance(piece.get("jsonPath"), str):
                raise self._wrong("a piece of tool arguments names no path")
            self._take(piece["jsonPath"], piece)

    def close(self) -> dict[str, Any]:
        """Returns the whole arguments."""
        self._end_path()
        return self._arguments

    def _take(self, path: str, piece: dict[str, Any]) -> None:
        if path != self._open_path:
            self._end_path()
        text = piece.get("stringValue")
        if isinstance(text, str):
            self._open_path = path
            self._texts.append(text)
        else:
            self._end_path()
            field = next((name for name in _VALUES if name in piece), None)
            if field is not None:
                self._put(self._steps(path), None if field == "nullValue" else piece[field])
        if piece.get("willContinue") is not True:
            self._end_path()

    def _end_path(self) -> None:
        if self._open_path:
            self._put(self._steps(self._open_path), "".join(self._texts))
            self._open_path = ""
            self._texts = []

    def _steps(self, path: str) -> list[str | int]:
        steps: list[str | int] = []
        at = 1
        while at < len(path) and len(steps) < _MOST_STEPS:
            found = _STEP.match(path, at)
            if found is None:
                break
            dotted, position, single, double = found.groups()
            if position is not None:
                steps.append(int(position))
            else:
                quoted = single if single is not None else double
                steps.append(dotted if dotted is not None else re.sub(r"\\(.)", r"\1", quoted))
            at = found.end()
        if path[:1] != "$" or at != len(path) or not steps:
            raise self._wrong(f"{path[:80]!r} is no path of tool arguments")
        return steps

    def _put(self, steps: list[str | int], value: Any) -> None:
        place: Any = self._arguments
        for step, following in pairwise(steps):
            place = self._enter(place, step, [] if isinstance(following, int) else {})
        self._enter(place, steps[-1], value)
        place[steps[-1]] = value

    def _enter(self, place: Any, step: str | int, default: Any) -> Any:
        """Returns what lies one step below ``place``; puts the default there first if there is nothing."""
        if isinstance(place, dict) and isinstance(step, str):
            return place.setdefault(step, default)
        if isinstance(place, list) and isinstance(step, int) and step <= len(place):
            if step == len(place):
                place.append(default)
            return place[step]
        raise self._wrong("the pieces of tool arguments do not fit together")

    def _wrong(self, sentence: str) -> ProtocolError:
        return ProtocolError(sentence, provider=self._context.provider, model=self._context.model)


_CALL_FIELDS = frozenset({"id", "name", "args", "partialArgs", "willContinue"})


class PartReader:
    """Reads the parts of one content, in order."""

    __slots__ = ("_code_id", "_context")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._code_id = ""

    def read(self, part: Any) -> Part | None:
        """Reads one whole part; None for one that says nothing.

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
        """Keeps a part of a kind that this version does not know."""
        known = [key for key in raw if key not in ("thought", "thoughtSignature")] if isinstance(raw, dict) else []
        return Unknown(type=known[0] if known else "part", raw=raw, origin=self._context.origin)

    def text(self, part: dict[str, Any]) -> Text | Reasoning | None:
        """Reads a text or a thought, complete as it stands; None for an empty one."""
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
        """Reads a whole function call."""
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
        """Makes the call of a part with these arguments; makes an id if the wire has none."""
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
        """Returns the compact JSON of a value that came in an answer."""
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
        """Reads inline media, or a file that the model points to."""
        _, extra = _signed(part, "inlineData", "fileData")
        signature = part.get("thoughtSignature")
        if isinstance(signature, str):
            extra = {**(extra or {}), "thoughtSignature": signature}
        return read_media(part, self._context.origin, extra)

    def code(self, part: dict[str, Any]) -> Part:
        """Reads code that the model wrote and the provider ran."""
        body = part["executableCode"]
        if not isinstance(body, dict):
            return self.unknown(part)
        given = body.get("id")
        self._code_id = given if isinstance(given, str) and given else self._context.new_id("code_")
        return self._provider_call(part, self._code_id, "code_execution", body)

    def code_result(self, part: dict[str, Any]) -> Part:
        """Reads what that code gave."""
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
        """Reads the call of a tool that the provider ran."""
        body = part["toolCall"]
        if not isinstance(body, dict):
            return self.unknown(part)
        given = body.get("id")
        call_id = given if isinstance(given, str) and given else self._context.new_id("tool_")
        return self._provider_call(part, call_id, _tool_name(body), body.get("args") or {})

    def tool_response(self, part: dict[str, Any]) -> Part:
        """Reads what such a tool gave."""
        body = part["toolResponse"]
        if not isinstance(body, dict):
            return self.unknown(part)
        return self._provider_result(part, body, _tool_name(body))

    def function_response(self, part: dict[str, Any]) -> Part:
        """Reads the result of a function that the provider ran."""
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
    """Holds the function calls of one content that the provider may yet answer itself; finds them in constant time."""

    __slots__ = ("_open", "_places")

    def __init__(self) -> None:
        self._open: dict[int, tuple[ToolCall, dict[str, Any]]] = {}
        self._places: dict[tuple[str, str], list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, place: int, call: ToolCall, wire: dict[str, Any]) -> None:
        """Remembers a call, with its place in the content and its wire part."""
        self._open[place] = call, wire
        for key in (("id", call.id), ("name", call.name)):
            self._places.setdefault(key, []).append(place)

    def answer(self, result: ProviderToolResult) -> tuple[int, ProviderToolCall] | None:
        """Takes out the call that this result answers, as one the provider ran: by id where the result has one, else by
        name.
        """
        places = self._places.get(("id", result.call_id) if result.call_id else ("name", result.name), [])
        while places:
            place = places.pop(0)
            if place in self._open:
                return place, _run_by_provider(*self._open.pop(place))
        return None

    def close(self) -> list[tuple[int, ToolCall]]:
        """Returns the calls that nobody answered: the caller has to run them."""
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
    """Returns the signature of a part, and its fields beyond those that are known."""
    signature = _signature(part)
    taken = {*known, "thoughtSignature"} if signature is not None else set(known)
    extra = {key: value for key, value in part.items() if key not in taken}
    return signature, extra or None


def _tool_name(body: Mapping[str, Any]) -> str:
    name = body.get("toolType")
    return name.lower() if isinstance(name, str) else "tool"
