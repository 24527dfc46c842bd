"""The pages of the documentation, and the fenced blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FOLDER = ROOT / "docs"
DOCS = sorted(FOLDER.rglob("*.md"))
PAGES = [README, *DOCS]
SKILLS = sorted((ROOT / "src" / "asyncllm" / ".agents").rglob("*.md"))
"""What coding agents read; it is in the wheel."""
LINKED = [*PAGES, *SKILLS, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]


def name(page: Path) -> str:
    """What a page is called in links from docs/index.md."""
    return page.relative_to(FOLDER if FOLDER in page.parents else ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in these languages, in order."""
    source = page.read_text(encoding="utf8")
    return [
        Block(page, source.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", source, re.MULTILINE | re.DOTALL)
        if found[1] in languages
    ]


def without_blocks(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf8"), flags=re.MULTILINE | re.DOTALL)
