"""The simulator: a server that speaks the wire formats of every host. `asyncllm.testing` re-exports what users need."""
