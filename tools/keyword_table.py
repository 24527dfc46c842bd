"""Writes the table of keywords in docs/calls.md from the list of keywords (`asyncllm.CallOptions`).

Run it after a change of the list: ``python tools/keyword_table.py``. A test says when it has to be run.
"""

from __future__ import annotations

from pathlib import Path

from asyncllm._options import DESCRIBED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "calls.md"
BEGIN, END = "<!-- keywords: tools/keyword_table.py writes this table -->\n", "<!-- end of keywords -->\n"


def table() -> str:
    """The table, a row for each keyword."""
    rows = ["| about | keyword | type | meaning |", "|---|---|---|---|"]
    for row in DESCRIBED:
        kind = row.type.replace("|", "\\|")
        rows.append(f"| {row.about} | `{row.name}` | `{kind}` | {row.meaning} |")
    return "\n".join(rows) + "\n"


def written(page: str) -> str:
    """The page with the table of now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} has lost the marks around the table")
    return f"{before}{begin}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf8")), encoding="utf8")
