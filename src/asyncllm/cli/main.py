"""``asyncllm``: finds the command, runs it, and turns what went wrong into one sentence and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from types import MappingProxyType, ModuleType

from .._version import __version__
from ..errors import AsyncLLMError, ConfigurationError
from . import (
    bulk_jobs,
    chat,
    check,
    completion,
    costs,
    dashboard,
    demo,
    export_records,
    list_models,
    record_traffic,
    show_budgets,
    show_health,
    show_log,
    show_prices,
    simulate,
    write_config,
)

COMMANDS: Mapping[str, ModuleType] = MappingProxyType(
    {
        "demo": demo,
        "init": write_config,
        "chat": chat,
        "bulk": bulk_jobs,
        "logs": show_log,
        "models": list_models,
        "check": check,
        "costs": costs,
        "budgets": show_budgets,
        "health": show_health,
        "export": export_records,
        "dashboard": dashboard,
        "prices": show_prices,
        "simulate": simulate,
        "record": record_traffic,
        "completion": completion,
    }
)

FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT
READER_GONE = 141  # 128 + SIGPIPE
_OURS, _FOREIGN = "asyncllm-client", "asyncllm"  # two distributions that both install a package named asyncllm


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="asyncllm",
        description="Large language models over raw HTTP, one message schema for every provider.",
    )
    parser.add_argument("--version", action="version", version=f"asyncllm {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, command in COMMANDS.items():
        summary = (command.__doc__ or "").partition("\n")[0].partition(": ")[2]
        examples = "".join(f"\n  {example}" for example in getattr(command, "EXAMPLES", ()))
        command.configure(
            commands.add_parser(
                name,
                help=summary,
                description=summary,
                epilog=f"examples:{examples}" if examples else None,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the words after ``asyncllm``; those of the process when left out.

    Returns:
        The exit code: 0, or 1 after one sentence on stderr; 130 after Ctrl-C; 141 when nobody reads stdout any more.
    """
    if sentence := clash():
        print(f"asyncllm: {sentence}", file=sys.stderr)
    parsed = build_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character must not end an answer
    try:
        code: int = COMMANDS[parsed.command].run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return READER_GONE
    except UnicodeError:
        print("asyncllm: what was read is no text in UTF-8", file=sys.stderr)
        return FAILED
    except ConfigurationError as error:
        told = f"{error.message}: {'; '.join(error.problems)}" if error.problems else str(error)
        print(f"asyncllm: {' '.join(told.split())}", file=sys.stderr)
        return FAILED
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        print(f"asyncllm: {' '.join(told.split())}", file=sys.stderr)
        return FAILED
    except AsyncLLMError as error:
        print(f"asyncllm: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    return code


def clash() -> str:
    """Returns a sentence if another distribution with the same package name is installed beside ours; mostly
    nothing.
    """
    installed = {distribution.metadata["Name"] for distribution in distributions()}
    if not installed.issuperset({_OURS, _FOREIGN}):
        return ""
    return (
        f"the distributions {_FOREIGN} and {_OURS} are both installed here and overwrite each other's files; "
        f"run: python -m pip uninstall -y {_FOREIGN} {_OURS} && python -m pip install {_OURS}"
    )


def _forget_stdout() -> None:
    """Points stdout at nothing, so that the interpreter's last flush does not complain."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
