"""Writes the pages of docs/ that are made from the code: ``python tools/generated_pages.py``.

Run it after a change of a setting, a host, a wire format or a public name. A test compares the pages with what is
written here, and says when it has to be run.
"""

from __future__ import annotations

from pathlib import Path

import api_pages
import commands_page
import errors_page
import llms_index
import settings_page
import support_page

FOLDER = Path(__file__).resolve().parent.parent / "docs"


def pages() -> dict[Path, str]:
    """Each page with its text."""
    made = {
        "reference/errors.md": errors_page.page(),
        "reference/settings.md": settings_page.page(),
        "reference/what-works-where.md": support_page.page(),
        **api_pages.pages(),
    }
    return {FOLDER / path: text for path, text in made.items()}


CAPTURED = FOLDER / "reference" / "commands.md"
"""What the commands print; it is made apart from the others, because it runs all of them."""


def index() -> str:
    """The index for language models; it reads the pages, so it is made after them."""
    return llms_index.page()


def main() -> None:
    """Writes all of them."""
    for path, text in {**pages(), CAPTURED: commands_page.page()}.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf8")
    (FOLDER / "llms.txt").write_text(index(), encoding="utf8")


if __name__ == "__main__":
    main()
