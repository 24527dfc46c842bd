"""Finds the media type of a picture by its first bytes, as the types that file names and browsers give are often
wrong.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Mapping

# What files begin with. RIFF and ISO files say more at byte 8.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_RIFF: Mapping[bytes, str] = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_ISO: Mapping[bytes, str] = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"avif": "image/avif"}
_OTHER_NAMES: Mapping[str, str] = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}


def sniffed(data: bytes) -> str | None:
    """The media type that the first bytes show; None where they show none."""
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    return _ISO.get(data[8:12]) if data[4:8] == b"ftyp" else None


def is_encoded(data: bytes) -> bool:
    """Whether bytes are the base64 text, or the ``data:`` URL, of a file that is known by its beginning."""
    if data.startswith(b"data:") and b";base64," in data[:100]:
        return True
    try:
        return sniffed(b64decode(data[:24], validate=True)) is not None
    except (Error, ValueError):
        return False


def media_type_of(family: str, data: bytes | None, said: str | None) -> str | None:
    """The media type of a part: what the bytes of a picture show, else what is said, in its usual name.

    Sound is left as it is said: one coding has several names, and hosts differ in which of them they take.

    Args:
        family: ``"image"``, ``"audio"``, ...
        data: the bytes, where the part has them.
        said: what the caller or the wire says.
    """
    shown = sniffed(data) if data else None
    if shown is not None and (said is None or (family == "image" and shown.startswith("image/"))):
        return shown
    return None if said is None else _OTHER_NAMES.get(said.lower(), said)
