"""asyncllm check: whether the configuration, its credentials and all of its models work.

Reads the configuration file, then proves every model of every chain by the cheapest real call (most cost nothing), all
at once; a provider without models in the configuration is asked for its list. Each problem is a sentence on stdout, and
the exit code is 1 if there is one. Models whose end is announced are told, and are no problem yet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import AsyncLLMError, ConfigurationError
from . import interrupt
from .opening import open_client

if TYPE_CHECKING:
    from .._config import Settings
    from ..client import Client

PROBLEMS = 1
_AT_ONCE = 16


class Verdict(NamedTuple):
    """The result for a provider or a model."""

    what: str
    sentence: str
    works: bool
    remark: bool = False

    @property
    def line(self) -> str:
        """The line that is printed."""
        word = "note" if self.remark else "ok" if self.works else "PROBLEM"
        return f"{word:<8}{self.what}: {self.sentence}"


EXAMPLES = (
    "asyncllm check",
    "asyncllm check anthropic --config work.yaml --quiet",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm check``."""
    parser.add_argument("provider", nargs="?", help="only this provider of the configuration")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")
    parser.add_argument("--quiet", action="store_true", help="print problems only")


def run(arguments: argparse.Namespace) -> int:
    """Checks everything; 1 if there is a problem."""
    try:
        client = open_client(arguments.config)
    except ConfigurationError as error:
        for sentence in (error.message, *error.problems):
            print(Verdict("configuration", sentence, works=False).line)
        return PROBLEMS
    return interrupt.run(_check(client, arguments.provider, quiet=arguments.quiet))


async def _check(client: Client, provider: str | None, *, quiet: bool) -> int:
    async with client:
        settings = client.settings
        if provider is not None and provider not in settings.providers:
            known = ", ".join(settings.providers)
            raise ConfigurationError(f"no provider {provider!r} is configured (configured: {known})")
        names = [name for name in settings.providers if provider in (None, name)]
        verdicts = await prove(client, list(targets(settings, names)))
    for verdict in verdicts:
        if not quiet or not verdict.works:
            print(verdict.line)
    bad = sum(not verdict.works for verdict in verdicts)
    if not quiet:
        asked = "1 provider" if len(names) == 1 else f"{len(names)} providers"
        print(f"\n{len(verdicts) - bad} of {len(verdicts)} checks passed, {asked}")
    return PROBLEMS if bad else 0


def targets(settings: Settings, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Every model that the configuration names of these providers, once; a provider without any by itself."""
    for name in names:
        models = list(settings.providers[name].fallback_models)
        if name == settings.active_provider and settings.active_model is not None:
            models.insert(0, settings.active_model)
        models += [
            target.model
            for target in settings.routing.all_targets()
            if (target.provider or settings.active_provider) == name
        ]
        yield from ((name, model) for model in dict.fromkeys(models))
        if not models:
            yield name, None


async def prove(client: Client, wanted: Sequence[tuple[str, str | None]]) -> list[Verdict]:
    """Returns a verdict on each, in the order given. All are asked at the same time."""
    import anyio

    verdicts: dict[tuple[str, str | None], Verdict] = {}
    limit = anyio.CapacityLimiter(_AT_ONCE)
    progress = Progress(len(wanted))

    async def one(provider: str, model: str | None) -> None:
        async with limit:
            verdict = await _verdict(client, provider, model)
        verdicts[provider, model] = verdict
        progress.step(verdict.what)

    async with anyio.create_task_group() as tasks:
        for provider, model in wanted:
            tasks.start_soon(one, provider, model)
    progress.clear()
    return [verdicts[target] for target in wanted]


async def _verdict(client: Client, provider: str, model: str | None) -> Verdict:
    try:
        if model is None:
            return await _listed(client, provider)
        found = await client.validate_model(provider, model)
    except ConfigurationError as error:  # no key, for one
        return Verdict(provider, "; ".join(error.problems) or error.message, works=False)
    except AsyncLLMError as error:  # a provider's own refusals are in the result
        return Verdict(provider, error.message, works=False)
    what = f"{provider}/{model}"
    sentence = found.message if found.usable or found.problem is None else f"{found.problem}: {found.message}"
    return Verdict(what, sentence, works=found.usable, remark=found.usable and found.problem is not None)


async def _listed(client: Client, provider: str) -> Verdict:
    host = (await client.refresh_models(provider)).hosts[provider]
    if host.errors and not host.found:
        return Verdict(provider, host.errors[0].message, works=False)
    return Verdict(provider, f"lists {host.found} models; the configuration names none of them", works=True)


class Progress:
    """Shows the progress in one line of the terminal. Shows nothing if stderr is no terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._width = 0
        self._shown = sys.stderr.isatty()

    def step(self, what: str) -> None:
        """Counts one more."""
        self._done += 1
        self._write(f"[{self._done}/{self._total}] {what}")

    def clear(self) -> None:
        """Empties the line."""
        self._write("")

    def _write(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r{text:<{self._width}}" + ("" if text else "\r"))
            sys.stderr.flush()
            self._width = max(self._width, len(text))
