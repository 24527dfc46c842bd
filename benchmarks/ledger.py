"""What the ledger costs: CPU on the event loop, records a second, acknowledged settlements, reports over a million.

Run ``python benchmarks/ledger.py [--records 1000000]``; ``--postgres URL`` measures a server besides the file.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from asyncllm._ledger.booking import Opening, Settling
from asyncllm._ledger.columns import Head, Settlement
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores import Store, store_of
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm._ledger.units import new_ulid
from asyncllm._schema.usage import Usage

HEAD = Head(provider="openai", kind="openai", model="gpt-4o-mini", session="S", user="ann", input_estimate=100)
DONE = Settlement(
    status="ok",
    usage=Usage(input_tokens=1000, output_tokens=300),
    cost=1_234_567,
    price_version="2026-11-01",
    latency=1.25,
    request_id="req_0123456789abcdef",
)
MODELS = ("gpt-4o-mini", "gpt-4o", "claude-sonnet-4-5", "claude-haiku-4-5", "gemini-2.5-flash", "llama-3.3-70b")


async def calls(ledger: Ledger, at_once: int, each: int) -> tuple[float, float, float]:
    """Microseconds of CPU a call on the loop, in the whole process, and calls a second."""

    async def one() -> None:
        for _ in range(each):
            ledger.settle(await ledger.open(HEAD), DONE)

    wall, loop, process = time.perf_counter(), time.thread_time(), time.process_time()
    await asyncio.gather(*(one() for _ in range(at_once)))
    loop, process = time.thread_time() - loop, time.process_time() - process
    await ledger.flush()
    wall = time.perf_counter() - wall
    count = at_once * each
    return loop / count * 1e6, process / count * 1e6, count / wall


async def nothing(at_once: int, each: int) -> float:
    """The same loop without a ledger, to take off."""

    async def one() -> None:
        for _ in range(each):
            pass

    loop = time.thread_time()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return (time.thread_time() - loop) / (at_once * each) * 1e6


async def acknowledged(ledger: Ledger, at_once: int, each: int) -> list[float]:
    """Milliseconds from a settlement to its acknowledged commit."""
    took: list[float] = []

    async def one() -> None:
        for _ in range(each):
            opening = await ledger.open(HEAD)
            began = time.perf_counter()
            ledger.settle(opening, DONE)
            await ledger.flush()
            took.append((time.perf_counter() - began) * 1e3)

    await asyncio.gather(*(one() for _ in range(at_once)))
    return sorted(took)


async def speed(name: str, store: Store) -> None:
    ledger = Ledger(store)
    await calls(ledger, 1, 200)
    for at_once, each in ((1, 3000), (64, 300)):
        best = min([await calls(ledger, at_once, each) for _ in range(3)])
        loop, process, rate = best
        loop -= await nothing(at_once, each)
        print(
            f"{name}: {at_once:2} at once: loop {loop:5.1f} µs, process {process:5.1f} µs a call, {rate:7,.0f} calls/s"
        )
    for at_once in (1, 64):
        took = await acknowledged(ledger, at_once, 2000 // at_once)
        print(
            f"{name}: {at_once:2} at once: an acknowledged settlement takes {took[len(took) // 2]:.2f} ms (p50), "
            f"{took[len(took) * 99 // 100]:.2f} ms (p99)"
        )
    await ledger.aclose()


def month(records: int) -> Iterator[list[Settling]]:
    """Thirty days of calls, oldest first."""
    chance = random.Random(1)
    end = int(time.time() * 1e6)
    step = 30 * 86_400_000_000 // records
    batch = []
    for number in range(records):
        moment = end - (records - number) * step
        model = chance.choice(MODELS)
        head = HEAD._replace(model=model, requested_model=model, user=f"user{number % 200}")
        opening = Opening(new_ulid(moment // 1000, chance.randbytes(10)), moment, head, None, None)
        status = "error" if number % 50 == 0 else "ok"
        batch.append([opening, Settling(opening, DONE._replace(status=status, latency=chance.lognormvariate(0, 1)))])
        if len(batch) == 2000:
            yield [operation for pair in batch for operation in pair]  # type: ignore[misc]
            batch = []
    yield [operation for pair in batch for operation in pair]  # type: ignore[misc]


async def reports(name: str, store: Store, records: int, folder: Path) -> None:
    store.connect()
    began = time.perf_counter()
    for batch in month(records):
        store.write(batch)
    filled = time.perf_counter() - began
    print(f"{name}: {records:,} records written in batches in {filled:.1f} s, {records / filled:,.0f} a second")
    store.close()
    ledger = Ledger(store)
    start = datetime.now(timezone.utc) - timedelta(days=30, hours=1)
    for by in (["model"], ["provider", "model"], ["user"], ["day"]):
        times = []
        for _ in range(3):
            began = time.perf_counter()
            rows = await ledger.report(start, by=by)
            times.append(time.perf_counter() - began)
        assert records == sum(row.requests for row in rows)
        print(f"{name}: 30 days by {', '.join(by):15} {min(times):.2f} s")
    for form, export in (
        ("csv", ledger.export_csv),
        ("jsonl", ledger.export_jsonl),
        ("parquet", ledger.export_parquet),
    ):
        began = time.perf_counter()
        path = folder / f"out.{form}"
        count = await export(path)
        took = time.perf_counter() - began
        print(f"{name}: export of {count:,} records as {form}: {took:.1f} s, {path.stat().st_size / 1e6:.0f} MB")
    await ledger.aclose()


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await speed("sqlite", SQLiteStore(folder / "speed.db"))
        if arguments.postgres:
            await speed("postgres", store_of(arguments.postgres))
        if arguments.records:
            await reports("sqlite", SQLiteStore(folder / "month.db"), arguments.records, folder)
            print(f"sqlite: the file has {(folder / 'month.db').stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
