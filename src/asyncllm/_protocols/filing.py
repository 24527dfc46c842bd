"""Files at the provider: uploaded, looked for by their content, listed, deleted.

A `Filing` says how one host does it; it is sans-IO, as a codec is. A file is named after its content, so that the same
content is found again, by any process, and an upload whose outcome is unknown can be looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._schema.values import dataclass
from .batching import asking
from .codec import Context, WireRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """Holds a file that is to be uploaded.

    Attributes:
        name: its own name.
        digest: the SHA-256 of its content, in hexadecimal.
        media_type: of its content.
        data: its content.
    """

    name: str
    digest: str
    media_type: str
    data: bytes

    @property
    def stored_name(self) -> str:
        """Returns its name at the host, with the beginning of the digest before the ending: so the same content is
        found again.
        """
        stem, dot, _ = self.name.rpartition(".")
        return f"{stem if dot and stem else self.name}{self.stored_end}"

    @property
    def stored_end(self) -> str:
        """The end of that name, which all files of this content and kind have, whatever they are called."""
        stem, dot, ending = self.name.rpartition(".")
        return f".{self.digest[:16]}.{ending}" if dot and stem else f".{self.digest[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """Holds what a host says of a file; see `File`."""

    id: str
    name: str = ""
    media_type: str = ""
    size: int | None = None
    created: float | None = None
    expires_at: float | None = None
    ready: bool = True


class Filing:
    """Writes and reads what one host needs to store files; a wire replaces what differs.

    Attributes:
        most_bytes: of one file.
    """

    most_bytes: int = 512 * 1024 * 1024

    def find(self, file: NewFile) -> WireRequest:
        """Writes the request that shows whether the content is there."""
        return self.list("")

    def read_found(self, value: Any, file: NewFile) -> FileInfo | None:
        """Returns the file of this content, from the JSON of the answer to `find`; None if it is not there."""
        files, _ = self.read_list(value)
        return next((one for one in files if one.name.endswith(file.stored_end)), None)

    def upload(self, file: NewFile, context: Context) -> WireRequest:
        """Writes the request that uploads the file, or that begins to."""
        raise NotImplementedError

    def address(self, headers: Mapping[str, str]) -> str | None:
        """Returns where the content goes, from the headers of the answer to `upload`; None if it is there already."""
        return None

    def content(self, file: NewFile) -> WireRequest:
        """Writes the request that sends the content to that address; its path is the address's own."""
        raise NotImplementedError

    def read(self, value: Any) -> FileInfo:
        """Reads the JSON of a file.

        Raises:
            ProtocolError: it is none.
        """
        raise NotImplementedError

    def get(self, file_id: str) -> WireRequest:
        """Writes the request for what is known of one file."""
        raise NotImplementedError

    def list(self, after: str) -> WireRequest:
        """Writes the request for a page of the list.

        Args:
            after: what `read_list` gave with the page before; ``""`` for the first one.
        """
        raise NotImplementedError

    def read_list(self, value: Any) -> tuple[Sequence[FileInfo], str]:
        """Reads the files of a page, and what the next one follows on; ``""`` after the last one."""
        raise NotImplementedError

    def delete(self, file_id: str) -> WireRequest:
        """Writes the request that deletes a file."""
        wire = self.get(file_id)
        return WireRequest(method="DELETE", path=wire.path, headers=asking("").headers, body=b"")
