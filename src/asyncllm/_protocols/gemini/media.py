"""Pictures, sound, films and documents: bytes as ``inlineData``, addresses as ``fileData``.

The type of the bytes is required by the wire. Where the caller left it out it is read from the first bytes, or from the
ending of an address; where neither tells, bytes are refused and an address goes without.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Union

from ..._schema.content import Audio, Document, Image, Origin, Unknown, Video
from ...errors import UnsupportedContentError
from .dialect import GeminiDialect

Media = Union[Image, Audio, Video, Document]
Warn = Callable[[str], None]

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


def write_media(part: Media, dialect: GeminiDialect, warn: Warn) -> dict[str, Any]:
    """The wire part for one piece of media.

    Raises:
        UnsupportedContentError: it holds nothing that this host can take.
    """
    kind = type(part).__name__.lower()
    if part.data is not None:
        return _inline(part.data, part.media_type or _sniff(part.data), kind, part, dialect, warn)
    if part.url is not None:
        if part.url[:5].lower() == "data:":
            media_type, data = _data_url(part.url, kind)
            return _inline(data, part.media_type or media_type, kind, part, dialect, warn)
        return _file(part.url, part, warn)
    if part.file_id is not None:
        return _file(_file_address(part.file_id, kind, dialect), part, warn)
    raise UnsupportedContentError(f"the {kind} holds neither data nor an address: give it data, url or file_id")


def write_detail(part: Media, wire: dict[str, Any], generation: int, warn: Warn) -> None:
    """Adds how closely an image is to be looked at, where the model takes that for one part (Gemini 3 and later)."""
    detail = part.detail if isinstance(part, Image) else None
    if detail is None or detail == "auto":
        return
    if generation >= 3 and detail in _DETAIL:
        wire["mediaResolution"] = {"level": _DETAIL[detail]}
    else:
        warn(f"this model has no image detail {detail!r} for one image; it was left out")


def _inline(
    data: bytes, media_type: str | None, kind: str, part: Media, dialect: GeminiDialect, warn: Warn
) -> dict[str, Any]:
    if media_type is None:
        raise UnsupportedContentError(f"the type of the {kind} is not known: give it a media_type such as image/png")
    encode = base64.urlsafe_b64encode if dialect.url_safe_base64 else base64.b64encode
    blob = {"mimeType": media_type, "data": encode(data).decode("ascii")}
    if isinstance(part, Document) and part.name:
        if dialect.display_names:
            blob["displayName"] = part.name
        else:
            warn(f"{dialect.host} takes no names of documents; they were left out")
    return {"inlineData": blob}


def _file(address: str, part: Media, warn: Warn) -> dict[str, Any]:
    file = {"fileUri": address}
    ending = address.partition("?")[0].rpartition(".")[2].lower()
    media_type = part.media_type or _ENDINGS.get(ending)
    if media_type is not None:
        file["mimeType"] = media_type
    if isinstance(part, Document) and part.name:
        warn("the names of documents that are given by address are not sent")
    return {"fileData": file}


def _file_address(file_id: str, kind: str, dialect: GeminiDialect) -> str:
    if "://" in file_id:
        return file_id
    if dialect.files_base is None:
        raise UnsupportedContentError(
            f"{dialect.host} has no uploaded files: give the {kind} as data, or as a gs:// or https:// address"
        )
    return dialect.files_base + (file_id if file_id.startswith("files/") else f"files/{file_id}")


def _data_url(url: str, kind: str) -> tuple[str | None, bytes]:
    head, _, payload = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    data = from_base64(payload) if "base64" in parameters else None
    if data is None:
        raise UnsupportedContentError(f"the data: address of the {kind} is not base64: give the bytes as data")
    return media_type or None, data


def _sniff(data: bytes) -> str | None:
    head = data[:16]
    return next((kind for at, magic, kind in _MAGIC if head[at : at + len(magic)] == magic), None)


def from_base64(text: str) -> bytes | None:
    """The bytes of base64 in either alphabet, padded or not; None when it is neither."""
    try:
        clean = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(clean + "=" * (-len(clean) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None


_KINDS: Mapping[str, type[Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}


def read_media(part: Mapping[str, Any], origin: Origin, extra: dict[str, Any] | None) -> Media | Unknown:
    """Media the model sent: the kind follows from its type; what is no picture, sound or film is a document."""
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
