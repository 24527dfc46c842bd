"""Media types <-> the format words of Converse, and the names of documents.

Source: botocore 1.44.5, bedrock-runtime (``ImageFormat`` and its like, ``DocumentBlock``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

IMAGES: Mapping[str, str] = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENTS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
VIDEOS: Mapping[str, str] = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
SOUNDS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/aac": "aac",
    "audio/x-aac": "x-aac",
    "audio/flac": "flac",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/ogg": "ogg",
    "audio/x-matroska": "mka",
    "audio/pcm": "pcm",
    "audio/webm": "webm",
}
# What the end of an S3 address or a file name says, where no media type does.
EXTENSIONS: Mapping[str, str] = {"jpg": "jpeg", "htm": "html", "markdown": "md", "3gp": "three_gp", "mpg": "mpeg"}

_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})$")


def format_of(media_type: str | None, known: Mapping[str, str], *names: str | None) -> str | None:
    """The format word: from the media type, else from what the first of these names ends in; None for neither."""
    kind = (media_type or "").partition(";")[0].strip().lower()
    if kind in known:
        return known[kind]
    if kind:
        return None
    for name in names:
        found = _EXTENSION.search(name or "")
        if found:
            word = found[1].lower()
            word = EXTENSIONS.get(word, word)
            return word if word in known.values() else None
    return None


def media_type_of(word: object, known: Mapping[str, str]) -> str | None:
    """The media type of a format word; None for one that is not known."""
    return next((kind for kind, found in known.items() if found == word), None)


_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_LONGEST_NAME = 200


class DocumentNames:
    """The names of the documents of one request: each at most once, in the characters that every model takes.

    Those are letters, digits, single spaces, hyphens, parentheses and square brackets, 200 of them at most.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def give(self, wanted: str | None) -> str:
        """A name of its own for one more document."""
        plain = _NOT_IN_NAMES.sub(" ", wanted or "").strip()[:_LONGEST_NAME].strip()
        name, number = plain or "Document 1", 1
        while name in self._taken:
            number += 1
            ending = f" ({number})"
            name = f"{plain[: _LONGEST_NAME - len(ending)]}{ending}" if plain else f"Document {number}"
        self._taken.add(name)
        return name
