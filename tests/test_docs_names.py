"""The names that exist and the names that the docs have: keys, environment variables, options of commands."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, get_args

from asyncllm._config.reading import keys_of
from asyncllm._config.settings import Settings
from asyncllm.cli.main import build_parser
from docs_pages import PAGES, ROOT

TEXT = "\n".join(page.read_text(encoding="utf8") for page in PAGES)
# Which words in capitals are environment variables: those of vendors, of proxies and certificates, and our own.
VARIABLE = re.compile(
    r"\b(?:(?:AWS|GOOGLE|GCE|GCLOUD|CLOUDSDK|OPENAI|ANTHROPIC|AZURE_OPENAI|ASYNCLLM|OLLAMA|GEMINI|CLOUD_ML|LLM)_[A-Z0-9_]*[A-Z0-9]"
    r"|[A-Z][A-Z0-9_]*_API_KEY|[A-Z]+_PROXY|SSL_CERT_[A-Z]+|NO_GCE_CHECK)\b"
)
# What the vendors' libraries read, and we hand on without a name of our own in the docs: AWS's and Google's own pages
# explain them.
OF_VENDORS = frozenset(
    {
        *("AWS_CONFIG_FILE", "AWS_CREDENTIAL_EXPIRATION", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN"),
        *("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN"),
        *("CLOUDSDK_ACTIVE_CONFIG_NAME", "CLOUDSDK_CONFIG", "CLOUDSDK_CORE_PROJECT"),
        *("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT", "GCE_METADATA_TIMEOUT"),
    }
)


def keys(section: Any, path: str = "") -> Iterator[str]:
    """Every key of the configuration, with the names of its sections before it."""
    for name, key in keys_of(section).items():
        if name in ("own", "pending"):  # not written by anybody
            continue
        yield f"{path}{name}"
        for inner in _sections(key.annotation):
            yield from keys(inner, f"{path}{name}.")


def _sections(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections(part)]


def test_every_key_of_the_configuration_is_in_the_docs() -> None:
    """Whoever looks for a key finds it on some page."""
    missing = [path for path in keys(Settings) if not re.search(rf"\b{path.rpartition('.')[2]}\b", TEXT)]
    assert [] == missing


def variables_of_the_source() -> set[str]:
    """The environment variables that strings of the package name, docstrings and sentences left out."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf8")
        for node in ast.walk(ast.parse(text)) if VARIABLE.search(text) else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
                found.add(node.value)
    return found


def test_every_variable_that_is_read_is_in_the_docs() -> None:
    """A variable that changes what happens is explained, but for those that vendors' own pages explain."""
    missing = {name for name in variables_of_the_source() - OF_VENDORS if name not in TEXT}
    assert set() == missing


def test_every_variable_of_the_docs_is_read() -> None:
    """No page names a variable that nothing reads, but in `${...}`, where names are the reader's own."""
    source = "\n".join(path.read_text(encoding="utf8") for path in (ROOT / "src").rglob("*.py"))
    told = set(VARIABLE.findall(re.sub(r"\$\{[^}]*\}|export \w+", "", TEXT)))
    assert set() == {name for name in told if name not in source}


def options(parser: argparse.ArgumentParser, name: str = "asyncllm") -> Iterator[tuple[str, str]]:
    """Each command with each of its options, the longest spelling."""
    for action in parser._actions:  # argparse has no other way to list them
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield from options(command, f"{name} {word}")
        elif action.option_strings and action.help != argparse.SUPPRESS and "--help" not in action.option_strings:
            yield name, max(action.option_strings, key=len)


def test_every_option_of_a_command_is_in_the_docs() -> None:
    """The page of the command line, or the one of the matter, has it."""
    assert [] == [f"{command} {option}" for command, option in options(build_parser()) if option not in TEXT]
