"""Uploaded files of the simulated hosts: OpenAI's and Anthropic's forms, Gemini's resumable uploads.

They live as long as the simulator. Operations: ``"file.create"``, ``"file.list"``, ``"file.get"``, ``"file.content"``,
``"file.delete"``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

from .record import Arrival
from .wires.wire import Operation, Problem, dumps

_PLAIN = re.compile(r"(?:/openai)?(?:/v1)?/files(?:/(?P<id>[^/]+)(?P<content>/content)?)?")
_GEMINI = re.compile(r"/(?P<upload>upload/)?v1(?:beta|alpha)/files(?:/(?P<id>[^/:]+))?")
_S3 = re.compile(r"/s3/(?P<bucket>[^/]+)/(?P<key>.+)")
_GCS = re.compile(r"/(?P<upload>upload/)?storage/v1/b/(?P<bucket>[^/]+)/o(?:/(?P<name>.+))?")
_FIELD = re.compile(rb'name="([^"]*)"(?:; filename="([^"]*)")?', re.IGNORECASE)
_KIND = re.compile(rb"content-type: *([^\r\n]+)", re.IGNORECASE)


Form = Literal["google", "claude", "plain"]
"""Whose words a file is told in."""


def form_of(arrival: Arrival) -> Form:
    """Returns whose words a request is in."""
    if _GEMINI.fullmatch(arrival.path):
        return "google"
    return "claude" if "anthropic-version" in arrival.headers else "plain"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Holds a file at a host."""

    id: str
    provider: str
    form: Form
    name: str
    purpose: str
    kind: str
    data: bytes
    created: float


def operation(arrival: Arrival) -> Operation | None:
    """Returns what a request wants of the files; None if it is not about them."""
    if bucket := _bucket_operation(arrival):
        return bucket
    found = _GEMINI.fullmatch(arrival.path) or _PLAIN.fullmatch(arrival.path)
    if found is None:
        return None
    if found.groupdict().get("upload"):
        return Operation(name="file.create") if arrival.method == "POST" else None
    if not found["id"]:
        named = {"POST": "file.create", "GET": "file.list"}.get(arrival.method)
    else:
        named = {"GET": "file.get", "DELETE": "file.delete"}.get(arrival.method)
        if named == "file.get" and found.groupdict().get("content"):
            named = "file.content"
    return Operation(name=named) if named else None


def _bucket_operation(arrival: Arrival) -> Operation | None:
    if _S3.fullmatch(arrival.path):
        return Operation(name="file.object.put" if arrival.method == "PUT" else "file.object")
    found = _GCS.fullmatch(arrival.path)
    if found is None:
        return None
    if found["upload"]:
        return Operation(name="file.object.put")
    return Operation(name="file.object" if found["name"] else "file.objects")


class FileDesk:
    """Keeps the files of one simulator and answers requests about them."""

    def __init__(self) -> None:
        self.stored: dict[str, StoredFile] = {}
        self.objects: dict[str, bytes] = {}
        self._begun: dict[str, Mapping[str, str]] = {}

    def answer(self, arrival: Arrival, wanted: Operation, token: str) -> Any:
        """Returns the body of the answer with its headers, or what is wrong with the request."""
        if wanted.name.startswith("file.object"):
            return self._object(arrival, wanted)
        if wanted.name == "file.create":
            return self._create(arrival, token)
        if wanted.name == "file.list":
            return dumps(self._list(arrival)), ()
        found = self.stored.get(_id_of(arrival))
        if found is None or found.provider != arrival.provider:
            return Problem(status=404, message=f"No such File object: {_id_of(arrival)}")
        if wanted.name == "file.content":
            return found.data, ()
        if wanted.name == "file.delete":
            del self.stored[found.id]
            gone = {"id": found.id, "object": "file", "deleted": True, "type": "file_deleted"}
            return dumps({} if found.form == "google" else gone), ()
        return dumps(_shown(found)), ()

    def put(self, provider: str, name: str, data: bytes, token: str, purpose: str = "batch_output") -> StoredFile:
        """Keeps a file."""
        ident = f"file-{token}"
        found = StoredFile(ident, provider, "plain", name, purpose, "application/jsonl", data, time.time())
        self.stored[ident] = found
        return found

    def _object(self, arrival: Arrival, wanted: Operation) -> Any:
        """Answers a request about an object of a bucket: S3 by its path, Cloud Storage by its JSON API."""
        asked = parse_qs(arrival.query)
        if found := _S3.fullmatch(arrival.path):
            key = f"{found['bucket']}/{found['key']}"
        else:
            google = _GCS.fullmatch(arrival.path)
            bucket = google["bucket"] if google else ""
            named = unquote(google["name"] or "") if google else ""
            key = f"{bucket}/{named or asked.get('name', [''])[0]}"
            if wanted.name == "file.objects":
                start = f"{bucket}/{asked.get('prefix', [''])[0]}"
                names = [one.partition("/")[2] for one in self.objects if one.startswith(start)]
                return dumps({"items": [{"name": name} for name in names]}), ()
        if wanted.name == "file.object.put":
            self.objects[key] = arrival.content or b""
            return dumps({"name": key.partition("/")[2]}), ()
        if key not in self.objects:
            return Problem(status=404, message="The specified key does not exist.")
        return self.objects[key], ()

    def _create(self, arrival: Arrival, token: str) -> Any:
        form = form_of(arrival)
        if form == "google":
            return self._resumable(arrival, token)
        fields, name, kind, data = _form(arrival)
        if data is None:
            return Problem(status=400, message="'file' is a required property")
        ident = f"file_{token}" if form == "claude" else f"file-{token}"
        found = StoredFile(ident, arrival.provider, form, name, fields.get("purpose", ""), kind, data, time.time())
        self.stored[ident] = found
        return dumps(_shown(found)), ()

    def _resumable(self, arrival: Arrival, token: str) -> Any:
        command = arrival.headers.get("x-goog-upload-command", "")
        if command == "start":
            body = arrival.body if isinstance(arrival.body, dict) else {}
            said = dict(body.get("file") or {})
            said["kind"] = arrival.headers.get("x-goog-upload-header-content-type", "")
            self._begun[token] = said
            where = f"http://{arrival.headers.get('host', '')}/{arrival.provider}{arrival.path}?upload_id={token}"
            return b"{}", (("x-goog-upload-url", where), ("x-goog-upload-status", "active"))
        upload = parse_qs(arrival.query).get("upload_id", [""])[0]
        begun = self._begun.pop(upload, None)
        if begun is None or "finalize" not in command:
            return Problem(status=400, message="Invalid upload")
        ident = begun.get("name", "").removeprefix("files/") or upload
        found = StoredFile(
            ident,
            arrival.provider,
            "google",
            begun.get("displayName", ""),
            "",
            begun["kind"],
            arrival.content or b"",
            time.time(),
        )
        self.stored[ident] = found
        return dumps({"file": _shown(found)}), (("x-goog-upload-status", "final"),)

    def _list(self, arrival: Arrival) -> dict[str, Any]:
        asked = parse_qs(arrival.query)
        purpose = asked.get("purpose", [""])[0]
        word = asked.get("search", [""])[0]
        found = [
            _shown(one)
            for one in reversed(self.stored.values())
            if one.provider == arrival.provider and purpose in ("", one.purpose) and word in one.name
        ]
        if form_of(arrival) == "google":
            return {"files": found} if found else {}
        return {"object": "list", "data": found, "has_more": False, "total": len(found)}


def _id_of(arrival: Arrival) -> str:
    parts = arrival.path.rstrip("/").split("/")
    return parts[-2] if parts[-1] == "content" else parts[-1]


def _shown(found: StoredFile) -> dict[str, Any]:
    if found.form == "google":
        moment = datetime.fromtimestamp(found.created, timezone.utc).isoformat().replace("+00:00", "Z")
        uri = f"https://generativelanguage.googleapis.com/v1beta/files/{found.id}"
        size = str(len(found.data))
        facts = {"name": f"files/{found.id}", "displayName": found.name, "mimeType": found.kind, "sizeBytes": size}
        return {**facts, "createTime": moment, "uri": uri, "state": "ACTIVE"}
    if found.form == "claude":
        moment = datetime.fromtimestamp(found.created, timezone.utc).isoformat()
        facts = {"id": found.id, "type": "file", "filename": found.name, "mime_type": found.kind}
        return {**facts, "size_bytes": len(found.data), "created_at": moment, "downloadable": False}
    return {
        "id": found.id,
        "object": "file",
        "bytes": len(found.data),
        "created_at": int(found.created),
        "filename": found.name,
        "purpose": found.purpose,
        "status": "processed",
    }


def _form(arrival: Arrival) -> tuple[dict[str, str], str, str, bytes | None]:
    """Reads the fields of a form, and the name, type and content of its file."""
    boundary = arrival.headers.get("content-type", "").partition("boundary=")[2].strip('"').encode()
    fields: dict[str, str] = {}
    name, kind, data = "", "", None
    for part in (arrival.content or b"").split(b"--" + boundary) if boundary else ():
        head, _, content = part.partition(b"\r\n\r\n")
        found = _FIELD.search(head)
        if found is None:
            continue
        content = content[:-2] if content.endswith(b"\r\n") else content
        if found[2] is not None:
            said = _KIND.search(head)
            name, data = found[2].decode(), content
            kind = said[1].decode() if said else "application/octet-stream"
        else:
            fields[found[1].decode()] = content.decode()
    return fields, name, kind, data
