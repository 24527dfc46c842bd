"""OpenAI's files: ``/files``, with the purpose ``user_data``. Source: openai 3.57.0 (resources/files.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ..batching import asking, moment, multipart, text
from ..codec import Context, WireRequest
from ..filing import FileInfo, Filing, NewFile
from ..parts import as_dict, as_text, objects


class OpenAIFiling(Filing):
    """Writes and reads requests about stored files at ``/files``."""

    def upload(self, file: NewFile, context: Context) -> WireRequest:
        """Writes the request that stores a file; the content is sent as a form."""
        return multipart("/files", {"purpose": "user_data"}, file.stored_name, file.data, file.media_type)

    def read(self, value: Any) -> FileInfo:
        """Reads one file.

        Raises:
            ProtocolError: it is none.
        """
        one = as_dict(value)
        size = one.get("bytes")
        return FileInfo(
            id=text(one, "id"),
            name=as_text(one.get("filename")) or "",
            size=size if type(size) is int else None,
            created=moment(one.get("created_at")),
            expires_at=moment(one.get("expires_at")),
        )

    def get(self, file_id: str) -> WireRequest:
        """Writes the request for what is known of one file."""
        return asking(f"/files/{quote(file_id, safe='')}")

    def list(self, after: str) -> WireRequest:
        """Writes the request for a page of the files with this purpose, the newest first."""
        return asking("/files", f"purpose=user_data&limit=1000&order=desc{f'&after={quote(after)}' if after else ''}")

    def read_list(self, value: Any) -> tuple[Sequence[FileInfo], str]:
        """Reads a page."""
        found = as_dict(value)
        files = [self.read(one) for one in objects(found.get("data"))]
        return files, files[-1].id if files and found.get("has_more") is True else ""
