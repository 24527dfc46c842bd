"""What a text that names no file was probably meant to be: a model, a provider or a key in the place of a path."""

from __future__ import annotations

import os
from pathlib import Path

from .._schema.redaction import looks_like_key

_FILE_ENDINGS = (".yaml", ".yml", ".json")


def meant_instead(text: str) -> str:
    """Returns a sentence about a text that was given as the path of a configuration, and is the path of no file.

    The text is quoted only where it cannot be a key.
    """
    if looks_like_key(text):
        return (
            "the first argument is the path of a configuration file, and what was given looks like a key; "
            "write Client(provider='openai', model='...', api_key=...)"
        )
    if text.startswith(("http://", "https://")):
        return (
            "the first argument is the path of a configuration file, and what was given is a URL; "
            "for a server of your own write Client(provider='openai_compatible', model='...', base_url='http://.../v1')"
        )
    if text.endswith(_FILE_ENDINGS) or "/" in text or os.sep in text:
        return (
            f"{text}: there is no such file in {Path.cwd()}; "
            "asyncllm init writes one, and Client() without a path uses the keys in the environment"
        )
    from .._providers.spec import every_host

    hosts = every_host()
    kind = text if text in hosts else next((name for name, spec in hosts.items() if text in spec.synonyms), "")
    if kind:
        return (
            "the first argument is the path of a configuration file; "
            f"for one provider without a file write Client(provider={kind!r}, model='...')"
        )
    family = text.split("-")[0]
    kind = next((name for name, spec in hosts.items() if any(one.split("-")[0] == family for one in spec.models)), "")
    example = f"provider={kind or 'openai'!r}, model={text!r}"
    return (
        f"{text}: the first argument is the path of a configuration file, and there is no such file; "
        f"for one model without a file write Client({example})"
    )
