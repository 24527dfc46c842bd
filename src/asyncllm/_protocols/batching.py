"""Batches at the provider: many requests in one job, answered within a day at a lower price.

A `Batching` says how one host does it. It is sans-IO, as a codec is: it writes requests and reads bodies. A *line* is
one request of the job; its id is made here and holds its place. A *mark* is made here too: the host keeps it with the
job and with the uploaded file, so that a job whose making was cut off is found again and never made twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any, Literal

from .._schema.values import dataclass
from ..errors import BadRequestError, ProtocolError
from .codec import Context, WireProtocol, WireRequest
from .parts import as_dict

JobState = Literal["creating", "running", "ended", "failed", "expired", "cancelled"]
"""Where a job is: being made, under way, or over. A job that expired or was cancelled may have answers too."""
OVER: frozenset[JobState] = frozenset({"ended", "failed", "expired", "cancelled"})
DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """Holds what a host says of a job.

    Attributes:
        id: the host's own.
        state: where it is.
        outputs: where its answers are, in the host's words.
        expires_at: when the answers are deleted, seconds since the epoch; None where the host does not say.
        done: lines that were answered or failed so far; None where the host does not say.
        problem: why the whole job failed, in the host's words; ``""`` where it did not.
        mark: what was given to the host at its making; ``""`` where it keeps none.
    """

    id: str
    state: JobState
    outputs: tuple[str, ...] = ()
    expires_at: float | None = None
    done: int | None = None
    problem: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAnswer:
    """Holds what became of one line.

    Attributes:
        id: of the line.
        status: the HTTP status that stands for it; 200 for an answer.
        body: the answer, or the error, as the host would send it by itself.
        request_id: the host's id of the request.
        unanswered: why there is neither: ``"expired"``, ``"cancelled"``, or the host's words; None otherwise.
    """

    id: str
    status: int = 200
    body: bytes = b""
    request_id: str | None = None
    unanswered: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Holds what a job is made of.

    Attributes:
        mark: what the host keeps with it.
        model: what answers.
        group: what its lines have in common, as `Batching.group` says it.
        lines: the lines, as `Batching.line` wrote them.
        file: the uploaded lines, in the host's words; ``""`` where lines travel with the job.
        storage: a folder of a bucket of the caller's, as ``gs://bucket/folder``; ``""`` where the host needs none.
        role: what the host reads the bucket with; ``""`` for none.
    """

    mark: str
    model: str
    group: str
    lines: Sequence[bytes]
    file: str = ""
    storage: str = ""
    role: str = ""


class Batching:
    """Writes and reads what one host's batches need. The methods here are what most hosts have in common; a wire
    replaces what differs.

    Attributes:
        most_lines: of one job.
        most_bytes: of all lines of one job.
        found_by_mark: a job can be found by its mark.
        storage: ``"gs"`` or ``"s3"`` where lines and answers lie in a bucket of the caller's; ``""`` elsewhere.
        keeps: seconds for which answers are there after the making, where the host does not say until when.
    """

    most_lines: int = 50_000
    most_bytes: int = 100_000_000
    found_by_mark: bool = True
    storage: str = ""
    keeps: float = 30 * DAY

    def group(self, wire: WireRequest) -> str:
        """Returns what the lines of one job must have in common: the path, unless the host says otherwise."""
        return wire.path

    def protocol(self, group: str) -> WireProtocol | None:
        """Returns the wire format that reads the answers of such lines; None for the one that the model is spoken to
        with.
        """
        return None

    def line(self, id: str, wire: WireRequest, context: Context) -> bytes:
        """Writes one line of a job, without its end.

        Args:
            id: of the line.
            wire: the request as it would go by itself.
            context: of the call.
        """
        raise NotImplementedError

    def upload(self, job: NewJob, context: Context) -> WireRequest | None:
        """Writes the request that uploads the lines; None if they travel with the job."""
        return None

    def at_storage(self, wire: WireRequest) -> bool:
        """Whether a request is for the bucket and not for the host."""
        return False

    def read_upload(self, value: Any, job: NewJob) -> str:
        """Returns what an upload is called, from the JSON of its answer."""
        return text(value, "id")

    def find_upload(self, mark: str) -> WireRequest | None:
        """Writes the request that lists uploads; None if an upload cannot be found again."""
        return None

    def read_uploads(self, value: Any, mark: str) -> str | None:
        """Returns the upload of a mark, from the JSON of the list; None if it is not there."""
        return None

    def create(self, job: NewJob, context: Context) -> WireRequest:
        """Writes the request that makes the job."""
        raise NotImplementedError

    def status(self, job_id: str) -> WireRequest:
        """Writes the request that asks how far a job is."""
        raise NotImplementedError

    def cancel(self, job_id: str) -> WireRequest:
        """Writes the request that ends a job early."""
        raise NotImplementedError

    def read_job(self, value: Any) -> JobInfo:
        """Reads the JSON of a job.

        Raises:
            ProtocolError: it is none.
        """
        raise NotImplementedError

    def find(self, mark: str) -> WireRequest:
        """Writes the request that lists jobs, the newest first."""
        raise NotImplementedError

    def read_jobs(self, value: Any) -> Sequence[JobInfo]:
        """Reads the JSON of the list."""
        raise NotImplementedError

    def results(self, job: JobInfo) -> Sequence[WireRequest]:
        """Writes the requests for the answers of a job that is over."""
        raise NotImplementedError

    def follow(self, wire: WireRequest, body: bytes, context: Context) -> Sequence[WireRequest]:
        """Writes further requests that the answer to one of them names; such an answer holds no results itself."""
        return ()

    def read_results(self, body: bytes, context: Context) -> Sequence[LineAnswer]:
        """Reads the body of an answer to one of them.

        Raises:
            ProtocolError: it is not what the host sends.
        """
        raise NotImplementedError


# --- what most hosts have in common ----------------------------------------------------------------------------------


def asking(path: str, query: str = "") -> WireRequest:
    """Writes a request that reads something."""
    return WireRequest(method="GET", path=path, query=query, headers=(("accept", "application/json"),), body=b"")


def telling(path: str, body: Any, context: Context | None = None, query: str = "") -> WireRequest:
    """Writes a request that makes or changes something; without a context it has no body."""
    data = b"" if context is None else context.json.dumps(body)
    headers = (("content-type", "application/json"), ("accept", "application/json"))
    return WireRequest(method="POST", path=path, query=query, headers=headers, body=data)


def multipart(path: str, fields: Mapping[str, str], name: str, data: bytes, kind: str) -> WireRequest:
    """Writes a request that uploads a file as a form.

    Args:
        path: where to.
        fields: the other fields of the form.
        name: of the file.
        data: its content.
        kind: its media type.
    """
    boundary = blake2b(data, digest_size=16).hexdigest()
    safe = name.replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{safe}"\r\n'
        f"content-type: {kind}\r\n\r\n"
    )
    body = b"".join([*parts, head.encode(), data, f"\r\n--{boundary}--\r\n".encode()])
    headers = (("content-type", f"multipart/form-data; boundary={boundary}"), ("accept", "application/json"))
    return WireRequest(method="POST", path=path, headers=headers, body=body)


def rows(body: bytes, context: Context) -> list[dict[str, Any]]:
    """Reads the objects of JSON lines.

    Raises:
        ProtocolError: a line is no JSON object.
    """
    found = []
    for line in body.split(b"\n"):
        if line.strip():
            value = context.json.loads(line)
            if not isinstance(value, dict):
                raise ProtocolError("the results of the batch hold a line that is no object", provider=context.provider)
            found.append(value)
    return found


def text(value: Any, key: str) -> str:
    """Returns the text under a key.

    Raises:
        ProtocolError: there is none.
    """
    found = as_dict(value).get(key)
    if not isinstance(found, str) or not found:
        raise ProtocolError(f"the provider's answer about a batch or a file has no {key}")
    return found


_BUCKET = re.compile(r"(?:gs|s3)://([A-Za-z0-9][A-Za-z0-9._-]{1,221}[A-Za-z0-9])/([A-Za-z0-9._/-]+)")


def bucket_of(uri: str) -> tuple[str, str]:
    """Returns the bucket and the key of an address in it.

    Raises:
        BadRequestError: it is none, or has other characters than letters, digits, dots, dashes and slashes.
    """
    found = _BUCKET.fullmatch(uri)
    if found is None:
        raise BadRequestError(f"storage must be like gs://bucket/folder or s3://bucket/folder, not {uri!r}")
    return found[1], found[2]


def moment(value: Any) -> float | None:
    """Returns seconds since the epoch, from a number or an ISO date; None for anything else."""
    if type(value) in (int, float):
        return float(value)
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(f"{value[:19]}+00:00")
        except ValueError:
            return None
        return found.astimezone(timezone.utc).timestamp()
    return None


def total(value: Any, *names: str) -> int | None:
    """Returns the sum of counts in an object; None if one of them is missing."""
    counts = [as_dict(value).get(name) for name in names]
    known = [count for count in counts if type(count) is int]
    return sum(known) if known and len(known) == len(counts) else None
