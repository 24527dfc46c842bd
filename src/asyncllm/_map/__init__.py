"""Many prompts through one client: the work behind `Client.map`. `asyncllm.bulk` has what users see of it."""
