"""Writes the reference of errors: what each exception makes the client do, and which status and code becomes which.

The advice is that of ``asyncllm.errors``; the codes are the rows by which the wire formats choose the exception.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from asyncllm import errors
from asyncllm._protocols import aws_shapes, classify, openai_api
from asyncllm._protocols.anthropic import errors as anthropic_errors
from asyncllm._protocols.gemini import errors as gemini_errors

INTRODUCTION = """\
# Every error and code

What the client does with each error, and which status and code of a provider becomes which error. This page is made
from the code. [Errors](../errors.md) has the tree, [troubleshooting](../troubleshooting.md) says what to do.

| column | meaning |
|---|---|
| same model again | whether the attempt is repeated; `after refresh`: once, after the credential was refreshed |
| next model | whether the call goes on; `opt in`: where `fallback_on` says so; `inner`: as the error inside |
| health | what it does to the target: `count` as a failure, `cooldown`, or the model, credential or account is `off` |
| booked | what the ledger books: nothing, what is known (`partial`, `real`), an `estimate`, or `unknown` |
"""
_WORDS = {
    "none": "",
    "after_refresh": "after refresh",
    "larger_window": "larger window",
    "opt_in": "opt in",
    "as_inner": "inner",
    "credential_off": "credential off",
    "model_off": "model off",
    "account_off": "account off",
    "until_reset": "off until reset",
    "zero": "nothing",
    "estimated": "estimate",
}
_WIRES: Mapping[str, Mapping[str, classify.ErrorType]] = {
    "any host": classify.SHARED_CODES,
    "OpenAI, Azure and compatible hosts": openai_api.CODES,
    "Anthropic, Claude on Vertex AI": anthropic_errors.CODES,
    "Gemini, Vertex AI": gemini_errors.CODES,
    "Bedrock": aws_shapes.CODES,
}


def exceptions() -> list[classify.ErrorType]:
    """Every exception, in the order of the tree."""
    found = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.AsyncLLMError)]
    return sorted(found, key=lambda kind: [base.__name__ for base in reversed(kind.__mro__)])


def page() -> str:
    """The page."""
    parts = [INTRODUCTION, "## What the client does", ""]
    parts += ["| error | it means | same model again | next model | health | booked |", "|---|---|---|---|---|---|"]
    for kind in exceptions():
        advice = kind.advice
        cells = [_WORDS.get(word, word) for word in (advice.retry, advice.fallback, advice.health, advice.ledger)]
        about = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|").replace("``", "`")
        parts.append(f"| `{kind.__name__}` | {about} | {' | '.join(cells)} |")
    parts += [
        "",
        "## Statuses",
        "",
        "Codes decide first, then the status, then the text.",
        "",
        "| status | error |",
        "|---|---|",
    ]
    parts += [f"| {status} | `{kind.__name__}` |" for status, kind in classify.STATUS.items()]
    parts += ["| other 4xx | `BadRequestError` |", "| other 5xx | `ServerError` |"]
    parts += ["", "A 404 that does not name the model is a `NotFoundError`.", "", "## Codes", ""]
    parts += ["`error.code` holds the code as the provider wrote it; capitals do not matter here.", ""]
    for host, rows in _WIRES.items():
        parts += [f"### {host}", "", "| code | error |", "|---|---|"]
        parts += [f"| `{code}` | `{kind.__name__}` |" for code, kind in sorted(rows.items())]
        parts.append("")
    return "\n".join(parts).rstrip("\n") + "\n"
