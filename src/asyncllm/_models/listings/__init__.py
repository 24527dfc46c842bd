"""How hosts list their models: a small sans-IO file a format, each a `asyncllm._models.listings.base.Listing`."""
