"""docs/reference/commands.md: the help of every command, and what its usual forms print, as captured.

The commands run against the built-in simulator in a folder of their own. What differs from run to run (times, ports,
ids, days) is replaced by one value, so that the page changes only when what is printed changes.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

from asyncllm.cli.main import COMMANDS, build_parser, main
from asyncllm.testing import Simulator

WIDTH = "110"
_MODELS = {"openai": ["gpt-5.4-mini", "gpt-6-luna"], "anthropic": ["claude-haiku-5-5"]}
_CONFIG = """\
active_provider: openai
active_model: gpt-5.4-mini
providers:
  openai:    {{api_key: "${{OPENAI_API_KEY}}", base_url: {openai}, fallback_models: [gpt-5.4-mini, gpt-6-luna]}}
  anthropic: {{api_key: "${{ANTHROPIC_API_KEY}}", base_url: {anthropic}, fallback_models: [claude-haiku-5-5]}}
cost_tracking: {{database: "sqlite:///asyncllm.db"}}
catalog: {{cache_path: models.json}}
budgets:
  - {{name: daily, limit: 10, per: day}}
"""
_SHOWN_URL = "http://127.0.0.1:8080"
_ABOUT = """\
Made by `python tools/generated_pages.py` from the program itself. The commands ran against the simulator, in a folder
with this `config.yaml`; times, ports, ids and days are replaced. What each command is for:
[the command line](../command-line.md)."""
_FILES = {
    "essay.md": "Oslo is the capital of Norway.\n",
    "schema.json": '{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}\n',
    "weather.py": 'def get_weather(city: str) -> str:\n    """Gets the weather in a city, now."""\n    return "rain"\n',
    "first.py": 'import asyncllm\n\nwith asyncllm.SyncClient() as client:\n    print(client.send("What is 2+2?"))\n',
    "rows.csv": "id,text\n1,What is 2+2?\n2,What is 3+3?\n",
    "job.yaml": 'name: sums\nkey: id\nprompt: "{text}"\n',
}
SHOWN: Mapping[str, tuple[str, ...]] = {
    "demo": ("asyncllm demo",),
    "init": ("asyncllm init --offline --output new.yaml",),
    "chat": (
        'asyncllm chat "What is 2+2?"',
        'asyncllm chat -c "What is 3+3?"',
        'asyncllm chat -a essay.md "What is this?"',
        'asyncllm chat --schema schema.json "Which city?"',
        'asyncllm chat --tool weather:get_weather "The weather in Oslo?"',
        'asyncllm chat --json "What is 2+2?"',
    ),
    "bulk": ("asyncllm bulk run job.yaml --in rows.csv --out answers.csv", "asyncllm bulk status sums"),
    "logs": ("asyncllm logs on", 'asyncllm chat "Hello"', "asyncllm logs hello", "asyncllm logs off"),
    "models": ("asyncllm models --refresh", "asyncllm models anthropic --json"),
    "check": ("asyncllm check",),
    "costs": ("asyncllm costs", "asyncllm costs --by user,model"),
    "budgets": ("asyncllm budgets", "asyncllm budgets raise daily 5"),
    "health": ("asyncllm health",),
    "export": ("asyncllm export costs.csv",),
    "dashboard": ("asyncllm dashboard --port 0",),
    "prices": ("asyncllm prices gpt-5.4-mini", "asyncllm prices check"),
    "simulate": ("asyncllm simulate --port 0", "asyncllm simulate -- python first.py"),
    "record": ("asyncllm record traffic.json --port 0",),
    "completion": (),
}
# What runs until Ctrl-C, and how the last line that it prints before begins.
_ENDLESS = {"asyncllm dashboard": "The dashboard", "asyncllm simulate --port": "azure", "asyncllm record": "github"}
_SAME = (
    (re.compile(r"\b\d+\.\d\d s\b"), "0.01 s"),
    (re.compile(r"(?m)( 0\.\d{6}) +\d+ *$"), r"\g<1>   10"),  # the last column of the demo: milliseconds
    (re.compile(r"(?m)(  USD) +ms *$"), r"\g<1>   ms"),
    (re.compile("─{20,}"), "─" * 76),
    (re.compile(r'("latency": )[\d.e-]+'), r"\g<1>0.01"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:8080"),
    (re.compile(r"\bport \d+"), "port 8080"),
    (re.compile(r"\breq_\w+"), "req_0123456789abcdef01234567"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?"), "2026-11-29T12:00:00"),
    (re.compile(r"\d{4}-\d\d-\d\d 00:00 UTC"), "2026-11-30 00:00 UTC"),
)


def page() -> str:
    """Returns the text of the page."""
    parts = [
        "# Commands and what they print",
        _ABOUT,
        f"```yaml\n{_CONFIG.format(openai=f'{_SHOWN_URL}/openai/v1', anthropic=f'{_SHOWN_URL}/anthropic')}```",
        f"```text\n$ asyncllm --help\n{_help()}```",
    ]
    with _workplace():
        for name in COMMANDS:
            parts.append(f"## asyncllm {name}")
            parts += [f"```text\n$ {words} --help\n{_help(*words.split()[1:])}```" for words in _parsers(name)]
            parts += [f"```text\n$ {line}\n{_same(_output(line))}```" for line in SHOWN[name]]
    return "\n\n".join(parts) + "\n"


@contextlib.contextmanager
def _workplace() -> Iterator[None]:
    """A folder with a configuration of simulated providers, and a home that is empty."""
    before = Path.cwd()
    with Simulator.in_thread(models=_MODELS, seed=1) as simulator, tempfile.TemporaryDirectory() as folder:
        urls = {kind: simulator.url(kind) for kind in _MODELS}
        (Path(folder) / "config.yaml").write_text(_CONFIG.format(**urls), encoding="utf8")
        for name, text in _FILES.items():
            (Path(folder) / name).write_text(text, encoding="utf8")
        # Only these: a key of whoever makes the page must not show in what `init` finds.
        environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        environ |= {"COLUMNS": WIDTH, "OPENAI_API_KEY": "sk-sim", "ANTHROPIC_API_KEY": "sk-sim", "HOME": folder}
        environ |= {"XDG_CONFIG_HOME": f"{folder}/.config", "XDG_STATE_HOME": f"{folder}/.local/state"}
        with mock.patch.dict(os.environ, environ, clear=True):
            os.chdir(folder)
            try:
                yield
            finally:
                os.chdir(before)


def _parsers(name: str) -> tuple[str, ...]:
    """Returns what has a help of its own."""
    command = f"asyncllm {name}"
    return (command, f"{command} run", f"{command} status") if name == "bulk" else (command,)


def _help(*words: str) -> str:
    said = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": WIDTH}),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        build_parser().parse_args([*words, "--help"])
    return _same(said.getvalue())


def _output(line: str) -> str:
    """Returns what a command prints on a terminal that is no terminal, stderr beside stdout."""
    for command, last in _ENDLESS.items():
        if line.startswith(command):
            return _beginning(line, last)
    words = [sys.executable if word == "python" else word for word in shlex.split(line)]
    if "--" in words:  # the program writes to the real stdout
        return subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, check=True, encoding="utf8"
        ).stdout
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main(words[1:])
    return said.getvalue()


def _beginning(line: str, last: str) -> str:
    """Returns what a command prints that runs until Ctrl-C, up to the line that begins with ``last``."""
    command = [sys.executable, "-m", *shlex.split(line)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf8")
    assert process.stdout is not None
    said = [""]
    while not said[-1].startswith(last) and (more := process.stdout.readline()):
        said.append(more)
    process.kill()
    process.communicate()
    return "".join(said)


def _same(text: str) -> str:
    home = str(Path.cwd())
    text = text.replace(os.path.realpath(home), "~").replace(home, "~")
    for pattern, value in _SAME:
        text = pattern.sub(value, text)
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return "\n".join([*lines, ""])
