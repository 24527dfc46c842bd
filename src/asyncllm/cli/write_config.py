"""asyncllm init: finds the keys in the environment, asks those providers for their models, writes a configuration.

The file holds no key: it names the variables.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from . import interrupt
from .folders import user_config
from .opening import USUAL_CONFIG

if TYPE_CHECKING:
    from .._config.settings import Settings

_SECONDS = 10.0
_NOTHING_FOUND = (
    "no key of a provider is in the environment: set one of these variables and run asyncllm init again; without a "
    "key, asyncllm demo shows what there is, and asyncllm simulate -- PROGRAM runs a program on simulated models"
)
_MOST_SHOWN = 12

_HEAD = """\
# The configuration of asyncllm. Every key is in docs/configuration.md.
# ${{NAME}} is read from the environment; no key stands in this file.
active_provider: {active}        # who is asked when a call names nobody
active_model: "{model}"
# cross_provider_fallback: true  # a failed call may go on to another provider
providers:
"""
_TAIL = """\
# budgets:                       # refuse calls that would cost more
#   - {limit: 10, per: day}
cost_tracking: {enabled: true}   # every attempt and its cost, in asyncllm.db beside this file; see: asyncllm costs
"""


EXAMPLES = (
    "asyncllm init",
    "asyncllm init --user --offline",
    "asyncllm init --output team.yaml --force",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm init``."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--output", type=Path, default=USUAL_CONFIG, metavar="FILE", help="the file (./config.yaml)")
    place.add_argument("--user", action="store_true", help=f"write {user_config()}, for all folders without their own")
    parser.add_argument("--offline", action="store_true", help="ask nobody; write the models this version knows")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def run(arguments: argparse.Namespace) -> int:
    """Writes the file and says what to do next."""
    from .._config import KINDS, from_env

    path: Path = user_config() if arguments.user else arguments.output
    if path.exists() and not arguments.force:
        raise ConfigurationError(f"{path} is there already; --force writes over it, --output FILE writes another one")
    try:
        settings = from_env()
    except ConfigurationError as error:
        if any(kind.is_found(os.environ) for kind in KINDS.values()):
            raise
        raise ConfigurationError(_NOTHING_FOUND, problems=error.problems) from None
    listed = {} if arguments.offline else interrupt.run(_listed(settings))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(settings, listed), encoding="utf-8")
    for name in settings.providers:
        found = listed.get(name)
        print(f"{name:12} {'not asked' if found is None and arguments.offline else _told(found)}")
    print(f'\nwrote {path}; next: asyncllm check, or asyncllm chat "Hello"')
    return 0


def _told(found: list[str] | str | None) -> str:
    if isinstance(found, str):
        return f"could not be asked: {found}"
    return "has no list of models" if not found else f"{len(found)} models"


async def _listed(settings: Settings) -> dict[str, list[str] | str]:
    """The models of each provider, or why they are not known."""
    import anyio

    from ..client import Client

    found: dict[str, list[str] | str] = {}
    async with Client(settings) as client:

        async def ask(name: str) -> None:
            found[name] = "no answer in time"
            with anyio.move_on_after(_SECONDS):
                result = await client.refresh_models(name)
                error = result.errors.get(name)
                models = await client.models(name)
                found[name] = str(error.message) if error else [model.name for model in models]

        async with anyio.create_task_group() as tasks:
            for name in settings.providers:
                tasks.start_soon(ask, name)
    return found


def _text(settings: Settings, listed: dict[str, list[str] | str]) -> str:
    chosen = {name: _chosen(entry.fallback_models, listed.get(name)) for name, entry in settings.providers.items()}
    active = settings.active_provider
    model = settings.active_model or (chosen[active] or ["MODEL"])[0]
    text = _HEAD.format(active=active, model=model)
    for name in settings.providers:
        text += _entry(name, chosen[name], listed.get(name))
    return text + _TAIL


def _entry(name: str, models: list[str], listed: list[str] | str | None) -> str:
    import os

    from .._providers.spec import find_host

    spec = find_host(name)
    lines = [f"  {name}:"]
    for key, about in spec.keys.items() if spec is not None else ():
        variable = next((one for one in about.variables if os.environ.get(one)), None)
        if variable is not None:
            lines.append(f'    {key}: "${{{variable}}}"')
    quoted = ", ".join(f'"{model}"' for model in models)
    lines.append(f"    fallback_models: [{quoted}]  # the first is the default; the others follow when it fails")
    if isinstance(listed, list) and listed:
        shown = [one for one in listed if one not in models][:_MOST_SHOWN]
        more = f" and {len(listed) - len(models) - len(shown)} more" if len(listed) > len(models) + len(shown) else ""
        if shown:
            lines.append(f"    # it also has: {', '.join(shown)}{more}")
    return "\n".join(lines) + "\n"


def _chosen(usual: tuple[str, ...], listed: list[str] | str | None) -> list[str]:
    """The usual models of a provider that it really has; its first ones where it has none of them."""
    if not isinstance(listed, list) or not listed:
        return list(usual)
    return [model for model in usual if model in listed] or listed[:2]
