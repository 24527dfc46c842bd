"""Batches of the simulated hosts: OpenAI's and Mistral's over files, Anthropic's and Gemini's with their lines in them.

Each line is answered as the request would be by itself, faults and all. A job is over ``seconds`` after it was made.
Operations: ``"batch.create"``, ``"batch.get"``, ``"batch.list"``, ``"batch.cancel"``, ``"batch.results"``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, unquote

from .file_answers import FileDesk
from .record import Arrival
from .wires.wire import Operation, Problem, dumps

_OPENAI = re.compile(r"(?:/openai)?(?:/v1)?/batches(?:/(?P<id>[^/]+)(?P<cancel>/cancel)?)?")
_MISTRAL = re.compile(r"(?:/v1)?/batch/jobs(?:/(?P<id>[^/]+)(?P<cancel>/cancel)?)?")
_ANTHROPIC = re.compile(r"/v1/messages/batches(?:/(?P<id>[^/]+)(?P<more>/cancel|/results)?)?")
_GEMINI_NEW = re.compile(r"/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):batchGenerateContent")
_GEMINI = re.compile(r"/v1(?:beta|alpha)?/batches(?:/(?P<id>[^/:]+)(?P<cancel>:cancel)?)?")

_VERTEX = re.compile(
    r"/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/batchPredictionJobs(?:/(?P<id>[^/:]+)(?P<cancel>:cancel)?)?"
)
_BEDROCK = re.compile(r"/model-invocation-job(?:s|/(?P<id>[^/]+)(?P<cancel>/stop)?)?")

_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/, ]+)/")

Ask = Callable[[str, str, Mapping[str, str], Any], tuple[int, bytes]]
"""(kind of host, path below it, headers, JSON) -> status and body of the answer."""


@dataclass(slots=True)
class Job:
    """Holds a job at a host."""

    id: str
    provider: str
    form: str
    lines: list[dict[str, Any]]
    said: Mapping[str, Any]
    model: str
    created: float
    cancelled: bool = False
    expired: bool = False
    url: str = ""
    answers: dict[str, tuple[int, bytes]] | None = None
    files: list[str] = field(default_factory=list)


def operation(arrival: Arrival) -> Operation | None:
    """Returns what a request wants of the batches; None if it is not about them."""
    if found := _GEMINI_NEW.fullmatch(arrival.path):
        return Operation(name="batch.create", model=unquote(found["model"])) if arrival.method == "POST" else None
    for form in (_OPENAI, _MISTRAL, _ANTHROPIC, _GEMINI, _VERTEX, _BEDROCK):
        found = form.fullmatch(arrival.path)
        if found is None:
            continue
        groups = found.groupdict()
        if not groups["id"]:
            name = {"POST": "batch.create", "GET": "batch.list"}.get(arrival.method)
        elif groups.get("cancel") or groups.get("more") == "/cancel":
            name = "batch.cancel"
        else:
            name = "batch.results" if groups.get("more") == "/results" else "batch.get"
        return Operation(name=name) if name else None
    return None


class JobDesk:
    """Keeps the jobs of one simulator and answers requests about them.

    Args:
        files: where lines and answers lie.
        ask: answers one line.
    """

    def __init__(self, files: FileDesk, ask: Ask) -> None:
        self.jobs: dict[str, Job] = {}
        self.seconds = 0.0
        self._files = files
        self._ask = ask

    def answer(self, arrival: Arrival, wanted: Operation, token: str) -> Any:
        """Returns the body of the answer with its headers, or what is wrong with the request."""
        if wanted.name == "batch.create":
            made = self._create(arrival, token)
            return made if isinstance(made, Problem) else (dumps(self._shown(made)), ())
        if wanted.name == "batch.list":
            return dumps(self._list(arrival)), ()
        job = self.jobs.get(_id_of(arrival.path))
        if job is None or job.provider != arrival.provider:
            return Problem(status=404, message=f"No batch found with id '{_id_of(arrival.path)}'.")
        if wanted.name == "batch.cancel":
            job.cancelled = job.cancelled or not self._is_over(job)
        if wanted.name == "batch.results":
            return self._anthropic_results(job), ()
        return dumps(self._shown(job)), ()

    # Making

    def _create(self, arrival: Arrival, token: str) -> Job | Problem:
        body = arrival.body if isinstance(arrival.body, dict) else {}
        form, lines, model = "files", [], ""
        if _GEMINI_NEW.fullmatch(arrival.path):
            inner = (body.get("batch") or {}).get("inputConfig", {}).get("requests", {}).get("requests", [])
            form, lines = "google", inner
            model = str((operation(arrival) or Operation(name="")).model)
        elif _VERTEX.fullmatch(arrival.path) or _BEDROCK.fullmatch(arrival.path):
            form = "google_bucket" if _VERTEX.fullmatch(arrival.path) else "aws_bucket"
            sources = [*body.get("inputConfig", {}).get("gcsSource", {}).get("uris", [])]
            sources += [body.get("inputDataConfig", {}).get("s3InputDataConfig", {}).get("s3Uri", "")]
            data = self._files.objects.get(str(sources[0]).partition("://")[2])
            if data is None:
                return Problem(status=400, message=f"The object {sources[0]} was not found.")
            lines = [json.loads(line) for line in data.splitlines() if line.strip()]
            model = str(body.get("model") or body.get("modelId"))
            token = f"{token}"
        elif _ANTHROPIC.fullmatch(arrival.path):
            form, lines = "claude", body.get("requests") or []
        else:
            form = "jobs" if _MISTRAL.fullmatch(arrival.path) else "files"
            name = (body.get("input_files") or [""])[0] if form == "jobs" else body.get("input_file_id")
            stored = self._files.stored.get(str(name))
            if stored is None:
                return Problem(status=400, message=f"The file {name} was not found.")
            lines = [json.loads(line) for line in stored.data.splitlines() if line.strip()]
            model = str(body.get("model") or "")
        if not lines:
            return Problem(status=400, message="a batch needs at least one request")
        ident = {"claude": f"msgbatch_{token}", "files": f"batch_{token}", "jobs": f"batch_{token}"}.get(form, token)
        job = self.jobs[ident] = Job(ident, arrival.provider, form, lines, body, model, time.time())
        job.url = _root_of(arrival)
        self._headers = {
            name: value for name, value in arrival.headers.items() if name not in ("content-length", "content-type")
        }
        signed = _SIGNED.match(arrival.headers.get("authorization", ""))
        if signed:  # the signature is that of the job: its lines come with the key alone
            self._headers["authorization"] = f"Bearer {signed[1]}"
        return job

    # Being asked

    def _is_over(self, job: Job) -> bool:
        return job.cancelled or job.expired or time.time() >= job.created + self.seconds

    def _answers(self, job: Job) -> dict[str, tuple[int, bytes]]:
        if job.answers is None:
            job.answers = {}
            for line in [] if job.cancelled or job.expired else job.lines:
                ident, path, body = self._read(job, line)
                job.answers[ident] = self._ask(job.provider, path, self._headers, body)
        return job.answers

    def _read(self, job: Job, line: Mapping[str, Any]) -> tuple[str, str, Any]:
        if job.form == "claude":
            return line["custom_id"], "/v1/messages", line["params"]
        if job.form == "google":
            return line["metadata"]["key"], f"/v1beta/models/{job.model}:generateContent", line["request"]
        if job.form == "google_bucket":
            if "custom_id" in line:
                path = f"/v1/projects/p/locations/l/{job.model}:rawPredict"
                return line["custom_id"], path, line["request"]
            labels = line["request"]["labels"]
            said = {name: value for name, value in line["request"].items() if name != "labels"}
            path = f"/v1beta1/projects/p/locations/l/{job.model}:generateContent"
            return labels["asyncllm_line"], path, said
        if job.form == "aws_bucket":
            return line["recordId"], f"/model/{quote(job.model, safe='')}/converse", line["modelInput"]
        if job.form == "jobs":
            return line["custom_id"], job.said["endpoint"], {"model": job.model, **line["body"]}
        return line["custom_id"], line["url"], line["body"]

    def _state(self, job: Job, over: str, cancelled: str, expired: str, running: str) -> str:
        if job.cancelled:
            return cancelled
        if job.expired:
            return expired
        return over if self._is_over(job) else running

    def _shown(self, job: Job) -> dict[str, Any]:
        return {
            "claude": self._anthropic,
            "google": self._gemini,
            "jobs": self._mistral,
            "google_bucket": self._vertex,
            "aws_bucket": self._bedrock,
        }.get(job.form, self._openai)(job)

    def _list(self, arrival: Arrival) -> dict[str, Any]:
        found = [self._shown(job) for job in reversed(self.jobs.values()) if job.provider == arrival.provider]
        if _VERTEX.fullmatch(arrival.path):
            return {"batchPredictionJobs": found} if found else {}
        if _BEDROCK.fullmatch(arrival.path):
            return {"invocationJobSummaries": found}
        if "x-goog-api-key" in arrival.headers:  # its path may be that of OpenAI's
            return {"operations": found} if found else {}
        return {"object": "list", "data": found, "has_more": False, "total": len(found)}

    def _openai(self, job: Job) -> dict[str, Any]:
        state = self._state(job, "completed", "cancelled", "expired", "in_progress")
        names: dict[str, Any] = {"output_file_id": None, "error_file_id": None}
        counts = {"total": len(job.lines), "completed": 0, "failed": 0}
        if self._is_over(job):
            good, bad = self._files_of(job)
            names = {"output_file_id": good, "error_file_id": bad}
            failed = sum(status >= 400 for status, _ in self._answers(job).values())
            counts.update(completed=len(self._answers(job)) - failed, failed=failed)
        said = job.said
        return {
            "id": job.id,
            "object": "batch",
            "endpoint": said.get("endpoint"),
            "errors": None,
            "input_file_id": said.get("input_file_id"),
            "completion_window": said.get("completion_window"),
            "status": state,
            **names,
            "created_at": int(job.created),
            "expires_at": int(job.created) + 86_400,
            "request_counts": counts,
            "metadata": said.get("metadata"),
        }

    def _files_of(self, job: Job) -> tuple[str | None, str | None]:
        if not job.files:
            good: list[bytes] = []
            bad: list[bytes] = []
            for ident, (status, body) in self._answers(job).items():
                value = json.loads(body)
                told = {"status_code": status, "request_id": f"req_{ident[-12:]}", "body": value}
                line = dumps({"id": f"batch_req_{ident}", "custom_id": ident, "response": told, "error": None})
                (bad if status >= 400 else good).append(line)
            for ident in self._unanswered(job):
                code = "batch_cancelled" if job.cancelled else "batch_expired"
                told = {"code": code, "message": "This request could not be executed."}
                bad.append(dumps({"id": f"batch_req_{ident}", "custom_id": ident, "response": None, "error": told}))
            for name, lines in (("output", good), ("error", bad)):
                data = b"".join([line + b"\n" for line in lines])
                stored = self._files.put(job.provider, f"{job.id}_{name}.jsonl", data, f"{job.id[-20:]}{name}")
                job.files.append(stored.id if lines else "")
        return job.files[0] or None, job.files[1] or None

    def _unanswered(self, job: Job) -> list[str]:
        known = self._answers(job)
        return [ident for line in job.lines if (ident := self._read(job, line)[0]) not in known]

    def _mistral(self, job: Job) -> dict[str, Any]:
        found = self._openai(job)
        state = self._state(job, "SUCCESS", "CANCELLED", "TIMEOUT_EXCEEDED", "RUNNING")
        counts = found["request_counts"]
        return {
            "id": job.id,
            "object": "batch",
            "input_files": job.said.get("input_files"),
            "endpoint": job.said.get("endpoint"),
            "model": job.model,
            "metadata": job.said.get("metadata"),
            "errors": [],
            "status": state,
            "output_file": found["output_file_id"],
            "error_file": found["error_file_id"],
            "created_at": found["created_at"],
            "total_requests": counts["total"],
            "completed_requests": counts["completed"] + counts["failed"],
            "succeeded_requests": counts["completed"],
            "failed_requests": counts["failed"],
        }

    def _anthropic(self, job: Job) -> dict[str, Any]:
        over = self._is_over(job)
        counts = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0)
        counts["processing"] = 0 if over else len(job.lines)
        if over:
            bad = sum(status >= 400 for status, _ in self._answers(job).values())
            counts.update(succeeded=len(self._answers(job)) - bad, errored=bad)
            counts["canceled" if job.cancelled else "expired"] = len(self._unanswered(job))
        return {
            "id": job.id,
            "type": "message_batch",
            "processing_status": "ended" if over else "in_progress",
            "request_counts": counts,
            "created_at": _moment(job.created),
            "expires_at": _moment(job.created + 86_400),
            "ended_at": _moment(time.time()) if over else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{job.url}/v1/messages/batches/{job.id}/results" if over else None,
        }

    def _anthropic_results(self, job: Job) -> bytes:
        lines = []
        for ident, (status, body) in self._answers(job).items():
            value = json.loads(body)
            result = {"type": "errored", "error": value} if status >= 400 else {"type": "succeeded", "message": value}
            lines.append(dumps({"custom_id": ident, "result": result}))
        kind = "canceled" if job.cancelled else "expired"
        lines += [dumps({"custom_id": ident, "result": {"type": kind}}) for ident in self._unanswered(job)]
        return b"".join([line + b"\n" for line in lines])

    def _vertex(self, job: Job) -> dict[str, Any]:
        said = job.said
        where = f"{said['outputConfig']['gcsDestination']['outputUriPrefix']}/prediction-{job.id}"
        if self._is_over(job):
            lines = []
            by_id = {self._read(job, line)[0]: line for line in job.lines}
            for ident, (status, body) in self._answers(job).items():
                told = {"status": body.decode()} if status >= 400 else {"status": "", "response": json.loads(body)}
                lines.append(dumps({**by_id[ident], **told}))
            key = f"{where}/predictions.jsonl".partition("://")[2]
            self._files.objects[key] = b"".join([line + b"\n" for line in lines])
        state = self._state(job, "SUCCEEDED", "CANCELLED", "EXPIRED", "RUNNING")
        return {
            "name": f"projects/p/locations/l/batchPredictionJobs/{job.id}",
            "displayName": said.get("displayName"),
            "model": job.model,
            "state": f"JOB_STATE_{state}",
            "createTime": _moment(job.created),
            **({"outputInfo": {"gcsOutputDirectory": where}} if self._is_over(job) else {}),
        }

    def _bedrock(self, job: Job) -> dict[str, Any]:
        said = job.said
        arn = f"arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/{job.id}"
        source = said["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
        goal = said["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        statuses = [status for status, _ in self._answers(job).values()] if self._is_over(job) else []
        failed = sum(status >= 400 for status in statuses)
        good = len(statuses) - failed
        if self._is_over(job) and not job.cancelled:
            lines = []
            by_id = {line["recordId"]: line for line in job.lines}
            for ident, (status, body) in self._answers(job).items():
                value = json.loads(body)
                bad = {"error": {"errorCode": status, "errorMessage": value.get("message")}}
                lines.append(dumps({**by_id[ident], **(bad if status >= 400 else {"modelOutput": value})}))
            key = f"{goal}{job.id}/{source.rpartition('/')[2]}.out".partition("://")[2]
            self._files.objects[key] = b"".join([line + b"\n" for line in lines])
        return {
            "jobArn": arn,
            "jobName": said.get("jobName"),
            "modelId": job.model,
            "roleArn": said.get("roleArn"),
            "status": self._state(job, "Completed", "Stopped", "Expired", "InProgress"),
            "submitTime": _moment(job.created),
            "totalRecordCount": len(job.lines),
            "successRecordCount": good,
            "errorRecordCount": failed,
            "inputDataConfig": said["inputDataConfig"],
            "outputDataConfig": said["outputDataConfig"],
        }

    def _gemini(self, job: Job) -> dict[str, Any]:
        over = self._is_over(job)
        state = self._state(job, "SUCCEEDED", "CANCELLED", "EXPIRED", "RUNNING")
        name = f"batches/{job.id}"
        facts: dict[str, Any] = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "model": f"models/{job.model}",
            "displayName": (job.said.get("batch") or {}).get("displayName"),
            "state": f"BATCH_STATE_{state}",
            "createTime": _moment(job.created),
            "name": name,
        }
        answer: dict[str, Any] = {"name": name, "metadata": facts, "done": over}
        if over:
            responses = []
            for ident, (status, body) in self._answers(job).items():
                value = json.loads(body)
                told = {"error": {"code": 3 if status == 400 else 13, **_words(value)}} if status >= 400 else {}
                responses.append({"metadata": {"key": ident}, **(told or {"response": value})})
            output = {"inlinedResponses": {"inlinedResponses": responses}}
            facts.update(endTime=_moment(time.time()), output=output)
            answer["response"] = {**output}
        return answer


def _root_of(arrival: Arrival) -> str:
    """The address of the host, as the client knows it."""
    host = arrival.headers.get("host", "")
    before = arrival.target.partition("?")[0].removesuffix(arrival.path)
    scheme = "http" if ":" in host or not host else "https"  # a real host has no port in its name
    return f"{scheme}://{host}{before}"


def _words(value: Any) -> dict[str, Any]:
    return {"message": str(((value or {}).get("error") or {}).get("message") or "")}


def _id_of(path: str) -> str:
    last = path.removesuffix("/cancel").removesuffix("/results").removesuffix(":cancel").removesuffix("/stop")
    return unquote(last.rpartition("/")[2]).rpartition("/")[2]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")
