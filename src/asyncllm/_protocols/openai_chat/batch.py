"""Batches of OpenAI, Azure OpenAI and Groq (files and ``/batches``), and of Mistral (files and ``/batch/jobs``).

Each line has the path and the body of a request of its own; all lines of a job have one path and one model. Answers
come in two files, those that were refused in the second. Sources: openai 3.57.0 (types/batch.py), groq 1.7.0
(types/batch_create_params.py), mistralai 3.7.0 (jobs.py, models/batchjob.py), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..batching import (
    Batching,
    JobInfo,
    JobState,
    LineAnswer,
    NewJob,
    asking,
    moment,
    multipart,
    rows,
    telling,
    text,
    total,
)
from ..codec import Context, WireProtocol, WireRequest
from ..parts import as_dict, objects

MARK = "asyncllm"
"""The key of the mark among a job's metadata."""
_STATES: Mapping[str, JobState] = {
    "validating": "running",
    "in_progress": "running",
    "finalizing": "running",
    "cancelling": "running",
    "completed": "ended",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
}
_NONE: Mapping[str, WireProtocol] = MappingProxyType({})
_UNANSWERED: Mapping[str, str] = {"batch_expired": "expired", "batch_cancelled": "cancelled"}


class OpenAIBatching(Batching):
    """Writes and reads batches: the lines are an uploaded file, the job is at ``/batches``.

    Args:
        prefix: what stands before the path of a line, as the base URL ends in it.
        protocols: path of a line -> the wire format that reads its answer.
    """

    def __init__(self, prefix: str = "/v1", protocols: Mapping[str, WireProtocol] = _NONE) -> None:
        self._prefix = prefix
        self._protocols = protocols

    def protocol(self, group: str) -> WireProtocol | None:
        """Returns the wire format of the lines of one path."""
        return self._protocols.get(group)

    def line(self, id: str, wire: WireRequest, context: Context) -> bytes:
        """Writes one line of a job: its id, the path and the body of the request."""
        head = context.json.dumps({"custom_id": id, "method": "POST", "url": self._prefix + wire.path})
        return head[:-1] + b',"body":' + wire.body + b"}"

    def upload(self, job: NewJob, context: Context) -> WireRequest | None:
        """Writes the request that uploads the lines as a file, named after the mark."""
        data = b"\n".join([*job.lines, b""])
        return multipart("/files", {"purpose": "batch"}, f"{job.mark}.jsonl", data, "application/jsonl")

    def find_upload(self, mark: str) -> WireRequest | None:
        """Writes the request for the newest files; the API cannot search by name."""
        return asking("/files", "purpose=batch&limit=100")

    def read_uploads(self, value: Any, mark: str) -> str | None:
        """Returns the id of the file that is named after the mark; None if there is none."""
        for one in objects(as_dict(value).get("data")):
            if one.get("filename") == f"{mark}.jsonl" and isinstance(one.get("id"), str):
                return str(one["id"])
        return None

    def create(self, job: NewJob, context: Context) -> WireRequest:
        """Writes the request that creates a job over the uploaded file."""
        body = {
            "input_file_id": job.file,
            "endpoint": self._prefix + job.group,
            "completion_window": "24h",
            "metadata": {MARK: job.mark},
        }
        return telling("/batches", body, context)

    def status(self, job_id: str) -> WireRequest:
        """Writes the request that asks how a job is doing."""
        return asking(f"/batches/{job_id}")

    def cancel(self, job_id: str) -> WireRequest:
        """Ends it; what is answered stays."""
        return telling(f"/batches/{job_id}/cancel", None)

    def read_job(self, value: Any) -> JobInfo:
        """Reads one job.

        Raises:
            ProtocolError: it is none.
        """
        job = as_dict(value)
        created = moment(job.get("created_at"))
        problems = objects(as_dict(job.get("errors")).get("data"))
        return JobInfo(
            id=text(job, "id"),
            state=_STATES.get(text(job, "status"), "running"),
            outputs=_texts(job, "output_file_id", "error_file_id"),
            expires_at=None if created is None else created + self.keeps,
            done=total(job.get("request_counts"), "completed", "failed"),
            problem="; ".join([str(one.get("message")) for one in problems[:3]]),
            mark=str(as_dict(job.get("metadata")).get(MARK) or ""),
        )

    def find(self, mark: str) -> WireRequest:
        """Writes the request for the newest jobs; the API cannot search."""
        return asking("/batches", "limit=100")

    def read_jobs(self, value: Any) -> Sequence[JobInfo]:
        """Reads the list."""
        return [self.read_job(one) for one in objects(as_dict(value).get("data"))]

    def results(self, job: JobInfo) -> Sequence[WireRequest]:
        """Writes the requests for the contents of the job's files."""
        return [asking(f"/files/{file}/content") for file in job.outputs]

    def read_results(self, body: bytes, context: Context) -> Sequence[LineAnswer]:
        """Reads the results: each line holds a response with its status, or an error."""
        return [_answer(row, context) for row in rows(body, context)]


def _texts(job: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple([job[name] for name in names if isinstance(job.get(name), str) and job[name]])


def _answer(row: Mapping[str, Any], context: Context) -> LineAnswer:
    response, error = as_dict(row.get("response")), as_dict(row.get("error"))
    ident = text(row, "custom_id")
    status = response.get("status_code")
    if type(status) is int:
        request_id = response.get("request_id")
        return LineAnswer(
            id=ident,
            status=status,
            body=context.json.dumps(response.get("body")),
            request_id=request_id if isinstance(request_id, str) else None,
        )
    told = str(error.get("message") or "the provider gave no answer and no reason")
    return LineAnswer(id=ident, unanswered=_UNANSWERED.get(str(error.get("code")), told))


_MISTRAL_STATES: Mapping[str, JobState] = {
    "QUEUED": "running",
    "RUNNING": "running",
    "CANCELLATION_REQUESTED": "running",
    "SUCCESS": "ended",
    "FAILED": "failed",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLED": "cancelled",
}


class MistralBatching(OpenAIBatching):
    """Writes and reads batches at ``/batch/jobs``; the model stands beside the lines, not in them."""

    def line(self, id: str, wire: WireRequest, context: Context) -> bytes:
        """Writes one line of a job: its id, and the body of the request as it is."""
        return context.json.dumps({"custom_id": id})[:-1] + b',"body":' + wire.body + b"}"

    def find_upload(self, mark: str) -> WireRequest | None:
        """Writes the request for the files that have the mark in their names."""
        return asking("/files", f"purpose=batch&search={mark}")

    def create(self, job: NewJob, context: Context) -> WireRequest:
        """Writes the request that creates a job over the uploaded file."""
        body = {
            "input_files": [job.file],
            "endpoint": self._prefix + job.group,
            "model": job.model,
            "metadata": {MARK: job.mark},
            "timeout_hours": 24,
        }
        return telling("/batch/jobs", body, context)

    def status(self, job_id: str) -> WireRequest:
        """Writes the request that asks how a job is doing."""
        return asking(f"/batch/jobs/{job_id}")

    def cancel(self, job_id: str) -> WireRequest:
        """Ends it; what is answered stays."""
        return telling(f"/batch/jobs/{job_id}/cancel", None)

    def read_job(self, value: Any) -> JobInfo:
        """Reads one job.

        Raises:
            ProtocolError: it is none.
        """
        job = as_dict(value)
        created = moment(job.get("created_at"))
        return JobInfo(
            id=text(job, "id"),
            state=_MISTRAL_STATES.get(text(job, "status"), "running"),
            outputs=_texts(job, "output_file", "error_file"),
            expires_at=None if created is None else created + self.keeps,
            done=total(job, "succeeded_requests", "failed_requests"),
            problem="; ".join([str(one.get("message")) for one in objects(job.get("errors"))[:3]]),
            mark=str(as_dict(job.get("metadata")).get(MARK) or ""),
        )

    def find(self, mark: str) -> WireRequest:
        """Writes the request for the newest jobs; the API cannot search."""
        return asking("/batch/jobs", "page_size=100&order_by=-created")
