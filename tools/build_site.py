"""Builds the site of the documentation into ``site/``, and checks every link of what was built.

``nox -s docs`` runs it. The pages are those of docs/. Three kinds of page are added, so that no link leaves the site:
each example with its code, the table of examples, and the papers of the project (changelog, contributing, security).
The pages and their order are in ``nav`` of zensical.toml. The build is strict: a link to a page or a heading that does
not exist ends it. Then the links of the HTML are checked, which also covers what the API reference makes of docstrings.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
PAGES, SITE = ROOT / "build" / "docs", ROOT / "site"
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
NAMED = re.compile(r"\[[\w/.-]+\.md\]\(([^)\s#]+\.md)(#[^)\s]*)?\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# A file or folder of the repository -> the page of the site that shows it.
PAPERS = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing", "SECURITY.md": "security"}


def page_of(source: Path) -> Path | None:
    """The page that shows a file of the repository, relative to the root of the site; None where there is none."""
    path = source.relative_to(ROOT)
    if path.parts[:1] == ("docs",):
        return Path(*path.parts[1:])
    if path.parts[:1] == ("examples",):
        return path.with_suffix(".md") if path.suffix == ".py" else Path("examples", "index.md")
    if path.name in PAPERS and len(path.parts) == 1:
        return Path("project", f"{PAPERS[path.name]}.md")
    return Path("index.md") if path == Path("README.md") else None


def moved(text: str, source: Path) -> str:
    """The text of a page with the links that it needs at its place in the site."""
    here = page_of(source) or Path("index.md")

    def replaced(found: re.Match[str]) -> str:
        address, mark, anchor = found[2].partition("#")
        if not address or urlsplit(address).scheme:
            return found[0]
        there = page_of((source.parent / address).resolve())
        if there is None:
            raise SystemExit(f"{source.relative_to(ROOT)} links to {address}, which has no page in the site")
        return f"{found[1]}{Path(os.path.relpath(there, here.parent)).as_posix()}{mark}{anchor}{found[3]}"

    kept = FENCED.findall(text)
    parts = FENCED.split(text)
    written = [LINK.sub(replaced, parts[0])]
    for block, part in zip(kept, parts[1:], strict=True):
        written += [block, LINK.sub(replaced, part)]
    return "".join(written)


def titled(text: str, page: Path) -> str:
    """The text with the titles of pages where a link says the name of their file."""

    def replaced(found: re.Match[str]) -> str:
        target = page.parent / found[1]
        if not target.exists():  # made later: it keeps the name
            return found[0]
        title = target.read_text("utf8").partition("\n")[0].removeprefix("# ")
        return f"[{title}]({found[1]}{found[2] or ''})"

    return NAMED.sub(replaced, text)


def assemble() -> None:
    """Writes the pages that the site is made of."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    for source in [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in PAPERS)]:
        page = page_of(source)
        assert page is not None
        target = PAGES / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(titled(moved(source.read_text("utf8"), source), target), encoding="utf8")
    rows = ["# Examples", "", "Each of these programs runs as it is, without a key. The tests run them.", ""]
    rows += ["| program | what it shows |", "|---|---|"]
    (PAGES / "examples").mkdir(exist_ok=True)
    for example in sorted((ROOT / "examples").glob("*.py")):
        code = example.read_text("utf8")
        about = (ast.get_docstring(ast.parse(code)) or "").split("\n\n")[0].replace("\n", " ")
        text = f"# {example.name}\n\n{about}\n\n```python\n{code}```\n"
        (PAGES / "examples" / f"{example.stem}.md").write_text(text, encoding="utf8")
        rows.append(f"| [{example.name}]({example.stem}.md) | {about} |")
    (PAGES / "examples" / "index.md").write_text("\n".join(rows) + "\n", encoding="utf8")


def narrow_search() -> None:
    """Lets the search find what answers a question first.

    Pages of the API are found by their names, not by every word of their docstrings; the changelog, and the code of
    examples, are not searched: the pages about the matter are.
    """
    path = SITE / "search.json"
    index = json.loads(path.read_text("utf8"))
    kept = [item for item in index["items"] if not item["location"].startswith(("project/changelog/", "examples/"))]
    for item in kept:
        if item["location"].startswith("api/"):
            item["text"] = ""
    path.write_text(json.dumps({**index, "items": kept}, separators=(",", ":")), encoding="utf8")


class Links(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps what a tag points to, and what it may be pointed to by."""
        found = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}
        self.links += [value for name in ("href", "src") if (value := found.get(name))]


def broken_links() -> list[str]:
    """A line for each link of the built site that leads nowhere within the site."""
    pages: dict[Path, Links] = {}
    for path in SITE.rglob("*.html"):
        pages[path] = Links()
        pages[path].feed(path.read_text("utf8"))
    listed = re.findall(r"^- \[.+?\]\(([^)]+)\)", (SITE / "llms.txt").read_text("utf8"), re.MULTILINE)
    broken = [f"llms.txt: {link}" for link in listed if not (SITE / link).is_file()]
    for path, page in pages.items():
        if path.name == "404.html":  # its links are made for the address of the published site
            continue
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (address.fragment and not anchored(pages.get(target), address.fragment)):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    print(f"{len(pages)} pages, {sum(len(page.links) for page in pages.values())} links, {len(broken)} broken")
    return broken


def anchored(page: Links | None, fragment: str) -> bool:
    """Whether a page has a place of this name."""
    return page is None or unquote(fragment) in page.anchors


def main() -> int:
    """Assembles, builds and checks; the code of the first step that failed."""
    assemble()
    if "--assemble" in sys.argv:
        return 0
    shutil.rmtree(SITE, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--clean"]
    built = subprocess.run(command, cwd=ROOT, check=False)
    if built.returncode:
        return built.returncode
    for page in PAGES.rglob("*.md"):  # what llms.txt lists
        target = SITE / page.relative_to(PAGES)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, target)
    narrow_search()
    broken = broken_links()
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
