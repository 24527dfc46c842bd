"""Batches at the provider: many requests in one job, answered within a day at a lower price.

The way through, for a reader:

* `batch_making`: inputs become lines, lines become jobs at the host, and all of them rows of the ledger.
* `batch_job`: what a user holds: how far it is, waiting, cancelling, reading and settling the answers.
* `batch_facts`: what is stored of a batch in its row of the ledger, so that any process can open it.
* `batch_map`: a map through a batch, ``client.map(inputs, via="batch")``.
* `sync_batch`: the blocking twin.

What the hosts' endpoints look like stands in `asyncllm._protocols.batching` and in the file ``batch.py`` of each wire.
"""
