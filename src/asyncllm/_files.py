"""Files at the provider: `Client.upload`, `Client.files`, `Client.delete_file`.

The rules:

* A file is named after its content, so the same content is uploaded once, by whatever process.
* An upload whose outcome is unknown is looked for by that name before it is sent again.
* Each HTTP request is an attempt of the engine, with the operation ``file``.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from ._engine.attempt import Engine, HTTPAttempt
from ._engine.call import Call, Patience, Question
from ._engine.questions import ask
from ._engine.target import Target
from ._protocols.codec import WireRequest
from ._protocols.filing import FileInfo, Filing, NewFile
from ._schema.content import FILES, Origin
from ._schema.redaction import without_trace
from ._schema.request import Request
from ._schema.sniffing import sniffed
from ._schema.stored_files import File
from ._transport.base import HTTPReply
from .errors import (
    AsyncLLMError,
    AuthenticationError,
    BadRequestError,
    BillingError,
    ConnectError,
    ModelNotFoundError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTooLargeError,
    UnsupportedByProviderError,
)

__all__ = ["Cabinet", "read_file"]

_TRIES = 4
_PAUSE = 1.0
_NOT_MADE = (
    *(BadRequestError, AuthenticationError, PermissionDeniedError, ModelNotFoundError, BillingError),
    *(QuotaExhaustedError, RateLimitError, OverloadedError, ConnectError),
)
_AGAIN = (RateLimitError, OverloadedError, ConnectError)
# What a host says of a file that is not there; Google says that it may not be seen.
_NOT_THERE = (NotFoundError, ModelNotFoundError, PermissionDeniedError)


async def read_file(source: Any, name: str | None, media_type: str | None) -> NewFile:
    """Reads a file that is to be uploaded.

    Args:
        source: its path, or its content.
        name: its name; that of the path by default.
        media_type: of its content; by default what its first bytes and its name say.

    Raises:
        BadRequestError: it cannot be read, is empty, or has no name.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        if not name:
            raise BadRequestError("content that is given as bytes needs a name, such as name='report.pdf'")
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            data = await to_thread.run_sync(path.read_bytes)
        except OSError as error:
            raise BadRequestError(f"the file {path} cannot be read: {error.strerror or error}") from None
        name = name or path.name
    else:
        raise BadRequestError(f"upload takes a path or bytes, not {type(source).__name__}")
    if not data:
        raise BadRequestError(f"the file {name} is empty")
    kind = media_type or sniffed(data) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return NewFile(name=name, digest=sha256(data).hexdigest(), media_type=kind, data=data)


class Cabinet:
    """The files of one provider.

    Args:
        engine: of the running loop.
        target: the provider; its model is no matter.
        timeout: seconds for each HTTP request; the configuration's by default.

    Raises:
        UnsupportedByProviderError: the provider stores no files that are known here.
    """

    def __init__(self, engine: Engine, target: Target, timeout: float | None) -> None:
        host = target.provider
        if host.filing is None:
            raise UnsupportedByProviderError(
                f"{host.name} stores no files that are known here: give the content as data", provider=host.name
            )
        self._engine = engine
        self._target = target
        self._total = target.timeouts.total if timeout is None else timeout
        self._wire: Filing = host.filing()
        self._origin = Origin(host.origin or host.kind, FILES, host.account)

    async def upload(self, file: NewFile) -> File:
        """The file at the provider; one of the same content that is there already is taken.

        Raises:
            RequestTooLargeError: it is larger than the provider takes.
            AsyncLLMError: the provider refused, or could not be reached.
        """
        if len(file.data) > self._wire.most_bytes:
            raise RequestTooLargeError(
                f"the file {file.name} has {len(file.data)} bytes and {self._target.provider.name} takes at most "
                f"{self._wire.most_bytes}"
            )
        found = await self._find(file)
        reused = found is not None
        if found is None:
            found = await self._put(file)
        with anyio.move_on_after(self._total):
            while not found.ready:
                await anyio.sleep(_PAUSE)
                found = without_trace(self._wire.read, await self._json(self._wire.get(found.id)))
        if not found.ready:
            raise ProtocolError(f"the provider did not get the file {file.name} ready within {self._total:g} s")
        shown = self._shown(found)
        return replace(
            shown,
            media_type=file.media_type,
            size=shown.size or len(file.data),
            sha256=file.digest,
            name=shown.name or file.name,
            reused=reused,
        )

    async def list(self) -> tuple[File, ...]:
        """All files of the account."""
        files: list[File] = []
        after = ""
        while True:
            found, after = without_trace(self._wire.read_list, await self._json(self._wire.list(after)))
            files += map(self._shown, found)
            if not after:
                return tuple(files)

    async def delete(self, file_id: str) -> None:
        """Deletes a file."""
        await self._json(self._wire.delete(file_id))

    def _shown(self, info: FileInfo) -> File:
        return File(
            id=info.id,
            provider=self._target.provider.name,
            name=info.name,
            media_type=info.media_type,
            size=info.size,
            created=_moment(info.created),
            expires_at=_moment(info.expires_at),
            origin=self._origin,
        )

    async def _find(self, file: NewFile) -> FileInfo | None:
        try:
            return without_trace(self._wire.read_found, await self._json(self._wire.find(file)), file)
        except _NOT_THERE:
            return None

    async def _put(self, file: NewFile) -> FileInfo:
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._send(file)
            except _NOT_MADE as error:
                if not isinstance(error, _AGAIN) or attempt == _TRIES:
                    raise
                await anyio.sleep(error.retry_after or 0.5 * 2**attempt * self._engine.draw())
            except AsyncLLMError:
                found = await self._find(file)
                if found is not None:
                    return found
                if attempt == _TRIES:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _send(self, file: NewFile) -> FileInfo:
        context = HTTPAttempt.of_line(self._call(WireRequest(method="", path="", headers=(), body=b""))).context
        reply = await self._ask(self._wire.upload(file, context), _whole, repeats=False)
        address = self._wire.address(reply.headers)
        if address is None:
            return without_trace(self._wire.read, self._engine.json.loads(reply.body))
        where, here = urlsplit(address), urlsplit(self._target.provider.base_url)
        if where.hostname != here.hostname or where.scheme != here.scheme:
            raise ProtocolError("the provider named another host to upload to, and the key would travel there")
        wire = replace(self._wire.content(file), path=where.path, query=where.query)
        base_url = f"{where.scheme}://{where.netloc}"
        return without_trace(self._wire.read, await self._json(wire, repeats=False, base_url=base_url))

    async def _json(self, wire: WireRequest, *, repeats: bool = True, base_url: str | None = None) -> Any:
        reply = await self._ask(wire, _whole, repeats=repeats, base_url=base_url)
        return self._engine.json.loads(reply.body) if reply.body.strip() else {}

    async def _ask(
        self,
        wire: WireRequest,
        read: Callable[[HTTPAttempt], Any],
        *,
        repeats: bool = True,
        base_url: str | None = None,
    ) -> Any:
        return await ask(self._call(wire, repeats=repeats, base_url=base_url), read)

    def _call(self, wire: WireRequest, *, repeats: bool = True, base_url: str | None = None) -> Call:
        target = self._target
        if not repeats:
            target = replace(target, retry=replace(target.retry, max_attempts=1, max_attempts_per_call=1))
        return Call(
            self._engine,
            (target,),
            Request(model=target.model, messages=()),
            Patience(total=self._total),
            operation="file",
            question=Question(write=lambda way: wire, base_url=base_url, repeats=repeats),
            expected=(0, 0),
        )


async def _whole(attempt: HTTPAttempt) -> HTTPReply:
    reply = await attempt.send()
    attempt.settle("ok")
    return reply


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
