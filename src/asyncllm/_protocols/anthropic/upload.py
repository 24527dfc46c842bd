"""Anthropic's files: ``/v1/files``. Source: anthropic 2.14.0 (resources/files.py, types/file_metadata.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..batching import asking, moment, multipart, text
from ..codec import Context, WireRequest
from ..filing import FileInfo, Filing, NewFile
from ..parts import as_dict, as_text, objects


class AnthropicFiling(Filing):
    """Writes and reads requests about stored files at ``/v1/files``; the version of the API is a header of all
    requests to the host.
    """

    def upload(self, file: NewFile, context: Context) -> WireRequest:
        """Writes the request that stores a file; the content is sent as a form."""
        return multipart("/v1/files", {}, file.stored_name, file.data, file.media_type)

    def read(self, value: Any) -> FileInfo:
        """Reads one file.

        Raises:
            ProtocolError: it is none.
        """
        one = as_dict(value)
        size = one.get("size_bytes")
        return FileInfo(
            id=text(one, "id"),
            name=as_text(one.get("filename")) or "",
            media_type=as_text(one.get("mime_type")) or "",
            size=size if type(size) is int else None,
            created=moment(one.get("created_at")),
            expires_at=moment(one.get("expires_at")),
        )

    def get(self, file_id: str) -> WireRequest:
        """Writes the request for what is known of one file."""
        return asking(f"/v1/files/{quote(file_id, safe='')}")

    def list(self, after: str) -> WireRequest:
        """Writes the request for a page of the files, the newest first."""
        return asking("/v1/files", f"limit=1000{f'&page={quote(after)}' if after else ''}")

    def read_list(self, value: Any) -> tuple[Sequence[FileInfo], str]:
        """Reads a page."""
        found = as_dict(value)
        return [self.read(one) for one in objects(found.get("data"))], as_text(found.get("next_page")) or ""
