"""The costs of a week by day and user: a table, a CSV file and a plot (an SVG file, drawn without a library)."""

import asyncio
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import asyncllm
from asyncllm.testing import Simulator


def plot(days: dict[str, float]) -> str:
    """A bar for each day."""
    most = max(days.values()) or 1
    bars = "".join(
        f'<rect x="{number * 60 + 10}" y="{110 - 100 * cost / most:.1f}" width="40" height="{100 * cost / most:.1f}"/>'
        f'<text x="{number * 60 + 10}" y="125" font-size="10">{day}</text>'
        for number, (day, cost) in enumerate(days.items())
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(days) * 60}" height="130">{bars}</svg>'


async def main(folder: Path) -> None:
    async with Simulator() as simulator:
        config = simulator.config(
            catalog={"prices": {"gpt-sim": {"input": 1, "output": 5}}},
            cost_tracking={"database": f"sqlite:///{folder / 'ledger.db'}"},
        )
        async with asyncllm.Client(config) as client:
            for user in ("ann", "bob", "ann"):
                await client.send("Count to 20", user=user)

            week_ago = datetime.now(timezone.utc) - timedelta(days=7)
            for row in await client.ledger.report(week_ago, by=["day", "user"]):
                print(f"{row.group['day']:%a %d %b}  {row.group['user']}  {row.requests} requests  ${row.cost}")
            await client.ledger.export_csv(folder / "week.csv", week_ago)
            days = await client.ledger.report(week_ago, by=["day"])
            (folder / "week.svg").write_text(plot({f"{row.group['day']:%d %b}": float(row.cost) for row in days}))
    print(f"{len((folder / 'week.csv').read_text().splitlines()) - 1} records in week.csv, the plot is in week.svg")


with tempfile.TemporaryDirectory() as name:
    asyncio.run(main(Path(name)))
