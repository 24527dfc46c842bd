"""Names of models: the spellings that the catalog looks for, and the custom names that it never looks for.

A host dresses a model's name: Bedrock in ARNs and geographic prefixes, Vertex in publishers and ``@`` versions, Gemini
in ``models/``. The name as given is tried first, then the same undressed step by step. Somebody's own model
(fine-tuned, tuned, imported, provisioned, behind an application profile) has prices and limits that no public data
knows: it is never looked up, because the name it is made from would give a wrong answer.

`matches` says whether a name fits a row of the price data. A row's clause is compact JSON, read without compiling
anything: a string whose first character says how it is compared with the name in lower case, or a list whose first
element joins the others:

=  the whole name      ^  its beginning      $  its end      *  somewhere in it      ~  a regular expression
["|", ...]  one of them                      ["&", ...]  all of them

They are the clauses of the ``genai-prices`` data, whose matching this repeats exactly. The first row that matches wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Union

_CUSTOM = re.compile(
    r"(?:^|[:/._-])ft[:-]"  # OpenAI, Azure, Mistral, Together
    r"|^tunedmodels/|(?:^|/)endpoints/"  # Gemini, Vertex
    r"|:(?:custom-model|custom-model-deployment|imported-model|provisioned-model|application-inference-profile"
    r"|prompt-router|default-prompt-router)/"  # Bedrock
)
_PATH = re.compile(
    r"^arn:aws[a-z-]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/"
    r"|^(?:projects/[^/]+/locations/[^/]+/)?publishers/(?:google|anthropic)/models/"
    r"|^models/"
)
_PUBLISHER = re.compile(r"^(?:google|anthropic)/")
_REGION = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|sa|me|il|af|mx|in|uk|kr|global)\.(?=[a-z0-9-]+\.)")
_MOVING = re.compile(r"@(?:default|latest)$")
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")

_REVISION = re.compile(r"(?:-v\d+)?(?::\d+[a-z0-9:]*)?$")  # Bedrock: -v1:0, -v1:0:200k
_DATED = re.compile(r"[-@]20\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$")


def is_custom(model: str) -> bool:
    """Returns whether a model is a custom one: fine-tuned, imported, provisioned, or hidden behind a profile."""
    return _CUSTOM.search(model.lower()) is not None


def without_version(name: str) -> str:
    """Returns a name without the date and the revision of a snapshot: ``gpt-5.4`` for ``gpt-5.4-2026-03-05``."""
    return _DATED.sub("", _REVISION.sub("", name))


def dashed_date(name: str) -> str:
    """Writes ``gpt-5.2-20251211`` as ``gpt-5.2-2025-12-11``: the other way to write the same version."""
    return _COMPACT_DATE.sub(r"-\1-\2-\3", name)


def spellings(model: str) -> Iterator[str]:
    """Yields the names to look for, in lower case and without duplicates, the given one first. None for a custom
    model.
    """
    if is_custom(model):
        return
    given = model.lower()
    bare = _PATH.sub("", given)
    unversioned = _MOVING.sub("", _PUBLISHER.sub("", bare))
    homeless = _REGION.sub("", unversioned)
    seen: set[str] = set()
    for name in (given, bare, unversioned, homeless, homeless.replace("@", "-")):
        for spelling in (name, dashed_date(name)):
            if spelling not in seen:
                seen.add(spelling)
                yield spelling


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
