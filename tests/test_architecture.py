"""The rules of the source tree, read from the source: who may import whom, and what no file may hold.

The rooms stand in levels. A module imports its own room and every level below; a level's rooms do not see each other,
but for the rows of ``SIDEWAYS``. A new rule is a new row.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from source_tree import Module, modules

# What every room above may take from the configuration: its sections, the values that the engine uses as they are.
SECTIONS = frozenset({"_config.sections", "_config.rules", "_config.urls"})

# Lowest first. A room is a module or a package; the longest name that fits counts.
_TOOLING = ("_testing", "testing", "contrib", "cli")
LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"_schema", "_schema.advice", "_schema.attempt_table", "_schema.redaction", "_version"}),
    frozenset(
        {"errors", *(f"_transport.{name}" for name in ("base", "proxy", "tls", "blocking")), "_models.names", *SECTIONS}
    ),
    frozenset(
        {
            "_async_only",
            "_checks",
            "tools",
            "_tool_signatures",
            "_options",
            "_run_options",
            "_framing",
            "_protocols",
            "_auth",
        }
    ),
    frozenset({"_providers", "_ledger", "_models", "_protocols.wire_json"}),
    frozenset({"_config", "_transport", "_engine", "_conversation_rules"}),
    frozenset(
        {
            "_conversation_store",
            *("client", "_assembly", "conversation", "_runtime", "runs", "_run_loop", "_run_stream"),
            *("bulk", "_map"),
            *("_verbs", "_embeddings", "_shared", "_response_cache"),
            *("_bulk_job", "_row_files"),
            *("_files", "_batches"),
        }
    ),
    frozenset({"schema", "ledger", "models", "providers", "wires"}),
    frozenset({"sync", "_sync_streams", "_sync_ledger", "_sync_conversation", "_sync_bulk", *_TOOLING}),
    frozenset({"_pyinstaller"}),
    frozenset({"", "__main__"}),
)
# (importer, imported) within one level.
SIDEWAYS = frozenset(
    {
        ("_transport.base", "errors"),
        ("_transport.base", "_config.sections"),
        ("_config.sections", "_config.rules"),
        ("_config.rules", "_config.urls"),
        ("_transport.proxy", "errors"),
        ("_transport.tls", "_config.sections"),
        ("_transport.tls", "errors"),
        ("_transport.blocking", "errors"),
        ("_transport.blocking", "_config.sections"),
        ("_transport.blocking", "_transport.base"),
        ("_transport.blocking", "_transport.proxy"),
        ("_transport.blocking", "_transport.tls"),
        ("_protocols", "_framing"),
        ("_models", "_providers"),
        ("_ledger", "_models"),
        ("_options", "_checks"),
        ("_checks", "tools"),
        ("tools", "_tool_signatures"),
        ("_run_options", "_options"),
        ("_run_options", "_checks"),
        ("_run_loop", "runs"),
        ("_run_stream", "_run_loop"),
        ("_run_stream", "runs"),
        ("_map", "runs"),
        ("bulk", "runs"),
        ("bulk", "_map"),
        ("client", "_run_stream"),
        ("sync", "_sync_streams"),
        ("sync", "_sync_ledger"),
        ("sync", "_sync_conversation"),
        ("_sync_conversation", "_sync_streams"),
        ("_sync_ledger", "_sync_streams"),
        ("client", "runs"),
        ("client", "_run_loop"),
        ("client", "bulk"),
        ("client", "_bulk_job"),
        ("_bulk_job", "bulk"),
        ("_bulk_job", "_map"),
        ("_bulk_job", "_row_files"),
        ("_bulk_job", "runs"),
        ("sync", "_sync_bulk"),
        ("client", "_verbs"),
        ("_verbs", "_runtime"),
        ("_verbs", "_embeddings"),
        ("_verbs", "_batches"),
        ("_verbs", "_files"),
        ("_verbs", "bulk"),
        ("client", "_batches"),
        ("client", "_map"),
        ("_verbs", "_map"),
        ("_batches", "bulk"),
        ("_batches", "_map"),
        ("sync", "_batches"),
        ("_runtime", "_assembly"),
        ("_assembly", "_shared"),
        ("_assembly", "_response_cache"),
        ("_response_cache", "_shared"),
        ("client", "_response_cache"),
        ("client", "conversation"),
        ("client", "_conversation_store"),
        ("_conversation_rules", "_engine"),
        ("_conversation_store", "conversation"),
        ("conversation", "runs"),
        ("conversation", "_run_stream"),
        ("testing", "_testing"),
        ("testing", "sync"),
        ("_testing", "sync"),
        ("cli", "sync"),
        ("cli", "contrib"),  # the dashboard is the page of the management endpoints
        ("cli", "_sync_conversation"),
        ("cli", "testing"),
        ("cli", "_testing"),
        ("__main__", ""),
    }
)
# Named for the type checker only, never imported at run time: exceptions carry responses, attempts carry exceptions,
# a conversation holds the client that made it.
FOR_TYPES_ONLY = frozenset(
    {
        ("_schema.attempt_table", "_schema"),
        ("_map", "bulk"),
        ("errors", "_schema"),
        ("errors", "runs"),
        ("_schema", "errors"),
        ("conversation", "client"),
        ("_conversation_store", "client"),
    }
)

# What is installed besides the standard library, and who may import it.
THIRD_PARTY: dict[str, frozenset[str]] = {
    "anyio": frozenset(
        {
            "_auth",
            "_ledger",
            "_models",
            "_transport",
            "_transport.tls",
            "_engine",
            "_shared",
            "_response_cache",
            "_bulk_job",
            "_map",
            "client",
            "_conversation_store",
            "tools",
            "runs",
            "_run_loop",
            "_run_stream",
            "bulk",
            "_embeddings",
            "_batches",
            "_files",
            "sync",
            "_testing",
            "testing",
            "cli",
            "contrib",
        }
    ),
    "sniffio": frozenset({"_transport", "_engine"}),
    "httpx": frozenset({"_transport", "_transport.blocking", "_testing"}),
    "httpx2": frozenset({"_transport", "contrib"}),  # the MCP package is built on it
    "httpcore": frozenset({"_transport"}),
    "httpcore2": frozenset({"_transport"}),
    "httpx_aiohttp": frozenset({"_transport"}),
    "typing_extensions": frozenset(
        {
            "_engine",
            "_options",
            "client",
            "conversation",
            "_conversation_store",
            "sync",
            "_sync_conversation",
            "_sync_ledger",
            "_tool_signatures",
            "runs",
            "_run_loop",
            "_run_stream",
            "bulk",
            "_map",
            "_batches",
            "_sync_bulk",
            "_bulk_job",
            "_verbs",
        }
    ),
    "docstring_parser": frozenset({"_tool_signatures"}),
    "starlette": frozenset({"contrib"}),
    "uvicorn": frozenset({"cli"}),  # serves the dashboard
    "trio": frozenset({"_transport", "_engine", "_testing"}),
    "certifi": frozenset({"_transport.tls"}),
    "h11": frozenset({"_transport", "_testing"}),
    "pydantic": frozenset(
        {"_providers", "_config", "_engine", "client", "_testing", "_tool_signatures", "_map", "contrib"}
    ),
    "pydantic_core": frozenset({"_protocols.wire_json", "_config", "_engine", "tools", "_tool_signatures", "_map"}),
    "orjson": frozenset({"_protocols.wire_json"}),
    "yaml": frozenset({"_config"}),
    "botocore": frozenset({"_auth"}),
    "google": frozenset({"_auth"}),
    "rich": frozenset({"cli", "_map"}),
    "pytest": frozenset({"testing"}),
    "opentelemetry": frozenset({"contrib"}),
    "mcp": frozenset({"contrib"}),
    "mcp_types": frozenset({"contrib"}),
    "psycopg": frozenset({"_ledger"}),
    "redis": frozenset({"_shared"}),
    "pyarrow": frozenset({"_ledger", "_row_files"}),
    "PyInstaller": frozenset({"_pyinstaller"}),
    "ray": frozenset({"contrib"}),
    "dbos": frozenset({"contrib"}),
}
# The same for imports under TYPE_CHECKING, which nobody needs installed.
FOR_TYPES: dict[str, frozenset[str]] = {
    "httpx": frozenset({"_assembly", "_runtime"}),  # a caller may pass in an httpx.AsyncClient
    "typing_extensions": frozenset({"_schema", "_testing"}),
    "pydantic": frozenset({"_runtime"}),  # a key may be a SecretStr
}
# Pure rooms are told the time, the ids and the JSON; they do not fetch them.
PURE = frozenset({"_schema", "errors", "_framing", "_protocols", "_providers"})
IMPURE_STANDARD = frozenset(
    "asyncio concurrent http io json multiprocessing os pathlib queue random secrets select shutil signal socket "
    "sqlite3 ssl subprocess sys tempfile threading time urllib.request uuid".split()
)
# Tool arguments are parsed by the value that holds their text; an AWS message in a header becomes the payload it means.
PURE_MAY = frozenset(
    {("_schema/stored.py", "json"), ("_schema/content.py", "json"), ("_framing/eventstream.py", "json")}
)

MOST_LINES = 600
MOST_ENGINE_FILES = 18

PROVIDERS = frozenset(
    "openai anthropic gemini bedrock vertex azure openai_compatible groq mistral deepseek xai openrouter together "
    "fireworks cerebras perplexity huggingface zai ollama vllm llamacpp lmstudio github".split()
)
KNOWS_PROVIDERS = frozenset({"_providers", "_config"})

MUTABLE_CALLS = frozenset(
    "list dict set bytearray defaultdict deque Counter OrderedDict ChainMap WeakKeyDictionary WeakValueDictionary "
    "WeakSet count cycle Lock RLock Event Condition Semaphore local".split()
)
IMMUTABLE_TYPES = frozenset("Mapping Sequence AbstractSet Collection Iterable frozenset tuple MappingProxyType".split())

ROOT = Path(__file__).resolve().parent.parent
ALL = modules()
every_module = pytest.mark.parametrize("module", ALL, ids=[module.file for module in ALL])


def room_of(name: str) -> str:
    """The room a module of the package belongs to."""
    inner = name.split(".", 1)[1] if "." in name else ""
    known = [room for level in LEVELS for room in level if inner == room or inner.startswith(f"{room}.")]
    return max(known, key=len, default="?") if inner else ""


def level_of(room: str) -> int:
    """The height of a room."""
    return next(height for height, level in enumerate(LEVELS) if room in level)


def may_import(importer: str, imported: str, *, for_types_only: bool) -> bool:
    """Whether a room may open onto another."""
    if importer == imported:
        return True
    if (importer, imported) in FOR_TYPES_ONLY:
        return for_types_only
    if importer in PURE and imported == "_protocols.wire_json":
        return False
    return level_of(imported) < level_of(importer) or (importer, imported) in SIDEWAYS


@every_module
def test_every_module_lives_in_a_known_room(module: Module) -> None:
    """A new file belongs to a room that the table of levels names."""
    assert room_of(module.name) != "?"


@every_module
def test_imports_run_one_way(module: Module) -> None:
    """A module imports its own room, lower levels, and what a row allows."""
    importer = room_of(module.name)
    broken = [
        f"{module.file}:{found.line} {importer or 'asyncllm'} imports {found.module}"
        for found in module.imports
        if found.module.split(".")[0] == "asyncllm"
        and not may_import(importer, room_of(found.module), for_types_only=found.for_types_only)
    ]
    assert "" == "\n".join(broken)


@every_module
def test_third_party_packages_stay_in_their_rooms(module: Module) -> None:
    """What is not of the standard library is imported only where its row says; above all, httpx only in transport."""
    room = room_of(module.name)
    broken = [
        f"{module.file}:{found.line} {found.module}"
        for found in module.imports
        if (top := found.module.split(".")[0]) != "asyncllm"
        and top not in sys.stdlib_module_names
        and room not in THIRD_PARTY.get(top, frozenset())
        and not (found.for_types_only and room in FOR_TYPES.get(top, frozenset()))
    ]
    assert "" == "\n".join(broken)


@every_module
def test_pure_rooms_fetch_nothing_by_themselves(module: Module) -> None:
    """Values, framings and codecs import no clock, no randomness, no operating system and no JSON library."""
    if room_of(module.name) not in PURE:
        return
    broken = [
        f"{module.file}:{found.line} {found.module}"
        for found in module.imports
        if ({found.module, found.module.split(".")[0]} & IMPURE_STANDARD)
        and (module.file, found.module) not in PURE_MAY
    ]
    assert "" == "\n".join(broken)


@every_module
def test_no_file_is_longer_than_a_reader_can_hold(module: Module) -> None:
    """A code file has at most 600 lines."""
    assert module.text.count("\n") <= MOST_LINES


def test_the_engine_can_be_read_in_an_afternoon() -> None:
    """The engine has at most 18 files: what a call walks through together lives together."""
    files = [module.file for module in modules() if room_of(module.name) == "_engine"]
    assert len([name for name in files if not str(name).endswith("__init__.py")]) <= MOST_ENGINE_FILES


def sort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order ruff keeps (RUF022)."""
    return (0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2, name)


@every_module
def test_what_is_exported_exists_and_is_sorted(module: Module) -> None:
    """Every name of ``__all__`` can be got from its module, and the list is sorted and without doubles."""
    declared = "__all__" in {
        target.id
        for node in module.tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    if not declared:
        return
    imported = import_module(module.name)
    names = list(imported.__all__)
    assert [] == [name for name in names if not hasattr(imported, name)]
    assert sorted(set(names), key=sort_key) == names


def mutable_assignments(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The module-level assignments of a value that can change and whose declared type does not forbid it."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            yield from mutable_assignments(node.body + node.orelse)
            continue
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = {ast.unparse(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])}
        if targets <= {"__all__", "__slots__"}:
            continue
        if is_mutable(node.value) and not (isinstance(node, ast.AnnAssign) and is_immutable_type(node.annotation)):
            yield node


def is_mutable(value: ast.expr) -> bool:
    """Whether an expression makes a container, a counter or a lock."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rsplit(".", 1)[-1] in MUTABLE_CALLS
    return isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp))


def is_immutable_type(annotation: ast.expr) -> bool:
    """Whether a declared type offers no way to change the value."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).rsplit(".", 1)[-1] in {
        "Final",
        "ClassVar",
    }:
        annotation = annotation.slice
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return ast.unparse(outer).rsplit(".", 1)[-1] in IMMUTABLE_TYPES


@every_module
def test_nothing_at_module_level_can_change(module: Module) -> None:
    """Module-level containers are declared as Mapping, Sequence or frozen values, and nobody says ``global``."""
    broken = [f"{module.file}:{node.lineno} {ast.unparse(node)[:60]}" for node in mutable_assignments(module.tree.body)]
    broken += [f"{module.file}:{node.lineno} global" for node in ast.walk(module.tree) if isinstance(node, ast.Global)]
    assert "" == "\n".join(broken)


def compared_strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The string literals that something is compared with: ``==``, ``in``, ``case``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        for side in sides:
            for part in side.elts if isinstance(side, (ast.Tuple, ast.List, ast.Set)) else [side]:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield node.lineno if isinstance(node, ast.Compare) else part.lineno, part.value


@every_module
def test_nobody_asks_for_a_provider_by_name(module: Module) -> None:
    """Where providers differ is said in their own files and in tables, never by comparing a name."""
    if room_of(module.name) in KNOWS_PROVIDERS:
        return
    broken = [f"{module.file}:{line} {text!r}" for line, text in compared_strings(module.tree) if text in PROVIDERS]
    assert "" == "\n".join(broken)


def test_the_numbers_of_random_are_the_program_s() -> None:
    """Nobody draws from the generator that all of a program shares: a program that seeded it gets its own numbers."""
    broken = [
        f"{module.file}:{node.lineno}"
        for module in ALL
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "random"
        and node.attr not in ("Random", "SystemRandom")
    ]
    assert [] == broken


def test_importing_the_package_loads_nothing_heavy() -> None:
    """``import asyncllm`` leaves pydantic, the HTTP libraries, yaml and anyio for the first use."""
    heavy = "pydantic pydantic_core httpx httpx2 yaml anyio botocore google.auth rich orjson asyncio ssl".split()
    code = f"import sys, asyncllm; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("CACHE = {}", 1),
        ("seen: list[str] = []", 1),
        ("LOCK = threading.Lock()", 1),
        ("if True:\n    x = set()", 1),
        ("ROWS: Mapping[str, int] = {}", 0),
        ("ROWS: Final[Mapping[str, int]] = {}", 0),
        ("NAMES = frozenset({'a'})", 0),
        ("NAMES = MappingProxyType({'a': 1})", 0),
        ("__all__ = ['a']", 0),
        ("def f():\n    x = []", 0),
    ],
)
def test_the_rule_of_mutable_state_tells_apart(source: str, expected: int) -> None:
    """The rule finds containers that can change and leaves declared and frozen ones alone."""
    assert expected == len(list(mutable_assignments(ast.parse(source).body)))


@pytest.mark.parametrize(
    ("importer", "imported", "for_types_only", "expected"),
    [
        ("client", "_engine", False, True),
        ("_engine", "client", False, False),
        ("_engine", "_transport.base", False, True),
        ("_engine", "_transport", False, False),
        ("_auth", "_transport", False, False),
        ("errors", "_schema", True, True),
        ("errors", "_schema", False, False),
        ("_protocols", "_framing", False, True),
        ("_framing", "_protocols", False, False),
        ("_protocols", "_protocols.wire_json", False, False),
        ("_engine", "_protocols.wire_json", False, True),
        ("cli", "testing", False, True),
        ("testing", "cli", False, False),
    ],
)
def test_the_rule_of_layers_tells_apart(importer: str, imported: str, for_types_only: bool, expected: bool) -> None:
    """The rows allow what the design allows, and nothing else."""
    assert expected is may_import(importer, imported, for_types_only=for_types_only)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_map_names_files_that_exist(page: str) -> None:
    """Each file and folder of the package that a page for contributors names is there."""
    text = (ROOT / page).read_text(encoding="utf8")
    named = set(re.findall(r"`((?:_?[a-z_]+/)*_?[a-z_]+(?:/|\.py|\.json))`", text))
    missing = [
        name
        for name in sorted(named)
        if not (ROOT / name).exists()
        and not (ROOT / "src/asyncllm" / name).exists()
        and not list((ROOT / "src/asyncllm").rglob(name.rstrip("/")))
    ]
    assert [] == missing


def twice(names: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """The names that stand in more than one file."""
    found: dict[str, list[str]] = {}
    for name, file in names:
        found.setdefault(name, []).append(file)
    return {name: files for name, files in found.items() if len(set(files)) > 1}


def test_no_class_name_stands_twice() -> None:
    """A class is found by its name alone."""
    names = (
        (node.name, module.file) for module in ALL for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)
    )
    assert {} == twice(names)


def test_no_file_name_stands_twice() -> None:
    """A file is found by its name alone, except in the folders whose files are alike: wire formats and hosts.

    The public modules at the top have the names that users know, whatever lies below.
    """
    alike = ("_protocols/", "_providers/", "_testing/wires/")
    names = (
        (module.file.rpartition("/")[2], module.file)
        for module in ALL
        if not module.file.endswith(("__init__.py", "__main__.py"))
        and not (module.file.startswith(alike) and module.file.count("/") >= 1)
        and module.file not in ("errors.py", "ledger.py", "models.py", "providers.py", "schema.py", "wires.py")
    )
    assert {} == twice(names)
