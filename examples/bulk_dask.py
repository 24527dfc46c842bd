"""Dask with a client in each worker: no row with an answer is asked for again (`pip install 'dask[distributed]'`)."""

import tempfile
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import pandas as pd
from dask.distributed import Client, LocalCluster, WorkerPlugin, get_worker

from asyncllm.contrib.ray import Complete
from asyncllm.testing import Simulator


class Judge(WorkerPlugin):
    """Gives each worker process a client of its own."""

    name = "judge"

    def __init__(self, config: Any) -> None:
        self.config = config

    def setup(self, worker: Any) -> None:
        worker.judge = Complete(self.config, job="reviews", key="id", prompt="Is this friendly? {text}")

    def teardown(self, worker: Any) -> None:
        worker.judge.close()


def judge(reviews: pd.DataFrame) -> pd.DataFrame:
    return get_worker().judge(reviews)


def main() -> None:
    reviews = pd.DataFrame({"id": [f"r{n}" for n in range(200)], "text": [f"Review number {n}" for n in range(200)]})
    columns = {"id": str, "text": str, "answer": str, "error": str, "cost": str, "recorded": bool}
    with tempfile.TemporaryDirectory() as folder, Simulator.in_thread(reply="friendly") as simulator:
        tracking = {"database": f"sqlite:///{Path(folder) / 'books.db'}"}
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as dask,
        ):
            dask.register_plugin(Judge(simulator.config(cost_tracking=tracking)))
            for run in ("first", "second"):
                told = dd.from_pandas(reviews, npartitions=8).map_partitions(judge, meta=columns).compute()
                print(f"{run} run: {told['answer'].count()} answers, {simulator.count()} requests so far")


if __name__ == "__main__":
    main()
