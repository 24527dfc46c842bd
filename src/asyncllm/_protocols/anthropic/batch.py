"""Anthropic's message batches: the lines travel with the job, and nothing else of the caller's does.

There is no mark but in the ids of the lines, which only the results show. So a job whose making was cut off cannot be
found again. Results are there for 29 days. Source: anthropic 2.14.0 (types/messages/message_batch.py), November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..batching import DAY, Batching, JobInfo, LineAnswer, NewJob, asking, moment, rows, telling, text, total
from ..codec import Context, WireRequest
from ..parts import as_dict, objects

_PATH = "/v1/messages/batches"
# The types of errors -> the statuses they come with by themselves.
_STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatching(Batching):
    """Writes and reads batches at ``/v1/messages/batches``; the version of the API is a header of all requests to the
    host.
    """

    most_lines = 100_000
    most_bytes = 100_000_000
    found_by_mark = False
    keeps = 29 * DAY

    def group(self, wire: WireRequest) -> str:
        """Returns the version and the betas: they are headers of the whole job, so lines with other ones need another
        job.
        """
        headers = dict(wire.headers)
        return f"{headers.get('anthropic-version', '')} {headers.get('anthropic-beta', '')}".strip()

    def line(self, id: str, wire: WireRequest, context: Context) -> bytes:
        """Writes one line of a job: its id, and the body of the request as it is."""
        return context.json.dumps({"custom_id": id})[:-1] + b',"params":' + wire.body + b"}"

    def create(self, job: NewJob, context: Context) -> WireRequest:
        """Writes the request that creates a job; it holds all lines."""
        made = telling(_PATH, {}, context)
        version, _, betas = job.group.partition(" ")
        headers = (*made.headers, ("anthropic-version", version), *((("anthropic-beta", betas),) if betas else ()))
        return replace(made, headers=headers, body=b'{"requests":[' + b",".join(job.lines) + b"]}")

    def status(self, job_id: str) -> WireRequest:
        """Writes the request that asks how a job is doing."""
        return asking(f"{_PATH}/{job_id}")

    def cancel(self, job_id: str) -> WireRequest:
        """Ends it; what is answered stays."""
        return telling(f"{_PATH}/{job_id}/cancel", None)

    def read_job(self, value: Any) -> JobInfo:
        """Reads one job.

        Raises:
            ProtocolError: it is none.
        """
        job = as_dict(value)
        created = moment(job.get("created_at"))
        ended = text(job, "processing_status") == "ended"
        return JobInfo(
            id=text(job, "id"),
            state="ended" if ended else "running",
            outputs=(text(job, "id"),) if ended and job.get("results_url") else (),
            expires_at=None if created is None else created + self.keeps,
            done=total(job.get("request_counts"), "succeeded", "errored", "canceled", "expired"),
        )

    def find(self, mark: str) -> WireRequest:
        """Writes the request for the newest jobs; the API cannot search."""
        return asking(_PATH, "limit=100")

    def read_jobs(self, value: Any) -> Sequence[JobInfo]:
        """Reads the list."""
        return [self.read_job(one) for one in objects(as_dict(value).get("data"))]

    def results(self, job: JobInfo) -> Sequence[WireRequest]:
        """Writes the requests for the results, which are always below the job's own path."""
        return [asking(f"{_PATH}/{job_id}/results") for job_id in job.outputs]

    def read_results(self, body: bytes, context: Context) -> Sequence[LineAnswer]:
        """Reads the results: each line holds a message, an error, or says that there is none."""
        return [_answer(row, context) for row in rows(body, context)]


def _answer(row: Mapping[str, Any], context: Context) -> LineAnswer:
    ident, result = text(row, "custom_id"), as_dict(row.get("result"))
    kind = text(result, "type")
    if kind == "succeeded":
        return LineAnswer(id=ident, body=context.json.dumps(result.get("message")))
    if kind == "errored":
        error = as_dict(result.get("error"))
        inner = as_dict(error.get("error")) or error
        status = _STATUSES.get(str(inner.get("type")), 500)
        return LineAnswer(id=ident, status=status, body=context.json.dumps({"type": "error", "error": inner}))
    return LineAnswer(id=ident, unanswered={"canceled": "cancelled"}.get(kind, kind))
