"""The path of a Bedrock call: the model's id is one percent-encoded segment, colons and slashes too."""

from __future__ import annotations

from urllib.parse import quote


def model_path(model: str, operation: str) -> str:
    """``/model/{id}/{operation}``; operations are ``converse``, ``invoke`` and their streaming twins."""
    return f"/model/{quote(model, safe='-._~')}/{operation}"
