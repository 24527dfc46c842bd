"""Writes the pages of the API reference: every public name of every public module, on one page each.

The names are those of tests/public_names.txt, which a test holds equal to the ``__all__`` of all public modules. A page
lists its names with their first sentence; the rest is read from the source by mkdocstrings (``::: name``).
"""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
NAMES = (ROOT / "tests" / "public_names.txt").read_text(encoding="utf8").split()


class Page(NamedTuple):
    """A page about names of ``asyncllm``: those that these modules define, and aliases, which say no module."""

    file: str
    title: str
    about: str
    modules: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


_TOP = (
    Page(
        "client",
        "Client",
        "The clients, and what is set for a call.",
        ("client", "sync", "_options", "_sync_ledger"),
        ("Settings", "Timeouts"),
    ),
    Page(
        "messages",
        "Messages and parts",
        "What is said to a model and by it.",
        ("_schema.messages", "_schema.content", "_schema.stored", "_schema.stored_files"),
        ("Part", "Role", "load_messages"),
    ),
    Page("replies", "Replies", "What a call returns.", ("_schema.response", "_schema.usage"), ("FinishReason",)),
    Page(
        "streams",
        "Streams and events",
        "A reply while it arrives.",
        ("_schema.events", "_engine.stream", "_engine.partials", "_sync_streams"),
        ("Event",),
    ),
    Page(
        "tools",
        "Tools and runs",
        "Functions that a model may call, and the loop that calls them.",
        ("tools", "_tool_signatures", "runs", "_run_stream", "_schema.hosted", "_schema.request"),
    ),
    Page(
        "conversations",
        "Conversations",
        "Histories, and where they are kept.",
        ("conversation", "_conversation_rules", "_conversation_store", "_sync_conversation"),
    ),
    Page(
        "many",
        "Many prompts",
        "Maps, batches and bulk jobs.",
        (
            *("bulk", "_bulk_job", "_map.crew", "_map.item", "_sync_bulk", "_ledger.row_journal"),
            *("_batches.batch_job", "_batches.sync_batch"),
        ),
    ),
    Page(
        "errors",
        "Errors",
        "Every exception. [Errors](../errors.md) has the tree and what to do.",
        ("errors", "_schema.advice"),
    ),
    Page("vectors", "Vectors and ranking", "What `embed` and `rerank` return.", ("_schema.vectors",), ("Purpose",)),
    Page("hooks", "Hooks", "Code of yours on the way of a call.", ("_engine.hooks",)),
    Page(
        "models-and-health",
        "Models and health",
        "What `models`, `validate_model`, `count_tokens`, `estimate` and `health` return, and hosts of your own.",
    ),
)
_MODULES = {
    "schema": "Parts, events and requests under one name. Most of it is in `asyncllm` too.",
    "ledger": "The ledger, budgets and records, for use without a client.",
    "models": "Prices and facts of models, for use without a client.",
    "providers": "What a host of your own is made of.",
    "wires": "What a wire format of your own is made of.",
    "testing": "The simulator, faults, recordings.",
    "contrib.asgi": "Streams as responses, management endpoints. Needs `asyncllm-client[asgi]`.",
    "contrib.mcp": "Tools of MCP servers. Needs `asyncllm-client[mcp]`.",
    "contrib.opentelemetry": "Traces and metrics. Needs `asyncllm-client[otel]`.",
    "contrib.ray": "Bulk jobs on Ray. Needs `asyncllm-client[ray]`.",
}


def pages() -> dict[str, str]:
    """The path of each page below docs/ and its text."""
    places = _top_level()
    files = {
        page.file: (page.title, page.about, [name for name in places if places[name] == page.file]) for page in _TOP
    }
    files = {
        file: (title, about, sorted((f"asyncllm.{name}" for name in names), key=str.lower))
        for file, (title, about, names) in files.items()
    }
    known = {f"asyncllm.{name}": file for name, file in places.items()}
    twins = {"errors": {name: "errors" for name in NAMES if name.startswith("asyncllm.errors.")}}
    made = {
        f"api/{file}.md": _page(title, about, names, twins.get(file, {}))
        for file, (title, about, names) in files.items()
    }
    for module, about in _MODULES.items():
        prefix = f"asyncllm.{module}."
        names = [name for name in NAMES if name.startswith(prefix) and "." not in name[len(prefix) :]]
        elsewhere = {name: known[top] for name in names if (top := f"asyncllm.{name[len(prefix) :]}") in known}
        own = [name for name in names if name not in elsewhere]
        made[f"api/{module.replace('.', '-')}.md"] = _page(f"asyncllm.{module}", about, own, elsewhere)
    made["api/index.md"] = _index(made)
    return made


def _top_level() -> dict[str, str]:
    """Name of ``asyncllm`` -> the page it is on."""
    package = import_module("asyncllm")
    found = {}
    for full in NAMES:
        name = full.removeprefix("asyncllm.")
        if "." in name:
            continue
        module = getattr(getattr(package, name), "__module__", "").removeprefix("asyncllm.")
        by_name = next((page.file for page in _TOP if name in page.names), None)
        found[name] = by_name or next((page.file for page in _TOP if module in page.modules), _TOP[-1].file)
    return found


def _page(title: str, about: str, names: list[str], elsewhere: dict[str, str]) -> str:
    lines = [f"# {title}", "", about, ""]
    if names:
        lines += ["| name | what it is |", "|---|---|"]
        lines += [f"| `{name}` | {_sentence(name)} |" for name in names]
        lines.append("")
    if elsewhere:
        lines += ["The same as in `asyncllm`:", ""]
        for file in dict.fromkeys(elsewhere.values()):
            here = ", ".join([f"`{name}`" for name, place in elsewhere.items() if place == file])
            lines.append(f"- {here}: [{file}]({file}.md)")
        lines.append("")
    for name in names:
        lines += [f"::: {name}", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _sentence(name: str) -> str:
    """The first sentence of a docstring; for an alias of types that it is one."""
    module, _, last = name.rpartition(".")
    if ".contrib." in name:
        return _first(_docstring(ROOT / "src" / Path(*module.split(".")), last))
    value: Any = getattr(import_module(module), last)
    if isinstance(value, str) or not (inspect.isclass(value) or inspect.isroutine(value)):
        return "The version of this library." if last == "__version__" else "A union of types, or of words."
    return _first(inspect.getdoc(value) or "")


def _first(docstring: str) -> str:
    return docstring.split("\n\n")[0].replace("\n", " ").replace("|", "\\|").replace("``", "`")


def _docstring(module: Path, name: str) -> str:
    """The docstring of a name whose module may need what is not installed: read from the source."""
    file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.ImportFrom) and node.level == 1 and name in {alias.name for alias in node.names}:
            return _docstring(file.parent / str(node.module), name)
    raise LookupError(f"{file} does not define {name}")


def _index(made: dict[str, str]) -> str:
    lines = [
        "# API reference",
        "",
        "Every public name. A module that begins with `_` is private.",
        "",
        "| page | names |",
        "|---|---|",
    ]
    for path, text in made.items():
        title = text.split("\n")[0].removeprefix("# ")
        names = [line[4:].rpartition(".")[2] for line in text.split("\n") if line.startswith("::: ")]
        lines.append(f"| [{title}]({path.removeprefix('api/')}) | {', '.join([f'`{name}`' for name in names])} |")
    return "\n".join(lines) + "\n"
