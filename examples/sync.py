"""The same without async: for scripts, notebooks and threads."""

import asyncllm
from asyncllm.testing import Simulator

with Simulator.in_thread() as simulator, asyncllm.SyncClient(simulator.config()) as client:
    print(client.send("What is 2+2?").text)
    for event in client.stream("Count to 10"):
        print(event, end="", flush=True)
    print()
