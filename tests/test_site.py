"""The site of the documentation: every page is in its menu, and every link between pages leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import docs_pages

ROOT = Path(__file__).resolve().parent.parent
MADE = ("examples/", "project/")  # pages that tools/build_site.py makes of other files


def anchors(page: Path) -> set[str]:
    """What a link may name after ``#``: the headings as GitHub and the site write them, repeated ones numbered."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.*?) *$", docs_pages.without_blocks(page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        found.append(f"{slug}_{found.count(slug)}" if slug in found else slug)
    return {*found, *re.findall(r'<a id="([^"]+)"', docs_pages.without_blocks(page))}


def broken_links(page: Path) -> list[str]:
    """The links of a page within the repository that have no target."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", docs_pages.without_blocks(page)):
        address, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", address):
            continue
        target = (page.parent / address).resolve() if address else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", docs_pages.LINKED, ids=docs_pages.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """A link names a file that is there and, after ``#``, a heading that is in it."""
    assert [] == broken_links(page)


@pytest.mark.parametrize("page", docs_pages.LINKED, ids=docs_pages.name)
def test_no_page_has_the_marks_of_a_merge(page: Path) -> None:
    """Two versions of a passage stand beside each other in no page."""
    assert [] == re.findall(r"^(?:<{7} .*|={7}|>{7} .*)$", page.read_text(encoding="utf8"), re.MULTILINE)


def menu() -> list[str]:
    """The pages in the menu of the site. (Python 3.10 has no reader of TOML: the lines are of one form.)"""
    text = (ROOT / "zensical.toml").read_text(encoding="utf8")
    return re.findall(r'"([\w/.-]+\.md)"', text[text.index("nav = [") : text.index("[project.validation]")])


def test_the_menu_has_every_page_once() -> None:
    """Nobody has to know the name of a page to find it, and no entry of the menu is empty."""
    pages = [page for page in menu() if not page.startswith(MADE)]
    assert sorted(docs_pages.name(page) for page in docs_pages.DOCS) == sorted(pages)


def test_every_page_begins_with_one_title() -> None:
    """The menu, the search and the index for language models take the first heading."""
    wrong = []
    for page in docs_pages.DOCS:
        titles = re.findall(r"^# .+$", docs_pages.without_blocks(page), re.MULTILINE)
        if len(titles) != 1 or not page.read_text(encoding="utf8").startswith(titles[0]):
            wrong.append(docs_pages.name(page))
    assert [] == wrong
