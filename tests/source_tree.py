"""The source of the package as tests of its shape read it: modules, their imports, and what the imports mean."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import asyncllm

ROOT = Path(asyncllm.__file__).resolve().parent


@dataclass(frozen=True)
class Import:
    """One imported module: ``asyncllm.`` names are absolute, whatever the source wrote."""

    module: str
    line: int
    for_types_only: bool


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path

    @property
    def file(self) -> str:
        """Its place below the package, with slashes: ``schema/content.py``."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def name(self) -> str:
        """Its dotted name: ``asyncllm._schema.content``."""
        parts = ("asyncllm", *self.path.relative_to(ROOT).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        """The source."""
        return self.path.read_text(encoding="utf8")

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text, self.file)

    @property
    def imports(self) -> Iterator[Import]:
        """Every import, inside functions too."""
        typed = {id(node) for branch in _typing_branches(self.tree) for node in ast.walk(branch)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = list(self._imported_from(node))
            else:
                continue
            for name in names:
                yield Import(name, node.lineno, id(node) in typed)

    def _imported_from(self, node: ast.ImportFrom) -> Iterator[str]:
        base = node.module or ""
        if node.level:
            package = self.name.split(".") if self.path.name == "__init__.py" else self.name.split(".")[:-1]
            parents = package[: len(package) - node.level + 1]
            base = ".".join([*parents, base] if base else parents)
        for alias in node.names:
            deeper = f"{base}.{alias.name}"
            yield deeper if _is_module(deeper) else base


def _typing_branches(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            yield from node.body


def _is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return name.startswith("asyncllm.") and (path.with_suffix(".py").is_file() or (path / "__init__.py").is_file())


def modules() -> list[Module]:
    """Every module of the package."""
    return [Module(path) for path in sorted(ROOT.rglob("*.py"))]
