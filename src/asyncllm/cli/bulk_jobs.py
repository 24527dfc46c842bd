"""``asyncllm bulk``: many rows from a file, an answer for each, kept in the ledger's database.

The job is a YAML file::

    name: reviews
    key: id
    prompt: "Is this review friendly? {text}"
    model: gpt-5.4-mini          # and any keyword of send, such as max_tokens
    concurrency: 32
    engine: local                # or ray, or dbos

``run`` begins it or joins it, ``resume`` goes on with what is missing, ``status`` tells how far it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BadRequestError, ConfigurationError
from .opening import open_client, read_settings

EXAMPLES = (
    "asyncllm bulk run job.yaml --in rows.parquet --out answers.parquet",
    "asyncllm bulk status reviews",
    "asyncllm bulk resume job.yaml --in rows.parquet --out answers.parquet",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="action", required=True, help="what to do with the job")
    for name, summary in (
        ("run", "begin a job, or join it"),
        ("resume", "go on with a job that was begun"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("job", type=Path, help="the YAML file that describes the job")
        action.add_argument("--in", dest="rows", type=Path, required=True, help=".parquet, .csv or .jsonl")
        action.add_argument("--out", type=Path, help="the rows with their answers: .parquet, .csv or .jsonl")
        action.add_argument("--config", type=Path, help="the configuration; ./config.yaml by default")
    status = actions.add_parser("status", help="how far a job is", description="how far a job is")
    status.add_argument("name", help="the name of the job")
    status.add_argument("--config", type=Path, help="the configuration; ./config.yaml by default")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    if arguments.action == "status":
        return _status(arguments.config, arguments.name)
    import anyio

    try:
        return anyio.run(_work, arguments)
    except KeyboardInterrupt:
        out = "" if arguments.out is None else f" --out {arguments.out}"
        print(f"go on with: asyncllm bulk resume {arguments.job} --in {arguments.rows}{out}", file=sys.stderr)
        raise


def _status(config: Path | None, name: str) -> int:
    from .._bulk_job import read_status

    settings = read_settings(config)
    status = read_status(settings.cost_tracking.database.get_secret_value(), name)
    if status.total is None and not status.done and not status.failed:
        raise BadRequestError(f"no job {name!r} is known in this ledger")
    print(_sentence(status))
    return 0 if status.complete else 1


def _sentence(status: Any) -> str:
    total = "" if status.total is None else f" of {status.total}"
    return (
        f"{status.name}: {status.done}{total} rows answered, {status.failed} failed, {status.running} under way "
        f"by {status.workers} workers, {_money(status)}"
    )


def _money(status: Any) -> str:
    if not status.unpriced:
        return f"${status.cost}"
    return "cost unknown" if status.unpriced == status.done else f"${status.cost} and {status.unpriced} of unknown cost"


async def _work(arguments: argparse.Namespace) -> int:
    from .._bulk_job import answer_rows, read_status, refuse_taken
    from .._row_files import kind_of, read_rows, write_rows

    said = _read_job(arguments.job)
    rows = list(read_rows(arguments.rows))
    if arguments.out is not None:
        kind_of(arguments.out, "written to")
        refuse_taken(rows)
    async with open_client(arguments.config) as client:
        url = client.settings.cost_tracking.database.get_secret_value()
        if arguments.action == "resume" and read_status(url, said["name"]).total is None:
            raise BadRequestError(f"no job {said['name']!r} is known in this ledger; begin it with run")
        options = {key: value for key, value in said.items() if key not in ("name", "key", "prompt")}
        if options.get("engine", "local") == "local" and sys.stderr.isatty():
            options["progress"] = True
        try:
            job = client.bulk(said["name"], rows, key=said["key"], prompt=said["prompt"], **options)
        except TypeError as error:
            raise ConfigurationError(f"{arguments.job}: {error}") from None
        status = await job.run()
        if arguments.out is not None:
            write_rows(arguments.out, await answer_rows(job, rows, said["key"]))
    print(_sentence(status))
    return 0 if status.complete else 1


def _read_job(path: Path) -> Mapping[str, Any]:
    from .._config.document import RefusedError, read_file

    try:
        tree = read_file(path).tree
    except RefusedError as refused:
        raise ConfigurationError(f"{path}: {refused.sentence}") from None
    missing = [word for word in ("name", "key", "prompt") if not isinstance(tree.get(word), str)]
    if missing:
        raise ConfigurationError(f"{path}: {missing[0]} is required, and a text")
    return tree
