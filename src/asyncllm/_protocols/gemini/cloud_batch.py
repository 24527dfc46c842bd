"""Batches of Vertex AI: the lines lie in a Cloud Storage bucket of the caller's own, and so do the answers.

Gemini's lines carry their id as a label, which the answer repeats with the whole request; Claude's have an id of their
own. Sources: google-genai 3.6.1 (batches.py: ``batchPredictionJobs``), Google's pages on batch prediction, Nov 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..batching import Batching, JobInfo, JobState, LineAnswer, NewJob, asking, bucket_of, moment, rows, telling, text
from ..codec import Context, WireProtocol, WireRequest
from ..parts import as_dict, as_text, objects

LABEL = "asyncllm_line"
_STATES: Mapping[str, JobState] = {
    "SUCCEEDED": "ended",
    "PARTIALLY_SUCCEEDED": "ended",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}


class VertexBatching(Batching):
    """Writes and reads batches at ``batchPredictionJobs``; lines and answers are objects in Cloud Storage.

    Args:
        parent: ``projects/P/locations/L``.
        claude: the model is Anthropic's.
        wire: reads the answers.
    """

    storage = "gs"
    most_lines = 200_000

    def __init__(self, parent: str, claude: bool, wire: WireProtocol) -> None:
        self._parent = parent
        self._publisher = "anthropic" if claude else "google"
        self._claude = claude
        self._protocol = wire

    def group(self, wire: WireRequest) -> str:
        """Returns the publisher of the model, to which all lines go."""
        return self._publisher

    def protocol(self, group: str) -> WireProtocol | None:
        """Returns the wire format that the model is spoken to with."""
        return self._protocol

    def line(self, id: str, wire: WireRequest, context: Context) -> bytes:
        """Writes one line of a job: the body of the request, with its id as a label or a field."""
        if self._claude:
            return context.json.dumps({"custom_id": id})[:-1] + b',"request":' + wire.body + b"}"
        body = context.json.loads(wire.body)
        return context.json.dumps({"request": {**body, "labels": {**as_dict(body.get("labels")), LABEL: id}}})

    def at_storage(self, wire: WireRequest) -> bool:
        """Whether a request is for the bucket."""
        return wire.path.startswith(("/storage/", "/upload/storage/"))

    def upload(self, job: NewJob, context: Context) -> WireRequest | None:
        """Writes the lines as an object of the bucket; to write it again changes nothing."""
        bucket, key = bucket_of(self.read_upload({}, job))
        return WireRequest(
            method="POST",
            path=f"/upload/storage/v1/b/{bucket}/o",
            query=f"uploadType=media&name={quote(key, safe='')}",
            headers=(("content-type", "application/jsonl"),),
            body=b"\n".join([*job.lines, b""]),
        )

    def read_upload(self, value: Any, job: NewJob) -> str:
        """Returns the address of the written object, which follows from the job."""
        return f"{job.storage}/{job.mark}.jsonl"

    def create(self, job: NewJob, context: Context) -> WireRequest:
        """Writes the request that creates a job over the object."""
        model = job.model.rpartition("/")[2]
        body = {
            "displayName": job.mark,
            "model": f"publishers/{self._publisher}/models/{model}",
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [job.file]}},
            "outputConfig": {
                "predictionsFormat": "jsonl",
                "gcsDestination": {"outputUriPrefix": f"{job.storage}/{job.mark}"},
            },
        }
        return telling(f"/v1/{self._parent}/batchPredictionJobs", body, context)

    def status(self, job_id: str) -> WireRequest:
        """Writes the request that asks how a job is doing."""
        return asking(f"/v1/{quote(job_id, safe='/-._~')}")

    def cancel(self, job_id: str) -> WireRequest:
        """Ends it."""
        return telling(f"/v1/{quote(job_id, safe='/-._~')}:cancel", None)

    def read_job(self, value: Any) -> JobInfo:
        """Reads one job.

        Raises:
            ProtocolError: it is none.
        """
        job = as_dict(value)
        state = _STATES.get(str(job.get("state") or "").removeprefix("JOB_STATE_"), "running")
        where = as_text(as_dict(job.get("outputInfo")).get("gcsOutputDirectory"))
        created = moment(job.get("createTime"))
        return JobInfo(
            id=text(job, "name"),
            state=state,
            outputs=(where,) if where and state != "failed" else (),
            expires_at=None if created is None else created + self.keeps,
            problem=as_text(as_dict(job.get("error")).get("message")) or "",
            mark=as_text(job.get("displayName")) or "",
        )

    def find(self, mark: str) -> WireRequest:
        """Writes the request for the jobs of this name: our mark is the name."""
        return asking(f"/v1/{self._parent}/batchPredictionJobs", "filter=" + quote(f'displayName="{mark}"', safe=""))

    def read_jobs(self, value: Any) -> Sequence[JobInfo]:
        """Reads the list."""
        return [self.read_job(one) for one in objects(as_dict(value).get("batchPredictionJobs"))]

    def results(self, job: JobInfo) -> Sequence[WireRequest]:
        """Writes the requests for the lists of the objects that hold the answers."""
        found = []
        for where in job.outputs:
            bucket, key = bucket_of(where)
            found.append(asking(f"/storage/v1/b/{bucket}/o", f"prefix={quote(key.rstrip('/') + '/', safe='')}"))
        return found

    def follow(self, wire: WireRequest, body: bytes, context: Context) -> Sequence[WireRequest]:
        """Writes the requests for the objects of a list that was read; nothing follows from an object itself."""
        if "alt=media" in wire.query:
            return ()
        return [
            asking(f"{wire.path}/{quote(text(one, 'name'), safe='')}", "alt=media")
            for one in objects(as_dict(context.json.loads(body)).get("items"))
            if ".jsonl" in text(one, "name")
        ]

    def read_results(self, body: bytes, context: Context) -> Sequence[LineAnswer]:
        """Reads the results: each line holds the request, and the response or a status in words."""
        return [_answer(row, context) for row in rows(body, context)]


def _answer(row: Mapping[str, Any], context: Context) -> LineAnswer:
    labels = as_dict(as_dict(row.get("request")).get("labels"))
    ident = as_text(row.get("custom_id")) or text(labels, LABEL)
    told = as_text(row.get("status")) or ""
    response, error = as_dict(row.get("response")), as_dict(row.get("error"))
    if response and not told and not error:
        return LineAnswer(id=ident, body=context.json.dumps(response))
    message = told or str(error.get("message") or "the provider gave no answer and no reason")
    body = {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
    return LineAnswer(id=ident, status=400, body=context.json.dumps(body))
