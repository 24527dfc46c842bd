"""Batches of the Gemini API: the lines travel with the job and come back in it, in their order, with their ids.

Source: google-genai 3.6.1 (batches.py: ``_BatchJob_from_mldev``, ``_InlinedResponse_from_mldev``), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ..batching import DAY, Batching, JobInfo, JobState, LineAnswer, NewJob, asking, moment, telling, text
from ..codec import Context, WireRequest
from ..parts import as_dict, objects
from .dialect import GeminiDialect

_STATES: Mapping[str, JobState] = {
    "SUCCEEDED": "ended",
    "PARTIALLY_SUCCEEDED": "ended",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}


class GeminiBatching(Batching):
    """Writes and reads batches at ``models/M:batchGenerateContent`` and ``batches/``.

    Args:
        dialect: of the host; says the version of the API.
    """

    most_lines = 10_000
    most_bytes = 19_000_000  # 20 MB of lines that travel with the job
    keeps = 2 * DAY

    def __init__(self, dialect: GeminiDialect) -> None:
        self._dialect = replace(dialect, version=dialect.version or "v1beta")

    def line(self, id: str, wire: WireRequest, context: Context) -> bytes:
        """Writes one line of a job: the body of the request, with the id as its metadata."""
        return b'{"request":' + wire.body + b',"metadata":' + context.json.dumps({"key": id}) + b"}"

    def create(self, job: NewJob, context: Context) -> WireRequest:
        """Writes the request that creates a job; it holds all lines."""
        made = telling(self._dialect.path(job.model, "batchGenerateContent"), {}, context)
        name = context.json.dumps(job.mark)
        lines = b",".join(job.lines)
        body = b'{"batch":{"displayName":%b,"inputConfig":{"requests":{"requests":[%b]}}}}' % (name, lines)
        return replace(made, body=body)

    def status(self, job_id: str) -> WireRequest:
        """Writes the request that asks how a job is doing."""
        return asking(self._path(job_id))

    def cancel(self, job_id: str) -> WireRequest:
        """Ends it."""
        return telling(f"{self._path(job_id)}:cancel", None)

    def read_job(self, value: Any) -> JobInfo:
        """Reads one job, which comes as an operation with the job as its metadata.

        Raises:
            ProtocolError: it is none.
        """
        whole = as_dict(value)
        job = as_dict(whole.get("metadata")) or whole
        word = str(job.get("state") or "").removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
        state = _STATES.get(word, "running")
        name = text(whole, "name")
        ended = moment(job.get("endTime")) or moment(job.get("createTime"))
        error = as_dict(whole.get("error")) or as_dict(job.get("error"))
        return JobInfo(
            id=name,
            state=state,
            outputs=(name,) if state in ("ended", "cancelled", "expired") else (),
            expires_at=None if ended is None else ended + self.keeps,
            done=_done(as_dict(job.get("batchStats"))),
            problem=str(error.get("message") or ""),
            mark=str(job.get("displayName") or ""),
        )

    def find(self, mark: str) -> WireRequest:
        """Writes the request for the newest jobs; the API cannot search."""
        return asking(f"/{self._dialect.version}/batches", "pageSize=100")

    def read_jobs(self, value: Any) -> Sequence[JobInfo]:
        """Reads the list."""
        found = as_dict(value)
        return [self.read_job(one) for one in objects(found.get("operations") or found.get("batches"))]

    def results(self, job: JobInfo) -> Sequence[WireRequest]:
        """Writes the request for the job itself, which holds the answers."""
        return [asking(self._path(name)) for name in job.outputs]

    def read_results(self, body: bytes, context: Context) -> Sequence[LineAnswer]:
        """Reads the answers that the job holds."""
        whole = as_dict(context.json.loads(body))
        held = as_dict(whole.get("response")) or as_dict(as_dict(whole.get("metadata")).get("output"))
        inlined = as_dict(held.get("inlinedResponses")).get("inlinedResponses")
        return [_answer(one, context) for one in objects(inlined)]

    def _path(self, name: str) -> str:
        return f"/{self._dialect.version}/{quote(name if '/' in name else f'batches/{name}', safe='/-._~')}"


def _done(stats: Mapping[str, Any]) -> int | None:
    counts = [int(stats.get(name) or 0) for name in ("successfulRequestCount", "failedRequestCount")]
    return sum(counts) if "requestCount" in stats else None


def _answer(row: Mapping[str, Any], context: Context) -> LineAnswer:
    ident = text(row.get("metadata"), "key")
    if "response" in row:
        return LineAnswer(id=ident, body=context.json.dumps(row["response"]))
    error = as_dict(row.get("error"))
    code = error.get("code")
    status = _HTTP.get(code, 500) if type(code) is int and code < 100 else code
    body = context.json.dumps({"error": {"code": status, "message": str(error.get("message") or "")}})
    return LineAnswer(id=ident, status=status if type(status) is int and status >= 400 else 500, body=body)


# google.rpc's codes -> HTTP statuses.
_HTTP: Mapping[int, int] = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 13: 500, 14: 503, 16: 401}
