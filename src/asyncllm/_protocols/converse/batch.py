"""Batches of Bedrock: the lines lie in an S3 bucket of the caller's own, and so do the answers.

Bedrock reads and writes the bucket with a role of the caller's. A job is asked for with a token of its own, so that
even Bedrock makes it once. Source: botocore 1.44.8 (``CreateModelInvocationJob``), AWS's pages on batch inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from ...errors import BadRequestError
from ..batching import (
    Batching,
    JobInfo,
    JobState,
    LineAnswer,
    NewJob,
    asking,
    bucket_of,
    moment,
    rows,
    telling,
    text,
    total,
)
from ..codec import Context, WireRequest
from ..parts import as_dict, as_text, objects

_STATES: Mapping[str, JobState] = {
    "Completed": "ended",
    "PartiallyCompleted": "ended",
    "Failed": "failed",
    "Stopped": "cancelled",
    "Expired": "expired",
}
_JOB = "/model-invocation-job"
# What Bedrock says of a line -> the status that it has by itself.
_STATUSES: Mapping[str, int] = {"400": 400, "403": 403, "404": 404, "408": 408, "424": 424, "429": 429}


class BedrockBatching(Batching):
    """Writes and reads batches at ``/model-invocation-job`` of the control plane; lines and answers lie in S3."""

    storage = "s3"

    def group(self, wire: WireRequest) -> str:
        """Returns the operation that the bodies are for: a job has one."""
        return "Converse" if wire.path.endswith("/converse") else "InvokeModel"

    def line(self, id: str, wire: WireRequest, context: Context) -> bytes:
        """Writes one line of a job: its id, and the body of the request as it is."""
        return context.json.dumps({"recordId": id})[:-1] + b',"modelInput":' + wire.body + b"}"

    def at_storage(self, wire: WireRequest) -> bool:
        """Whether a request is for the bucket."""
        return not wire.path.startswith(_JOB)

    def upload(self, job: NewJob, context: Context) -> WireRequest | None:
        """Writes the lines as an object of the bucket; to write it again changes nothing."""
        bucket, key = bucket_of(self.read_upload({}, job))
        body = b"\n".join([*job.lines, b""])
        headers = (("content-type", "application/jsonl"), ("x-amz-content-sha256", sha256(body).hexdigest()))
        return WireRequest(method="PUT", path=f"/{bucket}/{key}", headers=headers, body=body)

    def read_upload(self, value: Any, job: NewJob) -> str:
        """Returns the address of the written object; the answer of S3 says nothing of it."""
        return f"{job.storage}/{job.mark}.jsonl"

    def create(self, job: NewJob, context: Context) -> WireRequest:
        """Writes the request that creates a job over the object.

        Raises:
            BadRequestError: there is no role to read the bucket with.
        """
        if not job.role:
            raise BadRequestError(
                "role must name the IAM role that Bedrock reads and writes the bucket with, as "
                "arn:aws:iam::123456789012:role/name"
            )
        body = {
            "jobName": job.mark,
            "clientRequestToken": job.mark,
            "roleArn": job.role,
            "modelId": job.model,
            "modelInvocationType": job.group,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": job.file, "s3InputFormat": "JSONL"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"{job.storage}/"}},
        }
        return telling(_JOB, body, context)

    def status(self, job_id: str) -> WireRequest:
        """Writes the request that asks how a job is doing."""
        return asking(f"{_JOB}/{quote(job_id, safe='')}")

    def cancel(self, job_id: str) -> WireRequest:
        """Ends it; what is answered stays."""
        return telling(f"{_JOB}/{quote(job_id, safe='')}/stop", None)

    def read_job(self, value: Any) -> JobInfo:
        """Reads one job.

        Raises:
            ProtocolError: it is none.
        """
        job = as_dict(value)
        arn = text(job, "jobArn")
        state = _STATES.get(as_text(job.get("status")) or "", "running")
        source = as_text(as_dict(as_dict(job.get("inputDataConfig")).get("s3InputDataConfig")).get("s3Uri"))
        goal = as_text(as_dict(as_dict(job.get("outputDataConfig")).get("s3OutputDataConfig")).get("s3Uri"))
        created = moment(job.get("submitTime"))
        outputs: tuple[str, ...] = ()
        if source and goal and state in ("ended", "cancelled", "expired"):
            outputs = (f"{goal.rstrip('/')}/{arn.rpartition('/')[2]}/{source.rpartition('/')[2]}.out",)
        return JobInfo(
            id=arn,
            state=state,
            outputs=outputs,
            expires_at=None if created is None else created + self.keeps,
            done=total(job, "successRecordCount", "errorRecordCount"),
            problem=(as_text(job.get("message")) or "") if state == "failed" else "",
            mark=as_text(job.get("jobName")) or "",
        )

    def find(self, mark: str) -> WireRequest:
        """Writes the request for the jobs of this name: our mark is the name."""
        return asking(f"{_JOB}s", f"nameContains={quote(mark, safe='')}")

    def read_jobs(self, value: Any) -> Sequence[JobInfo]:
        """Reads the list."""
        return [self.read_job(one) for one in objects(as_dict(value).get("invocationJobSummaries"))]

    def results(self, job: JobInfo) -> Sequence[WireRequest]:
        """Writes the requests for the objects that hold the answers; a job that was stopped early may have none."""
        empty = (("x-amz-content-sha256", sha256(b"").hexdigest()),)
        found = []
        for where in job.outputs:
            bucket, key = bucket_of(where)
            found.append(WireRequest(method="GET", path=f"/{bucket}/{key}", headers=empty, body=b""))
        return found

    def read_results(self, body: bytes, context: Context) -> Sequence[LineAnswer]:
        """Reads the results: each line holds the output of the model, or an error."""
        return [_answer(row, context) for row in rows(body, context)]


def _answer(row: Mapping[str, Any], context: Context) -> LineAnswer:
    ident, error = text(row, "recordId"), as_dict(row.get("error"))
    if not error:
        return LineAnswer(id=ident, body=context.json.dumps(row.get("modelOutput")))
    status = _STATUSES.get(str(error.get("errorCode")), 500)
    body = context.json.dumps({"message": str(error.get("errorMessage") or "")})
    return LineAnswer(id=ident, status=status, body=body)
