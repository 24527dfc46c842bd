"""Does a model's name mean this row? Clauses as compact JSON, read without compiling anything.

A clause is a string whose first character says how it is compared with the name in lower case, or a list whose first
element joins the others:

=  the whole name      ^  its beginning      $  its end      *  somewhere in it      ~  a regular expression
["|", ...]  one of them                      ["&", ...]  all of them

They are the clauses of the ``genai-prices`` data, whose matching this repeats exactly. The first row that matches wins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Union

Clause = Union[str, "Sequence[Clause]"]


def matches(clause: Clause, name: str) -> bool:
    """Whether a clause fits a name.

    Args:
        clause: as in the head of this file; texts in lower case.
        name: in lower case.

    Raises:
        ValueError: the clause begins with none of the known signs: the data is from another version.
    """
    sign = clause[0]
    if sign == "|":
        return any(matches(part, name) for part in clause[1:])
    if sign == "&":
        return all(matches(part, name) for part in clause[1:])
    text = str(clause)[1:]
    if sign == "=":
        return name == text
    if sign == "^":
        return name.startswith(text)
    if sign == "*":
        return text in name
    if sign == "$":
        return name.endswith(text)
    if sign == "~":
        return re.search(text, name) is not None
    raise ValueError(f"the catalog's data has an unknown clause {clause!r}; install a matching asyncllm")
