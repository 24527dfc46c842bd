"""Management endpoints: health, costs, budgets, models and calls of one client, as a Starlette application.

::

    app.mount("/llm", admin(client, token=os.environ["ADMIN_TOKEN"]))

The rules:

* Nobody is let in by accident: without ``token``, ``dependency`` or ``unprotected=True`` it raises.
* A token is compared in constant time. There are no cookies, so no other page can act for a reader.
* A POST with an ``Origin`` of another host is refused. With ``allowed_hosts`` a request for another host is refused
  too: that stops a page that has its own name point at this address (DNS rebinding).
* The dashboard's own files (``/`` and ``/static``) are open: they hold no data, and the page asks for the token.
* No answer holds a key: the configuration shows which keys are set, never what they are.
* A wrong argument is a 422 with a sentence; a failure of the ledger is a 503.

Each endpoint is one row of `_ROUTES`, from which the router and the OpenAPI document are made.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from pydantic import BaseModel, SecretStr
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ... import errors
from ..._ledger.budgets import zone_of
from ..._ledger.reports import ReportRow
from ...errors import AsyncLLMError, ConfigurationError, LedgerError
from .examples import EXAMPLES
from .guard import Dependency, Guard, refused
from .ledger_view import LedgerView

if TYPE_CHECKING:
    from typing import Union

    from ...client import Client

    Source = Union[Client, LedgerView]

_ROW_MONEY = ("cost", "saved", "retry_cost", "fallback_cost")
_ROW_NUMBERS = tuple(field.name for field in fields(ReportRow) if field.name not in (*_ROW_MONEY, "group"))
_MOST_ROWS = 10_000
_STATIC = Path(__file__).with_name("static")
_SCOPE_WORDS = ("provider", "deployment", "model", "user", "agent", "tag", "status", "operation", "session")


def admin(
    client: Source,
    *,
    token: str | SecretStr | None = None,
    dependency: Dependency | None = None,
    unprotected: bool = False,
    allowed_hosts: Sequence[str] = (),
) -> Starlette:
    """The management endpoints of a client, to mount in an application or to serve by themselves.

    Args:
        client: the client that is looked at; or the view of a ledger.
        token: what ``Authorization: Bearer ...`` must hold; at least 16 characters.
        dependency: a function of the host application that lets a request in or refuses it.
        unprotected: let everybody in; for a port that only the operator reaches.
        allowed_hosts: names and addresses under which it may be reached; empty for any.

    Raises:
        ConfigurationError: none of the three is given, or the token is too short.
    """
    secret = token.get_secret_value() if isinstance(token, SecretStr) else token
    if secret is None and dependency is None and not unprotected:
        raise ConfigurationError(
            "the management endpoints need a token=, a dependency=, or unprotected=True where nobody else reaches them"
        )
    if secret is not None and len(secret) < 16:
        raise ConfigurationError("the token of the management endpoints must have at least 16 characters")
    app = Starlette(
        routes=[
            Route("/", _page, methods=["GET"]),
            Mount("/static", StaticFiles(directory=_STATIC)),
            *(Route(row.path, _endpoint(row, client), methods=[row.method]) for row in _ROUTES),
            Route("/openapi.json", _openapi, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refused, AsyncLLMError: _failed},
    )
    app.add_middleware(
        Guard,
        secret=None if secret is None else secret.encode(),
        dependency=dependency,
        hosts=frozenset(allowed_hosts),
    )
    return app


async def _page(request: Request) -> Response:
    if not request.url.path.endswith("/"):  # the files of the page stand beside it
        return RedirectResponse(f"{request.url.path}/")
    return FileResponse(_STATIC / "index.html")


async def _failed(_: Request, error: Any) -> Response:
    status = 503 if isinstance(error, LedgerError) else 409 if isinstance(error, ConfigurationError) else 422
    return JSONResponse({"error": {"type": type(error).__name__, "message": error.message}}, status)


# The arguments of a request.


@dataclass(frozen=True, slots=True)
class _Argument:
    name: str
    meaning: str
    schema: Mapping[str, Any]
    required: bool = False


def _text(name: str, meaning: str, **schema: Any) -> _Argument:
    return _Argument(name, meaning, {"type": "string", "maxLength": 200, **schema})


_ZONE = _text("tz", "The time zone of dates, such as Europe/Berlin.", default="UTC")
_SPAN = (
    _text("start", "The first day or moment, ISO 8601."),
    _text("end", "The first moment after it; a day counts to its end."),
    _ZONE,
)
_SCOPE = (
    *(_text(name, f"Only records with this {name}.") for name in _SCOPE_WORDS if name != "tag"),
    _text("tag", "Only records with this tag, name:value."),
)


def _wrong(name: str, problem: str) -> HTTPException:
    return HTTPException(422, f"{name}: {problem}")


def _zone_of(request: Request) -> tzinfo:
    name = request.query_params.get("tz") or "UTC"
    try:
        return zone_of(name)
    except ValueError:
        raise _wrong("tz", "this is no known time zone") from None


def _moment_of(request: Request, name: str, zone: tzinfo, *, ends: bool = False) -> datetime | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=1 if ends else 0)
            return datetime.combine(day, time(), zone).astimezone(timezone.utc)
        found = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise _wrong(name, "must be a day or a moment in ISO 8601, such as 2026-11-28") from None


def _span_of(request: Request) -> tuple[datetime | None, datetime | None]:
    zone = _zone_of(request)
    return _moment_of(request, "start", zone), _moment_of(request, "end", zone, ends=True)


def _where_of(request: Request) -> dict[str, str]:
    where: dict[str, str] = {}
    for name in _SCOPE_WORDS:
        value = request.query_params.get(name)
        if not value:
            continue
        if name == "tag":
            tag, colon, found = value.partition(":")
            if not (tag and colon):
                raise _wrong("tag", "must be name:value")
            where[f"tag:{tag}"] = found
        else:
            where[name] = value
    return where


def _number_of(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= most:
        raise _wrong(name, f"must be a whole number from 1 to {most}")
    return int(text)


def _plain(value: Any) -> Any:
    """A value as JSON: money and moments as text, secrets as whether they are set."""
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): "(set)" if _hides(str(name)) else _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


_SECRET_WORDS = ("key", "token", "secret", "password", "credential", "authorization")


def _hides(name: str) -> bool:
    """Whether a free-form key, such as a header's name, sounds like a secret."""
    return any(word in name.lower() for word in _SECRET_WORDS)


# The endpoints.


async def _health(client: Source, _: Request) -> Any:
    return {"targets": _plain(client.health())}


async def _reset_health(client: Source, request: Request) -> Any:
    name = request.path_params["provider"]
    if isinstance(client, LedgerView) or name not in client.settings.providers:
        raise HTTPException(404, "there is no such provider")
    client.reset_health(name)
    return {"reset": name}


async def _summary(client: Source, request: Request) -> Any:
    zone = _zone_of(request)
    now = datetime.now(zone)
    today = datetime.combine(now.date(), time(), zone)
    spans = {
        "today": today,
        "last_7_days": today - timedelta(days=6),
        "this_month": today.replace(day=1),
        "all": None,
    }
    found = {}
    for name, start in spans.items():
        rows = await client.ledger.report(None if start is None else start.astimezone(timezone.utc))
        found[name] = _row(rows[0]) if rows else None
    return {
        "summary": found,
        "session_cost": _plain(await client.session_cost()),
        "budgets": await _budget_list(client),
    }


def _row(row: ReportRow) -> dict[str, Any]:
    """A row of a report as JSON. There may be thousands, so it is written out by hand."""
    group = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.group.items()}
    return {
        "group": group,
        **{name: getattr(row, name) for name in _ROW_NUMBERS},
        **{name: f"{getattr(row, name):f}" for name in _ROW_MONEY},
        "failure_rate": row.failure_rate,
    }


async def _stats(client: Source, request: Request) -> Any:
    start, end = _span_of(request)
    by = [word for word in (request.query_params.get("by") or "").split(",") if word]
    try:
        rows = await client.ledger.report(start, end, by, where=_where_of(request), timezone=str(_zone_of(request)))
    except ValueError as error:
        raise _wrong("by", str(error)) from None
    limit = _number_of(request, "limit", _MOST_ROWS, _MOST_ROWS)
    return {"by": by, "rows": [_row(row) for row in rows[:limit]], "groups": len(rows)}


async def _export(client: Source, request: Request) -> Any:
    form = request.query_params.get("format") or "csv"
    zone = _zone_of(request)
    start, end = _moment_of(request, "start_date", zone), _moment_of(request, "end_date", zone, ends=True)
    where = _where_of(request)
    if form == "parquet":
        return await _parquet(client, start, end, where)
    if form not in ("csv", "jsonl"):
        raise _wrong("format", "must be csv, jsonl or parquet")
    lines = client.ledger.lines("csv" if form == "csv" else "jsonl", start, end, where=where)
    first = await anext(lines, None)  # a ledger that cannot be read is told before the answer begins

    async def texts() -> AsyncIterator[str]:
        async with aclosing(lines):
            if first is not None:
                yield first[0]
            async for text, _ in lines:
                yield text

    kind = "text/csv" if form == "csv" else "application/x-ndjson"
    return StreamingResponse(
        texts(), media_type=kind, headers={"content-disposition": f'attachment; filename="costs.{form}"'}
    )


async def _parquet(
    client: Source, start: datetime | None, end: datetime | None, where: Mapping[str, str]
) -> FileResponse:
    """Parquet has its table of contents at its end: it is written to a file first, which is removed afterwards."""
    folder = await anyio.to_thread.run_sync(tempfile.mkdtemp)
    path = anyio.Path(folder) / "costs.parquet"

    async def remove() -> None:
        await path.unlink(missing_ok=True)
        await anyio.Path(folder).rmdir()

    try:
        await client.ledger.export_parquet(str(path), start, end, where=where)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await remove()
        raise
    media = "application/vnd.apache.parquet"
    return FileResponse(str(path), media_type=media, filename=path.name, background=BackgroundTask(remove))


async def _configuration(client: Source, _: Request) -> Any:
    return {"configuration": _plain(client.settings)}


async def _models(client: Source, request: Request) -> Any:
    provider = request.query_params.get("provider") or None
    known = client.providers if isinstance(client, LedgerView) else client.settings.providers
    if provider is not None and provider not in known:
        raise HTTPException(404, "there is no such provider")
    return {"models": _plain(await client.models(provider, include_deprecated=True))}


async def _budget_list(client: Source) -> Any:
    return [
        {**_plain(status), "used": float(status.spent / status.limit) if status.limit else None}
        for status in await client.ledger.budget_statuses()
    ]


async def _budgets(client: Source, _: Request) -> Any:
    return {"budgets": await _budget_list(client)}


async def _reset_budget(client: Source, request: Request) -> Any:
    name = request.path_params["name"]
    try:
        await client.ledger.reset_budget(name)
    except ValueError as error:
        raise HTTPException(404, str(error)) from None
    return {"reset": name}


async def _raise_budget(client: Source, request: Request) -> Any:
    name = request.path_params["name"]
    try:
        given = json.loads(await request.body() or b"null")
    except (ValueError, RecursionError):
        given = None
    try:
        amount = Decimal(str(given["dollars"])) if isinstance(given, dict) else Decimal("NaN")
    except (KeyError, InvalidOperation):
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 < amount <= 1_000_000:
        raise _wrong("dollars", "must be a number of US dollars above 0, at most 1000000")
    try:
        await client.ledger.raise_budget(name, amount.quantize(Decimal("1e-9")))
    except ValueError as error:
        raise HTTPException(404, str(error)) from None
    return {"raised": name, "by": _plain(amount)}


async def _calls(client: Source, request: Request) -> Any:
    start, end = _span_of(request)
    limit = _number_of(request, "limit", 100, 1000)
    after = request.query_params.get("after")
    if after is not None and not (len(after) == 26 and after.isalnum()):
        raise _wrong("after", "must be the id of a record")
    newest = request.query_params.get("newest") == "true"
    found: list[Any] = []
    more = False
    records = client.ledger.records(start, end, where=_where_of(request), newest=newest, after=after, page=limit + 1)
    async with aclosing(records):
        async for record in records:
            if len(found) == limit:
                more = True
                break
            found.append({**_plain(record), "sentence": _sentence_of(record.error)})
    return {"calls": found, "next": found[-1]["id"] if more else None}


def _sentence_of(error: str | None) -> str | None:
    """What an error's class says of itself. The ledger keeps no text of an error: it may quote a prompt."""
    found = None if error is None else getattr(errors, error, None)
    return None if found is None else (found.__doc__ or "").partition("\n")[0].replace("``", "")


_JSON = "application/json"
Handler = Callable[["Source", Request], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One endpoint: what the router and the OpenAPI document need of it."""

    method: str
    path: str
    run: Handler
    summary: str
    arguments: tuple[_Argument, ...] = ()
    body: Mapping[str, Any] | None = None
    statuses: tuple[int, ...] = (200, 401, 403, 422, 503)
    media: tuple[str, ...] = (_JSON,)


_PROVIDER = _text("provider", "A configured provider.")
_ROUTES: tuple[_Endpoint, ...] = (
    _Endpoint("GET", "/providers/health", _health, "Circuits, failures and latencies of every target that was used."),
    _Endpoint(
        "POST",
        "/providers/health/{provider}/reset",
        _reset_health,
        "Lets attempts go to a provider's targets again at once.",
        statuses=(200, 401, 403, 404),
    ),
    _Endpoint("GET", "/providers/costs/summary", _summary, "What was spent today, this month and in all.", (_ZONE,)),
    _Endpoint(
        "GET",
        "/providers/costs/stats",
        _stats,
        "Sums of calls, tokens and costs, grouped.",
        (
            _text("by", "Dimensions, separated by commas: provider, model, user, agent, tag, day, ..."),
            _Argument(
                "limit",
                "The most groups; the dearest come first.",
                {"type": "integer", "minimum": 1, "maximum": _MOST_ROWS, "default": _MOST_ROWS},
            ),
            *_SPAN,
            *_SCOPE,
        ),
    ),
    _Endpoint(
        "GET",
        "/providers/costs/export",
        _export,
        "Every record as a file.",
        (
            _text("start_date", "The first day or moment, ISO 8601."),
            _text("end_date", "The last day, or the first moment after."),
            _text("format", "csv, jsonl or parquet.", enum=["csv", "jsonl", "parquet"], default="csv"),
            _ZONE,
            *_SCOPE,
        ),
        statuses=(200, 401, 403, 409, 422, 503),
        media=("text/csv", "application/x-ndjson", "application/vnd.apache.parquet"),
    ),
    _Endpoint("GET", "/providers/configuration", _configuration, "The configuration; of keys only that they are set."),
    _Endpoint(
        "GET", "/models", _models, "The models that providers listed.", (_PROVIDER,), statuses=(200, 401, 403, 404)
    ),
    _Endpoint("GET", "/budgets", _budgets, "Where the budgets stand."),
    _Endpoint(
        "POST",
        "/budgets/{name}/reset",
        _reset_budget,
        "What was spent in the current window counts no more.",
        statuses=(200, 401, 403, 404, 503),
    ),
    _Endpoint(
        "POST",
        "/budgets/{name}/raise",
        _raise_budget,
        "Adds to the limit for the current window.",
        body={
            "type": "object",
            "properties": {"dollars": {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}},
            "required": ["dollars"],
            "example": {"dollars": 5},
        },
        statuses=(200, 401, 403, 404, 422, 503),
    ),
    _Endpoint(
        "GET",
        "/calls",
        _calls,
        "Records of HTTP attempts, oldest first, or newest first, in pages.",
        (
            _Argument("limit", "The most records.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
            _text("newest", "true for the last records, newest first.", enum=["true", "false"]),
            _text("after", "The id of the last record of the page before.", pattern="^[0-9A-Za-z]{26}$"),
            *_SPAN,
            *_SCOPE,
        ),
    ),
)


def _endpoint(row: _Endpoint, client: Source) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        found = await row.run(client, request)
        return found if isinstance(found, Response) else JSONResponse(found)

    return answer


_MEANINGS: Mapping[int, str] = {
    200: "The answer.",
    401: "The token is missing or wrong.",
    403: "This is not allowed.",
    404: "There is no such thing.",
    409: "The configuration does not allow this, or something is not installed.",
    422: "An argument is wrong; the message says which.",
    503: "The ledger cannot be read or written now.",
}


async def _openapi(_: Request) -> Response:
    return JSONResponse(openapi())


def openapi() -> dict[str, Any]:
    """The OpenAPI document of the endpoints."""
    paths: dict[str, dict[str, Any]] = {}
    for row in _ROUTES:
        in_path = [part.strip("{}") for part in row.path.split("/") if part.startswith("{")]
        parameters: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in in_path
        ]
        parameters += [
            {"name": one.name, "in": "query", "description": one.meaning, "schema": dict(one.schema)}
            for one in row.arguments
        ]
        operation: dict[str, Any] = {
            "summary": row.summary,
            "operationId": row.run.__name__.strip("_"),
            "parameters": parameters,
            "responses": {str(status): _response(row, status) for status in row.statuses},
            "security": [{"token": []}],
        }
        if row.body is not None:
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": dict(row.body)}}}
        paths.setdefault(row.path, {})[row.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "asyncllm management", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _response(row: _Endpoint, status: int) -> dict[str, Any]:
    if status != 200:
        example = {"error": {"type": "HTTPError", "message": _MEANINGS[status]}}
        return {"description": _MEANINGS[status], "content": {"application/json": {"example": example}}}
    answer = EXAMPLES.get(row.run.__name__.strip("_"))
    found: dict[str, Any] = {} if answer is None else {"example": answer}
    return {"description": row.summary, "content": {media: found if media == _JSON else {} for media in row.media}}
