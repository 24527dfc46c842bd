"""A file that a provider stores: `Client.upload` gives it, and messages take it as a part."""

from __future__ import annotations

from datetime import datetime

from .content import Audio, Document, Image, Origin, Video
from .values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that a provider stores. Put it into a message like a part; only the host that stores it can read it.

    Attributes:
        id: the provider's id.
        provider: the configured name of the provider.
        name: the file name at the provider.
        media_type: such as ``"application/pdf"``; ``""`` where the provider does not say.
        size: in bytes; None where the provider does not say.
        sha256: of the content, in hexadecimal; None for a file that was listed.
        created: when it was uploaded, UTC; None where the provider does not say.
        expires_at: when the provider deletes it, UTC; None where it does not say.
        reused: the content was there already, so nothing was uploaded.
        origin: whose it is; parts carry it, so that no other host is told of it.
    """

    id: str
    provider: str
    name: str = ""
    media_type: str = ""
    size: int | None = None
    sha256: str | None = None
    created: datetime | None = None
    expires_at: datetime | None = None
    reused: bool = False
    origin: Origin

    @property
    def part(self) -> Image | Document | Audio | Video:
        """The file as a part of a message: a picture, sound or film by its media type, otherwise a document."""
        family = self.media_type.partition("/")[0]
        media_type = self.media_type or None
        if family == "image":
            return Image(file_id=self.id, media_type=media_type, origin=self.origin)
        if family == "audio":
            return Audio(file_id=self.id, media_type=media_type, origin=self.origin)
        if family == "video":
            return Video(file_id=self.id, media_type=media_type, origin=self.origin)
        return Document(file_id=self.id, media_type=media_type, origin=self.origin)
