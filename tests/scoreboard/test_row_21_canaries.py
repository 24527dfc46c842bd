"""Secrets with marks go through the ledger by every way in: none comes out by any way out."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncllm._ledger.book import Bookkeeper
from asyncllm._ledger.budgets import Budget
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm._schema.content import Text
from asyncllm._schema.messages import Message
from asyncllm._schema.response import Response
from asyncllm.errors import AsyncLLMError, AuthenticationError, BudgetExceededError, LedgerError
from ledger_books import HEAD, PlainPrices, hold

pytestmark = pytest.mark.anyio
KEY = "sk-canary-0123456789abcdef"
PASSWORD = "canary-pass-word"
CONTENT = "canary-content: what the user said"
MARKS = (KEY, PASSWORD, CONTENT)


async def test_canaries(
    record: Callable[[str, str, str], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys, passwords and content are in no database, log, export, repr, pickle or traceback."""
    caplog.set_level(logging.DEBUG)
    out = io.StringIO()
    ledger = Ledger(SQLiteStore(tmp_path / "ledger.db"), budgets=[Budget(limit=10**6)], log_path=tmp_path / "costs.log")
    books = Bookkeeper(ledger, PlainPrices())
    partial = Response(message=Message(role="assistant", content=(Text(CONTENT),)), finish_reason="other")
    for error in (AuthenticationError(f"bad key {KEY}"), None):
        ticket = await books.call("m").open(provider="p", kind="k", model="m", input_tokens=10, max_tokens=10)
        settled = ticket.settle("error" if error else "cancelled", error=error, partial=partial)
        print(repr(ticket), repr(settled), repr(ledger), repr(books), file=out)
    failures: list[AsyncLLMError] = []
    try:
        await ledger.open(HEAD, hold(ledger, 10**7))
    except BudgetExceededError as error:
        failures.append(error)
    failures += await _postgres_failures()
    for failure in failures:
        print(repr(failure), str(failure), pickle.dumps(failure), file=out)
        told = traceback.TracebackException.from_exception(failure, capture_locals=True)
        told.stack[:] = [frame for frame in told.stack if frame.filename != __file__]  # the marks are locals here
        print("".join(told.format()), file=out)
    await ledger.export_csv(tmp_path / "out.csv")
    await ledger.export_jsonl(tmp_path / "out.jsonl")
    print(await ledger.report(by=["error"]), [one async for one in ledger.records()], file=out)
    await ledger.aclose()
    seen = _files(tmp_path)
    seen["log"] = caplog.text.encode()
    seen["text"] = out.getvalue().encode()
    assert {"ledger.db", "costs.log", "out.csv", "out.jsonl"} <= set(seen)
    assert [] == [(name, mark) for name, found in seen.items() for mark in MARKS if mark.encode() in found]
    assert 2 == len([json.loads(line) for line in (tmp_path / "costs.log").read_text().splitlines()])
    record("canary secrets found in what the ledger leaves", f"0 in {len(seen)} places", "0")


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def _postgres_failures() -> list[AsyncLLMError]:
    """What a server that is not there, and a URL that is none, say of the password in the URL."""
    pytest.importorskip("psycopg")
    from asyncllm._ledger.stores.postgres import PostgresStore

    found: list[AsyncLLMError] = []
    for url in (
        f"postgresql://user:{PASSWORD}@127.0.0.1:9/books",
        f"postgresql://user:{PASSWORD}@127.0.0.1:port/books",
        f"postgresql://user:{PASSWORD}@[nonsense/books?password={PASSWORD}",
    ):
        ledger = Ledger(PostgresStore(url, patience=0.1), on_error="error")
        try:
            await ledger.open(HEAD)
        except LedgerError as error:
            found.append(error)
        await ledger.aclose()
    assert 3 == len(found)
    return found
