"""A Daft pipeline whose answers are kept: no row with an answer is asked for again. Needs `pip install daft`."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import daft
from daft import DataType, Series

from asyncllm.contrib.ray import Complete
from asyncllm.testing import Simulator

ANSWER = DataType.struct({"answer": DataType.string(), "error": DataType.string(), "cost": DataType.string()})


@daft.cls(use_process=False)
class Judge:
    """Holds one client for all batches."""

    def __init__(self, config: Any) -> None:
        self.complete = Complete(config, job="reviews", key="id", prompt="Is this friendly? {text}")

    @daft.method.batch(return_dtype=ANSWER, batch_size=64)
    def judge(self, id: Series, text: Series) -> list[Any]:
        found = self.complete({"id": id.to_pylist(), "text": text.to_pylist()})
        names = ("answer", "error", "cost")
        return [
            dict(zip(names, row, strict=True))
            for row in zip(found["answer"], found["error"], found["cost"], strict=True)
        ]


def main() -> None:
    reviews = {"id": [f"r{n}" for n in range(200)], "text": [f"Review number {n}" for n in range(200)]}
    with tempfile.TemporaryDirectory() as folder, Simulator.in_thread(reply="friendly") as simulator:
        tracking = {"database": f"sqlite:///{Path(folder) / 'books.db'}"}
        judge = Judge(simulator.config(cost_tracking=tracking))
        for run in ("first", "second"):
            frame = daft.from_pydict(reviews)
            told = frame.with_column("reply", judge.judge(frame["id"], frame["text"])).collect()
            answered = sum(reply["answer"] is not None for reply in told.to_pydict()["reply"])
            print(f"{run} run: {answered} answers, {simulator.count()} requests so far")


if __name__ == "__main__":
    logging.getLogger("asyncllm").setLevel(logging.ERROR)
    main()
