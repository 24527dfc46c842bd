"""The parts of a message, in one vocabulary for all wires.

Three rules hold for all of them.

* *Order and bytes survive.* A part that came from a provider carries what that provider needs to recognise it again:
  ``signature`` (opaque, never touched) and ``extra`` (fields of that wire which no other wire understands, verbatim).
* *Provenance.* ``origin`` says which host and wire format a part came from. ``signature``, ``encrypted`` and ``extra``
  are sent only to the same origin; a codec that leaves one out for another host says so in its warnings.
* *Nothing is dropped in silence.* Content we do not know becomes `Unknown`.

Every part may carry a prompt-cache mark (`CacheMark`): "cache the prompt up to and including this part".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import Any, Union

from .sniffing import is_encoded, media_type_of, sniffed
from .values import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part came from.

    Attributes:
        provider: the kind of host (``"anthropic"``, ``"bedrock"``).
        protocol: the wire format it spoke.
        account: the entry and the deployment that answered, where the entry has several; ``""`` otherwise. What one
            account signed, encrypted or stored is nothing to another.
    """

    provider: str
    protocol: str
    account: str = ""

    def __str__(self) -> str:
        return f"{self.account or self.provider} ({self.protocol})"


FILES = "files"
"""The protocol of parts that name an uploaded file: any wire of the host that stores it can say them."""


@dataclass(frozen=True, slots=True)
class CacheMark:
    """A prompt-cache breakpoint after the part that carries it.

    Attributes:
        ttl: the lifetime in the provider's words (``"5m"``, ``"1h"``, ``"30m"``); ``None`` leaves it to the provider.
    """

    ttl: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A source the model names for the text that carries it.

    Attributes:
        url: the source's address, where it has one.
        title: the source's title.
        cited_text: the words quoted from the source.
        start: where the cited span begins, in the wire's own unit; ``None`` where the wire cites the whole text.
        end: where it ends.
        raw: the wire's own object, verbatim.
    """

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    end: int | None = None
    raw: Mapping[str, Any] | None = None


def _settle_media(part: Image | Document | Audio | Video, family: str) -> None:
    """Checks the bytes of a part and finds their media type.

    Raises:
        TypeError: ``data`` is no bytes, or it is base64 text.
    """
    data = part.data
    if data is None:
        return
    if not isinstance(data, bytes):
        if not isinstance(data, (bytearray, memoryview)):
            raise TypeError(
                f"{type(part).__name__}: data must be bytes, not {type(data).__name__}; "
                "decode base64 text with base64.b64decode"
            )
        data = bytes(data)
        object.__setattr__(part, "data", data)
    if sniffed(data) is None and is_encoded(data):
        raise TypeError(
            f"{type(part).__name__}: data holds base64 text and must be the bytes of the file; "
            "decode it with base64.b64decode"
        )
    media_type = media_type_of(family, data, part.media_type)
    if media_type != part.media_type:
        object.__setattr__(part, "media_type", media_type)


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, with the citations and the opaque signature a provider attached to it."""

    text: str
    _: KW_ONLY
    citations: tuple[Citation, ...] = ()
    signature: str | None = None
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture: exactly one of ``data`` (bytes), ``url`` or ``file_id``.

    Attributes:
        media_type: of ``data``; where the first bytes show a type, that one counts.
        detail: how closely to look, where the wire has it: ``"auto"``, ``"low"``, ``"high"``, ``"original"``.
    """

    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    detail: str | None = None
    signature: str | None = None
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None

    def __post_init__(self) -> None:
        _settle_media(self, "image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file to read (PDF, text): exactly one of ``data``, ``text``, ``url`` or ``file_id``.

    Attributes:
        name: the file name or title shown to the model.
        context: a remark about the document, for wires that take one.
        citations: ask the model to cite from it, for wires that can.
    """

    data: bytes | None = None
    text: str | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None
    context: str | None = None
    citations: bool = False
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None

    def __post_init__(self) -> None:
        _settle_media(self, "application")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """Sound: one of ``data``, ``url``, ``file_id``; ``transcript`` is what the model said, when it speaks."""

    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    transcript: str | None = None
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None

    def __post_init__(self) -> None:
        _settle_media(self, "audio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """Moving pictures: exactly one of ``data``, ``url`` or ``file_id``."""

    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None

    def __post_init__(self) -> None:
        _settle_media(self, "video")


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The model's reasoning: readable text, and the provider's signature or encrypted form.

    Attributes:
        text: the readable reasoning (a summary where the wire has only summaries); ``""`` when it is hidden.
        signature: opaque, sent back unchanged to the same origin.
        encrypted: reasoning the provider sends only encrypted (redacted blocks, encrypted content), verbatim.
        id: the wire's id of the block, where it has one.
    """

    text: str = ""
    _: KW_ONLY
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None


def parse_arguments(raw: str) -> dict[str, Any] | None:
    """The arguments of a tool call as a dict, or None when the text is no JSON object; an empty text is ``{}``."""
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True, init=False)
class ToolCall:
    """A tool call that the caller must run and answer with a `ToolResult`.

    Give ``arguments`` (a mapping) or ``raw_arguments`` (JSON text); the text is what is kept and sent.

    Attributes:
        id: never empty; made by us where the wire has none.
        raw_arguments: the argument text exactly as the model wrote it.
        kind: ``"function"``, or ``"custom"`` for free-form tools whose ``raw_arguments`` is plain text.
    """

    id: str
    name: str
    raw_arguments: str
    kind: str
    signature: str | None
    origin: Origin | None
    extra: Mapping[str, Any] | None
    cache: CacheMark | None

    def __init__(
        self,
        id: str,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        raw_arguments: str | None = None,
        kind: str = "function",
        signature: str | None = None,
        origin: Origin | None = None,
        extra: Mapping[str, Any] | None = None,
        cache: CacheMark | None = None,
    ) -> None:
        if raw_arguments is None:
            raw_arguments = json.dumps(arguments or {}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        put = object.__setattr__
        put(self, "id", id)
        put(self, "name", name)
        put(self, "raw_arguments", raw_arguments)
        put(self, "kind", kind)
        put(self, "signature", signature)
        put(self, "origin", origin)
        put(self, "extra", extra)
        put(self, "cache", cache)

    @property
    def arguments(self) -> dict[str, Any] | None:
        """The parsed arguments, a fresh dict each time; None when the model's text is no JSON object."""
        return parse_arguments(self.raw_arguments)


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value inside a tool result."""

    value: Any


ResultPart = Union[Text, Json, Image, Document, Audio, Video, "Unknown"]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to a `ToolCall`.

    Attributes:
        call_id: the ``id`` of the call it answers.
        content: text, JSON, images or documents, in order.
        is_error: the tool failed, and the content says how.
        name: the tool's name; found from the call where it is left out.
    """

    call_id: str
    content: tuple[ResultPart, ...] = ()
    _: KW_ONLY
    is_error: bool = False
    name: str | None = None
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderToolCall:
    """A tool the provider ran by itself (web search, code execution): shown to the caller, sent back as it came.

    Attributes:
        raw: the wire's own block, verbatim.
    """

    id: str
    name: str
    raw_arguments: str = ""
    raw: Mapping[str, Any]
    signature: str | None = None
    origin: Origin | None = None
    cache: CacheMark | None = None

    @property
    def arguments(self) -> dict[str, Any] | None:
        """The parsed arguments; None when the text is no JSON object."""
        return parse_arguments(self.raw_arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderToolResult:
    """What a tool that the provider ran gave back; ``raw`` is the wire's own block, verbatim."""

    call_id: str
    name: str
    raw: Mapping[str, Any]
    is_error: bool = False
    signature: str | None = None
    origin: Origin | None = None
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's refusal, in its own words."""

    text: str
    _: KW_ONLY
    origin: Origin | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Content of a type this version does not know, kept as the wire sent it and sent back to the same origin."""

    type: str
    raw: Any
    origin: Origin | None = None
    cache: CacheMark | None = None


Part = Union[
    Text,
    Image,
    Document,
    Audio,
    Video,
    Reasoning,
    ToolCall,
    ToolResult,
    ProviderToolCall,
    ProviderToolResult,
    Refusal,
    Unknown,
]
