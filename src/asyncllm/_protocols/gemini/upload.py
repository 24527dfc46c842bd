"""Gemini's files: begun at ``/upload/{version}/files``, sent to the address in the answer, there for two days.

A file's own name is chosen here, after its content, so that it is found by one question. Films are looked at before
they can be used. Source: google-genai 3.6.1 (files.py, _extra_utils.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ..batching import asking, moment, text
from ..codec import Context, WireRequest
from ..filing import FileInfo, Filing, NewFile
from ..parts import as_dict, as_text, objects
from .dialect import GeminiDialect

_TO_BE_SEEN = frozenset({"PROCESSING", "STATE_UNSPECIFIED"})


class GeminiFiling(Filing):
    """Writes and reads requests about stored files at ``/{version}/files``.

    Args:
        dialect: of the host; says the version of the API.
    """

    most_bytes = 2 * 1024 * 1024 * 1024

    def __init__(self, dialect: GeminiDialect) -> None:
        self._version = replace(dialect, version=dialect.version or "v1beta").version

    def find(self, file: NewFile) -> WireRequest:
        """Writes the request for the file of this content, by the name that it would have."""
        return self.get(_name(file))

    def read_found(self, value: Any, file: NewFile) -> FileInfo | None:
        """Reads the file that was asked for; None if the answer names none."""
        return self.read(value) if "name" in as_dict(value) else None

    def upload(self, file: NewFile, context: Context) -> WireRequest:
        """Begins an upload."""
        headers = (
            ("content-type", "application/json"),
            ("x-goog-upload-protocol", "resumable"),
            ("x-goog-upload-command", "start"),
            ("x-goog-upload-header-content-length", str(len(file.data))),
            ("x-goog-upload-header-content-type", file.media_type),
        )
        body = context.json.dumps({"file": {"name": _name(file), "displayName": file.name}})
        return WireRequest(method="POST", path=f"/upload/{self._version}/files", headers=headers, body=body)

    def address(self, headers: Mapping[str, str]) -> str | None:
        """Returns the URL that the content goes to, which the host says in a header."""
        return headers.get("x-goog-upload-url")

    def content(self, file: NewFile) -> WireRequest:
        """Writes the request with the whole content."""
        headers = (("x-goog-upload-command", "upload, finalize"), ("x-goog-upload-offset", "0"))
        return WireRequest(method="POST", path="", headers=headers, body=file.data)

    def read(self, value: Any) -> FileInfo:
        """Reads one file.

        Raises:
            ProtocolError: it is none.
        """
        whole = as_dict(value)
        one = as_dict(whole.get("file")) or whole
        size = as_text(one.get("sizeBytes")) or ""
        return FileInfo(
            id=text(one, "name"),
            name=as_text(one.get("displayName")) or "",
            media_type=as_text(one.get("mimeType")) or "",
            size=int(size) if size.isdecimal() else None,
            created=moment(one.get("createTime")),
            expires_at=moment(one.get("expirationTime")),
            ready=one.get("state") not in _TO_BE_SEEN,
        )

    def get(self, file_id: str) -> WireRequest:
        """Writes the request for what is known of one file."""
        name = file_id if file_id.startswith("files/") else f"files/{file_id}"
        return asking(f"/{self._version}/{quote(name, safe='/')}")

    def list(self, after: str) -> WireRequest:
        """Writes the request for a page of the files."""
        return asking(f"/{self._version}/files", f"pageSize=100{f'&pageToken={quote(after)}' if after else ''}")

    def read_list(self, value: Any) -> tuple[Sequence[FileInfo], str]:
        """Reads a page."""
        found = as_dict(value)
        return [self.read(one) for one in objects(found.get("files"))], as_text(found.get("nextPageToken")) or ""


def _name(file: NewFile) -> str:
    return f"files/al-{file.digest[:32]}"
