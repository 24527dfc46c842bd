"""asyncllm models: the models that the configured providers have, what they can do and what they cost.

What providers listed when they were last asked, from ``catalog.cache_path``; ``--refresh`` asks them now. Nothing is
asked without it. Prices are US dollars for a million tokens, from the package's data under the configuration's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import interrupt
from .opening import open_client
from .tables import table

if TYPE_CHECKING:
    from .._models.registry import ModelInfo, RefreshResult
    from ..client import Client

_HEAD = ("provider", "model", "window", "output", "$ in", "$ out", "can", "note")
_FIGURES = frozenset({"window", "output", "$ in", "$ out"})
_SHOWN = ("tools", "images", "documents", "audio", "video", "json_schema", "reasoning")

EXAMPLES = (
    "asyncllm models --refresh",
    "asyncllm models anthropic --capability tools --json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm models``."""
    parser.add_argument("provider", nargs="?", help="only this provider of the configuration")
    parser.add_argument("--refresh", action="store_true", help="ask the providers now")
    parser.add_argument("--deprecated", action="store_true", help="also models whose end is announced or that are gone")
    parser.add_argument("--capability", metavar="WORD", help="only models known to have it, such as tools or vision")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Lists models; 1 if there are none to list."""
    return interrupt.run(_models(arguments))


async def _models(arguments: argparse.Namespace) -> int:
    async with open_client(arguments.config, arguments.provider) as client:
        refreshed = await client.refresh_models(arguments.provider) if arguments.refresh else None
        for sentence in _failures(refreshed):
            print(f"asyncllm: {sentence}", file=sys.stderr)
        found = await client.models(
            arguments.provider, include_deprecated=arguments.deprecated, capability=arguments.capability
        )
        if arguments.json:
            print(json.dumps([as_object(info) for info in found], default=_plain))
        elif found:
            _show(found)
        else:
            await _explain(client, arguments, asked=refreshed is not None)
    return 0 if found else 1


def _failures(refreshed: RefreshResult | None) -> Iterator[str]:
    for name, host in (refreshed.hosts if refreshed is not None else {}).items():
        for error in host.errors:
            yield f"{name}: {error.message}"


async def _explain(client: Client, arguments: argparse.Namespace, *, asked: bool) -> None:
    """Returns why nothing is listed."""
    if await client.models(arguments.provider, include_deprecated=True):
        raise ConfigurationError("no model fits; without --capability, or with --deprecated, there are some")
    if not asked:
        raise ConfigurationError(
            "no models are known yet: asyncllm models --refresh asks the providers, and catalog.cache_path in the "
            "configuration names the file that keeps what they say"
        )


def _show(found: Sequence[ModelInfo]) -> None:
    rows = [
        (
            info.provider,
            info.name,
            tokens(info.context_window),
            tokens(info.output_limit),
            _price(info.input_price),
            _price(info.output_price),
            " ".join(word for word in _SHOWN if getattr(info.capabilities, word)),
            note(info),
        )
        for info in found
    ]
    for line in table(_HEAD, rows, right=_FIGURES):
        print(line)
    listed = "model" if len(found) == 1 else "models"
    print(f"\n{len(found)} {listed}; window and output in tokens, prices in US dollars for a million tokens")


def tokens(count: int | None) -> str:
    """A number of tokens in three digits: ``200k``, ``1.05M``; ``""`` for what is not known."""
    if count is None:
        return ""
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 999_500 else f"{count / 1e6:.3g}M"


def _price(dollars: Decimal | None) -> str:
    return "" if dollars is None else f"{dollars.normalize():f}"


def note(info: ModelInfo) -> str:
    """Returns the note on the end of a model."""
    ends = f"ends {info.retires_at.date()}" if info.retires_at is not None else ""
    if not info.deprecated:
        return ends
    since = f" since {info.deprecated_since.date()}" if info.deprecated_since is not None else ""
    return ", ".join(part for part in (f"deprecated{since}", ends) if part)


def as_object(info: ModelInfo) -> dict[str, Any]:
    """A model for programs: prices as decimal strings, times in ISO 8601, unknown values null."""
    told = asdict(info)
    told["capabilities"].pop("sources")
    told["capability_sources"] = dict(info.capabilities.sources)
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
