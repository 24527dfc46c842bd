"""asyncllm: large language models over raw HTTP, with one message schema for every provider."""
