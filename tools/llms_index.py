"""Writes docs/llms.txt, the index of the documentation for language models: each page with what it answers.

The form is that of https://llmstxt.org. The order is that of the menu in zensical.toml. What a page answers stands in
docs/index.md; else it is the beginning of the page. The site has each page as Markdown too, at the given address.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# asyncllm

> Async-first Python client for large language models over raw HTTP: one message schema and one client for OpenAI,
> Anthropic, Gemini, AWS Bedrock, Vertex AI, Azure and every OpenAI-compatible server, with fallback, budgets and a
> ledger of costs.

Install `asyncllm-client`, import `asyncllm`. `Client` is asynchronous (asyncio and trio), `SyncClient` is its blocking
twin. Start with the tutorial. The package holds skills for coding agents in `asyncllm/.agents/skills`.
"""
_MADE = ("examples/", "project/")


def menu() -> list[tuple[str, list[str]]]:
    """The sections of the menu with their pages, in order; a section in a section is one more."""
    nav = tomllib.loads((ROOT / "zensical.toml").read_text("utf8"))["project"]["nav"]
    sections: list[tuple[str, list[str]]] = [("Start", [])]
    for entry in nav:
        for title, pages in entry.items():
            if isinstance(pages, str):
                sections[0][1].append(pages)
            else:
                sections += _section(title, pages)
    return sections


def _section(title: str, entries: list[Any]) -> list[tuple[str, list[str]]]:
    own: list[str] = []
    inner: list[tuple[str, list[str]]] = []
    for entry in entries:
        if isinstance(entry, str):
            own.append(entry)
            continue
        for name, pages in entry.items():
            if isinstance(pages, str):
                own.append(pages)
            else:
                inner += _section(name, pages)
    return [(title, own), *inner]


def described(page: str) -> str:
    """The line of a page: its title, its address and what it answers."""
    text = (ROOT / "docs" / page).read_text("utf8")
    title = text.partition("\n")[0].removeprefix("# ")
    about = _answers().get(page) or _beginning(text)
    return f"- [{title}]({page})" + (f": {about}" if about else "")


def _answers() -> dict[str, str]:
    """Page -> what it answers, as the tables of docs/index.md have it."""
    return dict(
        re.findall(
            r"^\| \[[^\]]+\]\(([^)]+)\) \| (.*) \|$", (ROOT / "docs" / "index.md").read_text("utf8"), re.MULTILINE
        )
    )


def _beginning(text: str) -> str:
    """The first sentence of a page."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    paragraphs = [part for part in prose.split("\n\n")[1:] if part.strip() and part[0] not in "#|-:"]
    first = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", paragraphs[0].strip().replace("\n", " ")) if paragraphs else ""
    return re.split(r"(?<=[.:]) ", first)[0].rstrip(":. ")


def page() -> str:
    """The index."""
    lines = [HEAD]
    for title, pages in menu():
        pages = [name for name in pages if not name.startswith(_MADE)]
        if pages:
            lines += [f"## {title}", "", *[described(name) for name in pages], ""]
    return "\n".join(lines).rstrip("\n") + "\n"
